//! How calls that this side opened end.

use super::Connection;
use super::calls::{NO_NUMBER, OutCall};
use super::direct::Hand;
use super::input::Sink;
use super::message::{Assembly, Piece};
use crate::frame::{self, RawHandle, kind};
use crate::table::{Key, Tag};
use crate::{Breach, CallId, Code, Event, Failure, ProtocolError, Started};
use alloc::boxed::Box;
use alloc::string::String;

impl Connection {
    /// Gives a call up. No event follows. The peer is told, unless it never heard of the call.
    pub fn cancel(&mut self, call: CallId, code: Code) {
        if self.calls.get(call.0).is_some_and(|call| !call.over) {
            self.drop_call(call.0, code);
        }
    }

    /// Ends a call for the application with a failure, and for the peer with a cancel.
    pub(super) fn give_up_call(&mut self, key: Key, code: Code, started: Started) {
        let Some(call) = self.calls.get(key) else { return };
        if call.over {
            return;
        }
        let started = if self.may_run(key) { started } else { Started::No };
        self.emit(Event::Failed { call: CallId(key), failure: Failure::new(code, started) });
        self.drop_call(key, code);
    }

    /// Forgets all that a call holds; tells the peer.
    fn drop_call(&mut self, key: Key, code: Code) {
        self.end_arguments_of(key);
        let Some(call) = self.calls.get_mut(key) else { return };
        call.over = true;
        let assembly = call.assembly.take();
        let (number, class, express, sent) = (call.number, call.class, call.express(), call.sent);
        if let Some(assembly) = assembly {
            self.drop_assembly(*assembly);
        }
        if number == NO_NUMBER || (express.is_none() && !sent) {
            // The peer never heard of it.
            self.waiting.remove(class, key);
            self.forget_call(key);
            return;
        }
        let fields = [u64::from(number), u64::from(code.0)];
        match express {
            // It may not overtake the call itself.
            Some(end) if !self.out.is_sent(end) => {
                frame::put(self.out.express(class).tail(), 0, |out| {
                    frame::put_fields(kind::CANCEL, &fields, out);
                });
            }
            _ => self.control(kind::CANCEL, &fields),
        }
    }

    /// Stops sending the arguments of a call, wherever they are.
    fn end_arguments_of(&mut self, key: Key) {
        let Some(call) = self.calls.get_mut(key) else { return };
        if let Some(deadline) = call.deadline.take() {
            self.timers.remove(&(deadline, Tag::Call.of(key)));
        }
        let Some(call) = self.calls.get_mut(key) else { return };
        let Some(mut out) = call.out.take() else { return };
        let class = call.class;
        let source = Tag::Call.of(key);
        self.out.detach(source, |n| out.rest().get(..n).unwrap_or_default().to_vec());
        self.out.dequeue(class, source);
        if let Some(target) = out.target.take() {
            self.unexpect_call(&target);
        }
        let (listed, unlisted) = out.split_handles();
        self.announced(listed);
        self.discard(unlisted);
    }

    /// Says whether a call was handed to the driver to its last byte: before that it cannot run. But
    /// if its arguments are sent bit by bit, it may run from the first on.
    fn may_run(&self, key: Key) -> bool {
        self.calls.get(key).is_some_and(|call| match call.express() {
            Some(end) => self.out.is_sent(end),
            None => call.sent && call.out.as_ref().is_none_or(|out| !out.whole),
        })
    }

    /// Forgets a call, and lets another have its number.
    pub(super) fn forget_call(&mut self, key: Key) {
        if self.calls.get(key).is_some_and(OutCall::has_loose_ends) {
            self.end_arguments_of(key);
        }
        let Some(call) = self.calls.remove(key) else { return };
        if call.number != NO_NUMBER {
            if let Some(entry) = self.by_number.get_mut(call.number as usize) {
                *entry = None;
            }
            self.call_numbers.give(call.number);
        }
        if !self.waiting.is_empty() {
            self.launch();
        }
    }

    /// The wire ends: tells the application.
    pub(super) fn lose_call(&mut self, key: Key) {
        let started = if self.may_run(key) { Started::Maybe } else { Started::No };
        if self.calls.get(key).is_some_and(|call| !call.over) {
            let failure = Failure::new(Code::WIRE_LOST, started);
            self.emit(Event::Failed { call: CallId(key), failure });
        }
    }

