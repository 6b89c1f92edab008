//! Numbers that look random and can be had again.

/// A generator after Marsaglia (xorshift64*).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// Below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next()).unwrap() % n.max(1)
    }

    /// Once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Mostly small, sometimes up to `max`.
    pub(crate) fn size(&mut self, max: usize) -> usize {
        let top = [4, 30, 300, max][self.below(4)];
        self.below(top.min(max) + 1)
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        of.get(self.below(of.len())).copied()
    }
}

/// `IPFI_SEED`, or one for each day this runs.
pub(crate) fn seed() -> u64 {
    std::env::var("IPFI_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_122)
}
