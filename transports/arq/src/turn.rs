//! Whose turn it is on a medium on which only one may talk at a time.

use core::time::Duration;

use crate::config::HalfDuplex;
use crate::time::Instant;

/// Polls in vain after which the wait for an answer grows no more.
const MAX_DOUBLING: u32 = 4;

/// The state of the turn as this side sees it: a guess that heals itself.
///
/// The side with the token sends a burst and passes the token with the last frame, by a bit. If it
/// asks for nothing it keeps the token. Whoever has waited long enough in silence takes it: the
/// waits are random, so that two who took it at once do not do so again.
#[allow(clippy::struct_excessive_bools, reason = "they are independent of one another")]
#[derive(Debug)]
pub(crate) struct Turn {
    config: HalfDuplex,
    random: u64,
    ours: bool,
    /// The other side has more to send and wants the token back.
    pub(crate) wanted: bool,
    busy: bool,
    senses: bool,
    /// Since when the medium is free, or will be.
    clear: Instant,
    /// How long the silence has to last until the token may be taken.
    patience: Duration,
    in_vain: u32,
    /// What the burst so far takes on the medium.
    burst: Duration,
}

impl Turn {
    pub(crate) fn new(config: HalfDuplex, seed: u32, now: Instant) -> Self {
        let mut turn = Self {
            config,
            random: u64::from(seed) << 1 | 1,
            ours: false,
            wanted: false,
            busy: false,
            senses: false,
            clear: now,
            patience: Duration::ZERO,
            in_vain: 0,
            burst: Duration::ZERO,
        };
        turn.patience = turn.up_to(config.guard * 4);
        turn
    }

    /// A random time below `most` (xorshift, Marsaglia 2003).
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        most.mul_f64(f64::from(u32::try_from(self.random >> 32).unwrap_or(0)) / f64::from(u32::MAX))
    }

    pub(crate) fn guard(&self) -> Duration {
        self.config.guard
    }

    pub(crate) fn set_medium(&mut self, config: HalfDuplex) {
        self.config = config;
    }

    /// Bytes that a frame costs besides its own.
    pub(crate) fn preamble(&self) -> usize {
        usize::from(self.config.preamble)
    }

    /// Something begins or ends on the medium: this side's burst, the other's, or a stranger's.
    pub(crate) fn set_carrier(&mut self, now: Instant, busy: bool) {
        self.senses = true;
        if self.busy && !busy {
            self.clear = now;
        }
        self.busy = busy;
    }

    /// When this side may begin, if nothing happens before. `None`: not while the medium is busy.
    pub(crate) fn opens_at(&self) -> Option<Instant> {
        let wait = if self.ours { self.config.guard } else { self.patience };
        let continues = self.ours && self.burst > Duration::ZERO;
        if continues {
            return Some(Instant::from_micros(0));
        }
        (!self.busy).then(|| self.clear + wait)
    }

    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.opens_at().is_some_and(|at| at <= now)
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.ours
    }

    /// This side begins or goes on although the token may be elsewhere.
    pub(crate) fn take(&mut self) {
        self.ours = true;
    }

    /// How often this side has to let the other one talk while it says what takes `time`.
    pub(crate) fn bursts(&self, time: Duration) -> u32 {
        let burst = self.config.burst.as_micros().max(1);
        u32::try_from(time.as_micros() / burst).unwrap_or(u32::MAX)
    }

    /// Whether a burst may take another `frame`.
    pub(crate) fn has_room(&self, frame: Duration) -> bool {
        self.burst + frame <= self.config.burst
    }

    /// A frame has been given out that takes `time` and ends at `done`.
    pub(crate) fn sent(&mut self, time: Duration, done: Instant) {
        self.burst += time;
        self.clear = self.clear.max(done);
    }

    /// The burst is over. `asks`: the token goes to the other side, which takes up to `answer`
    /// until its first frame has arrived, if the medium cannot be listened to.
    pub(crate) fn end_burst(&mut self, asks: bool, answer: Duration) {
        self.burst = Duration::ZERO;
        self.wanted = false;
        if asks {
            self.ours = false;
            let unseen = if self.senses { Duration::ZERO } else { answer };
            let doubled = self.config.guard * (1 << self.in_vain.min(MAX_DOUBLING));
            self.patience = self.config.guard * 4 + unseen + self.up_to(doubled * 2);
        }
    }

    /// Nobody has answered.
    pub(crate) fn missed(&mut self) {
        self.in_vain += 1;
    }

    /// A frame of the other side has arrived, which was given the token or keeps it.
    pub(crate) fn heard(&mut self, now: Instant, passes: bool, wants: bool, answer: Duration) {
        self.in_vain = 0;
        self.clear = self.clear.max(now);
        self.ours = passes;
        self.wanted = passes && wants;
        self.burst = Duration::ZERO;
        let unseen = if self.senses { Duration::ZERO } else { answer };
        self.patience = self.config.guard * 4 + unseen + self.up_to(self.config.guard * 2);
    }
}
