//! A packet that is arriving.

use super::coding::{self, Decoded, Heard, Layout};
use super::header::Header;
use super::levels::Levels;
use super::mode::Shape;
use super::trellis::{Reading, Trellis};
use crate::packing::BLOCK_BYTES;

/// How far a packet has come.
#[derive(Debug)]
pub(crate) enum Progress {
    /// More sound is needed.
    Waiting,
    /// There was no packet.
    Nothing,
    /// The header is there.
    Begun(Header),
    /// A row of blocks is there: the letters of each stream.
    Letters(Vec<String>),
}

/// A packet that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) header: Header,
    pub(crate) decoded: Option<Decoded>,
    /// Power of all streams over that of noise in 2500 Hz.
    pub(crate) snr: f32,
    /// Energy of a dot over the noise density, echoes counted as noise.
    pub(crate) dot_ratio: f32,
    /// Parts in a million by which the sender's clock is slow.
    pub(crate) ppm: f64,
}

/// Phasors of each tone over a dot.
#[derive(Debug)]
struct Tones {
    table: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Tones {
    fn new(shape: &Shape) -> Self {
        let phasor = |tone| {
            let step = std::f64::consts::TAU * shape.hertz(tone) / f64::from(shape.rate);
            let sine = |i: usize| (step * i as f64).sin_cos();
            (0..shape.dot).map(|i| (sine(i).1 as f32, sine(i).0 as f32)).unzip()
        };
        Self { table: (0..shape.tones).map(phasor).collect() }
    }

    /// The power of a tone in a dot length of sound, over its length.
    fn power(&self, tone: usize, sound: &[f32]) -> f32 {
        let (cos, sin) = &self.table[tone];
        // Sums in lanes, which the compiler makes one of.
        let (mut re, mut im) = ([0.0f32; 8], [0.0f32; 8]);
        for ((s, c), n) in sound.chunks_exact(8).zip(cos.chunks_exact(8)).zip(sin.chunks_exact(8)) {
            for lane in 0..8 {
                re[lane] += s[lane] * c[lane];
                im[lane] += s[lane] * n[lane];
            }
        }
        let (re, im): (f32, f32) = (re.iter().sum(), im.iter().sum());
        (re * re + im * im) / sound.len() as f32
    }
}

/// The powers of a row: those at the expected time, somewhat before it, and somewhat after it.
type Powers = [Vec<f32>; 3];

/// A packet of which the beginning has been found.
#[derive(Debug)]
pub(crate) struct Reception {
    shape: Shape,
    tones: Tones,
    /// How sure the search was of the beginning.
    pub(crate) clarity: f32,
    /// Where the header begins, counted from the first sample of all.
    pub(crate) start: f64,
    /// Where the next row begins, counted from the first sample of all; and how much longer a
    /// dot is than it should be.
    pub(crate) next: f64,
    stretch: f64,
    row: usize,
    levels: Levels,
    header: Option<(Header, Layout)>,
    heard: Vec<Heard>,
    /// The powers of all rows so far, for a second reading.
    powers: Vec<f32>,
    readings: Vec<Vec<bool>>,
}

impl Reception {
    /// A packet whose header begins at a sample.
    pub(crate) fn new(shape: Shape, start: f64, clarity: f32) -> Self {
        Self {
            shape,
            tones: Tones::new(&shape),
            clarity,
            start,
            next: start,
            stretch: 0.0,
            row: 0,
            levels: Levels::new(&shape),
            header: None,
            heard: Vec::new(),
            powers: Vec::new(),
            readings: Vec::new(),
        }
    }

    /// Whether this is the same packet as one that begins there.
    pub(crate) fn is_near(&self, shape: &Shape, start: f64) -> bool {
        self.row == 0
            && self.shape.mode == shape.mode
            && (self.next - start).abs() < self.shape.dot.max(self.shape.rate as usize / 80) as f64
    }

    pub(crate) fn has_header(&self) -> bool {
        self.header.is_some()
    }

    pub(crate) fn mode(&self) -> super::Mode {
        self.shape.mode
    }

    /// The first sample that is still needed.
    pub(crate) fn needs(&self) -> u64 {
        (self.next - self.early() as f64 - 2.0).max(0.0) as u64
    }

    /// By how much the early and the late powers are off: a sixteenth of a dot.
    fn early(&self) -> usize {
        (self.shape.dot / 16).max(2)
    }

    fn dot(&self) -> f64 {
        self.shape.dot as f64 * (1.0 + self.stretch)
    }

    /// Where the letters of the last row ended: after them is the pause between words.
    pub(crate) fn end_of_letters(&self) -> f64 {
        self.next - self.shape.pause as f64 * self.dot()
    }

