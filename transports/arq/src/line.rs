//! When the medium can take the next frame.

use core::time::Duration;

use crate::time::Instant;

/// How much work the medium is given ahead: enough that a driver which wakes up a little late
/// does not let it fall idle, and so little that an urgent frame has not long to wait. On a busy
/// machine the driver is later; then it is a quarter more than it has lately been late.
const AHEAD_MICROS: u64 = 10_000;
const MOST_AHEAD_MICROS: u64 = 100_000;
/// The memory of how late the driver was fades by one part in so many with each wait.
const FADING: u64 = 64;
/// The same for a network, where the queue would be somebody else's: the grain of timers.
const NETWORK_AHEAD_MICROS: u64 = 2000;
/// A network is nobody's own: what a late driver has missed it may make good, but only so much.
const CATCH_UP_MICROS: u64 = 10_000;
/// The longest that one frame may take.
const LONGEST_FRAME: Duration = Duration::from_millis(500);

/// The sending direction of the medium, and what waits for it.
#[derive(Debug)]
pub(crate) struct Line {
    nanos_per_byte: Option<u64>,
    /// When all that was given out has left, in nanoseconds.
    free: u64,
    /// Without a rate: bytes that wait, and how many may.
    queued: usize,
    allowed: usize,
    ahead: u64,
    /// Something waits for its turn on the line; how late the driver came to send such before.
    has_waiting: bool,
    lateness: u64,
    /// With a network: what may go out at once, being late, in microseconds.
    catch_up: u64,
}

fn nanos(at: Instant) -> u64 {
    at.as_micros().saturating_mul(1000)
}

impl Line {
    pub(crate) fn new(bytes_per_second: Option<u32>, allowed: usize) -> Self {
        let nanos_per_byte = bytes_per_second.map(|rate| 1_000_000_000 / u64::from(rate.max(1)));
        Self {
            nanos_per_byte,
            free: 0,
            queued: 0,
            allowed,
            ahead: AHEAD_MICROS,
            has_waiting: false,
            lateness: 0,
            catch_up: 0,
        }
    }

    pub(crate) fn set_rate(&mut self, bytes_per_second: u64) {
        self.nanos_per_byte = Some(1_000_000_000 / bytes_per_second.max(1));
        self.ahead = NETWORK_AHEAD_MICROS;
        self.catch_up = CATCH_UP_MICROS;
    }

    /// As a new line of another rate, which is busy for as long as this one.
    pub(crate) fn change_rate(&mut self, bytes_per_second: u32) {
        self.nanos_per_byte = Some(1_000_000_000 / u64::from(bytes_per_second.max(1)));
    }

    /// The time that `bytes` take, zero if the rate is unknown.
    pub(crate) fn time_of(&self, bytes: usize) -> Duration {
        Duration::from_nanos((bytes as u64).saturating_mul(self.nanos_per_byte.unwrap_or(0)))
    }

    /// The largest payload up to `max` that does not hold the line for too long.
    pub(crate) fn limit_payload(&self, max: usize) -> usize {
        let Some(nanos_per_byte) = self.nanos_per_byte.filter(|&nanos| nanos > 0) else {
            return max;
        };
        let longest = u64::try_from(LONGEST_FRAME.as_nanos()).unwrap_or(u64::MAX) / nanos_per_byte;
        max.min(usize::try_from(longest).unwrap_or(max))
    }

    /// When the next frame may be given out, if a rate says so.
    pub(crate) fn ready_at(&self) -> Instant {
        Instant::from_micros((self.free / 1000).saturating_sub(self.ahead))
    }

    pub(crate) fn is_ready(&self, now: Instant) -> bool {
        self.ready_at() <= now && self.queued <= self.allowed
    }

    /// Whether there is more to send; if the line is not ready, the driver is to come back at
    /// [`ready_at`](Self::ready_at).
    pub(crate) fn set_waiting(&mut self, waits: bool, ready: bool) {
        let waited = self.has_waiting || !ready;
        self.has_waiting = waits && waited && self.nanos_per_byte.is_some();
    }

    /// The driver has come back. A line that fell idle gets a longer queue, as Linux limits those of network
    /// devices (`lib/dynamic_queue_limits.c`). Returns since when there was work to do, if not just now.
    fn come_back(&mut self, now: Instant) -> u64 {
        let now = now.as_micros();
        if !self.has_waiting {
            return now;
        }
        if self.catch_up > 0 {
            let since = (self.free / 1000).max(now.saturating_sub(self.catch_up));
            self.has_waiting = since < now;
            return since.min(now);
        }
        self.has_waiting = false;
        let late = now.saturating_sub(self.ready_at().as_micros());
        self.lateness = late.max(self.lateness - self.lateness / FADING);
        self.ahead = (self.lateness * 5 / 4).clamp(AHEAD_MICROS, MOST_AHEAD_MICROS);
        now
    }

