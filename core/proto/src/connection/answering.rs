//! How calls that the peer opened end.

use super::Connection;
use super::message::Outgoing;
use super::outbox::Mark;
use super::serving::{InCall, InState};
use crate::event::Handle;
use crate::frame::{self, kind, put_part};
use crate::limits::{SMALL, SPEED};
use crate::table::{Key, Tag};
use crate::{Breach, CallError, Code, Failure, IncomingId, Instant, MAX_TEXT, Started};
use alloc::borrow::Cow;
use alloc::boxed::Box;

impl Connection {
    /// Answers a call. `payload` is best a slice if it is small and a vector if it is large; the
    /// `handles` belong to the engine afterwards, whatever happens.
    ///
    /// # Errors
    ///
    /// [`CallError::Finished`] or [`CallError::Closed`]: nobody waits for the answer any more.
    /// [`CallError::TooLarge`]: the caller was told so, and the call is over. The same holds for
    /// [`CallError::HandleGone`], with [`Code::BAD_RESULT`].
    pub fn answer(
        &mut self,
        now: Instant,
        call: IncomingId,
        payload: Cow<'_, [u8]>,
        handles: &[Handle],
    ) -> Result<(), CallError> {
        let call_id = call;
        let key = call.0;
        self.clock.ended(now);
        let max = self.peer.max_message;
        let small = SMALL.min(self.frame_size());
        let place = self
            .incoming
            .get_mut(key.index() as usize)
            .filter(|c| c.generation == key.generation());
        let Some(call) = place.filter(|call| matches!(call.state, InState::Running(_))) else {
            self.discard(handles);
            return Err(if self.is_closed() { CallError::Closed } else { CallError::Finished });
        };
        if call.arriving_mut().is_some() {
            self.close_arguments(key);
            return self.answer(now, call_id, payload, handles);
        }
        let class = call.class;
        if let Some(code) = call.cancelled {
            self.discard(handles);
            self.end_call(key, &Failure::new(code, Started::Yes));
            return Ok(());
        }
        if payload.len() > max {
            self.discard(handles);
            self.end_call(key, &Failure::new(Code::TOO_LARGE, Started::Yes));
            return Err(CallError::TooLarge { max });
        }
        if SPEED && payload.len() <= small && handles.is_empty() {
            let queue = self.out.express(class);
            frame::put_answer(key.index(), &payload, queue.tail());
            call.state = InState::Over(Mark::small(class, queue.end()));
            let charged = core::mem::take(&mut call.charged);
            if call.deadline.is_some() {
                self.stop_timer(key);
            }
            self.busy -= 1;
            self.free(charged);
            return Ok(());
        }
        if !self.can_give(handles) {
            self.discard(handles);
            self.end_call(key, &Failure::new(Code::BAD_RESULT, Started::Yes));
            return Err(CallError::HandleGone);
        }
        // The arguments are not needed any more, so their room may go to the answer.
        self.release_arguments(IncomingId(key));
        let credit = self.peer.message_window as u64;
        let mut out = Outgoing::new(payload.into_owned(), handles.to_vec(), true, credit);
        out.charged = out.bytes.capacity();
        if !self.budget.charge(out.charged) {
            self.discard(handles);
            self.end_call(key, &Failure::new(Code::OVERLOADED, Started::Yes));
            return Ok(());
        }
        self.carry(handles);
        out.queued = true;
        self.stop_timer(key);
        if let Some(call) = self.incoming_mut(key) {
            call.state = InState::Answering(Box::new(out));
            self.out.enqueue(class, Tag::Incoming.of(key));
        }
        Ok(())
    }

    /// Ends a call of the peer without a result. Nothing happens if it is over.
    pub fn fail(&mut self, call: IncomingId, failure: &Failure) {
        if self.incoming_mut(call.0).is_some_and(|call| matches!(call.state, InState::Running(_))) {
            self.end_call(call.0, failure);
        }
    }

    /// Says that the arguments of a call are decoded and not held any more, so that their room
    /// may be used. Otherwise that happens when the call is answered.
    pub fn release_arguments(&mut self, call: IncomingId) {
        if let Some(call) = self.incoming_mut(call.0) {
            let charged = core::mem::take(&mut call.charged);
            if charged > 0 {
                self.free(charged);
            }
        }
    }

