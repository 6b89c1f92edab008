//! A path through a network: a bottleneck with a queue, a delay, losses, doubles, overtaking.

use std::collections::BTreeMap;
use std::time::Duration;

use ipfi_arq::Instant;

use super::{End, Random};

#[derive(Clone, Copy, Debug)]
pub struct Path {
    pub bytes_per_second: f64,
    pub delay: Duration,
    /// Bytes that the bottleneck holds before it drops.
    pub queue: f64,
    pub loss: f64,
    pub double: f64,
    /// Chance that a datagram is held up, and for how long at most.
    pub held_up: f64,
    pub hold: Duration,
}

/// What IP and UDP add to a datagram.
const HEADERS: usize = 28;

pub struct Network {
    pub now: Instant,
    pub ends: [End; 2],
    path: Path,
    random: Random,
    free: [f64; 2],
    flight: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    count: u64,
}

impl Network {
    pub fn new(path: Path, ends: [End; 2], seed: u64) -> Self {
        Self {
            now: Instant::from_micros(0),
            ends,
            path,
            random: Random::new(seed),
            free: [0.0; 2],
            flight: BTreeMap::new(),
            count: 0,
        }
    }

    fn send(&mut self, side: usize, bytes: &[u8]) {
        let now = self.now.as_micros() as f64 / 1e6;
        let start = self.free[side].max(now);
        let waiting = (start - now) * self.path.bytes_per_second;
        if waiting > self.path.queue {
            return;
        }
        self.free[side] = start + (bytes.len() + HEADERS) as f64 / self.path.bytes_per_second;
        if self.random.unit() < self.path.loss {
            return;
        }
        let arrival = Instant::from_micros((self.free[side] * 1e6) as u64) + self.path.delay;
        let copies = if self.random.unit() < self.path.double { 2 } else { 1 };
        for _ in 0..copies {
            let held = self.random.unit() < self.path.held_up;
            let held =
                if held { self.path.hold.mul_f64(self.random.unit()) } else { Duration::ZERO };
            self.count += 1;
            self.flight.insert((arrival + held, self.count), (side, bytes.to_vec()));
        }
    }

    pub fn step(&mut self, deadline: Instant) -> bool {
        let mut next = deadline;
        let mut buf = [0; 1500];
        for side in 0..2 {
            self.ends[side].work();
            loop {
                let count = self.ends[side].link.poll_transmit(self.now, &mut buf);
                if count == 0 {
                    break;
                }
                self.send(side, &buf[..count]);
            }
            next = next.min(self.ends[side].link.poll_timeout().unwrap_or(next));
        }
        if let Some((at, _)) = self.flight.keys().next() {
            next = next.min(*at);
        }
        self.now = self.now.max(next);
        while let Some(entry) = self.flight.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let (from, bytes) = entry.remove();
            self.ends[1 - from].link.receive(self.now, &bytes);
        }
        for end in &mut self.ends {
            end.link.handle_timeout(self.now);
        }
        self.now < deadline
    }

    pub fn run_until(&mut self, limit: Duration, what: &str, done: impl Fn(&mut Self) -> bool) {
        let deadline = self.now + limit;
        let mut steps = 0u64;
        while !done(self) {
            steps += 1;
            assert!(steps < 50_000_000, "spins: {what}");
            let going = self.step(deadline);
            let [left, right] = &self.ends;
            assert!(
                going,
                "not within {limit:?}: {what}: {:?} {:?} {:?} {:?}",
                left.link,
                left.link.statistics(),
                right.link,
                right.link.statistics()
            );
        }
    }
}
