//! Two engines, the bytes between them, and a clock that jumps.
#![allow(dead_code, clippy::unwrap_used, reason = "each test uses a part of it")]

pub(crate) mod random;

use ipfi_proto::{Config, Connection, Event, Instant, ProtocolError};
use std::time::Duration;

/// Two ends of a wire on a simulated clock.
pub(crate) struct Pair {
    pub(crate) a: Connection,
    pub(crate) b: Connection,
    pub(crate) now: Instant,
    /// How many bytes the driver of either side takes at once.
    pub(crate) buffer: usize,
    /// Everything that was sent.
    pub(crate) a_to_b: Vec<u8>,
    pub(crate) b_to_a: Vec<u8>,
}

impl Pair {
    pub(crate) fn new(a: Config, b: Config) -> Self {
        let now = Instant::from_micros(1_000_000);
        Self {
            a: Connection::new(a, now),
            b: Connection::new(b, now),
            now,
            buffer: 4096,
            a_to_b: Vec::new(),
            b_to_a: Vec::new(),
        }
    }

    /// With the hellos exchanged and the events about them taken.
    pub(crate) fn ready(a: Config, b: Config) -> Self {
        let mut pair = Self::new(a, b);
        pair.drive();
        assert!(matches!(pair.a.poll_event(), Some(Event::Hello { .. })));
        assert!(matches!(pair.b.poll_event(), Some(Event::Hello { .. })));
        pair.a_to_b.clear();
        pair.b_to_a.clear();
        pair
    }

    /// Moves what there is one way.
    pub(crate) fn step_a_to_b(&mut self) -> Result<usize, ProtocolError> {
        let mut buffer = vec![0; self.buffer];
        let n = self.a.poll_transmit(self.now, &mut buffer);
        self.a_to_b.extend_from_slice(&buffer[..n]);
        self.b.receive(self.now, &buffer[..n]).map(|()| n)
    }

    pub(crate) fn step_b_to_a(&mut self) -> Result<usize, ProtocolError> {
        let mut buffer = vec![0; self.buffer];
        let n = self.b.poll_transmit(self.now, &mut buffer);
        self.b_to_a.extend_from_slice(&buffer[..n]);
        self.a.receive(self.now, &buffer[..n]).map(|()| n)
    }

    /// Moves bytes until there are none.
    pub(crate) fn drive(&mut self) {
        while self.step_a_to_b().unwrap() + self.step_b_to_a().unwrap() > 0 {}
    }

    pub(crate) fn advance(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.a.handle_timeout(self.now);
        self.b.handle_timeout(self.now);
    }
}

/// All events there are.
pub(crate) fn events(connection: &mut Connection) -> Vec<Event> {
    std::iter::from_fn(|| connection.poll_event()).collect()
}
