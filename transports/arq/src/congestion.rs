//! How much may be on its way through a network that others use as well.

use core::time::Duration;

use crate::time::Instant;

/// The window of the first flight, in full frames (RFC 6928, section 2).
const FIRST_FLIGHT: u64 = 10;
/// The least window, in full frames (RFC 9002, section 7.2).
const LEAST_FLIGHT: u64 = 2;
/// The segment of the TCP next door, to which this is to be fair in bytes.
const TCP_SEGMENT: u64 = 1460;
/// What a loss leaves of the window, in tenths (RFC 9438, section 4.6: 0.7).
const DECREASE_TENTHS: u64 = 7;
/// Timeouts in a row after which the path counts as broken (RFC 9002, section 7.6).
const PERSISTENT: u32 = 3;

/// The window of CUBIC's Reno-friendly region (RFC 9438, section 4.3): to seven tenths at a loss,
/// at most once a round trip, and up by 0.53 segments of TCP a round trip.
#[derive(Debug)]
pub(crate) struct Congestion {
    frame: u64,
    window: u64,
    threshold: u64,
    /// Losses of frames sent before this moment have been paid for.
    recovering_since: Option<Instant>,
    /// Acknowledged bytes that have not yet raised the window.
    credit: u64,
}

impl Congestion {
    /// For frames of up to `frame` bytes.
    pub(crate) fn new(frame: usize) -> Self {
        let frame = (frame as u64).max(1);
        let window = FIRST_FLIGHT * frame;
        Self { frame, window, threshold: u64::MAX, recovering_since: None, credit: 0 }
    }

    /// Whether another frame may go when `bytes_in_flight` have no verdict yet.
    pub(crate) fn has_room(&self, bytes_in_flight: u64) -> bool {
        bytes_in_flight + self.frame <= self.window
    }

    /// A frame of `bytes`, sent at `sent`, has arrived. `was_full`: the window was the limit.
    pub(crate) fn arrived(&mut self, bytes: usize, sent: Instant, was_full: bool) {
        if self.recovering_since.is_some_and(|since| sent <= since) || !was_full {
            return;
        }
        let bytes = bytes as u64;
        if self.window < self.threshold {
            self.window += bytes;
            return;
        }
        // 0.53 segments a round trip, of TCP's size and by its count of segments in a window:
        // twice the ratio of the segments, as the goodput goes with the root of the increase.
        self.credit += bytes * 53 * TCP_SEGMENT * TCP_SEGMENT / (100 * self.frame * self.frame);
        if self.credit >= self.window {
            self.credit -= self.window;
            self.window += self.frame;
        }
    }

    /// A frame that was sent at `sent` is lost.
    pub(crate) fn lost(&mut self, now: Instant, sent: Instant) {
        if self.recovering_since.is_none_or(|since| sent > since) {
            self.recovering_since = Some(now);
            self.window = (self.window * DECREASE_TENTHS / 10).max(LEAST_FLIGHT * self.frame);
            self.threshold = self.window;
            self.credit = 0;
        }
    }

    /// Nobody has answered so many questions in a row.
    pub(crate) fn in_vain(&mut self, times: u32) {
        if times == PERSISTENT {
            self.threshold = self.window;
            self.window = LEAST_FLIGHT * self.frame;
        }
    }

    /// The bytes a second at which the window is spread over a round trip, a quarter faster than
    /// it comes back (RFC 9002, section 7.7).
    pub(crate) fn pace(&self, round_trip: Duration) -> u64 {
        let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX).max(1);
        self.window.saturating_mul(1_250_000) / micros
    }

    pub(crate) fn window(&self) -> u64 {
        self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    #[test]
    fn doubles_until_the_first_loss_and_then_creeps() {
        let mut congestion = Congestion::new(1000);
        for _ in 0..10 {
            congestion.arrived(1000, at(1), true);
        }
        assert_eq!(congestion.window(), 20_000);
        congestion.lost(at(5), at(2));
        congestion.lost(at(6), at(3));
        assert_eq!(congestion.window(), 14_000, "one round trip, one price");
        for _ in 0..14 {
            congestion.arrived(1000, at(7), true);
        }
        assert_eq!(congestion.window(), 15_000, "0.53 * 1.46^2 frames a round trip, begun");
        congestion.arrived(1000, at(8), false);
        congestion.lost(at(9), at(8));
        assert_eq!(congestion.window(), 10_500);
        congestion.in_vain(3);
        assert_eq!(congestion.window(), 2000);
    }
}
