//! Sound to packets.

use std::collections::VecDeque;
use std::ops::Range;

use super::band::BandPass;
use super::mode::{Mode, RATE, Shape};
use super::preamble::{Preamble, SIGNAL};
use super::reception::{Ended, Progress, Reception};
use super::search::{Found, HOP, Search};
use super::signal::SignalSearch;
use super::{Config, ConfigError};
use crate::resample::Resampler;

/// The number of the first sample: the first window of the search ends soon after it.
const FIRST: usize = Search::WINDOW - HOP;
/// Packets that may be arriving at the same time, most of which will turn out to be none.
const MOST_RECEPTIONS: usize = 6;
/// Events that are kept for a caller who does not ask; letters are dropped first.
const MOST_EVENTS: usize = 1024;
/// Sound is taken in pieces of this size, so that what is kept of it is bounded.
const PIECE: usize = 4096;

/// What a [`Demodulator`] has heard.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Something is on the air, be it a packet or not; or nothing any more.
    Carrier(bool),
    /// A packet has begun.
    Begin {
        /// Its mode.
        mode: Mode,
        /// Its bytes.
        length: usize,
        /// How long it takes from here on, seconds.
        seconds: f64,
    },
    /// Letters that were read, most likely: those of one stream during one block.
    Letters {
        /// The mode of the packet.
        mode: Mode,
        /// The stream.
        stream: usize,
        /// `A` to `Z` and `0` to `9`.
        text: String,
        /// When the first of them began, in seconds since the first sample.
        start: f64,
        /// When the last of them ended.
        end: f64,
    },
    /// A packet has arrived whole.
    Packet(Packet),
    /// A packet had too many errors.
    BadPacket {
        /// Its mode.
        mode: Mode,
        /// As [`Packet::snr_db`].
        snr_db: f32,
    },
}

/// A packet that has arrived whole.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Packet {
    /// What was sent.
    pub bytes: Vec<u8>,
    /// How it was sent.
    pub mode: Mode,
    /// How its sender wants to be answered.
    pub wish: Option<Mode>,
    /// The two bits of its sender.
    pub tag: u8,
    /// Power of the signal over that of noise and echoes in 2500 Hz, dB.
    pub snr_db: f32,
    /// By how much a dot stood out more than the mode needs, dB.
    pub margin_db: f32,
    /// Bytes that were wrong and were corrected.
    pub corrected: usize,
    /// How much of what could be corrected was needed, percent.
    pub strain: usize,
    /// By how many parts in a million the sender's clock seemed slow.
    pub ppm: f64,
}

/// A dot has to have so much more energy than the noise's density for about one letter in a
/// hundred to be misread, dB.
pub(crate) const NEEDED_DB: f32 = 12.0;

/// Makes packets of sound, in whatever mode they come.
///
/// See [`Modulator`](super::Modulator) for an example. Memory is bounded: about a megabyte, and the
/// powers of up to six packets.
#[derive(Debug)]
pub struct Demodulator {
    config: Config,
    resampler: Option<Resampler>,
    resampled: Vec<f32>,
    band: Option<BandPass>,
    filtered: Vec<f32>,
    high: HighPass,
    /// Sound that is still needed, and the number of its first sample.
    sound: Vec<f32>,
    base: u64,
    /// There is none where there are no sweeps.
    search: Option<Search>,
    /// The first sample of the next window to be searched.
    window: u64,
    found: Vec<Found>,
    signals: SignalSearch,
    starts: Vec<(f64, f32)>,
    /// The number of the sample that the search for signals calls its first.
    first: u64,
    receptions: Vec<Reception>,
    /// Where the last packet was that arrived whole.
    whole: Range<f64>,
    ear: Ear,
    carrier: bool,
    events: VecDeque<Event>,
}

