//! One direction of a line: a queue in the system, a rate, a delay and faults.

use std::collections::VecDeque;
use std::time::Duration;

use ipfi_arq::{Instant, Link};

use super::Random;

/// What the system's queue holds at most, as that of a Linux tty.
const QUEUE: usize = 4096;
/// Bytes that a receiver hands over at once, as the FIFO of a UART does.
const CHUNK: usize = 16;

/// What goes wrong, as probabilities.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A bit is flipped.
    pub flip: f64,
    /// A byte is dropped.
    pub drop: f64,
    /// A random byte appears before a byte.
    pub insert: f64,
    /// A burst of 1 to 64 random bytes in place of the real ones begins at a byte.
    pub burst: f64,
}

pub struct Line {
    nanos_per_byte: u64,
    delay: Duration,
    faults: Faults,
    random: Random,
    queue: VecDeque<u8>,
    free: u64,
    flight: VecDeque<(Instant, Vec<u8>)>,
    next_flip: u64,
    next_drop: u64,
    next_insert: u64,
    next_burst: u64,
    burst_left: u64,
    /// Everything is lost, as with the plug pulled.
    pub cut: bool,
    pub carried: u64,
    /// The longest queue seen.
    pub longest_queue: usize,
}

impl Line {
    pub fn new(bytes_per_second: f64, delay: Duration, faults: Faults, seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self {
            nanos_per_byte: (1e9 / bytes_per_second) as u64,
            delay,
            next_flip: random.geometric(faults.flip),
            next_drop: random.geometric(faults.drop),
            next_insert: random.geometric(faults.insert),
            next_burst: random.geometric(faults.burst),
            burst_left: 0,
            faults,
            random,
            queue: VecDeque::new(),
            free: 0,
            flight: VecDeque::new(),
            cut: false,
            carried: 0,
            longest_queue: 0,
        }
    }

    /// The driver's part: gives the system what the link has to send.
    pub fn fill(&mut self, now: Instant, link: &mut Link) {
        let mut buf = [0; 256];
        while self.queue.len() < QUEUE {
            let room = buf.len().min(QUEUE - self.queue.len());
            let count = link.poll_transmit(now, &mut buf[..room]);
            if count == 0 {
                break;
            }
            self.queue.extend(&buf[..count]);
        }
        self.longest_queue = self.longest_queue.max(self.queue.len());
    }

    pub fn is_full(&self) -> bool {
        self.room() == 0
    }

    pub fn room(&self) -> usize {
        QUEUE - self.queue.len()
    }

    /// Bytes for the system to send, no more than there is room for.
    pub fn give(&mut self, bytes: &[u8]) {
        self.queue.extend(bytes);
    }

    /// Puts bytes on the line; says when to come again.
    pub fn pump(&mut self, now: Instant) -> Option<Instant> {
        while !self.queue.is_empty() && self.free / 1000 <= now.as_micros() {
            let count = self.queue.len().min(CHUNK);
            let start = self.free.max(now.as_micros() * 1000);
            self.free = start + self.nanos_per_byte * count as u64;
            let piece: Vec<u8> = self.queue.drain(..count).collect();
            self.carried += count as u64;
            let arrival = Instant::from_micros(self.free.div_ceil(1000)) + self.delay;
            let piece = self.damage(piece);
            if !self.cut && !piece.is_empty() {
                self.flight.push_back((arrival, piece));
            }
        }
        let free = (!self.queue.is_empty()).then(|| Instant::from_micros(self.free.div_ceil(1000)));
        let arrival = self.flight.front().map(|(at, _)| *at);
        [free, arrival].into_iter().flatten().min()
    }

    pub fn arrived(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.flight.front().filter(|(at, _)| *at <= now)?;
        self.flight.pop_front().map(|(_, bytes)| bytes)
    }

    /// Nobody is there to take what arrives; the last 4096 bytes stay with the system.
    pub fn lose(&mut self, now: Instant) {
        let due = self.flight.iter().filter(|(at, _)| *at <= now).count();
        if due > QUEUE / CHUNK {
            self.flight.pop_front();
        }
        for (at, _) in self.flight.iter_mut().filter(|(at, _)| *at <= now) {
            *at = now + Duration::from_millis(1);
        }
    }

    /// The system forgets what has not been sent or read.
    pub fn flush(&mut self) {
        self.queue.clear();
        self.flight.clear();
    }

    fn damage(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        let length = bytes.len() as u64;
        let soonest =
            (self.next_flip / 8).min(self.next_drop).min(self.next_insert).min(self.next_burst);
        if soonest > length && self.burst_left == 0 {
            self.next_flip -= length * 8;
            self.next_drop -= length;
            self.next_insert -= length;
            self.next_burst -= length;
            return bytes;
        }
        let mut out = Vec::with_capacity(bytes.len() + 4);
        for mut byte in bytes {
            while self.next_flip < 8 {
                byte ^= 1 << self.next_flip;
                self.next_flip += 1 + self.random.geometric(self.faults.flip).min(u64::MAX / 2);
            }
            self.next_flip -= 8;
            if self.next_insert == 0 {
                out.push(self.random.next() as u8);
                self.next_insert = 1 + self.random.geometric(self.faults.insert).min(u64::MAX / 2);
            }
            self.next_insert -= 1;
            if self.next_burst == 0 {
                self.burst_left = 1 + self.random.below(64);
                self.next_burst = 1 + self.random.geometric(self.faults.burst).min(u64::MAX / 2);
            }
            self.next_burst -= 1;
            if self.burst_left > 0 {
                self.burst_left -= 1;
                byte = self.random.next() as u8;
            }
            if self.next_drop == 0 {
                self.next_drop = 1 + self.random.geometric(self.faults.drop).min(u64::MAX / 2);
            } else {
                out.push(byte);
            }
            self.next_drop -= 1;
        }
        out
    }
}
