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

    /// True with this chance; see [`threshold`].
    pub(crate) fn hits(&mut self, threshold: u64) -> bool {
        // The first comparison is for chances of 0, which are most: they draw no number.
        threshold > 0 && self.next() <= threshold
    }
}

/// What [`Random::hits`] takes for a chance between 0 and 1.
pub(crate) fn threshold(chance: f64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "not negative, the cast saturates, and the last bits do not matter"
    )]
    let threshold = (chance * u64::MAX as f64) as u64;
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_met() {
        let mut random = Random::new(7);
        for (chance, low, high) in [(0.5, 49_000, 51_000), (0.01, 900, 1_100), (1e-4, 4, 20)] {
            let threshold = threshold(chance);
            let hits = (0..100_000).filter(|_| random.hits(threshold)).count();
            assert!((low..=high).contains(&hits), "chance {chance}: {hits} in 100000");
        }
        assert!((0..1000).all(|_| random.hits(threshold(1.0)) && !random.hits(threshold(0.0))));
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut random = Random::new(1);
        assert!((0..1000).all(|_| random.below(7) < 7));
    }
}
