//! Two links, two bad lines and a clock that jumps from event to event.
//!
//! Everything follows from a seed: a run that failed is run again with the same one.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small numbers of a simulation"
)]
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test uses a part of it")]

pub mod air;
mod line;
pub mod network;
mod random;

use std::fmt;
use std::time::Duration;

use ipfi_arq::{Config, Ended, Instant, Link};
pub use line::{Faults, Line};
pub use random::Random;

/// A link with an application that writes a known stream and checks what it reads.
pub struct End {
    pub link: Link,
    pub outbound: Pattern,
    /// The other side's stream, once its first bytes have told which one it is.
    pub inbound: Option<Pattern>,
    first: Vec<u8>,
    /// Bytes that the application has left to write.
    pub to_write: u64,
    pub finish_when_written: bool,
    pub written: u64,
    pub read: u64,
    pub saw_fin: bool,
    pub error: Option<Ended>,
    /// Bytes that the application takes in all, so far.
    pub may_read: u64,
}

/// A stream that can be made and checked anywhere without being kept. It begins with its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern(pub u64);

impl Pattern {
    fn word(self, index: u64) -> u64 {
        let step = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if index == 0 { self.0 } else { Random::mix(self.0 ^ step) }
    }

    fn fill(self, offset: u64, buf: &mut [u8]) {
        let mut word = self.word(offset / 8);
        for (place, offset) in buf.iter_mut().zip(offset..) {
            if offset % 8 == 0 {
                word = self.word(offset / 8);
            }
            *place = word.to_le_bytes()[(offset % 8) as usize];
        }
    }
}

impl End {
    pub fn new(config: Config, id: u32, now: Instant, outbound: Pattern) -> Self {
        Self {
            link: Link::new(config, id, now),
            outbound,
            inbound: None,
            first: Vec::new(),
            to_write: 0,
            finish_when_written: false,
            written: 0,
            read: 0,
            saw_fin: false,
            error: None,
            may_read: u64::MAX,
        }
    }

    /// Lets the application do what it can.
    pub fn work(&mut self) {
        while self.to_write > 0 && self.link.writable() > 0 {
            let mut piece = [0; 512];
            let length = self.to_write.min(512) as usize;
            self.outbound.fill(self.written, &mut piece[..length]);
            match self.link.write(&piece[..length]) {
                Ok(count) => {
                    self.written += count as u64;
                    self.to_write -= count as u64;
                }
                Err(_) => self.to_write = 0,
            }
        }
        if self.to_write == 0 && self.finish_when_written {
            self.link.finish();
        }
        let mut buf = [0; 4096];
        while !self.saw_fin && self.error.is_none() && self.may_read > self.read {
            let max = (self.may_read - self.read).min(4096) as usize;
            match self.link.read(&mut buf[..max]) {
                Ok(None) => break,
                Ok(Some(0)) => self.saw_fin = true,
                Ok(Some(count)) => self.check(&buf[..count]),
                Err(cause) => self.error = Some(cause),
            }
        }
    }

    fn check(&mut self, bytes: &[u8]) {
        if self.inbound.is_none() {
            self.first.extend_from_slice(bytes);
            self.inbound = self.first.first_chunk().map(|seed| Pattern(u64::from_le_bytes(*seed)));
        }
        if let Some(pattern) = self.inbound {
            let mut expected = [0; 4096];
            let expected = &mut expected[..bytes.len()];
            pattern.fill(self.read, expected);
            assert_eq!(bytes, expected, "wrong bytes from {} on", self.read);
        }
        self.read += bytes.len() as u64;
    }
}

/// Two ends; either may be missing. `lines[i]` carries what `ends[i]` sends.
pub struct World {
    pub now: Instant,
    pub ends: [Option<End>; 2],
    pub lines: [Line; 2],
    stuck: u32,
}

impl World {
    pub fn new(lines: [Line; 2]) -> Self {
        Self { now: Instant::from_micros(0), ends: [None, None], lines, stuck: 0 }
    }

    /// A world with two fresh ends.
    pub fn pair(config: &Config, lines: [Line; 2], seed: u64) -> Self {
        let mut world = Self::new(lines);
        let mut random = Random::new(seed ^ 0xa11c_e5ed);
        for end in &mut world.ends {
            let (id, pattern) = (random.next() as u32, Pattern(random.next()));
            *end = Some(End::new(config.clone(), id, world.now, pattern));
        }
        world
    }

    pub fn end(&mut self, side: usize) -> &mut End {
        self.ends[side].as_mut().expect("the end is there")
    }

    /// Runs to the next event, but not past `deadline`. `false`: the deadline is reached.
    pub fn step(&mut self, deadline: Instant) -> bool {
        let mut next = deadline;
        for side in 0..2 {
            let line = &mut self.lines[side];
            if let Some(end) = &mut self.ends[side] {
                end.work();
                line.fill(self.now, &mut end.link);
                let at = end.link.poll_timeout();
                // A driver whose writes are not taken waits for that, not for the link.
                let at = at.filter(|at| *at > self.now || !line.is_full());
                next = next.min(at.unwrap_or(next));
            }
            if let Some(at) = line.pump(self.now) {
                next = next.min(at);
            }
        }
        if next <= self.now {
            self.stuck += 1;
            assert!(self.stuck < 1000, "the links spin at {:?}", self.now);
        } else {
            self.stuck = 0;
        }
        self.now = self.now.max(next);
        for side in 0..2 {
            let Some(end) = &mut self.ends[1 - side] else {
                self.lines[side].lose(self.now);
                continue;
            };
            while let Some(bytes) = self.lines[side].arrived(self.now) {
                end.link.receive(self.now, &bytes);
            }
        }
        for end in self.ends.iter_mut().flatten() {
            end.link.handle_timeout(self.now);
        }
        self.now < deadline
    }

    /// Runs for a time.
    pub fn run_for(&mut self, time: Duration) {
        let deadline = self.now + time;
        while self.step(deadline) {}
    }

    /// Runs until `condition` holds; panics if it does not within `limit`.
    pub fn run_until(
        &mut self,
        limit: Duration,
        what: &str,
        condition: impl Fn(&mut Self) -> bool,
    ) {
        let deadline = self.now + limit;
        while !condition(self) {
            assert!(self.step(deadline), "not within {limit:?}: {what}; {self:?}");
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "at {:?}", self.now)?;
        for end in self.ends.iter().flatten() {
            writeln!(f, "{:?}, written {}, read {}", end.link, end.written, end.read)?;
            writeln!(f, "{:?}, next {:?}", end.link.statistics(), end.link.poll_timeout())?;
        }
        Ok(())
    }
}

/// The seed of a run: `IPFI_SEED` if that is set, else `default`. It is printed, and so shown if
/// the test fails.
pub fn seed(default: u64) -> u64 {
    let seed =
        std::env::var("IPFI_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    println!("IPFI_SEED={seed}");
    seed
}
