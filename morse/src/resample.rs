//! Sample-rate conversion by any ratio, in blocks of any length.
//!
//! A windowed sinc (Kaiser, 64 taps at the lower of the two rates; J. O. Smith, "Digital Audio
//! Resampling", ccrma.stanford.edu/~jos/resample): flat within 0.1 dB up to 0.45 of the lower rate,
//! what it folds down there is 75 dB below.

use std::f64::consts::PI;

/// Half the taps, at the lower rate.
const HALF: usize = 32;
/// Table points between two taps; values between them are interpolated.
const PHASES: usize = 256;
/// Kaiser's beta for 80 dB.
const BETA: f64 = 7.86;

/// Converts one stream of samples from one rate to another.
///
/// Output is aligned with input: there is no delay in the samples, only in when they come out
/// (32 samples of the lower rate later).
///
/// ```
/// use ipfi_morse::resample::Resampler;
/// let mut resampler = Resampler::new(44_100.0, 8000.0);
/// let mut out = Vec::new();
/// for block in vec![0.0f32; 44_100].chunks(441) {
///     resampler.process(block, &mut out);
/// }
/// resampler.finish(&mut out);
/// assert_eq!(out.len(), 8000);
/// ```
#[derive(Clone, Debug)]
pub struct Resampler {
    /// Input samples for one output sample.
    step: f64,
    /// Table entries for one input sample.
    stride: f64,
    /// Input samples on either side that count.
    reach: usize,
    table: Vec<f32>,
    /// Input that still counts; `history[reach]` is input sample `base`.
    history: Vec<f32>,
    base: u64,
    /// Samples taken and made, so that positions and the end are exact.
    taken: u64,
    made: u64,
}

impl Resampler {
    /// Converts from `from` to `to`; only their ratio counts, and it may be any from 1/1000 to
    /// 1000. Ratios outside are moved inside.
    #[must_use]
    pub fn new(from: f64, to: f64) -> Self {
        let step = from / to;
        let step = if step.is_nan() { 1.0 } else { step.clamp(1e-3, 1e3) };
        // Going down, the filter is as wide as the lower rate wants.
        let width = step.max(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "32 to 32000")]
        let reach = (HALF as f64 * width).ceil() as usize;
        Self {
            step,
            stride: PHASES as f64 / width,
            reach,
            table: table(width),
            history: vec![0.0; reach],
            base: 0,
            taken: 0,
            made: 0,
        }
    }

    /// Output samples for one input sample.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        1.0 / self.step
    }

    /// Takes input and appends what output there is.
    pub fn process(&mut self, input: &[f32], out: &mut Vec<f32>) {
        // Blocks keep the history short, however much comes at once.
        for block in input.chunks(4096) {
            self.history.extend_from_slice(block);
            self.taken += block.len() as u64;
            self.convert(out, u64::MAX);
        }
    }

    /// Appends the output that belongs to the last of the input. After this, start anew.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let total = (self.taken as f64 / self.step).round() as u64;
        self.history.extend(std::iter::repeat_n(0.0, 2 * self.reach + 2));
        self.convert(out, total);
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, positive")]
    fn convert(&mut self, out: &mut Vec<f32>, limit: u64) {
        let position = |made: u64, base: u64| made as f64 * self.step - base as f64;
        while self.made < limit {
            let position = position(self.made, self.base);
            let whole = position as usize;
            if whole + 2 * self.reach >= self.history.len() {
                break;
            }
            let offset = position - whole as f64;
            // Taps at distances reach+offset-1, ... on the left, and mirrored on the right
            let taps = &self.history[whole + 1..whole + 2 * self.reach];
            let mut sum = 0.0;
            let mut distance = (self.reach as f64 - 1.0 + offset) * self.stride;
            for &sample in taps {
                sum += sample * self.tap(distance.abs());
                distance -= self.stride;
            }
            out.push(sum);
            self.made += 1;
        }
        let used = (position(self.made, self.base) as usize).min(self.history.len());
        self.history.drain(..used);
        self.base += used as u64;
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the table")]
    fn tap(&self, distance: f64) -> f32 {
        let index = distance as usize;
        let part = (distance - index as f64) as f32;
        match self.table.get(index..index + 2) {
            Some(&[a, b]) => a + (b - a) * part,
            _ => 0.0,
        }
    }
}

