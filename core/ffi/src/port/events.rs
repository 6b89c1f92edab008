//! What the application has to know.

use alloc::string::String;
use alloc::vec::Vec;

use ipfi_proto::{Called, Cause, Code, Event, Failure, IncomingId, Instant, Received, Started};

use super::{Current, Port, number};
use crate::status::IPFI_NONE;
use crate::things::{Id, Thing};

/// The peer's hello came; the code is its codec.
pub const IPFI_EVENT_HELLO: i32 = 1;
/// The peer calls the procedure `ipfi_procedure`; the subject is the call, the payload its arguments.
/// To be ended with `ipfi_answer` or `ipfi_fail`.
pub const IPFI_EVENT_CALL: i32 = 2;
/// The same of a callback of this side: `ipfi_procedure` is its number.
pub const IPFI_EVENT_CALLBACK: i32 = 3;
/// The caller gave up the call that is the subject: stop, and end it with `ipfi_fail`.
pub const IPFI_EVENT_CANCELLED: i32 = 4;
/// The call of this side that is the subject was answered, and is over; the payload is the result.
pub const IPFI_EVENT_ANSWER: i32 = 5;
/// The call of this side that is the subject failed with a code, and is over; the payload is a text.
pub const IPFI_EVENT_FAILED: i32 = 6;
/// There is something to read on the stream that is the subject, where there was nothing.
pub const IPFI_EVENT_READABLE: i32 = 7;
/// The stream that is the subject takes items again.
pub const IPFI_EVENT_WRITABLE: i32 = 8;
/// The stream that is the subject, on which this side sends, is over; code 0 if the peer got
/// everything.
pub const IPFI_EVENT_STOPPED: i32 = 9;
/// The peer let go of the callback that is the subject.
pub const IPFI_EVENT_RELEASED: i32 = 10;
/// The peer takes no new calls any more; a code, and a text as the payload.
pub const IPFI_EVENT_GOING_AWAY: i32 = 11;
/// The answer to `ipfi_ping`; the code says how many microseconds it took.
pub const IPFI_EVENT_PONG: i32 = 12;
/// The wire is over, and with it everything that had a number. A code, 0 if both sides finished; the
/// payload is a text. `ipfi_started` is 1 if the peer broke the protocol. The last event.
pub const IPFI_EVENT_CLOSED: i32 = 13;

/// A call of the peer, on its way into an event.
struct Came {
    call: IncomingId,
    called: Called,
    payload: Vec<u8>,
    handles: Vec<Received>,
    deadline: Option<Instant>,
}

impl Port {
    /// Takes the next event; says of which kind it is, or [`IPFI_NONE`]. What the event before had
    /// brought and nobody took is let go.
    pub fn event(&mut self) -> i32 {
        self.forget_current();
        while let Some(event) = self.engine.poll_event() {
            if let Some(kind) = self.take_event(event) {
                return kind;
            }
        }
        IPFI_NONE
    }

    /// Lets go of what nobody took.
    pub(super) fn forget_current(&mut self) {
        for thing in core::mem::take(&mut self.current.things) {
            self.let_go(thing, Code::DROPPED.0);
        }
        self.current = Current::default();
    }

    /// The kind of an event that is for the application.
    fn take_event(&mut self, event: Event) -> Option<i32> {
        match event {
            Event::Hello { codec, .. } => {
                self.current.code = codec.into();
                Some(IPFI_EVENT_HELLO)
            }
            Event::Bound { name, fingerprint, .. } => {
                self.bound.push((name, fingerprint));
                None
            }
            Event::Call { call, called, payload, handles, deadline, .. } => {
                self.take_call(Came { call, called, payload, handles, deadline })
            }
            Event::Cancelled { call, code } => {
                self.current.code = code.0;
                self.about(Id::Incoming(call), IPFI_EVENT_CANCELLED, false)
            }
            Event::Answer { call, payload, handles } => {
                self.current.payload = payload;
                let things = self.things.receive(handles);
                self.current.things = things.into();
                let kind = self.about(Id::Call(call), IPFI_EVENT_ANSWER, true);
                if kind.is_none() {
                    self.forget_current();
                }
                kind
            }
            Event::Failed { call, failure } => {
                self.current.code = failure.code.0;
                self.current.started = i32::from(failure.started != Started::No);
                self.current.payload = failure.text.into_bytes();
                self.about(Id::Call(call), IPFI_EVENT_FAILED, true)
            }
            Event::Readable(stream) => self.about(Id::Stream(stream), IPFI_EVENT_READABLE, false),
            Event::Writable(stream) => self.about(Id::Stream(stream), IPFI_EVENT_WRITABLE, false),
            Event::Stopped { stream, code } => {
                self.current.code = code.0;
                self.about(Id::Stream(stream), IPFI_EVENT_STOPPED, true)
            }
            Event::Released(callback) => {
                self.about(Id::Callback(callback), IPFI_EVENT_RELEASED, true)
            }
            Event::GoingAway { code, text } => {
                self.current.code = code.0;
                self.current.payload = text.into_bytes();
                Some(IPFI_EVENT_GOING_AWAY)
            }
            Event::Pong { round_trip } => {
                self.current.code = u32::try_from(round_trip.as_micros()).unwrap_or(u32::MAX);
                Some(IPFI_EVENT_PONG)
            }
            Event::Closed { cause } => {
                self.things.clear();
                self.reading.clear();
                self.current.code = code_of(&cause).0;
                self.current.started = i32::from(matches!(cause, Cause::Protocol(_)));
                self.current.payload = alloc::format!("{cause}").into_bytes();
                Some(IPFI_EVENT_CLOSED)
            }
            _ => None,
        }
    }