    /// How long the packet takes from its header on, seconds.
    pub(crate) fn seconds(&self) -> f64 {
        let rows = self.header.map_or(0, |(_, layout)| layout.rows);
        (rows * self.shape.block_units() * self.shape.dot) as f64 / f64::from(self.shape.rate)
    }

    /// Goes on as far as the sound reaches that begins with sample `base`.
    pub(crate) fn advance(&mut self, sound: &[f32], base: u64) -> Progress {
        let units = self.shape.block_units();
        // The pause after the last block need not be waited for.
        let last = (units - self.shape.pause) as f64;
        let end = self.next + last * self.dot() + self.early() as f64 + 2.0;
        if end > (base + sound.len() as u64) as f64 {
            return Progress::Waiting;
        }
        let powers = self.measure(sound, base);
        if self.header.is_none() {
            let Some((header, keying)) = self.find_header(&powers[0]) else {
                return Progress::Nothing;
            };
            let layout = Layout::new(&self.shape, header.length);
            self.header = Some((header, layout));
            self.first_levels(&powers[0], &keying);
            return Progress::Begun(header);
        }
        let readings = self.read(&powers[0]);
        self.learn(&powers[0], &readings);
        let readings = if self.row == 0 { self.reread(&powers[0]) } else { readings };
        self.follow(&powers, &readings);
        self.next += units as f64 * self.dot();
        self.row += 1;
        let letters = readings.iter().map(|reading| reading.letters.clone()).collect();
        self.keep(&readings);
        self.powers.extend_from_slice(&powers[0]);
        self.readings.extend(readings.into_iter().map(|reading| reading.keying));
        Progress::Letters(letters)
    }

    /// The result, once all rows are there.
    pub(crate) fn finish(&mut self) -> Option<Box<Ended>> {
        let (header, layout) = self.header?;
        if self.row < layout.rows {
            return None;
        }
        let mut decoded = self.decode(&layout);
        for _ in 0..2 {
            if decoded.is_some() {
                break;
            }
            self.read_again();
            decoded = self.decode(&layout);
        }
        let dot_ratio = self.levels.ratio();
        let streams = self.shape.streams as f32;
        let dot = self.shape.dot as f32 / self.shape.rate as f32;
        let snr = dot_ratio * 0.46 * streams / (dot * 2500.0);
        let ppm = self.stretch * 1e6;
        Some(Box::new(Ended { header, decoded, snr, dot_ratio, ppm }))
    }

    fn decode(&self, layout: &Layout) -> Option<Decoded> {
        coding::decode(layout, self.heard.get(BLOCK_BYTES..)?)
    }

    /// Reads all rows anew with the levels that they had together.
    fn read_again(&mut self) {
        let per_row = 130 * self.shape.streams;
        let mut levels = Levels::new(&self.shape);
        for (row, readings) in self.readings.chunks(self.shape.streams).enumerate() {
            let powers = &self.powers[row * per_row..][..per_row];
            for (stream, keying) in readings.iter().enumerate() {
                for (unit, &down) in keying.iter().enumerate() {
                    let tone = self.tone(row, unit, stream);
                    let power = powers[unit * self.shape.streams + stream];
                    levels.learn(tone, power, f32::from(u8::from(down)));
                }
            }
        }
        levels.settle();
        self.levels = levels;
        self.heard.clear();
        let powers = std::mem::take(&mut self.powers);
        let rows = std::mem::take(&mut self.row);
        for row in powers.chunks(per_row) {
            let readings = self.read(row);
            self.keep(&readings);
            for (stream, reading) in readings.into_iter().enumerate() {
                self.readings[self.row * self.shape.streams + stream] = reading.keying;
            }
            self.row += 1;
        }
        debug_assert_eq!(rows, self.row);
        self.powers = powers;
    }

    fn tone(&self, row: usize, unit: usize, stream: usize) -> usize {
        self.shape.tone(row * self.shape.block_units() + unit, stream)
    }

    /// The powers of this row's dot lengths, those of the streams beside each other.
    fn measure(&self, sound: &[f32], base: u64) -> Powers {
        let (streams, dot, early) = (self.shape.streams, self.shape.dot, self.early());
        let mut powers: Powers = std::array::from_fn(|_| Vec::with_capacity(130 * streams));
        for unit in 0..130 {
            let start = (self.next + unit as f64 * self.dot()).round() as u64;
            for (powers, shift) in powers.iter_mut().zip([early, 0, 2 * early]) {
                let from = (start + shift as u64).saturating_sub(base + early as u64) as usize;
                let piece = sound.get(from..from + dot).unwrap_or_default();
                for stream in 0..streams {
                    let tone = self.tone(self.row, unit, stream);
                    powers.push(if piece.is_empty() { 0.0 } else { self.tones.power(tone, piece) });
                }
            }
        }
        powers
    }

