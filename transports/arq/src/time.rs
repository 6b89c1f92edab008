//! The link's own notion of time.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A moment, in whole microseconds since an epoch of the caller's choice.
///
/// The link compares and adds moments and never asks what time it is, so a simulated clock serves
/// as well as a real one.
///
/// ```
/// use core::time::Duration;
/// use ipfi_arq::Instant;
/// let start = Instant::from_micros(0);
/// assert_eq!(start + Duration::from_millis(5), Instant::from_micros(5_000));
/// assert_eq!(start - Instant::from_micros(9), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The moment `micros` microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of time, 584,000 years after the epoch.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Zero if `earlier` is later.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}
