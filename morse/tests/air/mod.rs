//! Two stations with modems and links, the air between them, and a clock that counts samples.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    dead_code,
    unreachable_pub,
    reason = "a simulation: small numbers, helpers that may panic, and each test uses a part of it"
)]

use std::collections::VecDeque;
use std::time::Duration;

use ipfi_arq::{Config as LinkConfig, HalfDuplex, Instant, Link, State};
use ipfi_morse::channel::{Air, Channel};
use ipfi_morse::modem::{Config, Demodulator, Event, Ladder, Mode, Modulator, Note};
use ipfi_morse::resample::Resampler;

pub const RATE: u32 = 48_000;
/// Samples of a step: 10 ms.
const STEP: usize = 480;

/// The mean power of what a mode sends, as the level of a tone with this power, in dB.
pub fn mean_level_db(config: &Config, mode: Mode) -> f64 {
    let mut modulator = Modulator::new(config).unwrap();
    modulator.send(&[0xa5; 100], mode, Note::default()).unwrap();
    let mut sound = vec![0.0; 100 * config.rate as usize];
    let count = modulator.poll_samples(&mut sound);
    let sum: f64 = sound[..count].iter().map(|&v| f64::from(v).powi(2)).sum();
    10.0 * (2.0 * sum / count as f64).log10()
}

/// How the mode is chosen.
#[derive(Clone, Copy, Debug)]
pub enum Choice {
    Fixed(Mode),
    Ladder(Mode),
}

pub struct Station {
    pub link: Link,
    /// A sound card of another rate than the air's.
    card: Option<Card>,
    config: Config,
    modulator: Modulator,
    demodulator: Demodulator,
    choice: Choice,
    /// Tells its pair from others on the same air.
    tag: u8,
    pub ladder: Ladder,
    sends: bool,
    hears: bool,
    pub bad: u32,
    pub modes: Vec<Mode>,
    pub sent: Vec<u8>,
    written: usize,
    pub read: Vec<u8>,
    pub error: bool,
}

struct Card {
    samples: usize,
    in_: Resampler,
    out: Resampler,
    heard: Vec<f32>,
    made: Vec<f32>,
}

/// What a link is told about a mode: its rate, the size of packets, the medium.
pub fn medium(config: &Config, mode: Mode, burst: u32) -> (u32, u16, HalfDuplex) {
    let mode = mode.parameters(&config.plain);
    let size = mode.packet_in(burst);
    let packet = (size as f64 + mode.overhead) / mode.rate;
    let medium = HalfDuplex {
        guard: Duration::from_secs_f64(mode.guard),
        burst: Duration::from_secs_f64(packet * 1.1 * f64::from(burst)),
        preamble: mode.overhead.round() as u16,
    };
    (mode.rate.round().max(1.0) as u32, size as u16, medium)
}

impl Station {
    pub fn new(config: &Config, choice: Choice, id: u32) -> Self {
        let (Choice::Fixed(mode) | Choice::Ladder(mode)) = choice;
        let (rate, packet, medium) = medium(config, mode, 5);
        let start = Instant::from_micros(0);
        Self {
            link: Link::new(LinkConfig::half_duplex(rate, packet, medium), id, start),
            card: None,
            config: *config,
            modulator: Modulator::new(config).unwrap(),
            demodulator: Demodulator::new(config).unwrap(),
            choice,
            tag: 0,
            ladder: Ladder::new(mode),
            sends: false,
            hears: false,
            bad: 0,
            modes: Vec::new(),
            sent: Vec::new(),
            written: 0,
            read: Vec::new(),
            error: false,
        }
    }

    /// One whose sound card has another rate.
    pub fn at_rate(rate: u32, choice: Choice, id: u32) -> Self {
        let mut station = Self::new(&Config::new(rate), choice, id);
        let (air, card) = (f64::from(RATE), f64::from(rate));
        let (in_, out) = (Resampler::new(air, card), Resampler::new(card, air));
        let samples = rate as usize / 100;
        // A little ahead, so that a sample more or less from the resampler makes no gap.
        let made = vec![0.0; 64];
        station.card = Some(Card { samples, in_, out, heard: Vec::new(), made });
        station
    }

