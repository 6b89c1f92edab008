//! Arguments that the application takes as they come.

use super::Connection;
use super::message::Assembly;
use super::serving::{InCall, InState, Receiving};
use crate::budget::Budget;
use crate::event::{Arguments, Received};
use crate::frame::kind;
use crate::queue::Queue;
use crate::table::{Key, Tag};
use crate::{Breach, Code, Event, IncomingId, ProtocolError};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem::size_of;

/// Whether there is any of this: without the feature the compiler leaves it out.
pub(super) const PARTIAL: bool = cfg!(feature = "partial");

/// What a part costs besides its bytes.
const PART_COST: usize = size_of::<Vec<u8>>();

/// Arguments of a call that runs already.
#[derive(Debug, Default)]
pub(crate) struct Arriving {
    parts: Queue<Vec<u8>>,
    pub(super) handles: Vec<Received>,
    /// Charged for `parts`, and for what was admitted before and did not come yet.
    charged: usize,
    ahead: usize,
    received: u64,
    /// What the peer may send in all.
    granted: u64,
    /// What the application has used.
    used: u64,
    complete: bool,
    /// The application knows that there is something.
    notified: bool,
    /// Why no more will come.
    lost: Option<Code>,
}

/// Parts are about so long, so that credit can be given back before a window is used up.
fn part_size(window: usize) -> usize {
    (window / 4).min(16 * 1024)
}

impl Arriving {
    /// Goes on where somebody else has begun to put them together.
    fn after(assembly: Assembly) -> Self {
        let Assembly { bytes, handles, charged, received, granted, .. } = assembly;
        let mut this =
            Self { handles, charged, ahead: charged, received, granted, ..Self::default() };
        if !bytes.is_empty() {
            this.ahead -= bytes.capacity().min(charged);
            this.parts.push_back(bytes);
        }
        this
    }

    /// Takes a piece, after which `left` bytes of the same frame will come. Says whether there was
    /// room.
    fn push(
        &mut self,
        mut bytes: &[u8],
        left: usize,
        part: usize,
        budget: &mut Budget,
        headroom: usize,
    ) -> bool {
        while !bytes.is_empty() {
            if self.parts.back().is_none_or(|last| last.len() >= part) {
                if !self.charge(PART_COST, budget, headroom) {
                    return false;
                }
                self.parts.push_back(Vec::new());
            }
            let Some(last) = self.parts.back() else { return false };
            let (len, capacity) = (last.len(), last.capacity());
            let (now, rest) = bytes.split_at(bytes.len().min(part - len));
            let needed = len + now.len();
            if needed > capacity {
                let wanted = (needed + rest.len() + left).max(2 * capacity).min(part);
                let mut size = wanted;
                if !self.charge(size - capacity, budget, headroom) {
                    size = needed;
                    if !self.charge(size - capacity, budget, headroom) {
                        return false;
                    }
                }
                if let Some(last) = self.parts.back_mut() {
                    last.reserve_exact(size - len);
                }
            }
            if let Some(last) = self.parts.back_mut() {
                last.extend_from_slice(now);
            }
            bytes = rest;
        }
        true
    }

    /// How many bytes were not read.
    fn held(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }

    fn charge(&mut self, bytes: usize, budget: &mut Budget, headroom: usize) -> bool {
        let before = self.ahead.min(bytes);
        let fits = budget.charge_leaving(bytes - before, headroom).is_ok();
        if fits {
            self.ahead -= before;
            self.charged += bytes - before;
        }
        fits
    }
}

