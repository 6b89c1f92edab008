//! Finds sweeps in sound.
//!
//! A matched filter for each mode's sweep, by fast convolution. What counts is the share of the
//! power in the band that is explained by the sweep, so that the level does not matter.

use std::sync::Arc;

use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use super::mode::{Mode, RATE};
use super::preamble::{LONGEST_SWEEP, Sweep};

/// Samples by which the search goes on; how late a sweep is found, at most, after its end.
pub(crate) const HOP: usize = 2048;
const SIZE: usize = 6144;
const _: () = assert!(HOP + LONGEST_SWEEP <= SIZE);

/// The least share of the power that makes a sweep. In noise alone each of the samples in a second has
/// it with a chance of 1e-11.
const LEAST_SHARE: f32 = 0.09;

/// A sweep that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) mode: Mode,
    /// Its first sample, counted from that of the window.
    pub(crate) start: usize,
    /// The share of the power that it explains, 0 to 1.
    pub(crate) share: f32,
}

struct Template {
    sweep: Sweep,
    spectrum: Vec<Complex32>,
    energy: f32,
    /// The first bin of the band, and the bin behind its last.
    band: (usize, usize),
}

/// The search. It is given overlapping windows of sound.
pub(crate) struct Search {
    forward: Arc<dyn Fft<f32>>,
    backward: Arc<dyn Fft<f32>>,
    templates: Vec<Template>,
    spectrum: Vec<Complex32>,
    scratch: Vec<Complex32>,
    filtered: Vec<Complex32>,
    /// Sums of the power in the band up to each sample.
    power: Vec<f32>,
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search").finish_non_exhaustive()
    }
}

impl Search {
    pub(crate) fn new() -> Self {
        let mut planner = FftPlanner::new();
        let (forward, backward) = (planner.plan_fft_forward(SIZE), planner.plan_fft_inverse(SIZE));
        let template = |sweep: Sweep| {
            let mut spectrum: Vec<Complex32> = sweep
                .samples()
                .map(|(phase, amplitude)| Complex32::from_polar(amplitude as f32, phase as f32))
                .collect();
            let energy = spectrum.iter().map(Complex32::norm_sqr).sum();
            spectrum.resize(SIZE, Complex32::default());
            forward.process(&mut spectrum);
            let bin = |hertz: f64| (hertz * SIZE as f64 / f64::from(RATE)).round() as usize;
            let band = (bin(sweep.from.min(sweep.to)), bin(sweep.from.max(sweep.to)) + 1);
            Template { sweep, spectrum, energy, band }
        };
        let mut templates: Vec<_> =
            Mode::ALL.into_iter().filter_map(Sweep::of).map(template).collect();
        templates.sort_by_key(|template| template.band);
        let scratch = forward.get_inplace_scratch_len().max(backward.get_inplace_scratch_len());
        let empty = vec![Complex32::default(); SIZE];
        Self {
            forward,
            backward,
            templates,
            spectrum: empty.clone(),
            scratch: vec![Complex32::default(); scratch],
            filtered: empty,
            power: vec![0.0; SIZE + 1],
        }
    }

    /// The samples that a window has.
    pub(crate) const WINDOW: usize = SIZE;

    /// Looks for sweeps that end within the last [`HOP`] samples of a window: the best of each mode.
    pub(crate) fn look(&mut self, window: &[f32], found: &mut Vec<Found>) {
        for (place, &sample) in self.spectrum.iter_mut().zip(window) {
            *place = Complex32::new(sample, 0.0);
        }
        self.forward.process_with_scratch(&mut self.spectrum, &mut self.scratch);
        let mut band = (0, 0);
        for template in &self.templates {
            if template.band != band {
                band = template.band;
                self.filtered.fill(Complex32::default());
                self.filtered[band.0..band.1].copy_from_slice(&self.spectrum[band.0..band.1]);
                self.backward.process_with_scratch(&mut self.filtered, &mut self.scratch);
                let mut sum = 0.0f64;
                for (place, value) in self.power[1..].iter_mut().zip(&self.filtered) {
                    sum += f64::from(value.norm_sqr());
                    *place = sum as f32;
                }
            }
            self.filtered.fill(Complex32::default());
            for bin in band.0..band.1 {
                self.filtered[bin] = self.spectrum[bin] * template.spectrum[bin].conj();
            }
            self.backward.process_with_scratch(&mut self.filtered, &mut self.scratch);
            let length = template.sweep.samples;
            let mut best = (0.0f32, 0);
            let first = SIZE - HOP - length;
            for (start, value) in self.filtered.iter().enumerate().skip(first).take(HOP) {
                // Both sums have the transform's factor twice.
                let power = self.power[start + length] - self.power[start];
                let share = value.norm_sqr() / (power * template.energy).max(1e-20);
                if share > best.0 {
                    best = (share, start);
                }
            }
            if best.0 >= LEAST_SHARE {
                found.push(Found { mode: template.sweep.mode, start: best.1, share: best.0 });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    fn window(sweep: Option<(Sweep, usize)>, level: f64, noise: &mut Noise) -> Vec<f32> {
        let mut sound: Vec<f64> = (0..SIZE).map(|_| noise.gaussian() * 0.01).collect();
        if let Some((sweep, start)) = sweep {
            for (place, (phase, amplitude)) in sound[start..].iter_mut().zip(sweep.samples()) {
                *place += level * amplitude * phase.cos();
            }
        }
        sound.iter().map(|&v| v as f32).collect()
    }

    #[test]
    fn each_sweep_is_found_where_it_is_and_no_other() {
        let (mut search, mut noise) = (Search::new(), Noise::new(3));
        for mode in Mode::ALL {
            let Some(sweep) = Sweep::of(mode) else { continue };
            // -1 dB in 2500 Hz; 5 dB with the double band
            let weak = if mode == Mode::Cable { 0.008 } else { 0.004 };
            for (level, end) in [(weak, 1), (weak, 1234), (1.0, 2047)] {
                let start = SIZE - end - sweep.samples;
                let mut found = Vec::new();
                search.look(&window(Some((sweep, start)), level, &mut noise), &mut found);
                assert_eq!(found.len(), 1, "{mode} {level}: {found:?}");
                assert_eq!(found[0].mode, mode);
                assert!(found[0].start.abs_diff(start) <= 1, "{mode} {start}: {found:?}");
            }
        }
    }

    #[test]
    fn noise_has_no_sweeps() {
        let (mut search, mut noise) = (Search::new(), Noise::new(4));
        let mut found = Vec::new();
        for _ in 0..300 {
            search.look(&window(None, 0.0, &mut noise), &mut found);
        }
        assert_eq!(found, []);
        search.look(&vec![0.0; SIZE], &mut found);
        assert_eq!(found, []);
    }
}