    /// Ten milliseconds: takes what is heard, gives what is sent.
    fn step(&mut self, now: Instant, heard: Option<&[f32]>, out: &mut [f32]) {
        let Some(mut card) = self.card.take() else { return self.work(now, heard, out) };
        card.heard.clear();
        if let Some(heard) = heard {
            card.in_.process(heard, &mut card.heard);
        }
        let mut block = vec![0.0; card.samples];
        self.work(now, heard.map(|_| &card.heard[..]), &mut block);
        card.out.process(&block, &mut card.made);
        let count = card.made.len().min(out.len());
        out[..count].copy_from_slice(&card.made[..count]);
        out[count..].fill(0.0);
        card.made.drain(..count);
        self.card = Some(card);
    }

    fn work(&mut self, now: Instant, heard: Option<&[f32]>, out: &mut [f32]) {
        if let Some(heard) = heard {
            self.demodulator.receive(heard);
        }
        while let Some(event) = self.demodulator.poll_event() {
            match event {
                Event::Packet(packet) if packet.tag == self.tag => {
                    self.ladder.heard(&packet);
                    self.link.receive(now, &packet.bytes);
                }
                Event::BadPacket { mode, .. } => {
                    self.bad += 1;
                    self.ladder.missed(mode);
                }
                Event::Carrier(busy) => self.hears = busy,
                _ => {}
            }
        }
        self.link.set_carrier(now, self.hears || self.sends);
        if self.link.poll_timeout().is_some_and(|at| at <= now) {
            self.link.handle_timeout(now);
        }
        self.written += self.link.write(&self.sent[self.written..]).unwrap_or(0);
        let mut piece = [0; 1024];
        loop {
            match self.link.read(&mut piece) {
                Ok(Some(count @ 1..)) => self.read.extend_from_slice(&piece[..count]),
                Ok(_) => break,
                Err(_) => {
                    self.error = true;
                    break;
                }
            }
        }
        let mut packet = [0; 1500];
        let mut begins = !self.sends;
        loop {
            if let Choice::Ladder(_) = self.choice {
                let (rate, packet, medium) =
                    medium(&self.config, self.ladder.mode(), self.ladder.burst());
                self.link.set_medium(rate, packet, medium);
            }
            let count = self.link.poll_transmit(now, &mut packet);
            if count == 0 {
                break;
            }
            let mode = match self.choice {
                Choice::Fixed(mode) => mode,
                Choice::Ladder(_) => self.ladder.mode(),
            };
            if std::env::var_os("TRACE").is_some() {
                println!("{now:?} {count} bytes, {:.2} s", self.modulator.duration(count, mode));
            }
            self.modes.push(mode);
            if std::mem::take(&mut begins) {
                self.ladder.begin();
            }
            let note = Note { wish: Some(self.ladder.wish()), tag: self.tag };
            self.modulator.send(&packet[..count], mode, note).unwrap();
        }
        let count = self.modulator.poll_samples(out);
        out[count..].fill(0.0);
        let sends = count > 0;
        if self.sends && !sends {
            // What it heard meanwhile was itself.
            self.demodulator.reset();
        }
        if self.sends != sends {
            self.sends = sends;
            self.link.set_carrier(now, sends || self.hears);
        }
    }
}

/// Pairs of stations which all hear each other, and the way of the sound to each of them.
pub struct World {
    pub stations: Vec<Station>,
    ways: Vec<Channel>,
    sounds: Vec<Vec<f32>>,
    samples: u64,
    /// What was on the air; and what a mischievous station plays when nobody sends.
    pub record: Option<Vec<f32>>,
    pub replay: VecDeque<f32>,
}

impl World {
    pub fn new(air: &Air, mode: Mode, choice: Choice, seed: u64) -> Self {
        Self::with(&Config::new(RATE), air, mode, choice, seed)
    }

    /// The level of noise refers to `mode`.
    pub fn with(config: &Config, air: &Air, mode: Mode, choice: Choice, seed: u64) -> Self {
        Self::pairs(config, air, mode, choice, seed, 1)
    }