impl Demodulator {
    /// A demodulator of sound at the rate that `config` says.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        config.check()?;
        let (inside, outside) = (config.inner_rate(), config.rate);
        let (from, to) = (f64::from(outside), f64::from(inside));
        Ok(Self {
            config: *config,
            resampler: (inside != outside).then(|| Resampler::new(from, to)),
            resampled: Vec::new(),
            band: config.band.map(|band| BandPass::new(band, inside)),
            filtered: Vec::new(),
            high: HighPass::new(inside),
            sound: vec![0.0; FIRST],
            base: 0,
            search: (inside == RATE).then(|| Search::new(config)),
            window: 0,
            found: Vec::new(),
            signals: SignalSearch::new(&config.shape(Mode::Plain)),
            starts: Vec::new(),
            first: FIRST as u64,
            receptions: Vec::new(),
            whole: 0.0..0.0,
            ear: Ear::new(inside),
            carrier: false,
            events: VecDeque::new(),
        })
    }

    /// Takes sound, in blocks of any length.
    pub fn receive(&mut self, samples: &[f32]) {
        for piece in samples.chunks(PIECE) {
            match &mut self.resampler {
                Some(resampler) => {
                    let mut sound = std::mem::take(&mut self.resampled);
                    resampler.process(piece, &mut sound);
                    self.keep_to_band(&sound);
                    sound.clear();
                    self.resampled = sound;
                }
                None => self.keep_to_band(piece),
            }
        }
    }

    fn keep_to_band(&mut self, samples: &[f32]) {
        let Some(band) = &mut self.band else { return self.take(samples) };
        let mut sound = std::mem::take(&mut self.filtered);
        // A device may give anything, and a filter would never forget it.
        let finite: Vec<f32> = samples.iter().copied().map(tame).collect();
        band.process(&finite, &mut sound);
        self.take(&sound);
        sound.clear();
        self.filtered = sound;
    }

    /// What was heard, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Forgets all packets that are arriving: what comes next has nothing to do with what came
    /// before, as after a station's own packet.
    pub fn reset(&mut self) {
        self.receptions.clear();
        self.window = self.base + self.sound.len() as u64;
        self.base = self.window;
        self.sound.clear();
        self.signals = SignalSearch::new(&self.config.shape(Mode::Plain));
        self.first = self.base;
        self.ear.quiet();
        self.listen();
    }

    fn take(&mut self, samples: &[f32]) {
        let from = self.sound.len();
        self.high.process(samples, &mut self.sound);
        let samples = &self.sound[from..];
        self.ear.hear(samples);
        let mut signals = std::mem::take(&mut self.starts);
        self.signals.take(samples, &mut signals);
        for (start, likeness) in signals.drain(..) {
            let shape = self.config.shape(Mode::Plain);
            let start = self.first as f64 + start + (SIGNAL.len() * shape.dot) as f64;
            self.begin(shape, start, likeness);
        }
        self.starts = signals;
        self.look();
        self.advance();
        self.listen();
        let needed = self.receptions.iter().map(Reception::needs).min();
        let needed = needed.map_or(self.window, |needed| needed.min(self.window));
        let spent = (needed.saturating_sub(self.base) as usize).min(self.sound.len());
        // All that is left moves, so not for every sample of somebody who gives them one by one.
        if spent >= PIECE {
            self.sound.drain(..spent);
            self.base += spent as u64;
        }
    }

    fn look(&mut self) {
        let Some(search) = &mut self.search else {
            self.window = self.base + self.sound.len() as u64;
            return;
        };
        let mut sweeps = Vec::new();
        loop {
            let from = (self.window - self.base) as usize;
            let Some(window) = self.sound.get(from..from + Search::WINDOW) else { break };
            search.look(window, &mut self.found);
            sweeps.extend(self.found.drain(..).map(|sweep| (self.window, sweep)));
            self.window += HOP as u64;
        }
        for (window, sweep) in sweeps {
            let shape = self.config.shape(sweep.mode);
            let start = window as usize + sweep.start + Preamble::of(&shape).samples();
            self.begin(shape, start as f64, sweep.share);
        }
    }

    /// The header of a packet may begin there.
    fn begin(&mut self, shape: Shape, start: f64, clarity: f32) {
        if self.whole.contains(&start) {
            return; // A late find in a packet that has been read.
        }
        let near = |reception: &Reception| reception.is_near(&shape, start);
        if let Some(known) = self.receptions.iter().position(near) {
            if self.receptions[known].has_header() || self.receptions[known].clarity >= clarity {
                return;
            }
            self.receptions.swap_remove(known);
        }
        if self.receptions.len() == MOST_RECEPTIONS {
            let least = self.receptions.iter().enumerate().filter(|(_, r)| !r.has_header());
            let least = least.min_by(|(_, a), (_, b)| a.clarity.total_cmp(&b.clarity));
            match least {
                Some((index, known)) if known.clarity < clarity => {
                    self.receptions.swap_remove(index);
                }
                _ => return,
            }
        }
        self.receptions.push(Reception::new(shape, start, clarity));
    }

    fn advance(&mut self) {
        let mut index = 0;
        while let Some(reception) = self.receptions.get_mut(index) {
            let mode = reception.mode();
            let begun = reception.next;
            match reception.advance(&self.sound, self.base) {
                Progress::Waiting => index += 1,
                Progress::Nothing => {
                    self.receptions.swap_remove(index);
                }
                Progress::Begun(header) => {
                    let seconds = reception.seconds();
                    self.note(Event::Begin { mode, length: header.length, seconds });
                }
                Progress::Letters(streams) => {
                    let late = FIRST + self.band.as_ref().map_or(0, BandPass::delay);
                    let rate = f64::from(self.config.inner_rate());
                    let time = |sample: f64| (sample - late as f64) / rate;
                    let (start, end) = (time(begun), time(reception.end_of_letters()));
                    let ended = reception.finish();
                    for (stream, text) in streams.into_iter().enumerate() {
                        self.note(Event::Letters { mode, stream, text, start, end });
                    }
                    if let Some(ended) = ended {
                        let whole = self.receptions.swap_remove(index);
                        if ended.decoded.is_some() {
                            // What seemed to begin in the midst of it was a part of it; and on a
                            // single tone nothing else can have been under way.
                            self.whole = whole.start..whole.next;
                            let inside = self.whole.clone();
                            self.receptions.retain(|other| {
                                let is_same = mode == Mode::Plain && other.mode() == mode;
                                !is_same && !inside.contains(&other.start)
                            });
                            index = 0;
                        }
                        self.end(mode, *ended);
                    }
                }
            }
        }
    }

    fn end(&mut self, mode: Mode, ended: Ended) {
        let snr_db = 10.0 * ended.snr.log10();
        match ended.decoded {
            Some(decoded) => self.note(Event::Packet(Packet {
                bytes: decoded.bytes,
                mode,
                wish: ended.header.wish,
                tag: ended.header.tag,
                snr_db,
                margin_db: 10.0 * ended.dot_ratio.log10() - NEEDED_DB,
                corrected: decoded.corrected,
                strain: decoded.strain,
                ppm: ended.ppm,
            })),
            None => self.note(Event::BadPacket { mode, snr_db }),
        }
    }

    fn listen(&mut self) {
        // On a single tone much looks like a beginning: until its header has been read, only what
        // is heard counts.
        let is_sure = |r: &Reception| r.has_header() || r.mode() != Mode::Plain;
        let busy = self.ear.is_busy() || self.receptions.iter().any(is_sure);
        if busy != self.carrier {
            self.carrier = busy;
            self.note(Event::Carrier(busy));
        }
    }

    fn note(&mut self, event: Event) {
        if self.events.len() >= MOST_EVENTS {
            let is_letters = |event: &Event| matches!(event, Event::Letters { .. });
            let droppable = self.events.iter().position(is_letters).unwrap_or(0);
            self.events.remove(droppable);
        }
        self.events.push_back(event);
    }
}

