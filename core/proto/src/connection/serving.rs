//! Calls that the peer opens.

use super::calls::put_part;
use super::input::Sink;
use super::lifecycle::Timer;
use super::message::{Assembly, Outgoing, Piece, Starving};
use super::outbox::{Mark, Source};
use super::{Connection, State};
use crate::event::{Called, Handle};
use crate::frame::{self, Open, RawHandle, RawTarget, kind};
use crate::limits::SMALL;
use crate::table::{Key, at_mut};
use crate::{
    CallError, Code, Event, Failure, IncomingId, Instant, MAX_TEXT, Priority, ProtocolError,
    Started,
};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A call of the peer, or the place for one.
#[derive(Debug)]
pub(crate) struct InCall {
    generation: u32,
    class: Priority,
    /// Nobody waits for the answer, and why.
    cancelled: Option<Code>,
    pub(super) state: InState,
    /// What its arguments are charged with.
    charged: usize,
    deadline: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum InState {
    /// Over. The number may be used again once everything up to the mark was sent.
    Over(Mark),
    /// The arguments are coming.
    Receiving(Box<Receiving>),
    /// The application has it.
    Running,
    /// The result is being sent.
    Answering(Box<Outgoing>),
}

#[derive(Debug)]
pub(crate) struct Receiving {
    called: Called,
    pub(super) assembly: Assembly,
    /// When the first byte came.
    since: Instant,
    /// When patience ends, unless the deadline does before.
    until: Option<Instant>,
}

impl Default for InCall {
    fn default() -> Self {
        Self {
            generation: 0,
            class: Priority::Normal,
            cancelled: None,
            state: InState::Over(Mark::SENT),
            charged: 0,
            deadline: None,
        }
    }
}

impl InCall {
    pub(super) fn outgoing(&self) -> Option<&Outgoing> {
        match &self.state {
            InState::Answering(out) => Some(out),
            InState::Over(_) | InState::Receiving(_) | InState::Running => None,
        }
    }

    pub(super) fn assembly_mut(&mut self) -> Option<&mut Assembly> {
        match &mut self.state {
            InState::Receiving(receiving) => Some(&mut receiving.assembly),
            InState::Over(_) | InState::Running | InState::Answering(_) => None,
        }
    }

    pub(super) fn outgoing_mut(&mut self) -> Option<&mut Outgoing> {
        match &mut self.state {
            InState::Answering(out) => Some(out),
            InState::Over(_) | InState::Receiving(_) | InState::Running => None,
        }
    }
}

impl Connection {
    pub(super) fn incoming_mut(&mut self, key: Key) -> Option<&mut InCall> {
        self.incoming.get_mut(key.index as usize).filter(|call| call.generation == key.generation)
    }

    /// Makes room for a call of the peer.
    #[inline]
    fn accept(&mut self, number: u32, class: Priority) -> Result<Key, ProtocolError> {
        if number >= self.config.limits.max_calls {
            return Err(ProtocolError::BadNumber("call over the limit"));
        }
        let call = at_mut(&mut self.incoming, number);
        match call.state {
            InState::Over(mark) if self.out.is_sent(mark) => {}
            InState::Over(_) | InState::Receiving(_) | InState::Running | InState::Answering(_) => {
                return Err(ProtocolError::BadNumber("call that is open"));
            }
        }
        call.generation = call.generation.wrapping_add(1);
        call.class = class;
        call.cancelled = None;
        call.state = InState::Running;
        self.busy += 1;
        Ok(Key { index: number, generation: call.generation })
    }

    /// Why a new call may not be, apart from its size.
    fn objection(&self, called: &Called) -> Option<Code> {
        let procedure = match called {
            Called::Callback(callback) => {
                return (!self.is_export_live(callback.0)).then_some(Code::NO_SUCH_CALLBACK);
            }
            Called::Procedure(number) => *number < self.peer_bound,
            Called::Named { .. } => true,
        };
        if matches!(self.state, State::Leaving(_)) {
            return Some(Code::GOING_AWAY);
        }
        (!procedure).then_some(Code::NO_SUCH_PROCEDURE)
    }

