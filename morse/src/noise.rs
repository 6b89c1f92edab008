//! Seeded randomness.

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