    /// An event about something that has a number, unless it was let go of.
    fn about(&mut self, id: Id, kind: i32, last: bool) -> Option<i32> {
        self.current.subject = self.things.find(id)?;
        if last {
            self.things.remove(self.current.subject);
        }
        Some(kind)
    }

    fn take_call(&mut self, came: Came) -> Option<i32> {
        let (kind, procedure) = match self.resolve(&came.called) {
            Ok(found) => found,
            Err((code, name)) => {
                let failure = Failure::new(code, Started::No).with_text(name);
                self.engine.fail(came.call, &failure);
                for received in came.handles {
                    self.engine.dispose(received, code);
                }
                return None;
            }
        };
        // The arguments are the application's now.
        self.engine.release_arguments(came.call);
        self.current = Current {
            payload: came.payload,
            things: self.things.receive(came.handles).into(),
            subject: self.things.add(Thing::Incoming(came.call)),
            procedure,
            deadline: came.deadline,
            ..Current::default()
        };
        Some(kind)
    }

    /// What the peer means: the kind of the event, and the number of the procedure or callback.
    fn resolve(&self, called: &Called) -> Result<(i32, u32), (Code, String)> {
        let (name, fingerprint) = match called {
            Called::Callback(id) => {
                let callback = self.things.find(Id::Callback(*id));
                let found = callback.map(|callback| (IPFI_EVENT_CALLBACK, callback));
                return found.ok_or((Code::NO_SUCH_CALLBACK, String::new()));
            }
            Called::Procedure(number) => {
                let bound = self.bound.get(*number as usize);
                let (name, fingerprint) = bound.ok_or((Code::NO_SUCH_PROCEDURE, String::new()))?;
                (name, *fingerprint)
            }
            Called::Named { name, fingerprint } => (name, *fingerprint),
            _ => return Err((Code::NO_SUCH_PROCEDURE, String::new())),
        };
        let Some(offer) = self.offers.get(name) else {
            return Err((Code::NO_SUCH_PROCEDURE, name.clone()));
        };
        if fingerprint != 0 && offer.fingerprint != 0 && fingerprint != offer.fingerprint {
            return Err((Code::SIGNATURE_MISMATCH, name.clone()));
        }
        Ok((IPFI_EVENT_CALL, offer.id))
    }

    /// What the event is about.
    #[must_use]
    pub fn subject(&self) -> i32 {
        number(self.current.subject)
    }

    /// Which procedure or callback of this side is called.
    #[must_use]
    pub fn procedure(&self) -> i32 {
        number(self.current.procedure)
    }

    /// The code of the event, or of the end of the stream that was read.
    #[must_use]
    pub fn code(&self) -> i32 {
        number(self.current.code)
    }

    /// Of a call that failed: 0 if it certainly did not begin to run, so that it may be repeated.
    #[must_use]
    pub fn started(&self) -> i32 {
        self.current.started
    }

    /// Milliseconds for which the caller will still wait, or [`IPFI_NONE`].
    #[must_use]
    pub fn deadline(&self) -> i32 {
        let Some(deadline) = self.current.deadline else { return IPFI_NONE };
        i32::try_from((deadline - self.now).as_millis()).unwrap_or(i32::MAX)
    }

    /// Of which kind something is that has a number: one of the `IPFI_KIND` constants.
    #[must_use]
    pub fn kind(&self, thing: u32) -> i32 {
        self.things.get(thing).map_or(crate::status::IPFI_NO_THING, Thing::kind)
    }
}

fn code_of(cause: &Cause) -> Code {
    match cause {
        Cause::Graceful => Code::OK,
        Cause::Aborted { code, .. } | Cause::Peer { code, .. } => *code,
        Cause::Protocol(error) => error.code(),
        Cause::Idle => Code::IDLE,
        Cause::HandshakeTimeout | Cause::KeepaliveTimeout | Cause::CloseTimeout => Code::TIMEOUT,
        _ => Code::WIRE_LOST,
    }
}