/// A device may give anything.
fn tame(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-8.0, 8.0) } else { 0.0 }
}

/// Takes out what is below all tones: an offset, and the hum of mains. Two poles at 150 Hz
/// (R. Bristow-Johnson, "Audio EQ Cookbook", with Q = 1/√2).
#[derive(Debug)]
struct HighPass {
    /// What the newest sample counts, and the two that came out before.
    gain: f64,
    back: [f64; 2],
    before: [f64; 2],
    after: [f64; 2],
}

impl HighPass {
    fn new(rate: u32) -> Self {
        let angle = std::f64::consts::TAU * 150.0 / f64::from(rate);
        let (sin, cos) = angle.sin_cos();
        let alpha = sin * std::f64::consts::FRAC_1_SQRT_2;
        let whole = 1.0 + alpha;
        let back = [2.0 * cos / whole, -(1.0 - alpha) / whole];
        Self { gain: 0.5 * (1.0 + cos) / whole, back, before: [0.0; 2], after: [0.0; 2] }
    }

    fn process(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let Self { gain, back, mut before, mut after } = *self;
        out.extend(samples.iter().map(|&sample| {
            let x = f64::from(tame(sample));
            let forward = gain * (x - 2.0 * before[0] + before[1]);
            let y = (forward + back[1] * after[1]) + back[0] * after[0];
            (before, after) = ([x, before[0]], [y, after[0]]);
            // What is too small to be anything would be slow to compute with.
            if y.abs() < 1e-20 { 0.0 } else { y as f32 }
        }));
        (self.before, self.after) = (before, after.map(|y| if y.abs() < 1e-20 { 0.0 } else { y }));
    }
}