    /// Tells the caller that a call failed, whatever state it is in.
    pub(super) fn end_call(&mut self, key: Key, failure: &Failure) {
        self.close_arguments(key);
        let Some(call) = self.incoming_mut(key) else { return };
        if matches!(call.state, InState::Over(_)) {
            return;
        }
        let state = core::mem::replace(&mut call.state, InState::Running(None));
        let class = call.class;
        match state {
            InState::Receiving(receiving) => {
                if let Some(until) = receiving.until {
                    self.timers.remove(&(until, Tag::Arguments.of(key)));
                }
                self.drop_assembly(receiving.assembly);
            }
            InState::Answering(out) => {
                let source = Tag::Incoming.of(key);
                self.out.detach(source, |n| out.rest().get(..n).unwrap_or_default().to_vec());
                self.out.dequeue(class, source);
                self.budget.release(out.charged);
                let (listed, unlisted) = out.split_handles();
                self.announced(listed);
                self.discard(unlisted);
            }
            InState::Over(_) | InState::Running(_) => {}
        }
        let started = u64::from(failure.started != Started::No);
        let fields = [u64::from(key.index()), started, u64::from(failure.code.0)];
        let text = frame::clip(&failure.text, MAX_TEXT);
        let mark = self.out.control(kind::ERROR, &fields, text.as_bytes());
        self.end_with(key, InState::Over(mark));
    }

    fn stop_timer(&mut self, key: Key) {
        if let Some(deadline) = self.incoming_mut(key).and_then(|call| call.deadline.take()) {
            self.timers.remove(&(deadline, Tag::Incoming.of(key)));
        }
    }

    fn end_with(&mut self, key: Key, state: InState) {
        let Some(call) = self.incoming_mut(key) else { return };
        call.state = state;
        let charged = core::mem::take(&mut call.charged);
        if call.deadline.is_some() {
            self.stop_timer(key);
        }
        self.busy -= 1;
        self.free(charged);
    }

    /// The front of the next frame of a result; says how much payload follows.
    pub(super) fn frame_of_answer(&mut self, key: Key) -> Option<usize> {
        let frame_size = self.frame_size();
        let peer = self.peer;
        let out = self.incoming_mut(key)?.outgoing_mut()?;
        let first = out.first;
        let total = out.bytes.len() as u64;
        let (n, handles, more) = out.cut(frame_size, &peer);
        let handles = self.raw_handles(&handles);
        if first && !more && handles.is_empty() {
            frame::put_answer_front(key.index(), n, &mut self.out.stage);
        } else {
            let total = (first && more).then_some(total);
            put_part(kind::RESULT, key.index(), more, total, &handles, n, &mut self.out.stage);
        }
        Some(n)
    }

    pub(super) fn answer_frame_sent(&mut self, key: Key) {
        let Some(out) = self.incoming_mut(key).and_then(InCall::outgoing_mut) else { return };
        out.queued = false;
        if !out.last {
            self.requeue_answer(key);
            return;
        }
        let (charged, handles) = (out.charged, core::mem::take(&mut out.handles));
        self.end_with(key, InState::Over(Mark::SENT));
        self.free(charged);
        self.announced(&handles);
    }

    fn requeue_answer(&mut self, key: Key) {
        let max = self.peer.max_message;
        let Some(call) = self.incoming_mut(key) else { return };
        let class = call.class;
        if let Some(out) = call.outgoing_mut()
            && !out.queued
            && out.is_ready(max)
        {
            out.queued = true;
            self.out.enqueue(class, Tag::Incoming.of(key));
        }
    }

    pub(super) fn take_admit_result(
        &mut self,
        now: Instant,
        number: u32,
        bytes: u64,
    ) -> Result<(), Breach> {
        if bytes == 0 {
            self.empty_frame(now)?;
        }
        let Some(call) = self.incoming.get_mut(number as usize) else {
            return Err(Breach::bad_number("credit for a result that is not sent"));
        };
        let key = Key::new(number, call.generation);
        if let Some(out) = call.outgoing_mut() {
            out.credit = out.credit.saturating_add(bytes);
        }
        self.requeue_answer(key);
        Ok(())
    }
}