impl Connection {
    /// Takes the arguments of a call as they come, by [`read_arguments`](Self::read_arguments),
    /// instead of waiting until they are complete: to be called on [`Event::Opened`]. The call runs
    /// from now on, and may be ended before its arguments are; there will be no [`Event::Call`] for
    /// it. The peer sends no more than [`Limits::message_window`](crate::Limits::message_window)
    /// ahead of what was used, and may send more than
    /// [`Limits::max_message`](crate::Limits::max_message) in all. There is no time limit.
    ///
    /// Says `false` if they are complete already, in an [`Event::Call`] that follows, or if the call
    /// is over.
    ///
    /// ```
    /// use ipfi_proto::{Arguments, CallOptions, Config, Connection, Event, Instant};
    ///
    /// let now = Instant::from_micros(0);
    /// let mut client = Connection::new(Config::default(), now);
    /// let mut server = Connection::new(Config::default().with_partial_arguments(), now);
    /// let carry = |from: &mut Connection, to: &mut Connection| {
    ///     let mut buffer = [0; 256];
    ///     let n = from.poll_transmit(now, &mut buffer);
    ///     to.receive(now, &buffer[..n]).unwrap();
    /// };
    /// let store = client.bind("store", 0);
    /// let open = CallOptions { more: true, ..CallOptions::default() };
    /// let call = client.open_call(now, &store, b"He"[..].into(), &[], open).unwrap();
    /// carry(&mut client, &mut server);
    /// let opened = std::iter::from_fn(|| server.poll_event()).find_map(|event| match event {
    ///     Event::Opened { call, .. } => Some(call),
    ///     _ => None,
    /// });
    /// let incoming = opened.unwrap();
    /// assert!(server.take_arguments(incoming));
    /// assert_eq!(server.read_arguments(incoming), Arguments::Part(b"He".to_vec()));
    /// server.consume_arguments(incoming, 2);
    /// assert_eq!(server.read_arguments(incoming), Arguments::Pending);
    /// client.send_arguments(call, b"llo", &[], true).unwrap();
    /// carry(&mut client, &mut server);
    /// assert_eq!(server.read_arguments(incoming), Arguments::Part(b"llo".to_vec()));
    /// assert_eq!(server.read_arguments(incoming), Arguments::End { handles: vec![] });
    /// ```
    pub fn take_arguments(&mut self, call: IncomingId) -> bool {
        let Some(InCall { state, .. }) = self.incoming_mut(call.0).filter(|_| PARTIAL) else {
            return false;
        };
        if !matches!(state, InState::Receiving(_)) {
            return false;
        }
        let InState::Receiving(receiving) = core::mem::replace(state, InState::Running(None))
        else {
            return false;
        };
        let Receiving { assembly, until, .. } = *receiving;
        if let Some(until) = until {
            self.timers.remove(&(until, Tag::Arguments.of(call.0)));
        }
        let admitted = assembly.admitted;
        let arriving = Arriving::after(assembly);
        let came = !arriving.parts.is_empty();
        if let Some(call) = self.incoming_mut(call.0) {
            call.state = InState::Running(Some(Box::new(arriving)));
        }
        // Others may be admitted now.
        self.budget.dismiss(admitted);
        self.free(0);
        if came {
            self.notify_arguments(call.0);
        }
        true
    }

    /// The next part of the arguments of a call that were [taken](Self::take_arguments): any number
    /// of bytes, values need not be whole. It has to be handed to
    /// [`consume_arguments`](Self::consume_arguments) when it is used: that gives the peer new
    /// credit.
    ///
    /// The streams and callbacks in the arguments come with their end.
    pub fn read_arguments(&mut self, call: IncomingId) -> Arguments {
        let key = call.0;
        let Some(state) = self.incoming_mut(key) else {
            return Arguments::Over { code: Code::WIRE_LOST };
        };
        let cancelled = state.cancelled;
        let InState::Running(Some(arriving)) = &mut state.state else {
            return Arguments::Over { code: cancelled.unwrap_or(Code::CANCELLED) };
        };
        if let Some(code) = arriving.lost {
            return Arguments::Over { code };
        }
        if let Some(part) = arriving.parts.pop_front() {
            let cost = (part.capacity() + PART_COST).min(arriving.charged - arriving.ahead);
            arriving.charged -= cost;
            state.charged += cost;
            return Arguments::Part(part);
        }
        if !arriving.complete {
            arriving.notified = false;
            return Arguments::Pending;
        }
        let handles = core::mem::take(&mut arriving.handles);
        self.close_arguments(key);
        self.deliver(&handles);
        Arguments::End { handles }
    }

    /// Says that so many bytes of the arguments that were read are used and not held any more.
    pub fn consume_arguments(&mut self, call: IncomingId, bytes: usize) {
        let Some(state) = self.incoming_mut(call.0) else { return };
        let mut free = bytes.min(state.charged);
        if let InState::Running(Some(arriving)) = &mut state.state {
            arriving.used += bytes as u64;
            if arriving.used + arriving.held() >= arriving.received {
                // All that was read, and so what its parts have cost besides.
                free = state.charged;
            }
        }
        state.charged -= free;
        self.free(free);
        self.grant_arguments(call.0);
    }

