//! What goes before the letters, by which a receiver finds the beginning and knows the mode.
//!
//! A hopping mode begins with a sweep, a glide over its whole band: matched filtering makes a
//! single sharp peak of it, in noise and in rooms alike, and each mode has its own slope. `Plain` begins
//! with the starting signal of ITU-R M.1677-1, `-.-.-`.

use std::f64::consts::{PI, TAU};

use super::mode::{Mode, Shape};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Preamble {
    Sweep(Sweep),
    /// The starting signal and a gap between words; a dot is so long.
    Signal {
        dot: usize,
    },
}

/// A glide from the first to the second pitch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sweep {
    pub(crate) mode: Mode,
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) samples: usize,
    /// Samples a second.
    rate: u32,
}

/// The keying of the starting signal, with a gap between words after it.
pub(crate) const SIGNAL: [bool; 20] = [
    true, true, true, false, true, false, true, true, true, false, true, false, true, true, true,
    false, false, false, false, false,
];

/// Between sweep and letters, so that the first echoes die away: samples.
const GAP: usize = 192;
/// The soft beginning and end of a sweep, samples.
const EDGE: usize = 48;

/// The longest sweep, samples.
pub(crate) const LONGEST_SWEEP: usize = 3840;

impl Sweep {
    pub(crate) fn of(shape: &Shape) -> Option<Self> {
        let mode = shape.mode;
        let (low, high) = match shape.band {
            Some(band) => (band.low, band.high),
            None => (900.0, if mode == Mode::Cable { 16_900.0 } else { 9100.0 }),
        };
        let (from, to, samples) = match mode {
            Mode::Plain => return None,
            Mode::Rescue => (low, high, LONGEST_SWEEP),
            Mode::Room => (high, low, 3072),
            Mode::Brisk => (low, high, 2304),
            Mode::Fast => (high, low, 1920),
            Mode::Cable => (low, high, 1152),
        };
        Some(Self { mode, from, to, samples, rate: shape.rate })
    }

    /// The phase at each sample, and the amplitude there.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (f64, f64)> + use<> {
        let (from, slope, count) = (self.from, self.to - self.from, self.samples);
        let rate = f64::from(self.rate);
        (0..count).map(move |i| {
            let part = (i as f64 + 0.5) / count as f64;
            let seconds = count as f64 / rate;
            let phase = TAU * seconds * part * (from + slope * part / 2.0);
            let edge = (i.min(count - 1 - i) as f64 + 0.5) / EDGE as f64;
            let amplitude = if edge < 1.0 { 0.5 - 0.5 * (PI * edge).cos() } else { 1.0 };
            (phase, amplitude)
        })
    }
}

impl Preamble {
    pub(crate) fn of(shape: &Shape) -> Self {
        Sweep::of(shape).map_or(Self::Signal { dot: shape.dot }, Self::Sweep)
    }

    /// From its first sample to the first dot length of the header.
    pub(crate) fn samples(&self) -> usize {
        match self {
            Self::Sweep(sweep) => sweep.samples + GAP,
            Self::Signal { dot } => (SIGNAL.len() + 1) * dot,
        }
    }
}