    /// Whether nothing was on the line just before `now`.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        self.free < nanos(now)
    }

    /// Until all that was given out has left.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        Duration::from_nanos(self.free.saturating_sub(nanos(now)))
    }

    /// Bytes that were given out and have not left yet.
    pub(crate) fn queued(&self, now: Instant) -> usize {
        match self.nanos_per_byte {
            None => self.queued,
            Some(nanos_per_byte) => {
                let work = self.free.saturating_sub(nanos(now)).div_ceil(nanos_per_byte.max(1));
                usize::try_from(work).unwrap_or(usize::MAX)
            }
        }
    }

    /// For how long nothing has been on it, of what was given out.
    pub(crate) fn idle_for(&self, now: Instant) -> Duration {
        Duration::from_nanos(nanos(now).saturating_sub(self.free))
    }

    /// Gives out `bytes`. Returns when the last of them will have left.
    pub(crate) fn give(&mut self, now: Instant, bytes: usize) -> Instant {
        let since = self.come_back(now).saturating_mul(1000);
        let work = (bytes as u64).saturating_mul(self.nanos_per_byte.unwrap_or(0));
        self.free = self.free.max(since).saturating_add(work);
        Instant::from_micros(self.free.div_ceil(1000))
    }

    /// Learns how much of what was given out has not left yet: a lower bound, since a chip or an
    /// adapter has a queue of its own.
    pub(crate) fn set_queued(&mut self, now: Instant, bytes: usize) {
        if let Some(nanos_per_byte) = self.nanos_per_byte {
            let work = (bytes as u64).saturating_mul(nanos_per_byte);
            self.free = self.free.max(nanos(now).saturating_add(work));
        } else {
            self.queued = bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    /// What a driver that comes `late` milliseconds after its time leaves idle, in a second.
    fn idle(late: u64) -> u64 {
        let (mut line, mut now, mut idle) = (Line::new(Some(10_000), 0), at(0), 0);
        while now < at(1000) {
            while line.is_ready(now) {
                idle += (now.as_micros() * 1000).saturating_sub(line.free) / 1_000_000;
                line.give(now, 50);
            }
            line.set_waiting(true, false);
            now = line.ready_at() + Duration::from_millis(late);
        }
        idle
    }

    #[test]
    fn a_driver_that_is_late_is_given_more_to_do() {
        assert_eq!(idle(0), 0);
        assert_eq!(idle(9), 0);
        assert!((1..100).contains(&idle(40)), "only until it is known: {}", idle(40));
        assert!(idle(200) > 300, "but not for ever: {}", idle(200));
    }

    /// A thousand frames of 10,000 bytes a second, by a driver so many milliseconds late.
    fn network_seconds(late: u64) -> u64 {
        let (mut line, mut now) = (Line::new(None, 0), at(0));
        for _ in 0..1000 {
            line.set_rate(10_000);
            if !line.is_ready(now) {
                line.set_waiting(true, false);
                now = line.ready_at() + Duration::from_millis(late);
            }
            line.give(now, 100);
        }
        now.as_micros() / 1_000_000
    }

    #[test]
    fn a_late_driver_keeps_the_pace_of_a_network() {
        assert_eq!(network_seconds(0), 9);
        assert_eq!(network_seconds(11), 9);
        assert!(network_seconds(100) > 18, "but sends no long bursts");
    }

    #[test]
    fn what_waits_in_the_system_holds_frames_back() {
        // As TIOCOUTQ says: half a second of it, of which all but the last 10 ms have to go first.
        let mut line = Line::new(Some(10_000), 0);
        line.set_queued(at(0), 5000);
        assert_eq!(line.ready_at(), at(490));
        // Of a line of unknown rate no more than two frames may wait.
        let mut line = Line::new(None, 2048);
        for (queued, ready) in [(2048, true), (2049, false), (100, true)] {
            line.set_queued(at(0), queued);
            assert_eq!(line.is_ready(at(0)), ready, "{queued}");
        }
    }

    #[test]
    fn patience_is_forgotten() {
        let mut line = Line::new(Some(10_000), 0);
        line.give(at(0), 500);
        line.set_waiting(true, false);
        line.give(at(80), 500);
        assert_eq!(line.ahead, 50_000);
        for _ in 0..300 {
            line.set_waiting(true, false);
            let now = line.ready_at();
            line.give(now, 100);
        }
        assert_eq!(line.ahead, AHEAD_MICROS);
    }

    #[test]
    fn an_idle_application_is_not_a_late_driver() {
        let mut line = Line::new(Some(10_000), 0);
        line.give(at(0), 500);
        line.give(at(5000), 500);
        assert_eq!(line.ahead, AHEAD_MICROS);
    }
}