    /// The peer closed gracefully: what it did not answer it never began.
    pub(super) fn refuse_waiting(&mut self, all: bool) {
        for key in self.calls.keys() {
            let Some(call) = self.calls.get_mut(key) else { continue };
            if all || call.number == NO_NUMBER {
                let class = call.class;
                let over = core::mem::replace(&mut call.over, true);
                if !over {
                    let failure = Failure::new(Code::GOING_AWAY, Started::No);
                    self.emit(Event::Failed { call: CallId(key), failure });
                }
                self.waiting.remove(class, key);
                self.forget_call(key);
            }
        }
    }

    /// The call with this number on the wire.
    #[inline]
    fn call_of(&self, number: u32) -> Result<Key, Breach> {
        self.by_number
            .get(number as usize)
            .copied()
            .flatten()
            .ok_or_else(|| Breach::bad_number("answer to a call that is not open"))
    }

    /// A whole result.
    #[inline]
    pub(super) fn take_answer(
        &mut self,
        number: u32,
        payload: &[u8],
        hand: &mut impl Hand,
    ) -> Result<(), Breach> {
        if payload.len() > self.config.limits.message_window {
            return Err(Breach::new(ProtocolError::CreditExceeded));
        }
        let key = self.call_of(number)?;
        let Some(call) = self.calls.get(key) else { return Ok(()) };
        if call.assembly.is_some() {
            return Err(Breach::malformed("answer in the middle of a result"));
        }
        let over = call.over;
        self.forget_call(key);
        if !over && !hand.answer(self, CallId(key), payload) {
            let failure = Failure::new(Code::OVERLOADED, Started::Yes);
            self.emit(Event::Failed { call: CallId(key), failure });
        }
        Ok(())
    }

    pub(super) fn begin_result(
        &mut self,
        number: u32,
        more: bool,
        total: Option<u64>,
        handles: &[RawHandle],
    ) -> Result<Sink, Breach> {
        let key = self.call_of(number)?;
        let window = self.config.limits.message_window;
        let assembly = self.calls.get(key).and_then(|call| call.assembly.as_ref());
        let before = assembly.map_or(0, |assembly| assembly.handles.len());
        let mut received = self.register(handles, before)?;
        let Some(call) = self.calls.get_mut(key) else { return Ok(Sink::Skip) };
        if call.over {
            self.dispose_all(received, Code::CANCELLED);
        } else {
            let assembly =
                call.assembly.get_or_insert_with(|| Box::new(Assembly::new(window, total)));
            assembly.handles.append(&mut received);
        }
        Ok(Sink::Result { call: key, more })
    }

    pub(super) fn push_result(
        &mut self,
        key: Key,
        bytes: &[u8],
        left: usize,
    ) -> Result<(), Breach> {
        let max = self.config.limits.max_message;
        let Some(OutCall { assembly: Some(assembly), .. }) = self.calls.get_mut(key) else {
            return Ok(());
        };
        match assembly.push(bytes, left, &mut self.budget, max)? {
            Piece::Taken => {}
            Piece::Refused(code) => self.give_up_call(key, code, Started::Yes),
        }
        Ok(())
    }

    pub(super) fn end_result(&mut self, key: Key, more: bool) {
        let Some(call) = self.calls.get_mut(key) else { return };
        if more {
            if call.assembly.as_mut().is_some_and(|assembly| assembly.needs_admission()) {
                self.starving.push_back(Tag::Call.of(key));
                self.free(0);
            }
            return;
        }
        if let Some(assembly) = call.assembly.take() {
            let Assembly { bytes, handles, charged, admitted, .. } = *assembly;
            self.budget.dismiss(admitted);
            self.free(charged - bytes.capacity().min(charged));
            let received = handles.clone();
            self.emit(Event::Answer { call: CallId(key), payload: bytes, handles });
            self.deliver(&received);
        }
        self.forget_call(key);
    }

    pub(super) fn take_error(
        &mut self,
        number: u32,
        started: bool,
        code: Code,
        text: String,
    ) -> Result<(), Breach> {
        let key = self.call_of(number)?;
        let Some(call) = self.calls.get_mut(key) else { return Ok(()) };
        let over = call.over;
        if let Some(assembly) = call.assembly.take() {
            self.drop_assembly(*assembly);
        }
        self.forget_call(key);
        if !over {
            let started = if started { Started::Yes } else { Started::No };
            let failure = Failure { code, text, started };
            self.emit(Event::Failed { call: CallId(key), failure });
        }
        Ok(())
    }

    pub(super) fn drop_assembly(&mut self, assembly: Assembly) {
        let Assembly { bytes, handles, charged, admitted, .. } = assembly;
        drop(bytes);
        self.budget.dismiss(admitted);
        self.free(charged);
        self.dispose_all(handles, Code::CANCELLED);
    }
}
