//! One tone mixed down to zero frequency, as short complex frames.

use rustfft::num_complex::Complex32;

use super::spectrum::{Spectrum, median};

/// A tone at zero frequency: frame by frame, its complex level and the noise around it.
#[derive(Clone, Debug)]
pub(crate) struct Baseband {
    /// Length of a frame, seconds.
    pub frame_seconds: f64,
    /// Mean of the mixed samples of each frame: half the amplitude of the tone, and noise.
    pub frames: Vec<Complex32>,
    /// Variance of the noise in each frame, as `E|noise|²`.
    pub noise: Vec<f32>,
}

/// How the tone's frequency runs over time: `hz(t)` at `t` seconds.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    /// Seconds between knots.
    pub step: f64,
    /// Frequency at each knot, Hz; at least one.
    pub knots: Vec<f64>,
}

impl Track {
    /// A tone that stays where it is.
    pub(crate) fn steady(hz: f64) -> Self {
        Self { step: 1.0, knots: vec![hz] }
    }

    /// The frequency at a time, Hz.
    pub(crate) fn hz(&self, seconds: f64) -> f64 {
        let last = self.knots.len() - 1;
        let x = (seconds / self.step).clamp(0.0, last as f64);
        let i = (x as usize).min(last);
        let j = (i + 1).min(last);
        let f = x - i as f64;
        self.knots[i] * (1.0 - f) + self.knots[j] * f
    }
}

/// Mixes a tone down to frames of `decimation` samples.
///
/// Each frame is weighted by a Hann window of two frames' length: neighbours overlap and add to
/// one, so that a sum of frames is a sum of samples with soft ends and far side bands stay out.
pub(crate) fn mix(samples: &[f32], rate: f64, track: &Track, decimation: usize) -> Vec<Complex32> {
    let count = samples.len() / decimation;
    let mut out = vec![Complex32::default(); count + 2];
    let weights: Vec<f32> = (0..decimation)
        .map(|i| {
            let from_middle = (i as f64 + 0.5) / decimation as f64 - 0.5;
            (0.5 + 0.5 * (std::f64::consts::PI * from_middle).cos()) as f32 / decimation as f32
        })
        .collect();
    let whole = 1.0 / decimation as f32;
    let mut phase = 0.0_f64;
    for (index, block) in samples.chunks_exact(decimation).enumerate() {
        let hz = track.hz((index as f64 + 0.5) * decimation as f64 / rate);
        let step = -std::f64::consts::TAU * hz / rate;
        let turn = Complex32::from_polar(1.0, step as f32);
        let mut oscillator = Complex32::from_polar(1.0, phase as f32);
        let (mut before, mut here, mut after) =
            (Complex32::default(), Complex32::default(), Complex32::default());
        let half = decimation / 2;
        for (i, (&x, &w)) in block.iter().zip(&weights).enumerate() {
            let v = oscillator * x;
            here += v * w;
            if i < half {
                before += v * (whole - w);
            } else {
                after += v * (whole - w);
            }
            oscillator *= turn;
        }
        phase = (phase + step * decimation as f64) % std::f64::consts::TAU;
        out[index] += before;
        out[index + 1] += here;
        out[index + 2] += after;
    }
    out.remove(0);
    out.truncate(count);
    out
}

/// Side bands that show the noise around a tone, Hz from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Skirt {
    /// Nearest.
    pub from_hz: f64,
    /// Farthest.
    pub to_hz: f64,
}

/// Variance of a sample of the noise near a tone, for each frame of the spectrum.
///
/// The median of the side bands takes no notice of a neighbour in a few of them. Where voice or a
/// click lifts them all for a while the estimate follows; else it is the steady one.
pub(crate) fn noise_near(spectrum: &Spectrum, track: &Track, rate: f64, skirt: Skirt) -> Vec<f32> {
    let frames = spectrum.frames();
    let lowest = (60.0 / spectrum.bin_hz).ceil() as i64;
    let (near, far) = (
        (skirt.from_hz / spectrum.bin_hz).round() as i64,
        (skirt.to_hz / spectrum.bin_hz).round() as i64,
    );
    let mut around = Vec::new();
    let raw: Vec<f32> = (0..frames)
        .map(|t| {
            let middle = (t * spectrum.hop) as f64 + spectrum.window as f64 / 2.0;
            let tone = spectrum.bin(track.hz(middle / rate)).round() as i64;
            around.clear();
            around.extend(
                (tone - far..=tone - near)
                    .chain(tone + near..=tone + far)
                    .filter(|b| (lowest..spectrum.bins as i64).contains(b))
                    .map(|b| spectrum.at(t, b as usize)),
            );
            median(&mut around) / std::f32::consts::LN_2
        })
        .collect();
    let steady = median(&mut raw.clone());
    let reach = 4;
    (0..frames)
        .map(|t| {
            let near = &raw[t.saturating_sub(reach)..(t + reach + 1).min(frames)];
            let local = near.iter().sum::<f32>() / near.len() as f32;
            steady * (local / (1.5 * steady.max(1e-30))).max(1.0)
        })
        .collect()
}

impl Baseband {
    /// Frames twice as long.
    pub(crate) fn halved(&self) -> Self {
        Self {
            frame_seconds: self.frame_seconds * 2.0,
            frames: self.frames.chunks_exact(2).map(|p| (p[0] + p[1]) * 0.5).collect(),
            noise: self.noise.chunks_exact(2).map(|p| (p[0] + p[1]) * 0.25).collect(),
        }
    }
}