    fn find_header(&self, powers: &[f32]) -> Option<(Header, Vec<bool>)> {
        let powers: Vec<f32> = powers.iter().step_by(self.shape.streams).copied().collect();
        let mean = powers.iter().sum::<f32>() / 130.0;
        let mut tones = vec![(0.0f32, 0.0f32); self.shape.tones];
        for (unit, &power) in powers.iter().enumerate() {
            let (sum, count) = &mut tones[self.tone(0, unit, 0)];
            (*sum, *count) = (*sum + power, *count + 1.0);
        }
        // Tones that arrive weakly say as much as the others, nearly.
        let amplitude = |(unit, power): (usize, &f32)| {
            let (sum, count) = tones[self.tone(0, unit, 0)];
            let usual = 0.5 * mean + 0.5 * sum / count.max(1.0);
            (power / usual.max(1e-20)).sqrt().min(2.0)
        };
        let amplitudes: Vec<f32> = powers.iter().enumerate().map(amplitude).collect();
        let (header, _, keying) = Header::find(&amplitudes)?;
        Some((header, keying))
    }

    /// Levels from the header, whose letters are known, then from the other streams beside it.
    fn first_levels(&mut self, powers: &[f32], keying: &[bool]) {
        let streams = self.shape.streams;
        let header = |levels: &mut Levels, whole: &Self| {
            for (unit, &down) in keying.iter().enumerate() {
                let down = f32::from(u8::from(down));
                levels.learn(whole.tone(0, unit, 0), powers[unit * streams], down);
            }
        };
        let mut levels = Levels::new(&self.shape);
        header(&mut levels, self);
        levels.settle();
        for _ in 0..if streams > 1 { 3 } else { 0 } {
            let mut better = Levels::new(&self.shape);
            header(&mut better, self);
            for unit in 0..130 {
                for stream in 1..streams {
                    let tone = self.tone(0, unit, stream);
                    let power = powers[unit * streams + stream];
                    let odds = levels.evidence(tone, power);
                    better.learn(tone, power, 1.0 / (1.0 + (-odds).exp()));
                }
            }
            better.settle();
            levels = better;
        }
        self.levels = levels;
    }

    fn read(&self, powers: &[f32]) -> Vec<Reading> {
        let streams = self.shape.streams;
        let mut evidence = vec![0.0; 130];
        (0..streams)
            .map(|stream| {
                for (unit, place) in evidence.iter_mut().enumerate() {
                    let tone = self.tone(self.row, unit, stream);
                    *place = self.levels.evidence(tone, powers[unit * streams + stream]);
                }
                Trellis::shared().read(&evidence)
            })
            .collect()
    }

    /// The first row again, with what its own letters say about the levels.
    fn reread(&mut self, powers: &[f32]) -> Vec<Reading> {
        let readings = self.read(powers);
        self.levels = Levels::new(&self.shape);
        self.learn(powers, &readings);
        self.read(powers)
    }

    fn learn(&mut self, powers: &[f32], readings: &[Reading]) {
        self.levels.fade();
        for (stream, reading) in readings.iter().enumerate() {
            for (unit, &down) in reading.keying.iter().enumerate() {
                let tone = self.tone(self.row, unit, stream);
                let power = powers[unit * self.shape.streams + stream];
                self.levels.learn(tone, power, f32::from(u8::from(down)));
            }
        }
        self.levels.settle();
    }

    /// Moves the next row to where the marks stand out most.
    fn follow(&mut self, powers: &Powers, readings: &[Reading]) {
        let mut contrast = [0.0f64; 3];
        for (contrast, powers) in contrast.iter_mut().zip(powers) {
            for (stream, reading) in readings.iter().enumerate() {
                for (unit, &down) in reading.keying.iter().enumerate() {
                    let tone = self.tone(self.row, unit, stream);
                    let power = powers[unit * self.shape.streams + stream];
                    let power = f64::from((power / self.levels.signal(tone)).min(4.0));
                    *contrast += if down { power } else { -power };
                }
            }
        }
        let [now, before, after] = contrast;
        let bend = 2.0 * now - before - after;
        let step = self.early() as f64;
        if bend <= 0.0 || !bend.is_finite() {
            return;
        }
        let off = ((after - before) / (2.0 * bend)).clamp(-1.0, 1.0) * step;
        let row = self.shape.block_units() as f64 * self.shape.dot as f64;
        self.next += 0.3 * off;
        self.stretch = (self.stretch + 0.04 * off / row).clamp(-4e-4, 4e-4);
    }

    fn keep(&mut self, readings: &[Reading]) {
        for reading in readings {
            let bytes = reading.bytes.unwrap_or_default();
            let heard = bytes.iter().zip(reading.sureties);
            self.heard.extend(heard.map(|(&byte, surety)| Heard { byte, surety }));
        }
    }
}
