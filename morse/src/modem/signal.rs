//! Finds the starting signal of plain Morse, `-.-.-`.
//!
//! The amplitude of the tone over a dot length, eight times in each, is compared with the keying of
//! the signal and the gap after it (a correlation coefficient, so that the level does not matter).

use std::collections::VecDeque;
use std::f64::consts::TAU;

use super::mode::Shape;
use super::preamble::SIGNAL;

/// Looks in a dot length.
const LOOKS: usize = 8;
const LENGTH: usize = SIGNAL.len() * LOOKS;
/// What is less like the signal is none; noise alone is so every hour or so.
const LEAST_LIKENESS: f32 = 0.8;

#[derive(Debug)]
pub(crate) struct SignalSearch {
    /// The tone's phasors from one look to the next.
    phasors: [Vec<f32>; 2],
    /// The tone's phase at the last look, and by how much it goes on.
    phase: f64,
    step: f64,
    /// Samples from one look to the next.
    hop: usize,
    sum: (f32, f32),
    count: usize,
    looks: u64,
    parts: VecDeque<(f32, f32)>,
    amplitudes: VecDeque<f32>,
    /// The likeness at the last looks, the newest last.
    likeness: VecDeque<f32>,
}

impl SignalSearch {
    pub(crate) fn new(shape: &Shape) -> Self {
        let (step, hop) = (TAU * shape.hertz(0) / f64::from(shape.rate), shape.dot / LOOKS);
        let angles = (0..hop).map(|i| step * i as f64);
        Self {
            phasors: [
                angles.clone().map(|angle| angle.cos() as f32).collect(),
                angles.map(|angle| angle.sin() as f32).collect(),
            ],
            hop,
            phase: 0.0,
            step: step * hop as f64,
            sum: (0.0, 0.0),
            count: 0,
            looks: 0,
            parts: VecDeque::new(),
            amplitudes: VecDeque::new(),
            likeness: VecDeque::new(),
        }
    }

    /// Takes samples. For each signal that has ended a dot length ago: its first sample, counted from the
    /// first of all, and its likeness.
    pub(crate) fn take(&mut self, mut samples: &[f32], found: &mut Vec<(f64, f32)>) {
        while !samples.is_empty() {
            let (piece, rest) = samples.split_at(samples.len().min(self.hop - self.count));
            let [cos, sin] = &self.phasors;
            self.sum.0 += product(piece, &cos[self.count..]);
            self.sum.1 += product(piece, &sin[self.count..]);
            self.count += piece.len();
            samples = rest;
            if self.count == self.hop {
                found.extend(self.look());
            }
        }
    }

    fn look(&mut self) -> Option<(f64, f32)> {
        let (re, im) = std::mem::take(&mut self.sum);
        let (sin, cos) = (self.phase.sin() as f32, self.phase.cos() as f32);
        keep(&mut self.parts, (re * cos - im * sin, re * sin + im * cos), LOOKS);
        self.phase = (self.phase + self.step) % TAU;
        self.count = 0;
        let (re, im) = self.parts.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        keep(&mut self.amplitudes, f32::hypot(re, im), LENGTH);
        self.looks += 1;
        let likeness = self.compare();
        keep(&mut self.likeness, likeness, 2 * LOOKS + 1);
        self.peak()
    }

    fn compare(&self) -> f32 {
        if self.amplitudes.len() < LENGTH {
            return 0.0;
        }
        let heard = || self.amplitudes.iter().skip(LOOKS - 1).step_by(LOOKS);
        let count = SIGNAL.len() as f32;
        let down = SIGNAL.iter().filter(|&&down| down).count() as f32;
        let mean = heard().sum::<f32>() / count;
        let spread: f32 = heard().map(|a| (a - mean).powi(2)).sum();
        let marks: f32 = heard().zip(SIGNAL).filter(|(_, down)| *down).map(|(a, _)| a - mean).sum();
        marks / (spread * down * (1.0 - down / count)).sqrt().max(1e-12)
    }

    /// The likeness was never higher, a dot length before and after.
    fn peak(&self) -> Option<(f64, f32)> {
        let middle = *self.likeness.get(LOOKS)?;
        if middle < LEAST_LIKENESS || self.likeness.iter().any(|&other| other > middle) {
            return None;
        }
        let (before, after) = (self.likeness[LOOKS - 1], self.likeness[LOOKS + 1]);
        let bend = (2.0 * middle - before - after).max(1e-6);
        let between = f64::from(((after - before) / (2.0 * bend)).clamp(-0.5, 0.5));
        // A look is at the end of its dot length.
        let end = (self.looks - LOOKS as u64) as f64 + between;
        Some(((end - LENGTH as f64) * self.hop as f64, middle))
    }
}

/// The sum of products, in lanes, which the compiler makes one of.
fn product(sound: &[f32], factors: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let factors = &factors[..sound.len()];
    let ((eights, rest), (factors, last)) = (sound.as_chunks::<8>(), factors.as_chunks::<8>());
    for (eight, factors) in eights.iter().zip(factors) {
        for lane in 0..8 {
            lanes[lane] += eight[lane] * factors[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().zip(last).map(|(a, b)| a * b).sum::<f32>()
}

fn keep<T>(queue: &mut VecDeque<T>, value: T, most: usize) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(value);
}
