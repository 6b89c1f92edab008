//! How long an answer takes, counted from the end of the question.

use core::time::Duration;

/// The least that an answer may be late without suspicion: clocks and schedulers are coarse.
const MIN_VARIANCE: Duration = Duration::from_millis(10);
/// No line is so busy that it helps to ask less often than this.
pub(crate) const MAX_TIMEOUT: Duration = Duration::from_secs(1);
/// A network that is overloaded recovers only if everybody asks less and less often.
pub(crate) const PATIENT_TIMEOUT: Duration = Duration::from_secs(20);
const FIRST_TIMEOUT: Duration = Duration::from_millis(300);

/// The smoothed round trip of RFC 6298, without the time that frames take on the line.
#[derive(Debug)]
pub(crate) struct Rtt {
    max_timeout: Duration,
    smoothed: Option<Duration>,
    variance: Duration,
    latest: Duration,
}

impl Rtt {
    pub(crate) fn new(max_timeout: Duration) -> Self {
        Self { max_timeout, smoothed: None, variance: Duration::ZERO, latest: Duration::ZERO }
    }

    pub(crate) fn sample(&mut self, rtt: Duration) {
        self.latest = rtt;
        if let Some(smoothed) = &mut self.smoothed {
            self.variance = (self.variance * 3 + smoothed.abs_diff(rtt)) / 4;
            *smoothed = (*smoothed * 7 + rtt) / 8;
        } else {
            self.smoothed = Some(rtt);
            self.variance = rtt / 2;
        }
    }

    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// How long after a frame that came later a frame counts as lost (RFC 9002, section 6.1.2).
    pub(crate) fn late(&self) -> Duration {
        self.smoothed.unwrap_or(FIRST_TIMEOUT).max(self.latest) * 9 / 8 + Duration::from_millis(1)
    }

    /// When to ask again, counted from the end of the question. `frame` is the time on the line of
    /// what may be in the answer's way; the wait doubles with each one in vain.
    pub(crate) fn timeout(&self, frame: Duration, in_vain: u32) -> Duration {
        let once = match self.smoothed {
            Some(smoothed) => smoothed + (self.variance * 4).max(MIN_VARIANCE).max(frame),
            None => FIRST_TIMEOUT + frame,
        };
        once.saturating_mul(1 << in_vain.min(16)).min(self.max_timeout.max(once))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_samples_and_backs_off() {
        let mut rtt = Rtt::new(MAX_TIMEOUT);
        let frame = Duration::from_millis(1);
        assert_eq!(rtt.timeout(frame, 0), Duration::from_millis(301));
        for _ in 0..100 {
            rtt.sample(Duration::from_millis(10));
        }
        assert_eq!(rtt.smoothed(), Some(Duration::from_millis(10)));
        assert_eq!(rtt.timeout(frame, 0), Duration::from_millis(20));
        assert_eq!(rtt.timeout(frame, 2), Duration::from_millis(80));
        assert_eq!(rtt.timeout(frame, 40), MAX_TIMEOUT);
    }
}
