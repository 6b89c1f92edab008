//! Calls that this side opens.

use super::message::{Assembly, Outgoing};
use super::outbox::{Mark, TURNS};
use super::{Connection, State};
use crate::event::{CallOptions, Handle};
use crate::frame::{self, RawTarget, kind, put_part};
use crate::limits::{CLASSES, SMALL, SPEED};
use crate::queue::Queue;
use crate::table::{Key, Tag, at_mut};
use crate::{Breach, CallError, CallId, Code, Instant, MAX_NAME, Priority, Started, Target};
use alloc::borrow::Cow;
use alloc::boxed::Box;

/// A call that has not got its number yet.
pub(super) const NO_NUMBER: u32 = u32::MAX;

#[derive(Debug)]
pub(crate) struct OutCall {
    pub(super) number: u32,
    pub(super) class: Priority,
    /// The application does not wait for it any more; the peer's last word is still to come.
    pub(super) over: bool,
    /// Where its frame ends in the queue of small messages.
    pub(super) express: Option<Mark>,
    /// At least the beginning was handed to the driver; not kept for small messages.
    pub(super) sent: bool,
    pub(super) deadline: Option<Instant>,
    /// The arguments, unless they went as one small frame.
    pub(super) out: Option<Box<Outgoing>>,
    /// A result that came half.
    pub(super) assembly: Option<Box<Assembly>>,
}

impl OutCall {
    /// Says whether something else knows of it: a timer, or the turns.
    #[inline]
    pub(super) fn has_loose_ends(&self) -> bool {
        self.out.is_some() || self.deadline.is_some()
    }

    /// Where its frame ends, if it went as a small message.
    #[inline]
    pub(super) fn express(&self) -> Option<Mark> {
        self.express.filter(|_| SPEED)
    }
}

/// Calls that have no number yet, by class.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    classes: [Queue<Key>; CLASSES],
    turns: u32,
}

impl Waiting {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.classes.iter().map(Queue::len).sum()
    }

    fn push(&mut self, class: Priority, key: Key) {
        if let Some(queue) = self.classes.get_mut(class.index()) {
            queue.push_back(key);
        }
    }

    /// The next: of the highest class, and once in eight times of the lowest.
    fn pop(&mut self) -> Option<Key> {
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(TURNS) {
            self.classes.iter_mut().find_map(Queue::pop_front)
        } else {
            self.classes.iter_mut().rev().find_map(Queue::pop_front)
        }
    }

    pub(super) fn remove(&mut self, class: Priority, key: Key) {
        if let Some(queue) = self.classes.get_mut(class.index()) {
            queue.remove(key);
        }
    }
}

impl Connection {
    /// Gives a number to a procedure of the peer, so that calls need not carry its name. Costs a
    /// frame ahead of the first call and no round trip. Keep the target and use it again: each
    /// call of this method uses up a number. Once the peer takes no more numbers (before its hello
    /// came it takes 8), the target carries the name instead; then `bind` may be tried again later.
    ///
    /// `fingerprint` tells signatures apart; it means nothing to the engine. `name` is cut at
    /// [`MAX_NAME`] bytes.
    pub fn bind(&mut self, name: &str, fingerprint: u64) -> Target {
        let name = frame::clip(name, MAX_NAME);
        if self.bound >= self.peer.max_bindings || self.is_closed() {
            return Target::Named { name: name.into(), fingerprint };
        }
        let number = self.bound;
        self.bound += 1;
        frame::put(self.out.urgent().tail(), 0, |out| {
            frame::put_fields(kind::BIND, &[u64::from(number)], out);
            out.extend_from_slice(&fingerprint.to_le_bytes());
            out.extend_from_slice(name.as_bytes());
        });
        Target::Procedure(number)
    }

