//! What matters for speed, handed over where it lies.

use super::Connection;
use crate::event::Called;
use crate::{CallId, Event, IncomingId, Priority};
use alloc::vec::Vec;

/// Takes small calls and answers out of the bytes that came, so that nothing is allocated and copied
/// for them on the way: see [`Connection::receive_with`].
///
/// ```
/// use ipfi_proto::{CallId, Config, Connection, Direct, IncomingId, Instant};
///
/// /// Keeps calls for later: one may not use the engine in the middle of its work.
/// #[derive(Default)]
/// struct Calls(Vec<(IncomingId, u32, Vec<u8>)>);
///
/// impl Direct for Calls {
///     fn call(&mut self, call: IncomingId, procedure: u32, payload: &[u8]) {
///         self.0.push((call, procedure, payload.to_vec()));
///     }
///     fn answer(&mut self, _: CallId, _: &[u8]) {}
/// }
///
/// let now = Instant::from_micros(0);
/// let mut client = Connection::new(Config::default(), now);
/// let mut server = Connection::new(Config::default(), now);
/// let add = client.bind("add", 0x1234);
/// let (mut calls, mut buffer) = (Calls::default(), [0; 64]);
/// for _ in 0..2 {
///     client.open_call(now, &add, b"23"[..].into(), &[], Default::default()).unwrap();
///     let n = client.poll_transmit(now, &mut buffer);
///     server.receive_with(now, &buffer[..n], &mut calls).unwrap();
///     // The first call comes behind the event that names the procedure, so it is an event, too.
///     while let Some(_event) = server.poll_event() {}
/// }
/// assert_eq!((calls.0.len(), calls.0[0].1, &calls.0[0].2[..]), (1, 0, &b"23"[..]));
/// ```
pub trait Direct {
    /// The peer calls a procedure: the same as [`Event::Call`] without handles or deadline and of
    /// normal priority. The payload counts as held until the call is answered.
    fn call(&mut self, call: IncomingId, procedure: u32, payload: &[u8]);
    /// A call of ours was answered: the same as [`Event::Answer`] without handles.
    fn answer(&mut self, call: CallId, payload: &[u8]);
}

/// How small calls and answers leave the engine.
pub(super) trait Hand {
    fn call(&mut self, engine: &mut Connection, call: IncomingId, procedure: u32, payload: &[u8]);
    /// Says whether there was room for it.
    fn answer(&mut self, engine: &mut Connection, call: CallId, payload: &[u8]) -> bool;
}

/// By the queue of events.
pub(super) struct Queue;

impl Hand for Queue {
    #[inline]
    fn call(&mut self, engine: &mut Connection, call: IncomingId, procedure: u32, payload: &[u8]) {
        engine.emit(Event::Call {
            call,
            called: Called::Procedure(procedure),
            payload: payload.to_vec(),
            handles: Vec::new(),
            deadline: None,
            priority: Priority::Normal,
        });
    }

    #[inline]
    fn answer(&mut self, engine: &mut Connection, call: CallId, payload: &[u8]) -> bool {
        // Until it is polled.
        let fits = engine.budget.charge(payload.len());
        if fits {
            engine.emit(Event::Answer { call, payload: payload.to_vec(), handles: Vec::new() });
        }
        fits
    }
}

/// Directly, unless that would change the order.
pub(super) struct Handed<'a, D>(pub(super) &'a mut D);

impl<D: Direct> Hand for Handed<'_, D> {
    #[inline]
    fn call(&mut self, engine: &mut Connection, call: IncomingId, procedure: u32, payload: &[u8]) {
        if engine.events.is_empty() {
            self.0.call(call, procedure, payload);
        } else {
            Queue.call(engine, call, procedure, payload);
        }
    }

    #[inline]
    fn answer(&mut self, engine: &mut Connection, call: CallId, payload: &[u8]) -> bool {
        if engine.events.is_empty() {
            self.0.answer(call, payload);
            return true;
        }
        Queue.answer(engine, call, payload)
    }
}
