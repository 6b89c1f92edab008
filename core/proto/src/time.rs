//! Points in time, handed in by the driver.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A point in time: whole microseconds since any epoch that the driver likes.
///
/// The engine only compares and subtracts them, so the epoch may be the start of the program. Time
/// that runs backwards is taken for time that stands still.
///
/// ```
/// use core::time::Duration;
/// use ipfi_proto::Instant;
/// let start = Instant::from_micros(5);
/// assert_eq!(start + Duration::from_millis(1) - start, Duration::from_millis(1));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The point `micros` microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// So many microseconds later.
    pub(crate) fn after(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    pub(crate) fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self.after(micros(duration))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Zero if `earlier` is the later of the two.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_micros(self.since(earlier))
    }
}

/// A duration in whole microseconds; longer ones than there are count as the longest.
pub(crate) fn micros(duration: Duration) -> u64 {
    // Half of all there is, so that nothing below can overflow.
    duration.as_secs().min(u64::MAX / 2_000_000) * 1_000_000 + u64::from(duration.subsec_micros())
}