    /// Opens a call. If the peer takes no more calls at once, it waits inside the engine until one
    /// is over.
    ///
    /// `payload` is best a slice if it is small and a vector if it is large. The `handles` are the
    /// streams and callbacks that the payload refers to by their places; whatever happens, they
    /// belong to the engine afterwards.
    ///
    /// The call ends with exactly one [`Event::Answer`](crate::Event::Answer) or
    /// [`Event::Failed`](crate::Event::Failed), unless it is cancelled before.
    ///
    /// # Errors
    ///
    /// The call cannot be made; nothing was sent.
    pub fn open_call(
        &mut self,
        now: Instant,
        target: &Target,
        payload: Cow<'_, [u8]>,
        handles: &[Handle],
        options: CallOptions,
    ) -> Result<CallId, CallError> {
        if let Err(error) = self.may_call(target, payload.len(), handles) {
            self.discard(handles);
            return Err(error);
        }
        if SPEED
            && let Target::Procedure(procedure) = *target
            && payload.len() <= SMALL.min(self.frame_size())
            && options == CallOptions::default()
            && handles.is_empty()
            && self.waiting.is_empty()
            && let Some(number) = self.call_numbers.take(self.peer.max_calls)
        {
            return Ok(self.open_small(procedure, number, &payload));
        }
        self.carry(handles);
        self.expect_call(target);
        let credit = self.peer.message_window as u64;
        let mut out = Outgoing::new(payload.into_owned(), handles.to_vec(), !options.more, credit);
        out.target = Some(target.clone());
        let deadline = options.deadline.map(|duration| now + duration);
        let key = self.calls.insert(OutCall {
            number: NO_NUMBER,
            class: options.priority,
            over: false,
            express: None,
            sent: false,
            deadline,
            out: Some(Box::new(out)),
            assembly: None,
        });
        if let Some(deadline) = deadline {
            self.timers.insert((deadline, Tag::Call.of(key)));
        }
        self.waiting.push(options.priority, key);
        self.launch();
        Ok(CallId(key))
    }

    fn may_call(&self, target: &Target, len: usize, handles: &[Handle]) -> Result<(), CallError> {
        match self.state {
            State::Closed(_) => return Err(CallError::Closed),
            State::Open if !self.clock.peer_leaves => {}
            // What runs may need its callbacks.
            State::Open | State::Leaving(_) if matches!(target, Target::Callback(_)) => {}
            State::Open | State::Leaving(_) => return Err(CallError::GoingAway),
        }
        if self.config.serve_only {
            return Err(CallError::ServeOnly);
        }
        if let Target::Callback(callback) = target
            && !self.is_import_live(callback.0)
        {
            return Err(CallError::Released);
        }
        // Until the hello came the peer may take more than it must.
        if self.peer_codec.is_some() && len > self.peer.max_message {
            return Err(CallError::TooLarge { max: self.peer.max_message });
        }
        if self.can_give(handles) { Ok(()) } else { Err(CallError::HandleGone) }
    }

    #[inline]
    fn open_small(&mut self, procedure: u32, number: u32, payload: &[u8]) -> CallId {
        let class = Priority::Normal;
        let queue = self.out.express(class);
        frame::put_call(number, procedure, payload, queue.tail());
        let express = Some(Mark::small(class, queue.end()));
        let key = self.calls.insert(OutCall {
            number,
            class,
            over: false,
            express,
            sent: false,
            deadline: None,
            out: None,
            assembly: None,
        });
        *at_mut(&mut self.by_number, number) = Some(key);
        CallId(key)
    }

    /// Gives numbers to calls that wait, as many as the peer takes.
    pub(super) fn launch(&mut self) {
        while !self.waiting.is_empty()
            && let Some(number) = self.call_numbers.take(self.peer.max_calls)
        {
            let next = self.waiting.pop();
            let Some((key, call)) = next.and_then(|key| Some((key, self.calls.get_mut(key)?)))
            else {
                self.call_numbers.give(number);
                continue;
            };
            call.number = number;
            *at_mut(&mut self.by_number, number) = Some(key);
            if let Some(out) = &mut call.out {
                out.queued = true;
                self.out.enqueue(call.class, Tag::Call.of(key));
            }
        }
    }

    /// Sends more of the arguments of a call that was opened with [`CallOptions::more`]: any
    /// number of bytes, values need not be whole. A peer that wants them whole answers with
    /// [`Code::TOO_LARGE`] when they are longer than it takes; one that
    /// [takes them as they come](Self::take_arguments) may get any number.
    ///
    /// What is not sent yet stays with the engine; see
    /// [`unsent_arguments`](Self::unsent_arguments). The streams in them begin to flow when the
    /// arguments are complete.
    ///
    /// # Errors
    ///
    /// The call is over or complete; nothing was sent.
    pub fn send_arguments(
        &mut self,
        call: CallId,
        bytes: &[u8],
        handles: &[Handle],
        last: bool,
    ) -> Result<(), CallError> {
        if !self.can_give(handles) {
            self.discard(handles);
            return Err(CallError::HandleGone);
        }
        let out = match self.calls.get_mut(call.0) {
            Some(OutCall { over: false, out: Some(out), .. }) if !out.complete => out,
            _ => {
                self.discard(handles);
                let closed = self.is_closed();
                return Err(if closed { CallError::Closed } else { CallError::Finished });
            }
        };
        out.append(bytes);
        out.handles.extend_from_slice(handles);
        out.complete = last;
        self.carry(handles);
        self.requeue_call(call.0);
        Ok(())
    }

