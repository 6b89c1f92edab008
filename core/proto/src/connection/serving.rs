//! Calls that the peer opens.

use super::arriving::{Arriving, PARTIAL};
use super::direct::Hand;
use super::input::Sink;
use super::message::{Assembly, Outgoing, Piece};
use super::outbox::Mark;
use super::{Connection, State};
use crate::event::{Called, Received};
use crate::frame::{Open, RawHandle, RawTarget};
use crate::table::{Key, Tag, at_mut};
use crate::{Breach, Code, Event, Failure, IncomingId, Instant, Priority, ProtocolError, Started};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A call of the peer, or the place for one.
#[derive(Debug)]
pub(crate) struct InCall {
    pub(super) generation: u32,
    pub(super) class: Priority,
    /// Nobody waits for the answer, and why.
    pub(super) cancelled: Option<Code>,
    pub(super) state: InState,
    /// What its arguments are charged with.
    pub(super) charged: usize,
    pub(super) deadline: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum InState {
    /// Over. The number may be used again once everything up to the mark was sent.
    Over(Mark),
    /// The arguments are coming.
    Receiving(Box<Receiving>),
    /// The application has it; if it takes the arguments as they come, they are here.
    Running(Option<Box<Arriving>>),
    /// The result is being sent.
    Answering(Box<Outgoing>),
}

#[derive(Debug)]
pub(crate) struct Receiving {
    pub(super) called: Called,
    pub(super) assembly: Assembly,
    /// When the first byte came.
    pub(super) since: Instant,
    /// When patience ends, unless the deadline does before.
    pub(super) until: Option<Instant>,
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
            InState::Over(_) | InState::Receiving(_) | InState::Running(_) => None,
        }
    }

    pub(super) fn assembly_mut(&mut self) -> Option<&mut Assembly> {
        match &mut self.state {
            InState::Receiving(receiving) => Some(&mut receiving.assembly),
            InState::Over(_) | InState::Running(_) | InState::Answering(_) => None,
        }
    }

    /// The streams and callbacks in arguments that the application did not get.
    pub(super) fn into_handles(self) -> Vec<Received> {
        match self.state {
            InState::Receiving(receiving) => receiving.assembly.handles,
            InState::Running(Some(arriving)) if PARTIAL => arriving.handles,
            InState::Over(_) | InState::Running(_) | InState::Answering(_) => Vec::new(),
        }
    }

    pub(super) fn arriving_mut(&mut self) -> Option<&mut Arriving> {
        match &mut self.state {
            InState::Running(Some(arriving)) if PARTIAL => Some(arriving),
            InState::Over(_)
            | InState::Receiving(_)
            | InState::Running(_)
            | InState::Answering(_) => None,
        }
    }

    pub(super) fn take_arriving(&mut self) -> Option<Box<Arriving>> {
        match &mut self.state {
            InState::Running(arriving) if PARTIAL => arriving.take(),
            InState::Over(_)
            | InState::Receiving(_)
            | InState::Running(_)
            | InState::Answering(_) => None,
        }
    }

    pub(super) fn outgoing_mut(&mut self) -> Option<&mut Outgoing> {
        match &mut self.state {
            InState::Answering(out) => Some(out),
            InState::Over(_) | InState::Receiving(_) | InState::Running(_) => None,
        }
    }
}

impl Connection {
    pub(super) fn incoming_mut(&mut self, key: Key) -> Option<&mut InCall> {
        self.incoming
            .get_mut(key.index() as usize)
            .filter(|call| call.generation == key.generation())
    }

    /// Makes room for a call of the peer.
    #[inline]
    fn accept(&mut self, number: u32, class: Priority) -> Result<Key, Breach> {
        if number >= self.config.limits.max_calls {
            return Err(Breach::bad_number("call over the limit"));
        }
        let call = at_mut(&mut self.incoming, number);
        match call.state {
            InState::Over(mark) if self.out.is_sent(mark) => {}
            InState::Over(_)
            | InState::Receiving(_)
            | InState::Running(_)
            | InState::Answering(_) => {
                return Err(Breach::bad_number("call that is open"));
            }
        }
        call.generation = Key::next_generation(call.generation);
        call.class = class;
        call.cancelled = None;
        call.state = InState::Running(None);
        self.busy += 1;
        Ok(Key::new(number, call.generation))
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
        hand: &mut impl Hand,
    ) -> Result<(), Breach> {
        if payload.len() > self.config.limits.message_window {
            return Err(Breach::new(ProtocolError::CreditExceeded));
        }
        let key = self.accept(number, Priority::Normal)?;
        if self.state != State::Open || procedure >= self.peer_bound {
            let code = self.objection(&Called::Procedure(procedure));
            self.refuse(key, code.unwrap_or(Code::NO_SUCH_PROCEDURE), "");
            return Ok(());
        }
        if !self.budget.charge(payload.len()) {
            self.refuse(key, Code::OVERLOADED, "");
            return Ok(());
        }
        if let Some(call) = self.incoming.get_mut(number as usize) {
            call.charged = payload.len();
        }
        hand.call(self, IncomingId(key), procedure, payload);
        Ok(())
    }

