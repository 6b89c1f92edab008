//! Seeded randomness.

use std::f64::consts::TAU;

/// A seeded source of noise. The same seed gives the same noise.
#[derive(Clone, Debug)]
pub struct Noise {
    rng: fastrand::Rng,
    /// The second of two Gaussian numbers made at once.
    spare: Option<f64>,
}

impl Noise {
    /// A source that begins from this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), spare: None }
    }

    /// Uniform from 0 up to, but not, 1.
    pub fn uniform(&mut self) -> f64 {
        self.rng.f64()
    }

    /// Gaussian with mean 0 and variance 1 (Marsaglia's polar method).
    pub fn gaussian(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (x, y) = (self.rng.f64() * 2.0 - 1.0, self.rng.f64() * 2.0 - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let scale = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(y * scale);
                return x * scale;
            }
        }
    }
}

/// Poles and gains of [`Pink`].
const POLES: [(f64, f64); 6] = [
    (0.99886, 0.055_517_9),
    (0.99332, 0.075_075_9),
    (0.96900, 0.153_852),
    (0.86650, 0.310_485_6),
    (0.55000, 0.532_952_2),
    (-0.7616, -0.016_898),
];

/// Shapes white noise to pink (−3 dB an octave), within 0.05 dB above 9.2 Hz at 44.1 kHz: Paul
/// Kellet's filter of seven poles (musicdsp.org archive, file 76, 1999).
#[derive(Clone, Debug, Default)]
pub(crate) struct Pink([f64; 7]);

impl Pink {
    pub(crate) fn next(&mut self, white: f64) -> f64 {
        let [states @ .., delayed] = &mut self.0;
        let mut sum = *delayed + white * 0.536_2;
        for (state, (pole, gain)) in states.iter_mut().zip(POLES) {
            *state = pole * *state + white * gain;
            sum += *state;
        }
        *delayed = white * 0.115_926;
        sum
    }

    /// The gain for white noise in a band: the root of the mean of the squared response.
    pub(crate) fn gain(low: f64, high: f64, rate: f64) -> f64 {
        const STEPS: u32 = 200;
        // The response at a frequency is the sum of an impulse's echoes, by the poles.
        let squared = |hz: f64| {
            let (sin, cos) = (TAU * hz / rate).sin_cos();
            let (mut real, mut imaginary) = (0.536_2 + 0.115_926 * cos, -0.115_926 * sin);
            for (pole, gain) in POLES {
                // gain / (1 - pole z^-1)
                let (re, im) = (1.0 - pole * cos, pole * sin);
                let square = re * re + im * im;
                real += gain * re / square;
                imaginary -= gain * im / square;
            }
            real * real + imaginary * imaginary
        };
        let step = (high - low) / f64::from(STEPS);
        let sum: f64 = (0..STEPS).map(|i| squared(low + step * (f64::from(i) + 0.5))).sum();
        (sum / f64::from(STEPS)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaussian_has_mean_zero_and_variance_one() {
        let mut noise = Noise::new(7);
        let n = 200_000;
        let (mut sum, mut squares, mut fourth) = (0.0, 0.0, 0.0);
        for _ in 0..n {
            let x = noise.gaussian();
            sum += x;
            squares += x * x;
            fourth += x.powi(4);
        }
        let n = f64::from(n);
        assert!((sum / n).abs() < 0.01, "{}", sum / n);
        assert!((squares / n - 1.0).abs() < 0.02, "{}", squares / n);
        assert!((fourth / n - 3.0).abs() < 0.15, "{}", fourth / n);
    }
}
