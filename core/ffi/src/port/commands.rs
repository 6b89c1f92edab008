//! What the application does.

use core::time::Duration;

use ipfi_proto::{
    CallOptions, Code, Direction, Failure, IncomingId, MAX_NAME, Priority, Started, StreamId,
    Target,
};

use super::{Offer, Port, fingerprint, number};
use crate::status::{
    IPFI_BAD_ARGUMENT, IPFI_CLOSED, IPFI_NO_THING, IPFI_OK, IPFI_OVER, of_call, of_handle, of_send,
};
use crate::things::Thing;

/// A call whose arguments go on with `ipfi_arguments`.
pub const IPFI_CALL_MORE: u32 = 1;
/// A call that goes before others.
pub const IPFI_CALL_HIGH: u32 = 2;
/// A call that goes after others.
pub const IPFI_CALL_LOW: u32 = 4;
/// A stream on which this side sends.
pub const IPFI_OUTGOING: u32 = 0;
/// A stream from which this side reads.
pub const IPFI_INCOMING: u32 = 1;

impl Port {
    /// Offers a procedure under the name that was put; calls of it will say `id`.
    pub fn offer(&mut self, id: u32, low: u32, high: u32) -> i32 {
        match self.staged_text() {
            Ok(name) if name.len() <= MAX_NAME && i32::try_from(id).is_ok() => {
                self.offers.insert(name, Offer { id, fingerprint: fingerprint(low, high) });
                IPFI_OK
            }
            Ok(_) => IPFI_BAD_ARGUMENT,
            Err(status) => status,
        }
    }

    /// Gives a number to the peer's procedure with the name that was put: what `call` wants.
    pub fn bind(&mut self, low: u32, high: u32) -> i32 {
        match self.staged_text() {
            Ok(name) if name.len() <= MAX_NAME => {
                let target = self.engine().bind(&name, fingerprint(low, high));
                number(self.things.add(Thing::Procedure(target)))
            }
            Ok(_) => IPFI_BAD_ARGUMENT,
            Err(status) => status,
        }
    }

    /// Calls a procedure or a callback of the peer with what was put and given; says which number
    /// the call has.
    pub fn call(&mut self, what: u32, deadline: u32, flags: u32) -> i32 {
        let target = match self.things.get(what) {
            Some(Thing::Procedure(target)) => target.clone(),
            Some(Thing::Remote(callback)) => Target::Callback(*callback),
            _ => return IPFI_NO_THING,
        };
        let priority = match flags & (IPFI_CALL_HIGH | IPFI_CALL_LOW) {
            0 => Priority::Normal,
            IPFI_CALL_HIGH => Priority::High,
            IPFI_CALL_LOW => Priority::Low,
            _ => return IPFI_BAD_ARGUMENT,
        };
        let options = CallOptions {
            deadline: (deadline > 0).then(|| Duration::from_millis(deadline.into())),
            priority,
            more: flags & IPFI_CALL_MORE != 0,
        };
        let (payload, handles) = self.staged();
        let now = self.now;
        match self.engine().open_call(now, &target, payload.into(), &handles, options) {
            Ok(id) => number(self.things.add(Thing::Call(id))),
            Err(error) => of_call(error),
        }
    }

    /// Sends what was put and given as more arguments of a call.
    pub fn arguments(&mut self, call: u32, last: u32) -> i32 {
        let Some(&Thing::Call(id)) = self.things.get(call) else { return IPFI_NO_THING };
        let (payload, handles) = self.staged();
        match self.engine.send_arguments(id, &payload, &handles, last != 0) {
            Ok(()) => IPFI_OK,
            Err(error) => of_call(error),
        }
    }

    /// Gives a call up. No event follows.
    pub fn cancel(&mut self, call: u32, code: u32) -> i32 {
        let Some(&Thing::Call(id)) = self.things.get(call) else { return IPFI_NO_THING };
        self.things.remove(call);
        self.engine.cancel(id, Code(code));
        IPFI_OK
    }

    fn take_incoming(&mut self, call: u32) -> Option<IncomingId> {
        let Some(&Thing::Incoming(id)) = self.things.get(call) else { return None };
        self.things.remove(call);
        Some(id)
    }

    /// Answers a call of the peer with what was put and given.
    pub fn answer(&mut self, call: u32) -> i32 {
        let Some(id) = self.take_incoming(call) else { return IPFI_NO_THING };
        let (payload, handles) = self.staged();
        match self.engine.answer(self.now, id, payload.into(), &handles) {
            Ok(()) => IPFI_OK,
            Err(error) => of_call(error),
        }
    }

    /// Fails a call of the peer with a code and the text that was put. `started` is 0 if the
    /// procedure certainly did not begin to run.
    pub fn fail(&mut self, call: u32, code: u32, started: u32) -> i32 {
        let Some(id) = self.take_incoming(call) else { return IPFI_NO_THING };
        let started = if started == 0 { Started::No } else { Started::Yes };
        match self.staged_text() {
            Ok(text) => {
                self.engine.fail(id, &Failure::new(Code(code), started).with_text(text));
                IPFI_OK
            }
            Err(status) => {
                self.engine.fail(id, &Failure::new(Code(code), started));
                status
            }
        }
    }