    /// A whole call in its short form.
    #[inline]
    pub(super) fn take_call(
        &mut self,
        number: u32,
        procedure: u32,
        payload: &[u8],
    ) -> Result<(), ProtocolError> {
        if payload.len() > self.config.limits.message_window {
            return Err(ProtocolError::CreditExceeded);
        }
        let key = self.accept(number, Priority::Normal)?;
        let called = Called::Procedure(procedure);
        if let Some(code) = self.objection(&called) {
            self.refuse(key, code, "");
            return Ok(());
        }
        if !self.budget.charge(payload.len()) {
            self.refuse(key, Code::OVERLOADED, "");
            return Ok(());
        }
        if let Some(call) = self.incoming_mut(key) {
            call.charged = payload.len();
        }
        self.emit(Event::Call {
            call: IncomingId(key),
            called,
            payload: payload.to_vec(),
            handles: Vec::new(),
            deadline: None,
            priority: Priority::Normal,
        });
        Ok(())
    }

    /// The front of a call in its long form, or of one that does not come in one piece.
    pub(super) fn begin_call(
        &mut self,
        now: Instant,
        open: Open,
        len: usize,
    ) -> Result<Sink, ProtocolError> {
        let Open { call: number, target, priority, more, deadline, total, handles } = open;
        let key = self.accept(number, priority)?;
        let handles = self.register(&handles, 0)?;
        let called = match target {
            RawTarget::Procedure(number) => Called::Procedure(number),
            RawTarget::Named { name, fingerprint } => Called::Named { name, fingerprint },
            RawTarget::Callback(number) => Called::Callback(self.export_id(number)),
        };
        let max = self.config.limits.max_message;
        let size = total.unwrap_or(len as u64).max(len as u64);
        let refusal =
            self.objection(&called).or_else(|| (size > max as u64).then_some(Code::TOO_LARGE));
        if let Some(code) = refusal {
            self.dispose_all(handles, code);
            self.refuse(key, code, "");
            return Ok(Sink::Arguments { call: key, more });
        }
        let deadline = deadline.map(|ms| now + core::time::Duration::from_millis(ms));
        let window = self.config.limits.message_window;
        let mut assembly = Assembly::new(window, total);
        assembly.handles = handles;
        let base = self.config.limits.arguments_timeout.filter(|_| more);
        let until = base.map(|base| now + base);
        let receiving = Receiving { called, assembly, since: now, until };
        for (at, timer) in [(deadline, Timer::Incoming(key)), (until, Timer::Arguments(key))] {
            if let Some(at) = at {
                self.timers.insert((at, timer));
            }
        }
        if let Some(call) = self.incoming_mut(key) {
            call.deadline = deadline;
            call.state = InState::Receiving(Box::new(receiving));
        }
        Ok(Sink::Arguments { call: key, more })
    }

    pub(super) fn begin_arguments(
        &mut self,
        number: u32,
        more: bool,
        handles: &[RawHandle],
    ) -> Result<Sink, ProtocolError> {
        let before = self
            .incoming
            .get_mut(number as usize)
            .and_then(InCall::assembly_mut)
            .map_or(0, |assembly| assembly.handles.len());
        let handles = self.register(handles, before)?;
        let Some(call) = self.incoming.get_mut(number as usize) else {
            return Err(ProtocolError::BadNumber("arguments of a call that is not open"));
        };
        let key = Key { index: number, generation: call.generation };
        match &mut call.state {
            InState::Receiving(receiving) => receiving.assembly.handles.extend(handles),
            // The call was ended early; the caller did not know yet.
            InState::Over(_) | InState::Answering(_) => {
                self.dispose_all(handles, Code::CANCELLED);
            }
            InState::Running => {
                return Err(ProtocolError::Malformed("arguments after the last"));
            }
        }
        Ok(Sink::Arguments { call: key, more })
    }

    pub(super) fn push_arguments(
        &mut self,
        key: Key,
        bytes: &[u8],
        left: usize,
    ) -> Result<(), ProtocolError> {
        let max = self.config.limits.max_message;
        let call =
            self.incoming.get_mut(key.index as usize).filter(|c| c.generation == key.generation);
        let Some(InCall { state: InState::Receiving(receiving), .. }) = call else {
            return Ok(());
        };
        match receiving.assembly.push(bytes, left, &mut self.budget, max)? {
            Piece::Taken => {}
            Piece::Refused(code) => self.refuse(key, code, ""),
        }
        Ok(())
    }

