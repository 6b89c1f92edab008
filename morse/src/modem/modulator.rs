//! Packets to sound.

use std::collections::VecDeque;
use std::f64::consts::{PI, TAU};

use super::band::BandPass;
use super::coding::{self, Layout};
use super::header::Header;
use super::mode::{MAX_PACKET, Mode, Shape};
use super::preamble::{Preamble, SIGNAL};
use super::{Config, ConfigError, SendError};
use crate::packing::{BLOCK_BYTES, Packing};
use crate::resample::Resampler;

/// What is said along with a packet, outside of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by hand, with ..Note::default()")]
pub struct Note {
    /// The mode in which this station wants to be sent to.
    pub wish: Option<Mode>,
    /// Two bits that the other side gets as they are, to tell stations apart.
    pub tag: u8,
}

/// A letter that begins to sound with the samples that were given out last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Letter {
    /// `A` to `Z`, `0` to `9`, or `=` for the beginning of a packet.
    pub letter: char,
    /// The stream that it belongs to.
    pub stream: usize,
}

/// Makes sound of packets.
///
/// ```
/// use ipfi_morse::modem::{Config, Demodulator, Event, Mode, Modulator, Note};
///
/// let config = Config::new(48_000);
/// let mut modulator = Modulator::new(&config)?;
/// let mut demodulator = Demodulator::new(&config)?;
/// modulator.send(b"hello", Mode::Room, Note::default())?;
/// let mut block = [0.0; 480];
/// loop {
///     let count = modulator.poll_samples(&mut block);
///     demodulator.receive(&block[..count]);
///     if count < block.len() {
///         break;
///     }
/// }
/// demodulator.receive(&[0.0; 4800]);
/// let events = std::iter::from_fn(|| demodulator.poll_event());
/// let mut packets = events.filter_map(|event| match event {
///     Event::Packet(packet) => Some(packet.bytes),
///     _ => None,
/// });
/// assert_eq!(packets.next().as_deref(), Some(&b"hello"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Modulator {
    config: Config,
    queue: VecDeque<Sending>,
    /// What has been made and not given out yet, at the rate of the device.
    ready: VecDeque<f32>,
    filter: Option<BandPass>,
    resampler: Option<Resampler>,
    letters: VecDeque<Letter>,
}

impl Modulator {
    /// A modulator that has nothing to send yet.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            config: *config,
            queue: VecDeque::new(),
            ready: VecDeque::new(),
            filter: filter_of(config),
            resampler: resampler_of(config),
            letters: VecDeque::new(),
        })
    }

    /// Takes a packet of up to [`MAX_PACKET`] bytes, to be sent after those before it.
    pub fn send(&mut self, packet: &[u8], mode: Mode, note: Note) -> Result<(), SendError> {
        if packet.len() > MAX_PACKET {
            return Err(SendError::TooLong(packet.len()));
        }
        if !self.config.has_room(mode) {
            return Err(SendError::Mode { mode, hertz: self.config.needs_hertz(mode) });
        }
        let amplitude = 10f64.powf(self.config.level_db / 20.0);
        self.queue.push_back(Sending::new(self.config.shape(mode), packet, note, amplitude));
        Ok(())
    }

    /// How long a packet of so many bytes takes, seconds.
    #[must_use]
    pub fn duration(&self, packet: usize, mode: Mode) -> f64 {
        let shape = self.config.shape(mode);
        let units = Layout::new(&shape, packet).rows * shape.block_units();
        let samples = Preamble::of(&shape).samples() + units * shape.dot;
        samples as f64 / f64::from(shape.rate)
    }

    /// Whether there is nothing to give out.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.ready.is_empty()
    }

    /// Forgets what has not been given out yet.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.ready.clear();
        self.letters.clear();
        self.filter = filter_of(&self.config);
    }

    /// Fills `out` from the front and says how many samples that were: fewer than its length means
    /// that there is nothing more to send.
    pub fn poll_samples(&mut self, out: &mut [f32]) -> usize {
        while self.ready.len() < out.len() && self.make() {}
        let count = out.len().min(self.ready.len());
        for (place, sample) in out.iter_mut().zip(self.ready.drain(..count)) {
            *place = sample;
        }
        count
    }

    /// The letters that began to sound, in order.
    pub fn poll_letter(&mut self) -> Option<Letter> {
        self.letters.pop_front()
    }

    /// Makes the next piece of the first packet.
    fn make(&mut self) -> bool {
        let Some(sending) = self.queue.front_mut() else { return false };
        let mut piece = Vec::new();
        let goes_on = sending.make(&mut piece, &mut self.letters);
        // Nobody need watch.
        while self.letters.len() > 4096 {
            self.letters.pop_front();
        }
        if !goes_on {
            self.queue.pop_front();
        }
        let is_last = self.queue.is_empty();
        if let Some(filter) = &mut self.filter {
            let mut out = Vec::new();
            filter.process(&piece, &mut out);
            if is_last {
                filter.finish(&mut out);
            }
            piece = out;
        }
        if let Some(resampler) = &mut self.resampler {
            let mut out = Vec::new();
            resampler.process(&piece, &mut out);
            if is_last {
                resampler.finish(&mut out);
                self.resampler = resampler_of(&self.config);
            }
            piece = out;
        }
        self.ready.extend(piece);
        true
    }
}

fn filter_of(config: &Config) -> Option<BandPass> {
    config.band.map(|band| BandPass::new(band, config.inner_rate()))
}

fn resampler_of(config: &Config) -> Option<Resampler> {
    let (inside, outside) = (config.inner_rate(), config.rate);
    (inside != outside).then(|| Resampler::new(f64::from(inside), f64::from(outside)))
}