    /// Creates a stream; says which number it has. Give it away in a message: the peer gets the other
    /// end.
    pub fn stream(&mut self, direction: u32) -> i32 {
        let (direction, outgoing) = match direction {
            IPFI_OUTGOING => (Direction::Outgoing, true),
            IPFI_INCOMING => (Direction::Incoming, false),
            _ => return IPFI_BAD_ARGUMENT,
        };
        match self.engine().open_stream(direction) {
            Ok(id) if outgoing => number(self.things.add(Thing::Sender { id, mine: true })),
            Ok(id) => number(self.things.add(Thing::Receiver { id, mine: true })),
            Err(error) => of_handle(error),
        }
    }

    pub(super) fn sender(&self, stream: u32) -> Option<StreamId> {
        match self.things.get(stream) {
            Some(&Thing::Sender { id, .. }) => Some(id),
            _ => None,
        }
    }

    /// Sends what was put and given as an item.
    pub fn item(&mut self, stream: u32) -> i32 {
        let Some(id) = self.sender(stream) else { return IPFI_NO_THING };
        let result = if self.given.is_empty() {
            self.engine.send_item(id, &self.staged).map_err(of_send)
        } else {
            let handles: alloc::vec::Vec<_> =
                self.given.iter().map(|(_, handle)| *handle).collect();
            let item = core::mem::take(&mut self.staged);
            self.engine.send_item_with(id, item, &handles).map_err(|(error, item)| {
                self.staged = item;
                of_send(error)
            })
        };
        if result == Err(crate::status::IPFI_BLOCKED) {
            return crate::status::IPFI_BLOCKED;
        }
        self.staged.clear();
        self.given.clear();
        result.err().unwrap_or(IPFI_OK)
    }

    /// Says that no more items will come.
    pub fn finish(&mut self, stream: u32) -> i32 {
        let Some(id) = self.sender(stream) else { return IPFI_NO_THING };
        self.engine.finish(id);
        IPFI_OK
    }

    /// Ends a stream on which this side sends with a code and the text that was put.
    pub fn reset(&mut self, stream: u32, code: u32) -> i32 {
        let Some(id) = self.sender(stream) else { return IPFI_NO_THING };
        match self.staged_text() {
            Ok(text) => {
                self.engine.reset(id, Code(code), &text);
                IPFI_OK
            }
            Err(status) => status,
        }
    }

    /// Stops a stream from which this side reads.
    pub fn stop(&mut self, stream: u32, code: u32) -> i32 {
        let Some(&Thing::Receiver { id, .. }) = self.things.get(stream) else {
            return IPFI_NO_THING;
        };
        self.forget_reading(stream, Code(code));
        self.things.remove(stream);
        self.engine.stop(id, Code(code));
        IPFI_OK
    }

    /// Creates a callback; says which number it has. Give it away in a message.
    pub fn callback(&mut self) -> i32 {
        match self.engine().export_callback() {
            Ok(id) => number(self.things.add(Thing::Callback { id, mine: true })),
            Err(error) => of_handle(error),
        }
    }

    /// Lets go of anything that has a number; calls are cancelled, streams ended with this code.
    pub fn let_go(&mut self, thing: u32, code: u32) -> i32 {
        let code = Code(code);
        match self.things.get(thing) {
            None => return IPFI_NO_THING,
            Some(Thing::Call(_)) => return self.cancel(thing, code.0),
            Some(&Thing::Incoming(id)) => {
                self.things.remove(thing);
                self.engine.fail(id, &Failure::new(code, Started::Yes));
            }
            Some(&Thing::Sender { id, .. }) => self.engine.reset(id, code, ""),
            Some(Thing::Receiver { .. }) => return self.stop(thing, code.0),
            // The peer, if it has it, still has to let go.
            Some(&Thing::Callback { id, mine: false }) => self.engine.revoke_callback(id),
            Some(&Thing::Callback { id, mine: true }) => self.engine.discard_callback(id),
            Some(&Thing::Remote(id)) => {
                self.things.remove(thing);
                self.engine.release_callback(id);
            }
            Some(Thing::Procedure(_)) => {
                self.things.remove(thing);
            }
        }
        IPFI_OK
    }

    /// Asks for a sign of life.
    pub fn ping(&mut self) -> i32 {
        let now = self.now;
        self.engine().ping(now);
        if self.engine.is_closed() { IPFI_CLOSED } else { IPFI_OK }
    }

    /// Closes the wire in peace; what runs is finished, for at most so many milliseconds, or for as
    /// long as it takes if that is 0.
    pub fn close(&mut self, within: u32) -> i32 {
        let within = (within > 0).then(|| Duration::from_millis(within.into()));
        let now = self.now;
        self.engine().close(now, within);
        IPFI_OK
    }

    /// Ends the wire at once with a code and the text that was put.
    pub fn abort(&mut self, code: u32) -> i32 {
        if self.engine.is_closed() {
            self.clear();
            return IPFI_OVER;
        }
        match self.staged_text() {
            Ok(text) => {
                self.engine().abort(Code(code), &text);
                IPFI_OK
            }
            Err(status) => status,
        }
    }
}