    pub(super) fn end_arguments(&mut self, key: Key, more: bool) {
        let Some(call) = self.incoming_mut(key) else { return };
        let InState::Receiving(receiving) = &mut call.state else { return };
        if more {
            if receiving.assembly.needs_admission() {
                self.starving.push_back(Starving::Arguments(key));
                self.admit();
            }
            return;
        }
        let InState::Receiving(receiving) = core::mem::replace(&mut call.state, InState::Running)
        else {
            return;
        };
        let Receiving { called, assembly, until, .. } = *receiving;
        let (deadline, priority) = (call.deadline, call.class);
        let admitted = assembly.admitted;
        let spare = assembly.charged.saturating_sub(assembly.bytes.capacity());
        call.charged = assembly.charged - spare;
        if let Some(until) = until {
            self.timers.remove(&(until, Timer::Arguments(key)));
        }
        self.budget.dismiss(admitted);
        self.free(spare);
        let (payload, handles) = (assembly.bytes, assembly.handles);
        // The events about the streams come after the one that brings them.
        let received = handles.clone();
        let call = IncomingId(key);
        self.emit(Event::Call { call, called, payload, handles, deadline, priority });
        self.deliver(&received);
    }

    pub(super) fn take_cancel(
        &mut self,
        now: Instant,
        number: u32,
        code: Code,
    ) -> Result<(), ProtocolError> {
        self.reset_frame(now)?;
        let Some(call) = self.incoming.get(number as usize) else {
            return Err(ProtocolError::BadNumber("cancel of a call that was never open"));
        };
        let key = Key { index: number, generation: call.generation };
        self.cancel_incoming(key, code);
        Ok(())
    }

    /// The caller gave up, or its deadline passed.
    pub(super) fn cancel_incoming(&mut self, key: Key, code: Code) {
        let Some(call) = self.incoming_mut(key) else { return };
        match &call.state {
            InState::Over(_) => {}
            // The last word is on its way already.
            InState::Answering(out) if out.last => {}
            InState::Receiving(_) => self.refuse(key, code, ""),
            InState::Running => {
                if call.cancelled.replace(code).is_none() {
                    self.emit(Event::Cancelled { call: IncomingId(key), code });
                }
            }
            InState::Answering(_) => {
                let failure = Failure::new(code, Started::Yes);
                self.end_call(key, &failure);
            }
        }
    }

    /// Arguments that take too long; slow wires have more time.
    pub(super) fn arguments_late(&mut self, now: Instant, key: Key) {
        let Some(base) = self.config.limits.arguments_timeout else { return };
        let meter = &self.meter;
        let call =
            self.incoming.get_mut(key.index as usize).filter(|c| c.generation == key.generation);
        let Some(InCall { state: InState::Receiving(receiving), .. }) = call else { return };
        let bytes = usize::try_from(receiving.assembly.received).unwrap_or(usize::MAX);
        let extra = core::time::Duration::from_micros(meter.micros(bytes.saturating_mul(16)));
        let until = receiving.since + base + extra;
        if until > now {
            receiving.until = Some(until);
            self.timers.insert((until, Timer::Arguments(key)));
        } else {
            self.refuse(key, Code::ARGUMENTS_TIMEOUT, "");
        }
    }

    /// Ends a call of the peer that the application never saw.
    pub(super) fn refuse(&mut self, key: Key, code: Code, text: &str) {
        self.end_call(key, &Failure::new(code, Started::No).with_text(text));
    }