    /// How many bytes of a call's arguments were not sent yet.
    #[must_use]
    pub fn unsent_arguments(&self, call: CallId) -> usize {
        let out = self.calls.get(call.0).and_then(|call| call.out.as_ref());
        out.map_or(0, |out| out.rest().len())
    }

    pub(super) fn requeue_call(&mut self, key: Key) {
        let max = self.peer.max_message;
        if let Some(call) = self.calls.get_mut(key)
            && call.number != NO_NUMBER
            && let Some(out) = &mut call.out
            && !out.queued
            && out.is_ready(max)
        {
            out.queued = true;
            self.out.enqueue(call.class, Tag::Call.of(key));
        }
    }

    /// The front of the next frame of a call's arguments; says how much payload follows.
    pub(super) fn frame_of_call(&mut self, now: Instant, key: Key) -> Option<usize> {
        let frame_size = self.frame_size();
        let peer = self.peer;
        let call = self.calls.get_mut(key)?;
        let out = call.out.as_mut()?;
        let number = call.number;
        let Some(target) = out.target.take() else {
            let (n, handles, more) = out.cut(frame_size, &peer);
            let handles = self.raw_handles(&handles);
            put_part(kind::ARGUMENTS, number, more, None, &handles, n, &mut self.out.stage);
            return Some(n);
        };
        call.sent = true;
        let total = out.bytes.len();
        let room = match &target {
            Target::Named { name, .. } => frame_size.min(peer.max_frame - 64 - name.len() - 320),
            Target::Procedure(_) | Target::Callback(_) => frame_size,
        };
        let (n, handles, more) = out.cut(room, &peer);
        let complete = out.complete;
        let (class, deadline) = (call.class, call.deadline);
        let handles = self.raw_handles(&handles);
        let stage = &mut self.out.stage;
        if let Target::Procedure(procedure) = target
            && !more
            && class == Priority::Normal
            && deadline.is_none()
            && handles.is_empty()
        {
            frame::put_call_front(number, procedure, n, stage);
            return Some(n);
        }
        let callback = match &target {
            Target::Callback(callback) => Some(*callback),
            Target::Procedure(_) | Target::Named { .. } => None,
        };
        let open = frame::Open {
            call: number,
            target: match target {
                Target::Procedure(number) => RawTarget::Procedure(number),
                Target::Callback(callback) => RawTarget::Callback(callback.0.index()),
                Target::Named { name, fingerprint } => RawTarget::Named { name, fingerprint },
            },
            priority: class,
            more,
            deadline: deadline.map(|deadline| deadline.since(now).div_ceil(1000)),
            total: (more && complete).then_some(total as u64),
            handles,
        };
        frame::put_open(&open, n, stage);
        if let Some(callback) = callback {
            self.unexpect_call(&Target::Callback(callback));
        }
        Some(n)
    }

    pub(super) fn call_frame_sent(&mut self, key: Key) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let Some(out) = call.out.as_mut() else { return };
        out.queued = false;
        if !out.last {
            self.requeue_call(key);
        } else if let Some(out) = call.out.take() {
            self.announced(&out.handles);
        }
    }

    pub(super) fn take_admit_arguments(
        &mut self,
        now: Instant,
        number: u32,
        bytes: u64,
    ) -> Result<(), Breach> {
        if bytes == 0 {
            self.empty_frame(now)?;
        }
        // A call that was answered early may cross with this.
        if let Some(key) = self.by_number.get(number as usize).copied().flatten() {
            if let Some(out) = self.calls.get_mut(key).and_then(|call| call.out.as_mut()) {
                out.credit = out.credit.saturating_add(bytes);
            }
            self.requeue_call(key);
        }
        Ok(())
    }

    /// The peer's hello came: what was sent under the smallest limits may go on, unless it turns
    /// out to be too large.
    pub(super) fn raise_credit(&mut self, before: &crate::PeerLimits) {
        let max = self.peer.max_message as u64;
        let window = (self.peer.message_window - before.message_window) as u64;
        for key in self.calls.keys() {
            let Some(out) = self.calls.get_mut(key).and_then(|call| call.out.as_mut()) else {
                continue;
            };
            out.credit += window;
            if out.whole && out.sent + out.rest().len() as u64 > max {
                self.give_up_call(key, Code::TOO_LARGE, Started::No);
            } else {
                self.requeue_call(key);
            }
        }
        self.raise_streams((self.peer.stream_window - before.stream_window) as u64);
        self.launch();
    }
}