    /// The front of a call in its long form, or of one that does not come in one piece.
    pub(super) fn begin_call(
        &mut self,
        now: Instant,
        open: Open,
        len: usize,
    ) -> Result<Sink, Breach> {
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
        for (at, timer) in [(deadline, Tag::Incoming.of(key)), (until, Tag::Arguments.of(key))] {
            if let Some(at) = at {
                self.timers.insert((at, timer));
            }
        }
        let tell = more && total.is_none() && self.is_partial();
        let opened = tell.then(|| receiving.called.clone());
        if let Some(call) = self.incoming_mut(key) {
            call.deadline = deadline;
            call.state = InState::Receiving(Box::new(receiving));
        }
        if let Some(called) = opened {
            let call = IncomingId(key);
            self.emit(Event::Opened { call, called, deadline, priority });
        }
        Ok(Sink::Arguments { call: key, more })
    }

    pub(super) fn begin_arguments(
        &mut self,
        number: u32,
        more: bool,
        handles: &[RawHandle],
    ) -> Result<Sink, Breach> {
        let handles = self.register(handles, self.handles_so_far(number))?;
        let Some(call) = self.incoming.get_mut(number as usize) else {
            return Err(Breach::bad_number("arguments of a call that is not open"));
        };
        let key = Key::new(number, call.generation);
        self.list_arguments(key, handles)?;
        Ok(Sink::Arguments { call: key, more })
    }

    pub(super) fn push_arguments(
        &mut self,
        key: Key,
        bytes: &[u8],
        left: usize,
    ) -> Result<(), Breach> {
        let max = self.config.limits.max_message;
        let call = self
            .incoming
            .get_mut(key.index() as usize)
            .filter(|c| c.generation == key.generation());
        let Some(InCall { state: InState::Receiving(receiving), .. }) = call else {
            return self.more_arguments(key, bytes, left);
        };
        match receiving.assembly.push(bytes, left, &mut self.budget, max)? {
            Piece::Taken => {}
            Piece::Refused(code) => self.refuse(key, code, ""),
        }
        Ok(())
    }

    pub(super) fn end_arguments(&mut self, key: Key, more: bool) {
        let max = self.config.limits.max_message;
        let partial = self.is_partial();
        let Some(call) = self.incoming_mut(key) else { return };
        let InState::Receiving(receiving) = &mut call.state else {
            if !more {
                self.end_taken_arguments(key);
            }
            return;
        };
        if more {
            if receiving.assembly.bytes.len() >= max {
                // They will be longer. But the application may not have looked at them yet.
                if partial && receiving.assembly.total.is_none() {
                    self.full.push(key);
                } else {
                    self.refuse(key, Code::TOO_LARGE, "");
                }
            } else if receiving.assembly.needs_admission() {
                self.starving.push_back(Tag::Incoming.of(key));
                self.free(0);
            }
            return;
        }
        let state = core::mem::replace(&mut call.state, InState::Running(None));
        let InState::Receiving(receiving) = state else { return };
        let Receiving { called, assembly, until, .. } = *receiving;
        let (deadline, priority) = (call.deadline, call.class);
        let admitted = assembly.admitted;
        let spare = assembly.charged.saturating_sub(assembly.bytes.capacity());
        call.charged = assembly.charged - spare;
        if let Some(until) = until {
            self.timers.remove(&(until, Tag::Arguments.of(key)));
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
    ) -> Result<(), Breach> {
        self.reset_frame(now)?;
        let Some(call) = self.incoming.get(number as usize) else {
            return Err(Breach::bad_number("cancel of a call that was never open"));
        };
        let key = Key::new(number, call.generation);
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
            InState::Running(_) => {
                self.lose_arguments(key, code);
                self.emit_cancelled(key, code);
            }
            InState::Answering(_) => {
                let failure = Failure::new(code, Started::Yes);
                self.end_call(key, &failure);
            }
        }
    }

    pub(super) fn emit_cancelled(&mut self, key: Key, code: Code) {
        if let Some(call) = self.incoming_mut(key)
            && call.cancelled.replace(code).is_none()
        {
            self.emit(Event::Cancelled { call: IncomingId(key), code });
        }
    }

    /// The application may take arguments as they come.
    fn is_partial(&self) -> bool {
        PARTIAL && self.config.partial_arguments
    }

    /// The application had its chance to take arguments that are too long to be put together.
    #[cold]
    pub(super) fn refuse_full(&mut self) {
        let max = self.config.limits.max_message;
        for key in core::mem::take(&mut self.full) {
            let assembly = self.incoming_mut(key).and_then(InCall::assembly_mut);
            if assembly.is_some_and(|assembly| assembly.bytes.len() >= max) {
                self.refuse(key, Code::TOO_LARGE, "");
            }
        }
    }

    /// Arguments that take too long; slow wires have more time.
    pub(super) fn arguments_late(&mut self, now: Instant, key: Key) {
        let Some(base) = self.config.limits.arguments_timeout else { return };
        let turns = self.extra(0);
        let meter = &self.meter;
        let call = self
            .incoming
            .get_mut(key.index() as usize)
            .filter(|c| c.generation == key.generation());
        let Some(InCall { state: InState::Receiving(receiving), .. }) = call else { return };
        let bytes = usize::try_from(receiving.assembly.received).unwrap_or(usize::MAX);
        let extra = meter.micros(bytes.saturating_mul(16));
        let until = (receiving.since + base).after(turns).after(extra);
        if until > now {
            receiving.until = Some(until);
            self.timers.insert((until, Tag::Arguments.of(key)));
        } else {
            self.refuse(key, Code::ARGUMENTS_TIMEOUT, "");
        }
    }

    /// Ends a call of the peer that the application never saw.
    pub(super) fn refuse(&mut self, key: Key, code: Code, text: &str) {
        self.end_call(key, &Failure::new(code, Started::No).with_text(text));
    }
}
