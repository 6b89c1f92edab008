//! When everything that was written has left the machine, by the clock it is given.

use std::time::Duration;

use tokio::time::Instant;

/// The most that a chip holds itself, in bytes, behind the queue that the kernel counts.
const CHIP: u32 = 256;
/// How often the kernel's queue is looked at while it empties.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// Follows what is on its way out.
#[derive(Debug)]
pub(crate) struct Drain {
    bytes_per_second: u32,
    patience: Duration,
    /// When the line has sent all that was written, if nothing stops it.
    idle_at: Instant,
    /// The queue when it was last seen to shrink, and when that was.
    progress: Option<(usize, Instant)>,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Everything has left.
    Done,
    /// The line has taken nothing for too long.
    Stalled,
    /// Look again then.
    Wait(Instant),
}

impl Drain {
    pub(crate) fn new(bytes_per_second: u32, patience: Duration, now: Instant) -> Self {
        Self { bytes_per_second, patience, idle_at: now, progress: None }
    }

    /// The driver took `len` bytes.
    pub(crate) fn wrote(&mut self, len: usize, now: Instant) {
        self.idle_at = self.idle_at.max(now) + self.time(len);
        self.progress = None;
    }

    /// Whether closing could wait for the line, with `queued` bytes in the kernel.
    pub(crate) fn is_busy(&self, queued: usize, now: Instant) -> bool {
        queued > 0 || now < self.idle_at
    }

    /// What to do with `queued` bytes in the kernel.
    pub(crate) fn step(&mut self, queued: usize, now: Instant) -> Step {
        if queued == 0 {
            // What may be left is in the chip.
            self.progress = None;
            self.idle_at = self.idle_at.min(now + self.time(CHIP as usize));
            return if now < self.idle_at { Step::Wait(self.idle_at) } else { Step::Done };
        }
        let since = match self.progress {
            Some((before, since)) if before <= queued => since,
            _ => now,
        };
        self.progress = Some((queued, since));
        if now.duration_since(since) >= self.patience {
            return Step::Stalled;
        }
        Step::Wait(now + self.time(queued).clamp(LOOK.0, LOOK.1))
    }

    fn time(&self, bytes: usize) -> Duration {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Duration::from_secs_f64(f64::from(bytes) / f64::from(self.bytes_per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn waits_for_the_queue_and_then_for_the_chip() {
        let start = Instant::now();
        let mut drain = Drain::new(1000, 5000 * MS, start);
        assert_eq!(drain.step(0, start), Step::Done);
        drain.wrote(500, start);
        assert!(drain.is_busy(0, start + 499 * MS) && !drain.is_busy(0, start + 500 * MS));
        assert_eq!(drain.step(400, start), Step::Wait(start + 100 * MS));
        assert_eq!(drain.step(50, start + 450 * MS), Step::Wait(start + 500 * MS));
        assert_eq!(drain.step(0, start + 460 * MS), Step::Wait(start + 500 * MS));
        assert_eq!(drain.step(0, start + 500 * MS), Step::Done);
    }

    #[test]
    fn the_chip_is_not_waited_for_longer_than_it_can_hold() {
        let start = Instant::now();
        let mut drain = Drain::new(1000, 5000 * MS, start);
        // A pty takes everything at once.
        drain.wrote(1_000_000, start);
        assert_eq!(drain.step(0, start), Step::Wait(start + 256 * MS));
        assert_eq!(drain.step(0, start + 256 * MS), Step::Done);
    }

    #[test]
    fn a_line_that_takes_nothing_is_given_up() {
        let start = Instant::now();
        let mut drain = Drain::new(1000, 300 * MS, start);
        drain.wrote(500, start);
        assert_eq!(drain.step(500, start), Step::Wait(start + 100 * MS));
        assert_eq!(drain.step(499, start + 200 * MS), Step::Wait(start + 300 * MS));
        assert_eq!(drain.step(499, start + 499 * MS), Step::Wait(start + 599 * MS));
        assert_eq!(drain.step(499, start + 500 * MS), Step::Stalled);
    }
}
