//! Finds sweeps in sound.
//!
//! A matched filter for each mode's sweep, by fast convolution. What counts is the share of the
//! power in the band that is explained by the sweep, so that the level does not matter.

use std::f64::consts::TAU;
use std::sync::Arc;

use rustfft::num_complex::{Complex32, Complex64};
use rustfft::{Fft, FftPlanner};

use super::Config;
use super::mode::{Mode, RATE};
use super::preamble::{LONGEST_SWEEP, Sweep};

/// Samples by which the search goes on; how late a sweep is found, at most, after its end.
pub(crate) const HOP: usize = 2048;
const SIZE: usize = 6144;
/// What the filters give has no more than half of the band, so that every other sample says all.
const HALF: usize = SIZE / 2;
/// How much less at least a sample has of a sweep than the one beside it.
const BETWEEN: f32 = 0.6;
const _: () = assert!(HOP + LONGEST_SWEEP <= SIZE && SIZE.is_multiple_of(8));

/// The least share of the power that makes a sweep; more for one that is short in a narrow band, so that in
/// noise alone a sample hardly ever has it.
const LEAST_SHARE: f64 = 0.09;
const LEAST_CHANCE: f64 = 1e-13;

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
    least: f32,
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
    /// Sums of the power in the band up to each other sample.
    power: Vec<f32>,
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search").finish_non_exhaustive()
    }
}

impl Search {
    /// The search for the modes for which there is room.
    pub(crate) fn new(config: &Config) -> Self {
        let mut planner = FftPlanner::new();
        let (forward, backward) = (planner.plan_fft_forward(SIZE), planner.plan_fft_inverse(HALF));
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
            // Noise has as many dimensions, and one of them is like the sweep.
            let dimensions = (sweep.from - sweep.to).abs() * sweep.samples as f64 / f64::from(RATE);
            let least = LEAST_SHARE.max(1.0 - LEAST_CHANCE.powf(1.0 / (dimensions - 1.0)));
            Template { sweep, spectrum, energy, least: least as f32, band }
        };
        let modes = Mode::ALL.into_iter().filter(|&mode| config.has_room(mode));
        let sweeps = modes.filter_map(|mode| Sweep::of(&config.shape(mode)));
        let mut templates: Vec<_> = sweeps.map(template).collect();
        templates.sort_by_key(|template| template.band);
        let scratch = forward.get_inplace_scratch_len().max(backward.get_inplace_scratch_len());
        Self {
            forward,
            backward,
            templates,
            spectrum: vec![Complex32::default(); SIZE],
            scratch: vec![Complex32::default(); scratch],
            filtered: vec![Complex32::default(); HALF],
            power: vec![0.0; HALF + 1],
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
                let bins = band.0..band.1;
                self.filtered.fill(Complex32::default());
                self.filtered[bins.clone()].copy_from_slice(&self.spectrum[bins]);
                self.backward.process_with_scratch(&mut self.filtered, &mut self.scratch);
                sum_up(&self.filtered, &mut self.power[1..]);
            }
            self.filtered.fill(Complex32::default());
            for (place, product) in
                self.filtered[band.0..band.1].iter_mut().zip(template.products(&self.spectrum))
            {
                *place = product;
            }
            self.backward.process_with_scratch(&mut self.filtered, &mut self.scratch);
            let length = template.sweep.samples / 2;
            let first = HALF - HOP / 2 - length;
            let filtered = &self.filtered[first..first + HOP / 2];
            let ends = &self.power[first + length..];
            let mut best = (template.least * BETWEEN, None);
            for (at, (value, (end, begin))) in
                filtered.iter().zip(ends.iter().zip(&self.power[first..])).enumerate()
            {
                // Both sums have the transform's factor twice, that of power every other sample.
                let most = (2.0 * (end - begin) * template.energy).max(1e-20);
                if value.norm_sqr() > best.0 * most {
                    best = (value.norm_sqr() / most, Some((2 * (first + at), most)));
                }
            }
            let (share, Some((start, most))) = best else { continue };
            let beside = [start.wrapping_sub(1), start + 1]
                .map(|start| (template.at(&self.spectrum, start) / most, start));
            let (share, start) = beside
                .into_iter()
                .fold((share, start), |best, other| if other.0 > best.0 { other } else { best });
            if share >= template.least {
                found.push(Found { mode: template.sweep.mode, start, share });
            }
        }
    }
}

impl Template {
    /// The spectrum of what the filter makes of sound, in its band.
    fn products(&self, spectrum: &[Complex32]) -> impl Iterator<Item = Complex32> {
        let bins = self.band.0..self.band.1;
        let pairs = spectrum[bins.clone()].iter().zip(&self.spectrum[bins]);
        pairs.map(|(sound, template)| sound * template.conj())
    }

    /// The power of what the filter makes of sound at one sample.
    fn at(&self, spectrum: &[Complex32], sample: usize) -> f32 {
        let angle = |bin: usize| TAU * (bin * sample % SIZE) as f64 / SIZE as f64;
        let step = Complex64::cis(angle(1));
        let mut turn = Complex64::cis(angle(self.band.0));
        let mut sum = Complex64::default();
        for product in self.products(spectrum) {
            sum += Complex64::new(product.re.into(), product.im.into()) * turn;
            turn *= step;
        }
        sum.norm_sqr() as f32
    }
}

/// The power of sound up to each sample.
fn sum_up(sound: &[Complex32], sums: &mut [f32]) {
    let mut sum = 0.0f64;
    for (places, values) in sums.as_chunks_mut::<4>().0.iter_mut().zip(sound.as_chunks::<4>().0) {
        let [a, b, c, d] = values.map(|value| f64::from(value.norm_sqr()));
        *places = [a, a + b, a + b + c, (a + b) + (c + d)].map(|part| (sum + part) as f32);
        sum += (a + b) + (c + d);
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
        let (mut search, mut noise) = (Search::new(&Config::new(RATE)), Noise::new(3));
        for mode in Mode::ALL {
            let Some(sweep) = Sweep::of(&Config::new(RATE).shape(mode)) else { continue };
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
        let (mut search, mut noise) = (Search::new(&Config::new(RATE)), Noise::new(4));
        let mut found = Vec::new();
        for _ in 0..300 {
            search.look(&window(None, 0.0, &mut noise), &mut found);
        }
        assert_eq!(found, []);
        search.look(&vec![0.0; SIZE], &mut found);
        assert_eq!(found, []);
    }
}