/// A packet on its way out.
#[derive(Debug)]
struct Sending {
    shape: Shape,
    amplitude: f64,
    /// For each stream the letters of each row.
    keying: Vec<Vec<bool>>,
    starts: Vec<Vec<(usize, char)>>,
    units: usize,
    /// The dot length to come; `None`: the preamble.
    next: Option<usize>,
    /// The end of the pulses before, which overlaps with those to come.
    overlap: Vec<f64>,
    /// How loud a pulse is at each of its samples.
    envelope: Vec<f64>,
}

impl Sending {
    fn new(shape: Shape, packet: &[u8], note: Note, amplitude: f64) -> Self {
        let layout = Layout::new(&shape, packet.len());
        let header = Header { length: packet.len(), wish: note.wish, tag: note.tag };
        let mut bytes = header.encode().to_vec();
        bytes.extend(coding::encode(&layout, packet));
        let mut keying = vec![Vec::new(); shape.streams];
        let mut starts = vec![Vec::new(); shape.streams];
        for (index, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
            let stream = index % shape.streams;
            let (keying, starts) = (&mut keying[stream], &mut starts[stream]);
            for token in Packing::letters().pack(block) {
                starts.push((keying.len(), token.letter));
                keying.extend_from_slice(&token.keying);
            }
            keying.extend(std::iter::repeat_n(false, shape.pause));
        }
        let units = layout.rows * shape.block_units();
        let (dot, edge) = (shape.dot, shape.edge());
        let envelope = (0..dot + edge).map(|i| {
            let inside = i.min(dot + edge - 1 - i);
            if inside < edge {
                0.5 - 0.5 * (PI * (inside as f64 + 0.5) / edge as f64).cos()
            } else {
                1.0
            }
        });
        let (envelope, overlap) = (envelope.collect(), vec![0.0; edge]);
        Self { shape, amplitude, keying, starts, units, next: None, overlap, envelope }
    }

    /// Appends the next piece; says whether there is more.
    fn make(&mut self, out: &mut Vec<f32>, letters: &mut VecDeque<Letter>) -> bool {
        let Some(unit) = self.next else {
            self.preamble(out);
            letters.push_back(Letter { letter: '=', stream: 0 });
            self.next = Some(0);
            return true;
        };
        if unit == self.units {
            let end = self.overlap.iter().map(|&v| (v * self.amplitude) as f32);
            out.extend(end);
            return false;
        }
        for (stream, starts) in self.starts.iter().enumerate() {
            if let Ok(at) = starts.binary_search_by_key(&unit, |start| start.0) {
                letters.push_back(Letter { letter: starts[at].1, stream });
            }
        }
        let tones = (0..self.shape.streams)
            .filter(|&stream| self.keying[stream][unit])
            .map(|stream| {
                let hops = self.shape.tones > 1;
                // Any phases do, as long as they do not add up to a peak.
                let phase = if hops { 2.4 * (unit * 37 + stream * stream * 5) as f64 } else { 0.0 };
                (self.shape.hertz(self.shape.tone(unit, stream)), phase)
            })
            .collect::<Vec<_>>();
        self.pulse(unit, &tones, self.shape.amplitude(), out);
        self.next = Some(unit + 1);
        true
    }

    /// The sound of one dot length: it begins half an edge early and ends half an edge late.
    fn pulse(&mut self, unit: usize, tones: &[(f64, f64)], amplitude: f64, out: &mut Vec<f32>) {
        let (dot, edge) = (self.shape.dot, self.shape.edge());
        let mut sum = std::mem::take(&mut self.overlap);
        sum.resize(dot + edge, 0.0);
        for &(hertz, phase) in tones {
            let step = TAU * hertz / f64::from(self.shape.rate);
            let start = phase + step * ((unit * dot) as f64 - edge as f64 / 2.0);
            let (sin_step, cos_step) = step.sin_cos();
            let (mut sin, mut cos) = start.sin_cos();
            for (place, envelope) in sum.iter_mut().zip(&self.envelope) {
                *place += amplitude * envelope * cos;
                (sin, cos) = (sin * cos_step + cos * sin_step, cos * cos_step - sin * sin_step);
            }
        }
        self.overlap = sum.split_off(dot);
        out.extend(sum.iter().map(|&v| (v.clamp(-1.0, 1.0) * self.amplitude) as f32));
    }

    fn preamble(&mut self, out: &mut Vec<f32>) {
        let edge = self.shape.edge();
        match Preamble::of(&self.shape) {
            Preamble::Sweep(sweep) => {
                // As loud as the letters after it.
                let rms = self.shape.amplitude() * (self.shape.streams as f64 * 0.46).sqrt();
                let loud = if self.shape.streams == 1 { self.shape.amplitude() } else { rms };
                let loud = loud * self.amplitude;
                out.extend(sweep.samples().map(|(phase, a)| (loud * a * phase.cos()) as f32));
                let total = Preamble::of(&self.shape).samples() - edge / 2;
                out.resize(out.len() + total - sweep.samples, 0.0);
            }
            Preamble::Signal { dot } => {
                let lead = edge.div_ceil(2);
                out.resize(out.len() + dot - lead, 0.0);
                let hertz = self.shape.hertz(0);
                for (unit, &down) in SIGNAL.iter().enumerate() {
                    let tones: &[(f64, f64)] = if down { &[(hertz, 0.0)] } else { &[] };
                    self.pulse(unit, tones, self.shape.amplitude(), out);
                }
            }
        }
    }
}

impl Shape {
    /// The soft edges of a dot: an eighth of it, and at most the 5 ms which are the custom on the
    /// air. Samples, an even number.
    pub(crate) fn edge(&self) -> usize {
        (self.dot / 16 * 2).min(self.rate as usize / 200)
    }
}
