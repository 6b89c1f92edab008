//! A medium on which two who talk at once are both lost.

use std::collections::VecDeque;
use std::time::Duration;

use ipfi_arq::Instant;

use super::{End, Random};

/// How the medium treats packets.
#[derive(Clone, Copy, Debug)]
pub struct Medium {
    pub bytes_per_second: f64,
    pub preamble: u16,
    /// Chance that a byte is wrong, which costs the packet.
    pub byte_errors: f64,
    /// How long until the others notice that one talks; `None`: they never do.
    pub sensing: Option<Duration>,
}

#[derive(Clone, Debug)]
struct Packet {
    end: Instant,
    bytes: Vec<u8>,
    spoiled: bool,
}

/// A station: a link and the modem below it.
pub struct Station {
    pub end: End,
    queue: VecDeque<Vec<u8>>,
    talking: Option<Packet>,
    hears: bool,
}

pub struct Air {
    pub now: Instant,
    pub stations: [Option<Station>; 2],
    medium: Medium,
    random: Random,
    /// Carrier changes to come: when, for whom, what.
    changes: Vec<(Instant, usize, bool)>,
    pub collisions: u32,
    pub silent: bool,
}

impl Air {
    pub fn new(medium: Medium, seed: u64) -> Self {
        Self {
            now: Instant::from_micros(0),
            stations: [None, None],
            medium,
            random: Random::new(seed),
            changes: Vec::new(),
            collisions: 0,
            silent: false,
        }
    }

    pub fn put(&mut self, side: usize, end: End) {
        self.stations[side] =
            Some(Station { end, queue: VecDeque::new(), talking: None, hears: false });
    }

    pub fn end(&mut self, side: usize) -> &mut End {
        &mut self.stations[side].as_mut().expect("the station is there").end
    }

    fn time_of(&self, bytes: usize) -> Duration {
        let bytes = bytes + usize::from(self.medium.preamble);
        Duration::from_secs_f64(bytes as f64 / self.medium.bytes_per_second)
    }

    fn announce(&mut self, side: usize, busy: bool) {
        if let Some(delay) = self.medium.sensing {
            self.changes.push((self.now, side, busy));
            self.changes.push((self.now + delay, 1 - side, busy));
        }
    }

    fn transmit(&mut self, side: usize) {
        let now = self.now;
        let Some(station) = &mut self.stations[side] else { return };
        station.end.work();
        let mut buf = [0; 1500];
        loop {
            let count = station.end.link.poll_transmit(now, &mut buf);
            if count == 0 {
                break;
            }
            station.queue.push_back(buf[..count].to_vec());
        }
        if station.talking.is_none()
            && let Some(bytes) = station.queue.pop_front()
        {
            let end = now + self.time_of(bytes.len());
            self.begin(side, Packet { end, bytes, spoiled: false });
        }
    }

    fn begin(&mut self, side: usize, mut packet: Packet) {
        if let Some(other) = &mut self.stations[1 - side]
            && let Some(theirs) = &mut other.talking
        {
            theirs.spoiled = true;
            packet.spoiled = true;
            self.collisions += 1;
        }
        if let Some(station) = &mut self.stations[side] {
            station.talking = Some(packet);
        }
        self.announce(side, true);
    }

    fn arrive(&mut self, side: usize) {
        let due = |packet: &mut Packet| packet.end <= self.now;
        let Some(station) = &mut self.stations[side] else { return };
        let Some(packet) = station.talking.take_if(due) else { return };
        let continues = !station.queue.is_empty();
        let intact = f64::powf(1.0 - self.medium.byte_errors, packet.bytes.len() as f64);
        let lost = packet.spoiled || self.silent || self.random.unit() >= intact;
        if let Some(other) = &mut self.stations[1 - side]
            && !lost
            && other.talking.is_none()
        {
            other.end.link.receive(self.now, &packet.bytes);
        }
        if !continues {
            self.announce(side, false);
        }
    }

    /// Runs to the next event, but not past `deadline`.
    pub fn step(&mut self, deadline: Instant) -> bool {
        let mut next = deadline;
        for side in 0..2 {
            self.transmit(side);
            if let Some(station) = &self.stations[side] {
                next = next.min(station.end.link.poll_timeout().unwrap_or(next));
                next = next.min(station.talking.as_ref().map_or(next, |packet| packet.end));
            }
        }
        next = self.changes.iter().map(|change| change.0).fold(next, Instant::min);
        self.now = self.now.max(next);
        for side in 0..2 {
            self.arrive(side);
        }
        let (due, later) = self.changes.drain(..).partition::<Vec<_>, _>(|c| c.0 <= self.now);
        self.changes = later;
        for (_, side, busy) in due {
            if let Some(station) = &mut self.stations[side] {
                station.hears = busy;
                station.end.link.set_carrier(self.now, busy);
            }
        }
        for station in self.stations.iter_mut().flatten() {
            station.end.link.handle_timeout(self.now);
        }
        self.now < deadline
    }

    pub fn run_until(&mut self, limit: Duration, what: &str, done: impl Fn(&mut Self) -> bool) {
        let deadline = self.now + limit;
        let mut steps = 0u64;
        while !done(self) {
            steps += 1;
            assert!(steps < 2_000_000, "spins: {what}\n{self:?}");
            assert!(self.step(deadline), "not within {limit:?}: {what}\n{self:?}");
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let deadline = self.now + time;
        while self.step(deadline) {}
    }
}

impl std::fmt::Debug for Air {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "at {:?}, {} collisions", self.now, self.collisions)?;
        for station in self.stations.iter().flatten() {
            let end = &station.end;
            writeln!(f, "{:?} written {} read {}", end.link, end.written, end.read)?;
            writeln!(f, "{:?} next {:?}", end.link.statistics(), end.link.poll_timeout())?;
        }
        Ok(())
    }
}
