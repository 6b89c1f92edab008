//! How long to wait before the next try.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// The first wait.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(5);

/// Waits that double from 100 ms to 5 s, each up to a quarter shorter by chance, so that many
/// programs that lost the same peer do not come back in step.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    state: u64,
}

impl Backoff {
    /// Begins with the shortest wait.
    #[must_use]
    pub fn new() -> Self {
        Self { next: FIRST, state: RandomState::new().build_hasher().finish() }
    }

    /// How long to wait now.
    #[expect(clippy::should_implement_trait, reason = "waits are taken one at a time")]
    pub fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        // Knuth's MMIX generator: the upper bits are good enough to spread programs.
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let part = u32::try_from(self.state >> 54).unwrap_or(0); // 0 to 1023
        wait.saturating_sub(wait / 4 * part / 1024)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_seconds() {
        let mut backoff = Backoff::new();
        let mut full = FIRST;
        for _ in 0..20 {
            let wait = backoff.next();
            assert!(wait <= full && wait >= full * 3 / 4, "{wait:?} for {full:?}");
            full = (full * 2).min(LONGEST);
        }
    }
}
