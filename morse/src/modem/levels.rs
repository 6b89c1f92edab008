//! How strong each tone is, how strong the noise on it; and what a power says about the key.

use super::mode::Shape;

/// What a tone has had so far, in units of received power.
#[derive(Clone, Copy, Debug, Default)]
struct Tone {
    down_sum: f32,
    down: f32,
    up_sum: f32,
    up: f32,
}

/// The levels of all tones.
#[derive(Clone, Debug)]
pub(crate) struct Levels {
    tones: Vec<Tone>,
    all: Tone,
    /// Signal power and noise power for each tone, of the sums above.
    signal: Vec<f32>,
    noise: Vec<f32>,
}

/// Dot lengths by which a tone's own noise and signal count less than those of all tones.
const NOISE_PRIOR: f32 = 6.0;
const SIGNAL_PRIOR: f32 = 0.7;
/// A signal is taken to be no more than this above its noise: nobody is surer than 23 dB.
const MOST_SURE: f32 = 200.0;
/// The most that one dot length can say.
const MOST: f32 = 30.0;
/// How fast the past fades, for each row.
const MEMORY: f32 = 0.96;

impl Levels {
    pub(crate) fn new(shape: &Shape) -> Self {
        Self {
            tones: vec![Tone::default(); shape.tones],
            all: Tone::default(),
            signal: vec![1.0; shape.tones],
            noise: vec![1.0; shape.tones],
        }
    }

    /// Takes a power on a tone with the probability that the key was down.
    pub(crate) fn learn(&mut self, tone: usize, power: f32, down: f32) {
        for sums in [&mut self.tones[tone], &mut self.all] {
            sums.down_sum += down * power;
            sums.down += down;
            sums.up_sum += (1.0 - down) * power;
            sums.up += 1.0 - down;
        }
    }

    pub(crate) fn fade(&mut self) {
        for sums in self.tones.iter_mut().chain([&mut self.all]) {
            sums.down_sum *= MEMORY;
            sums.down *= MEMORY;
            sums.up_sum *= MEMORY;
            sums.up *= MEMORY;
        }
    }

    /// Works out the levels of what was learnt.
    pub(crate) fn settle(&mut self) {
        let all_up = self.all.up_sum / self.all.up.max(1e-3);
        let all_down = self.all.down_sum / self.all.down.max(1e-3);
        for (index, tone) in self.tones.iter().enumerate() {
            let noise = (tone.up_sum + NOISE_PRIOR * all_up) / (tone.up + NOISE_PRIOR);
            let down = (tone.down_sum + SIGNAL_PRIOR * all_down) / (tone.down + SIGNAL_PRIOR);
            let signal = (down - noise).max(down * 0.1).max(1e-20);
            self.signal[index] = signal;
            self.noise[index] = noise.max(signal / MOST_SURE);
        }
    }

    /// How much a power speaks for the key being down: the logarithm of Rice's density over that of
    /// noise alone.
    pub(crate) fn evidence(&self, tone: usize, power: f32) -> f32 {
        let (signal, noise) = (self.signal[tone], self.noise[tone]);
        let x = 2.0 * (signal * power).sqrt() / noise;
        (ln_bessel(x) - signal / noise).clamp(-MOST, MOST)
    }

    pub(crate) fn signal(&self, tone: usize) -> f32 {
        self.signal[tone]
    }

    /// Power of the signal of a dot over the noise in it, over all tones.
    pub(crate) fn ratio(&self) -> f32 {
        let noise = self.all.up_sum / self.all.up.max(1e-3);
        let down = self.all.down_sum / self.all.down.max(1e-3);
        ((down - noise) / noise.max(1e-20)).clamp(1e-3, 1e9)
    }
}

/// The logarithm of the modified Bessel function I0, within 0.01.
pub(crate) fn ln_bessel(x: f32) -> f32 {
    // Abramowitz and Stegun, 9.8.1 and 9.8.2, shortened.
    if x < 3.75 {
        let t = (x / 3.75).powi(2);
        (1.0 + t * (3.515_623 + t * (3.089_942 + t * (1.206_749 + t * (0.265_973 + t * 0.040_64)))))
            .ln()
    } else {
        let t = 3.75 / x;
        x - 0.5 * x.ln() + (0.398_942 + t * (0.013_286 + t * 0.002_253)).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bessel_is_near_its_series() {
        for x in [0.0f32, 0.5, 2.0, 3.7, 3.8, 10.0, 30.0] {
            let (mut term, mut sum) = (1.0f64, 1.0f64);
            for k in 1..200 {
                term *= (f64::from(x) / 2.0 / f64::from(k)).powi(2);
                sum += term;
            }
            assert!((f64::from(ln_bessel(x)) - sum.ln()).abs() < 0.01, "{x}");
        }
    }
}