/// The sum of squares, in lanes, which the compiler makes one of.
fn power(sound: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let (eights, rest) = sound.as_chunks::<8>();
    for eight in eights {
        for (lane, sample) in lanes.iter_mut().zip(eight) {
            *lane += sample * sample;
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|sample| sample * sample).sum::<f32>()
}

/// Hears that something is on the air, without knowing what: power well above what is usual.
#[derive(Debug)]
struct Ear {
    sum: f32,
    count: usize,
    floor: f32,
    /// Pieces for which it still counts as busy; and for which it has been without a break.
    hold: u32,
    lasting: u32,
    /// Samples of 10 ms, a piece.
    piece: usize,
}

impl Ear {
    fn new(rate: u32) -> Self {
        let piece = rate as usize / 100;
        Self { sum: 0.0, count: 0, floor: 1e-9, hold: 0, lasting: 0, piece }
    }

    /// 6 dB.
    const LOUD: f32 = 4.0;
    const HOLD: u32 = 4;
    /// What lasts for 2 s and is no packet is the new usual.
    const LASTING: u32 = 200;

    fn hear(&mut self, mut samples: &[f32]) {
        while !samples.is_empty() {
            let (piece, rest) = samples.split_at(samples.len().min(self.piece - self.count));
            self.sum += power(piece);
            self.count += piece.len();
            samples = rest;
            if self.count == self.piece {
                self.weigh();
            }
        }
    }

    fn weigh(&mut self) {
        let power = self.sum / self.piece as f32;
        (self.sum, self.count) = (0.0, 0);
        if power > Self::LOUD * self.floor {
            self.hold = Self::HOLD;
        } else {
            self.hold = self.hold.saturating_sub(1);
        }
        self.lasting = if self.hold > 0 { self.lasting + 1 } else { 0 };
        let step = if power < self.floor { 0.1 } else { 0.002 };
        self.floor += step * (power.min(self.floor * 16.0) - self.floor);
        if self.lasting > Self::LASTING {
            self.floor = power;
        }
        self.floor = self.floor.max(1e-11);
    }

    fn is_busy(&self) -> bool {
        self.hold > 0
    }

    fn quiet(&mut self) {
        (self.hold, self.lasting) = (0, 0);
    }
}
