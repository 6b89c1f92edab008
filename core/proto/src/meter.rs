//! How fast the wire takes bytes, and how large a frame may be.

use crate::Instant;
use crate::limits::SPEED;

/// A frame of a large message may keep the wire busy for this long.
const FRAME_MICROS: u64 = 10_000;
/// The smallest cut: below it headers would cost more than a tenth.
pub(crate) const MIN_FRAME: usize = 64;
/// The first cut, before anything is known.
const FIRST_FRAME: usize = 1024;
/// The largest cut; a small call waits no longer than this takes.
const MAX_FRAME: usize = 128 * 1024;

/// Watches how long the driver takes to come back for more while more is waiting.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Bytes a second as told by the driver.
    hint: Option<u64>,
    /// Bytes a second as measured.
    rate: Option<u64>,
    /// When bytes were last handed out with more behind them, and how many.
    busy: Option<(Instant, usize)>,
    frame: usize,
}

impl Meter {
    pub(crate) fn new(hint: Option<u64>) -> Self {
        let frame = hint.filter(|_| SPEED).map_or(FIRST_FRAME, ideal);
        Self { hint, rate: None, busy: None, frame }
    }

    /// Payload bytes in one frame of a large message.
    pub(crate) fn frame(&self) -> usize {
        if SPEED { self.frame } else { FIRST_FRAME }
    }

    /// Bytes a second, if anything is known. What was measured counts, unless the driver knows
    /// that the wire is slower than its buffers make it look.
    pub(crate) fn rate(&self) -> Option<u64> {
        match (self.hint, self.rate.filter(|_| SPEED)) {
            (Some(hint), Some(rate)) => Some(rate.min(hint)),
            (hint, rate) => hint.or(rate),
        }
    }

    /// The time that `bytes` take, in microseconds; zero if nothing is known.
    pub(crate) fn micros(&self, bytes: usize) -> u64 {
        self.rate().map_or(0, |rate| (bytes as u64).saturating_mul(1_000_000) / rate.max(1))
    }

    /// The driver asks for bytes.
    pub(crate) fn asked(&mut self, now: Instant) {
        let Some((since, bytes)) = self.busy.take().filter(|_| SPEED) else { return };
        let micros = now.since(since).max(1);
        let sample = (bytes as u64).saturating_mul(1_000_000) / micros;
        self.rate = Some(self.rate.map_or(sample, |rate| (rate * 3 + sample) / 4).max(1));
        if let Some(rate) = self.rate() {
            // Up by doubling, because the first bytes only fill buffers; down at once.
            self.frame = ideal(rate).min(self.frame * 2);
        }
    }

    /// The driver was given `bytes`, and there was more.
    pub(crate) fn busy(&mut self, now: Instant, bytes: usize) {
        self.busy = Some((now, bytes));
    }
}

fn ideal(rate: u64) -> usize {
    let bytes = rate.saturating_mul(FRAME_MICROS) / 1_000_000;
    usize::try_from(bytes).unwrap_or(MAX_FRAME).clamp(MIN_FRAME, MAX_FRAME)
}

#[cfg(all(test, feature = "speed"))]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_the_speed() {
        for (rate, least, most) in [(2, 64, 64), (11_520, 100, 130), (1 << 30, 131_072, 131_072)] {
            let mut meter = Meter::new(None);
            let mut now = Instant::from_micros(0);
            for _ in 0..40 {
                meter.asked(now);
                let bytes = meter.frame();
                meter.busy(now, bytes);
                now = Instant::from_micros(now.as_micros() + bytes as u64 * 1_000_000 / rate);
            }
            assert!((least..=most).contains(&meter.frame()), "{rate}: {}", meter.frame());
        }
    }

    #[test]
    fn a_hint_is_believed_when_buffers_swallow_everything() {
        let mut meter = Meter::new(Some(2));
        let now = Instant::from_micros(0);
        for _ in 0..10 {
            meter.busy(now, 4096);
            meter.asked(now);
        }
        assert_eq!((meter.frame(), meter.rate()), (MIN_FRAME, Some(2)));
        assert_eq!(meter.micros(8), 4_000_000);
    }
}
