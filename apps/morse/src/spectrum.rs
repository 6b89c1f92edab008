//! Short-time spectra, for pictures and waterfalls.

use std::f64::consts::TAU;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

/// Makes spectra of a fixed length of time.
pub(crate) struct Spectrum {
    rate: f64,
    window: Vec<f32>,
    fft: Arc<dyn RealToComplex<f32>>,
    input: Vec<f32>,
    output: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl std::fmt::Debug for Spectrum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spectrum").field("span", &self.window.len()).finish_non_exhaustive()
    }
}

impl Spectrum {
    /// Spectra of `span` seconds at a sample rate. Lines are at most `spacing` hertz apart.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded here")]
    pub(crate) fn new(rate: u32, span: f64, spacing: f64) -> Self {
        let rate = f64::from(rate);
        let length = ((span * rate) as usize).clamp(8, 1 << 16);
        let padded = length.max((rate / spacing) as usize).next_power_of_two().min(1 << 17);
        let hann = |i: usize| 1.0 - (TAU * (i as f64 + 0.5) / length as f64).cos();
        let fft = RealFftPlanner::new().plan_fft_forward(padded);
        Self {
            rate,
            // A sine of amplitude 1 has a line of 1.
            window: (0..length).map(|i| (hann(i) / length as f64 * 2.0) as f32).collect(),
            input: fft.make_input_vec(),
            output: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
        }
    }

    /// How many samples a spectrum is of.
    pub(crate) fn span(&self) -> usize {
        self.window.len()
    }

    /// Hertz between two lines.
    pub(crate) fn spacing(&self) -> f64 {
        self.rate / self.input.len() as f64
    }

    /// The lines of these samples in dB below a sine of full scale, from 0 Hz up. Missing samples
    /// are silence.
    pub(crate) fn of<'a>(&mut self, samples: impl IntoIterator<Item = &'a f32>) -> Vec<f32> {
        self.input.fill(0.0);
        let windowed = samples.into_iter().zip(&self.window).map(|(sample, w)| sample * w);
        for (place, sample) in self.input.iter_mut().zip(windowed) {
            *place = sample;
        }
        // It only fails if the lengths are wrong, and the planner made them.
        let _ = self.fft.process_with_scratch(&mut self.input, &mut self.output, &mut self.scratch);
        self.output.iter().map(|line| 10.0 * (line.norm_sqr() + 1e-14).log10()).collect()
    }

    /// The level between two lines of a spectrum, in dB.
    pub(crate) fn at(&self, lines: &[f32], hz: f64) -> f32 {
        let position = (hz / self.spacing()).max(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let (index, part) = (position as usize, position.fract() as f32);
        match (lines.get(index), lines.get(index + 1)) {
            (Some(a), Some(b)) => a + (b - a) * part,
            _ => -140.0,
        }
    }
}

/// The amplitude of one frequency in some samples: a sine of amplitude 1 gives 1.
pub(crate) fn amplitude(samples: &[f32], hz: f64, rate: u32) -> f64 {
    let (step_sin, step_cos) = (TAU * hz / f64::from(rate)).sin_cos();
    let (mut sin, mut cos) = (0.0, 1.0);
    let (mut re, mut im) = (0.0, 0.0);
    for &sample in samples {
        re += f64::from(sample) * cos;
        im += f64::from(sample) * sin;
        (sin, cos) = (sin * step_cos + cos * step_sin, cos * step_cos - sin * step_sin);
    }
    2.0 * re.hypot(im) / samples.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_of_full_scale_is_0_db_at_its_place() {
        let mut spectrum = Spectrum::new(8000, 0.05, 5.0);
        #[expect(clippy::cast_possible_truncation, reason = "sound is f32")]
        let sine: Vec<f32> =
            (0..400).map(|i| (TAU * 700.0 * f64::from(i) / 8000.0).sin() as f32).collect();
        let lines = spectrum.of(&sine);
        assert!(spectrum.at(&lines, 700.0).abs() < 0.2, "{}", spectrum.at(&lines, 700.0));
        assert!(spectrum.at(&lines, 900.0) < -40.0);
        assert!((amplitude(&sine, 700.0, 8000) - 1.0).abs() < 0.01);
        assert!(amplitude(&sine, 900.0, 8000) < 0.05);
        assert!(spectrum.at(&spectrum_of_silence(), 100.0) < -130.0);
    }

    fn spectrum_of_silence() -> Vec<f32> {
        Spectrum::new(8000, 0.05, 5.0).of(&[])
    }
}