    /// Answers a call. `payload` is best a slice if it is small and a vector if it is large; the
    /// `handles` belong to the engine afterwards, whatever happens.
    ///
    /// # Errors
    ///
    /// [`CallError::Finished`] or [`CallError::Closed`]: nobody waits for the answer any more.
    /// [`CallError::TooLarge`]: the caller was told so, and the call is over.
    pub fn answer(
        &mut self,
        now: Instant,
        call: IncomingId,
        payload: Cow<'_, [u8]>,
        handles: &[Handle],
    ) -> Result<(), CallError> {
        let key = call.0;
        self.clock.ended(now);
        let max = self.peer.max_message;
        let closed = self.is_closed();
        let Some(call) = self.incoming_mut(key).filter(|c| matches!(c.state, InState::Running))
        else {
            self.discard(handles);
            return Err(if closed { CallError::Closed } else { CallError::Finished });
        };
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
        if payload.len() <= SMALL.min(self.frame_size()) && handles.is_empty() {
            let tail = self.out.express(class).tail();
            frame::put_answer(key.index, payload.len(), tail);
            tail.extend_from_slice(&payload);
            let mark = self.out.express_mark(class);
            self.end_with(key, InState::Over(mark));
            return Ok(());
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
            self.out.enqueue(class, Source::Answer(key));
        }
        Ok(())
    }

    /// Ends a call of the peer without a result. Nothing happens if it is over.
    pub fn fail(&mut self, call: IncomingId, failure: &Failure) {
        if self.incoming_mut(call.0).is_some_and(|call| matches!(call.state, InState::Running)) {
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
    fn end_call(&mut self, key: Key, failure: &Failure) {
        let Some(call) = self.incoming_mut(key) else { return };
        if matches!(call.state, InState::Over(_)) {
            return;
        }
        let state = core::mem::replace(&mut call.state, InState::Running);
        let class = call.class;
        match state {
            InState::Receiving(receiving) => {
                if let Some(until) = receiving.until {
                    self.timers.remove(&(until, Timer::Arguments(key)));
                }
                self.drop_assembly(receiving.assembly);
            }
            InState::Answering(out) => {
                let source = Source::Answer(key);
                self.out.detach(source, |n| out.rest().get(..n).unwrap_or_default().to_vec());
                self.out.dequeue(class, source);
                self.budget.release(out.charged);
                let (listed, unlisted) = out.split_handles();
                self.announced(listed);
                self.discard(unlisted);
            }
            InState::Over(_) | InState::Running => {}
        }
        let started = u64::from(failure.started != Started::No);
        let fields = [u64::from(key.index), started, u64::from(failure.code.0)];
        let text = frame::clip(&failure.text, MAX_TEXT);
        let mark = self.out.control(kind::ERROR, &fields, text.as_bytes());
        self.end_with(key, InState::Over(mark));
    }

    fn stop_timer(&mut self, key: Key) {
        if let Some(deadline) = self.incoming_mut(key).and_then(|call| call.deadline.take()) {
            self.timers.remove(&(deadline, Timer::Incoming(key)));
        }
    }

    #[inline]
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
        let max_frame = self.peer.max_frame;
        let out = self.incoming_mut(key)?.outgoing_mut()?;
        let first = out.first;
        let total = out.bytes.len() as u64;
        let (n, handles, more) = out.cut(frame_size, max_frame);
        let handles = self.raw_handles(&handles);
        if first && !more && handles.is_empty() {
            frame::put_answer(key.index, n, &mut self.out.stage);
        } else {
            let total = (first && more).then_some(total);
            put_part(kind::RESULT, key.index, more, total, &handles, n, &mut self.out.stage);
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
        let Some(call) = self.incoming_mut(key) else { return };
        let class = call.class;
        if let Some(out) = call.outgoing_mut()
            && !out.queued
            && out.is_ready()
        {
            out.queued = true;
            self.out.enqueue(class, Source::Answer(key));
        }
    }

    pub(super) fn take_admit_result(
        &mut self,
        now: Instant,
        number: u32,
        bytes: u64,
    ) -> Result<(), ProtocolError> {
        if bytes == 0 {
            self.empty_frame(now)?;
        }
        let Some(call) = self.incoming.get_mut(number as usize) else {
            return Err(ProtocolError::BadNumber("credit for a result that is not sent"));
        };
        let key = Key { index: number, generation: call.generation };
        if let Some(out) = call.outgoing_mut() {
            out.credit = out.credit.saturating_add(bytes);
        }
        self.requeue_answer(key);
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
            if out.sent + out.rest().len() as u64 > max {
                self.give_up_call(key, Code::TOO_LARGE, Started::No);
            } else {
                self.requeue_call(key);
            }
        }
        self.raise_streams((self.peer.stream_window - before.stream_window) as u64);
        self.launch();
    }
}
