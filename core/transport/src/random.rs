//! A small repeatable source of numbers, for faults and for tests.

/// `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). The
/// same seed gives the same faults in every version, which no crate promises.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next()) * bound as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// Evenly spread over 0 < x <= 1.
    fn unit(&mut self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
        let parts = ((self.next() >> 11) + 1) as f64;
        parts / 2_f64.powi(53)
    }

    /// How many trials of chance `p` fail before one succeeds.
    pub(crate) fn gap(&mut self, p: f64) -> u64 {
        if p <= 0.0 {
            return u64::MAX;
        }
        if p >= 1.0 {
            return 0;
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and the cast saturates"
        )]
        let gap = (self.unit().ln() / (-p).ln_1p()) as u64;
        gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_have_the_right_mean() {
        let mut random = Random::new(7);
        for p in [0.5, 0.01, 1e-4] {
            let n = 20_000;
            let sum: u64 = (0..n).map(|_| random.gap(p)).sum();
            #[allow(clippy::cast_precision_loss, reason = "a test's tolerance")]
            let mean = sum as f64 / f64::from(n);
            let expected = (1.0 - p) / p;
            assert!((mean / expected - 1.0).abs() < 0.05, "p {p}: {mean} for {expected}");
        }
        assert_eq!((random.gap(0.0), random.gap(1.0)), (u64::MAX, 0));
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut random = Random::new(1);
        assert!((0..1000).all(|_| random.below(7) < 7));
    }
}