/// The right half of the filter's response, [`PHASES`] points for a sample of the lower rate.
fn table(width: f64) -> Vec<f32> {
    let cutoff = 0.98; // of half the lower rate
    (0..=HALF * PHASES)
        .map(|i| {
            let x = i as f64 / PHASES as f64;
            let sinc = if i == 0 { 1.0 } else { (PI * cutoff * x).sin() / (PI * cutoff * x) };
            let edge = x / HALF as f64;
            let window = kaiser(edge, BETA);
            #[expect(clippy::cast_possible_truncation, reason = "sound is f32")]
            let tap = (cutoff * sinc * window / width) as f32;
            tap
        })
        .collect()
}

/// Kaiser's window at a place from -1 to 1: the larger `beta`, the deeper and wider what it leaves.
pub(crate) fn kaiser(place: f64, beta: f64) -> f64 {
    bessel(beta * (1.0 - place * place).max(0.0).sqrt()) / bessel(beta)
}

/// The modified Bessel function of the first kind and order zero, by its series.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..64 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, positive")]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn sine(hz: f64, rate: f64, n: usize) -> Vec<f32> {
        (0..n).map(|i| (TAU * hz * i as f64 / rate).sin() as f32).collect()
    }

    fn converted(input: &[f32], from: f64, to: f64, block: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(from, to);
        let mut out = Vec::new();
        for part in input.chunks(block) {
            resampler.process(part, &mut out);
        }
        resampler.finish(&mut out);
        out
    }

    /// The worst deviation from a sine, away from the ends, in dB below it.
    fn error_db(out: &[f32], hz: f64, rate: f64) -> f64 {
        let expected = sine(hz, rate, out.len());
        let middle = 400..out.len() - 400;
        let worst = middle.map(|i| (out[i] - expected[i]).abs()).fold(0.0, f32::max);
        20.0 * f64::from(worst).log10()
    }

    #[test]
    fn a_sine_stays_a_sine_of_the_same_phase() {
        for (from, to) in [(48e3, 8e3), (44.1e3, 48e3), (8e3, 48e3), (8e3, 8000.8), (11025.0, 8e3)]
        {
            for part in [0.05, 0.2, 0.42] {
                let hz = part * f64::min(from, to);
                let input = sine(hz, from, (from / 2.0) as usize);
                let out = converted(&input, from, to, 977);
                assert_eq!(out.len(), (input.len() as f64 * to / from).round() as usize);
                let error = error_db(&out, hz, to);
                assert!(error < -65.0, "{from} to {to}, {hz} Hz: {error:.0} dB");
            }
        }
    }

    #[test]
    fn what_is_above_half_the_lower_rate_is_taken_out() {
        let input = sine(4600.0, 48e3, 48_000);
        let out = converted(&input, 48e3, 8e3, 4800);
        let worst = out[400..out.len() - 400].iter().fold(0.0f32, |m, s| m.max(s.abs()));
        assert!(worst < 10f32.powf(-70.0 / 20.0), "{worst}");
    }

    #[test]
    fn blocks_do_not_matter() {
        let input = sine(700.0, 44.1e3, 10_000);
        let whole = converted(&input, 44.1e3, 8e3, 10_000);
        for block in [1, 7, 441, 5000] {
            assert!(converted(&input, 44.1e3, 8e3, block) == whole, "{block}");
        }
    }

    #[test]
    fn nonsense_ratios_neither_hang_nor_grow() {
        for (from, to) in [(f64::NAN, 1.0), (0.0, 1.0), (1.0, 0.0), (1e12, 1.0)] {
            assert!(converted(&[0.5; 100], from, to, 10).len() <= 100_000);
        }
    }
}
