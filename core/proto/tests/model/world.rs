//! Both sides, and the wire between them.

use crate::common::random::Random;
use crate::side::{Side, World};
use ipfi_proto::{Code, Config, Instant, Limits};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

fn limits(random: &mut Random) -> Limits {
    Limits {
        max_frame: 1024 << random.below(5),
        max_message: 16 << 10,
        message_window: 4096 << random.below(3),
        max_buffered: (16 << 10) << random.below(6),
        max_calls: 8 << random.below(3),
        max_streams: 8 << random.below(3),
        stream_window: 1024 << random.below(4),
        max_callbacks: 8 << random.below(2),
        max_bindings: 8,
        resets: 1_000_000,
        empty_frames: 1_000_000,
        ..Limits::default()
    }
}

/// Two sides, what is true of them, and the bytes between them.
pub(crate) struct Model {
    pub(crate) random: Random,
    world: World,
    now: Instant,
    a: Side,
    b: Side,
}

impl Model {
    pub(crate) fn new(mut random: Random) -> Self {
        let now = Instant::from_micros(0);
        let mut config = || {
            let config = Config::default().with_limits(limits(&mut random));
            if random.one_in(2) { config.with_partial_arguments() } else { config }
        };
        let (a, b) = (config(), config());
        let (a, b) = (Side::new("a", a, now), Side::new("b", b, now));
        Self { random, world: World::default(), now, a, b }
    }

    fn carry(&mut self, max: usize) -> usize {
        let mut buffer = [0; 4096];
        let mut moved = 0;
        for to_b in [true, false] {
            let (from, to) =
                if to_b { (&mut self.a, &mut self.b) } else { (&mut self.b, &mut self.a) };
            let n = from.conn.poll_transmit(self.now, &mut buffer[..max]);
            let split = self.random.below(n + 1);
            to.conn.receive(self.now, &buffer[..split]).unwrap();
            to.conn.receive(self.now, &buffer[split..n]).unwrap();
            moved += n;
        }
        self.poll();
        moved
    }

    fn poll(&mut self) {
        self.a.poll(&mut self.random, &mut self.world);
        self.b.poll(&mut self.random, &mut self.world);
        for side in [&self.a, &self.b] {
            let (stats, limits) = (side.conn.stats(), side.conn.limits());
            assert!(stats.buffered <= limits.max_buffered, "{stats:?}");
            assert!(stats.incoming_calls <= limits.max_calls as usize);
        }
    }

    pub(crate) fn run(&mut self, operations: usize) {
        for _ in 0..operations {
            let side = if self.random.one_in(2) { &mut self.a } else { &mut self.b };
            side.act(&mut self.random, &mut self.world, self.now);
            if self.random.one_in(3) {
                let max = 1 + self.random.size(4095);
                self.carry(max);
            }
            self.now = self.now + Duration::from_micros(self.random.next() % 2000);
            if self.random.one_in(50) {
                self.a.conn.handle_timeout(self.now);
                self.b.conn.handle_timeout(self.now);
                self.poll();
            }
        }
    }

    /// Everything that is open comes to its end, and nothing is left.
    pub(crate) fn quiesce(&mut self) {
        for round in 0.. {
            assert!(
                round < 10_000,
                "never ends: {:?} {:?}",
                self.a.conn.stats(),
                self.b.conn.stats()
            );
            while self.carry(4096) > 0 {}
            if self.a.conn.is_idle()
                && self.b.conn.is_idle()
                && (self.a.closed || self.a.callbacks.is_empty())
                && (self.b.closed || self.b.callbacks.is_empty())
            {
                break;
            }
            self.a.wind_up(&mut self.random, &mut self.world);
            self.b.wind_up(&mut self.random, &mut self.world);
        }
        for side in [&mut self.a, &mut self.b] {
            if side.closed {
                side.read_rest(&mut self.random, &mut self.world);
            }
            assert_eq!(side.conn.stats().buffered, 0, "{}", side.name);
            assert_eq!(side.calls, BTreeSet::new(), "{}", side.name);
            if side.closed {
                continue;
            }
            assert_eq!(side.senders, BTreeMap::new(), "{}", side.name);
            assert_eq!(side.receivers, BTreeMap::new(), "{}", side.name);
        }
    }

    /// One of the ways in which a wire ends.
    pub(crate) fn end(&mut self) {
        match self.random.below(4) {
            0 => {
                self.a.conn.close(self.now, None);
                if self.random.one_in(2) {
                    self.b.conn.close(self.now, None);
                }
                self.run(200);
                self.quiesce();
            }
            1 => self.a.conn.abort(Code(300), "enough"),
            2 => {
                self.a.conn.receive_end();
                self.b.conn.receive_end();
            }
            _ => {
                let garbage: Vec<u8> =
                    (0..3000).map(|_| self.random.next().to_le_bytes()[0]).collect();
                let _ = self.a.conn.receive(self.now, &garbage);
                // There may be items in it.
                self.a.drop_rest();
                self.a.conn.abort(Code(301), "after garbage");
            }
        }
        while self.carry(4096) > 0 {}
        for side in [&mut self.a, &mut self.b] {
            assert!(side.closed, "{} is open", side.name);
            side.read_rest(&mut self.random, &mut self.world);
            assert_eq!(side.conn.stats().streams, 0, "{}", side.name);
            assert_eq!(side.conn.stats().buffered, 0, "{}", side.name);
            assert_eq!(side.conn.poll_timeout(), None);
        }
    }
}