    /// Gives credit for what was used: in few frames, but before the peer has to wait for it.
    fn grant_arguments(&mut self, key: Key) {
        let window = self.config.limits.message_window as u64;
        let Some(arriving) = self.incoming_mut(key).and_then(InCall::arriving_mut) else { return };
        let grant = (arriving.used + window).saturating_sub(arriving.granted);
        let due = grant >= window / 4 || (grant > 0 && arriving.received == arriving.granted);
        if due && !arriving.complete && arriving.lost.is_none() {
            arriving.granted += grant;
            self.control(kind::ADMIT_ARGUMENTS, &[u64::from(key.index()), grant]);
        }
    }

    pub(super) fn more_arguments(
        &mut self,
        key: Key,
        bytes: &[u8],
        left: usize,
    ) -> Result<(), Breach> {
        let limits = &self.config.limits;
        let part = part_size(limits.message_window);
        let headroom = self.budget.headroom(limits.max_message);
        let call = self
            .incoming
            .get_mut(key.index() as usize)
            .filter(|c| c.generation == key.generation());
        let Some(arriving) = call.and_then(InCall::arriving_mut) else { return Ok(()) };
        arriving.received += bytes.len() as u64;
        if arriving.received > arriving.granted {
            return Err(Breach::new(ProtocolError::CreditExceeded));
        }
        if bytes.is_empty() || arriving.lost.is_some() {
            return Ok(());
        }
        if arriving.push(bytes, left, part, &mut self.budget, headroom) {
            self.notify_arguments(key);
            self.grant_arguments(key);
        } else {
            self.lose_arguments(key, Code::OVERLOADED);
            self.emit_cancelled(key, Code::OVERLOADED);
        }
        Ok(())
    }

    pub(super) fn end_taken_arguments(&mut self, key: Key) {
        if let Some(arriving) = self.incoming_mut(key).and_then(InCall::arriving_mut) {
            arriving.complete = true;
            self.notify_arguments(key);
        }
    }

    fn notify_arguments(&mut self, key: Key) {
        let Some(arriving) = self.incoming_mut(key).and_then(InCall::arriving_mut) else { return };
        if !core::mem::replace(&mut arriving.notified, true) {
            self.emit(Event::Arguments(IncomingId(key)));
        }
    }

    /// The caller gave up, or there is no room: what came and was not read is dropped.
    pub(super) fn lose_arguments(&mut self, key: Key, code: Code) {
        let Some(arriving) = self.incoming_mut(key).and_then(InCall::arriving_mut) else { return };
        if arriving.lost.is_some() {
            return;
        }
        let complete = arriving.complete;
        let before = core::mem::take(arriving);
        arriving.lost = Some(code);
        arriving.complete = complete;
        (arriving.received, arriving.granted) = (before.received, before.granted);
        arriving.notified = before.notified;
        self.notify_arguments(key);
        drop(before.parts);
        self.free(before.charged);
        self.dispose_all(before.handles, Code::CANCELLED);
    }

    /// The call goes on, or ends, without the rest of its arguments.
    pub(super) fn close_arguments(&mut self, key: Key) {
        let Some(arriving) = self.incoming_mut(key).and_then(InCall::take_arriving) else { return };
        drop(arriving.parts);
        self.free(arriving.charged);
        self.dispose_all(arriving.handles, Code::CANCELLED);
    }

    /// How many streams and callbacks came with the arguments of a call so far.
    pub(super) fn handles_so_far(&self, number: u32) -> usize {
        match self.incoming.get(number as usize).map(|call| &call.state) {
            Some(InState::Receiving(receiving)) => receiving.assembly.handles.len(),
            Some(InState::Running(Some(arriving))) if PARTIAL => arriving.handles.len(),
            _ => 0,
        }
    }

    /// Takes a list of handles, unless the arguments are complete.
    pub(super) fn list_arguments(
        &mut self,
        key: Key,
        handles: Vec<Received>,
    ) -> Result<(), Breach> {
        let call = self.incoming_mut(key);
        match call.map(|call| &mut call.state) {
            Some(InState::Receiving(receiving)) => receiving.assembly.handles.extend(handles),
            Some(InState::Running(Some(arriving)))
                if PARTIAL && !arriving.complete && arriving.lost.is_none() =>
            {
                arriving.handles.extend(handles);
            }
            Some(InState::Running(arriving))
                if arriving.as_ref().is_none_or(|arriving| arriving.complete) =>
            {
                return Err(Breach::malformed("arguments after the last"));
            }
            // The call was ended early; the caller did not know yet.
            _ => self.dispose_all(handles, Code::CANCELLED),
        }
        Ok(())
    }
}