    pub fn pairs(
        config: &Config,
        air: &Air,
        mode: Mode,
        choice: Choice,
        seed: u64,
        pairs: usize,
    ) -> Self {
        let air = Air { level_db: mean_level_db(config, mode), ..air.clone() };
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut stations, mut ways) = (Vec::new(), Vec::new());
        for pair in 0..pairs {
            for _ in 0..2 {
                let mut station = Station::new(config, choice, random.u32(1..));
                station.tag = pair as u8;
                stations.push(station);
                ways.push(Channel::new(&air, RATE, random.u64(..)).unwrap());
            }
        }
        Self {
            stations,
            ways,
            sounds: vec![vec![0.0; STEP]; 2 * pairs],
            samples: 0,
            record: None,
            replay: VecDeque::new(),
        }
    }

    /// The air changes; the level of its noise refers to `mode`.
    pub fn set_air(&mut self, air: &Air, mode: Mode) {
        let level_db = mean_level_db(&Config::new(RATE), mode);
        let air = Air { level_db, ..air.clone() };
        for (way, seed) in self.ways.iter_mut().zip(self.samples..) {
            *way = Channel::new(&air, RATE, seed).unwrap();
        }
    }

    pub fn seconds(&self) -> f64 {
        self.samples as f64 / f64::from(RATE)
    }

    pub fn now(&self) -> Instant {
        Instant::from_micros(self.samples * 1_000_000 / u64::from(RATE))
    }

    pub fn step(&mut self) {
        self.samples += STEP as u64;
        let now = self.now();
        let mut heard = Vec::new();
        let mut sounds = self.sounds.clone();
        if let Some(record) = &mut self.record {
            record.extend((0..STEP).map(|i| sounds.iter().map(|sound| sound[i]).sum::<f32>()));
        }
        if !self.replay.is_empty() && self.stations.iter().all(|station| !station.sends) {
            sounds.push((0..STEP).map(|_| self.replay.pop_front().unwrap_or(0.0)).collect());
        }
        for (side, station) in self.stations.iter_mut().enumerate() {
            heard.clear();
            // Who sends does not listen.
            if !station.sends {
                let others = sounds.iter().enumerate().filter(|(other, _)| *other != side);
                let mut sum = vec![0.0; STEP];
                for (_, sound) in others {
                    sum.iter_mut().zip(sound).for_each(|(sum, sample)| *sum += sample);
                }
                self.ways[side].process(&sum, &mut heard);
            }
            let heard = (!station.sends).then_some(&heard[..]);
            station.step(now, heard, &mut self.sounds[side]);
        }
    }

    /// Runs until `done`; false if that takes longer than `limit` seconds.
    pub fn run_until(&mut self, limit: f64, done: impl Fn(&Self) -> bool) -> bool {
        let deadline = self.seconds() + limit;
        while !done(self) {
            if self.seconds() > deadline {
                return false;
            }
            self.step();
        }
        true
    }

    pub fn is_open(&self) -> bool {
        self.stations.iter().all(|station| station.link.state() == State::Open)
    }

    /// Sends `bytes` from the first station to the second: bytes a second, from the first byte on;
    /// 0 if they do not arrive within `limit` seconds.
    pub fn goodput(&mut self, bytes: usize, limit: f64) -> f64 {
        if !self.run_until(limit, Self::is_open) {
            return 0.0;
        }
        let (start, from) = (self.seconds(), self.stations[1].read.len());
        self.say(0, bytes);
        if !self.run_until(limit, |world| world.stations[1].read.len() == from + bytes) {
            return 0.0;
        }
        self.check();
        bytes as f64 / (self.seconds() - start)
    }

    /// A station has so many random bytes to send.
    pub fn say(&mut self, side: usize, bytes: usize) {
        let mut random = fastrand::Rng::with_seed(self.samples + side as u64);
        self.stations[side].sent.extend((0..bytes).map(|_| random.u8(..)));
    }

    /// What each station has read is what its partner has sent, as far as it goes.
    pub fn check(&self) {
        for (side, station) in self.stations.iter().enumerate() {
            let sent = &self.stations[side ^ 1].sent;
            assert!(sent.starts_with(&station.read), "wrong bytes at {side}");
            assert!(!station.error, "an end at {side}");
        }
    }
}
