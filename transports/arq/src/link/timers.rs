//! When the link has to be called, and what it does then.

use core::time::Duration;

use super::{LINGER, Link, Phase};
use crate::error::Ended;
use crate::time::Instant;

/// The message that there is room again may be lost, so it is asked for.
const LONGEST_WAIT_FOR_ROOM: Duration = Duration::from_secs(5);

/// On a slow line the time may be up before anybody could answer.
const LEAST_QUESTIONS: u32 = 4;
/// The same where each question costs a turn, and the time does not matter.
const LEAST_POLLS: u32 = 15;

impl Link {
    /// When to call [`handle_timeout`](Self::handle_timeout) and
    /// [`poll_transmit`](Self::poll_transmit) at the latest, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let work = match &self.phase {
            Phase::Greeting { next, .. } => Some(*next),
            Phase::Closed | Phase::Lingering { .. } => None,
            Phase::Failed(_) => (self.resets_left > 0).then_some(self.next_reset),
            // Who has not the turn acknowledges when it comes.
            Phase::Open => self.ack_at.filter(|_| self.has_turn()),
        };
        let now = Instant::from_micros(0);
        let work = if self.has_something_to_send(now) { Some(now) } else { work };
        let ready = match &self.turn {
            Some(turn) => turn.opens_at(),
            None => Some(self.line.ready_at()),
        };
        let work = work.zip(ready).map(|(at, ready)| at.max(ready));
        let ending = match &self.phase {
            Phase::Greeting { .. } => self.config.connect_timeout.map(|wait| self.started + wait),
            Phase::Lingering { until } => Some(*until),
            Phase::Open => self.dead_at().filter(|_| self.has_asked_enough()),
            Phase::Closed | Phase::Failed(_) => None,
        };
        [work, ending, self.answer_due(), self.keepalive_due(), self.loss_due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what the time has come for.
    pub fn handle_timeout(&mut self, now: Instant) {
        let reached = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        match &self.phase {
            Phase::Greeting { .. } => {
                let deadline = self.config.connect_timeout.map(|wait| self.started + wait);
                if reached(deadline) {
                    self.fail(Ended::ConnectTimedOut);
                }
            }
            Phase::Lingering { until } if *until <= now => self.phase = Phase::Closed,
            Phase::Open if self.has_asked_enough() && reached(self.dead_at()) => {
                self.fail(Ended::TimedOut);
            }
            Phase::Open | Phase::Lingering { .. } | Phase::Closed | Phase::Failed(_) => {}
        }
        self.lose_late(now);
        if reached(self.answer_due()) {
            if self.outgoing.oldest().is_none() {
                self.patience += 1;
            } else {
                self.in_vain += 1;
                if let Some(congestion) = &mut self.outgoing.congestion {
                    congestion.in_vain(self.in_vain);
                }
            }
            if let Some(turn) = &mut self.turn {
                turn.missed();
                turn.take();
            }
            self.waiting_since = now;
            self.probe = true;
        }
        if reached(self.keepalive_due()) {
            self.ping = true;
        }
    }

    /// When a datagram that others have overtaken counts as lost.
    fn loss_due(&self) -> Option<Instant> {
        let applies = self.outgoing.congestion.is_some() && self.is_open();
        self.outgoing.overtaken_at(self.rtt.late()).filter(|_| applies)
    }

    pub(super) fn lose_late(&mut self, now: Instant) {
        if self.loss_due().is_some_and(|at| at <= now) {
            self.statistics.frames_lost += self.outgoing.lose_late(now, self.rtt.late());
        }
    }

    /// How long to wait for an answer, counted from the end of the question.
    ///
    /// A loss shows when a later frame has arrived, and an answer may be lost as well: while frames
    /// follow, the time of some more of them is granted.
    pub(super) fn answer_timeout(&self) -> Duration {
        let frames = self.outgoing.in_flight().clamp(1, 4);
        // A question on a line of one's own is in nobody's way, and is lost to noise rather than to a
        // crowd: waiting longer with each one would cost more than it spares.
        let is_own = self.outgoing.congestion.is_none();
        let doublings = if is_own { self.in_vain / 2 } else { self.in_vain };
        self.rtt.timeout(self.line.time_of(self.payload_size() * frames), doublings)
    }

    /// When the oldest frame without a verdict should have had one; or, if the other side has no
    /// room, when to ask whether it really has none.
    fn answer_due(&self) -> Option<Instant> {
        if !matches!(self.phase, Phase::Open) || self.probe {
            return None;
        }
        if let Some(turn) = &self.turn {
            let waits = self.outgoing.in_flight() > 0 || self.outgoing.is_blocked();
            return turn.opens_at().filter(|_| waits && !turn.is_ours());
        }
        match self.outgoing.oldest() {
            Some(oldest) => Some(oldest.max(self.waiting_since) + self.answer_timeout()),
            None if self.outgoing.is_blocked() => {
                let wait = self.answer_timeout().saturating_mul(1 << self.patience.min(16));
                Some(self.waiting_since.max(self.heard_at) + wait.min(LONGEST_WAIT_FOR_ROOM))
            }
            None => None,
        }
    }

    fn has_asked_enough(&self) -> bool {
        let least = if self.turn.is_some() { LEAST_POLLS } else { LEAST_QUESTIONS };
        self.in_vain >= least
    }

    /// How long to stay for a farewell that may be on its way.
    pub(super) fn linger(&self) -> Duration {
        let turns = self.turn.as_ref().map_or(Duration::ZERO, |turn| turn.guard() * 16);
        LINGER + turns + self.longest_frame() * 2
    }

    fn keepalive_due(&self) -> Option<Instant> {
        let idle =
            matches!(self.phase, Phase::Open) && self.outgoing.in_flight() == 0 && !self.ping;
        let interval = self.config.keepalive.filter(|_| idle)?;
        Some(self.heard_at + interval)
    }

    fn dead_at(&self) -> Option<Instant> {
        let asked_after = self.config.keepalive.unwrap_or_default();
        let patience = self.config.dead_after.saturating_sub(asked_after);
        Some(self.heard_at.max(self.owed_since?) + patience)
    }
}
