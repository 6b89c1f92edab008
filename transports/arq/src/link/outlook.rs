//! How long what waits will take.

use core::time::Duration;

use super::{LARGEST_HEADER, Link};
use crate::frame::data_overhead;
use crate::time::Instant;

/// The answer that is waited for, bytes.
const ANSWER: usize = 64;

/// What a link over a modem expects, if nothing is lost from now on: where seconds pass in silence,
/// people want to know how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outlook {
    /// Bytes of the stream that the other side may not have yet.
    pub to_send: u64,
    /// Until it has them.
    pub sent_in: Duration,
    /// Until 64 bytes of an answer are here, if it is given at once.
    pub answered_in: Duration,
}

impl Link {
    /// How long what was written will take; `None` if all of it has arrived, or if the medium is
    /// no modem.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use ipfi_arq::{Config, HalfDuplex, Instant, Link};
    /// let guard = Duration::from_millis(200);
    /// let medium = HalfDuplex { guard, burst: Duration::from_secs(10), preamble: 4 };
    /// let now = Instant::from_micros(0);
    /// let mut link = Link::new(Config::half_duplex(20, 100, medium), 1, now);
    /// assert_eq!(link.outlook(now), None);
    /// link.write(&[7; 200]).unwrap();
    /// let outlook = link.outlook(now).unwrap();
    /// assert_eq!(outlook.to_send, 200);
    /// assert!(outlook.sent_in > Duration::from_secs(10)); // 20 bytes a second
    /// ```
    #[must_use]
    pub fn outlook(&self, now: Instant) -> Option<Outlook> {
        if !self.config.profile.is_modem() {
            return None;
        }
        let to_send = self.outgoing.written().saturating_sub(self.outgoing.acked());
        if to_send == 0 || !(self.is_open() || self.peer.is_none()) {
            return None;
        }
        let overhead = data_overhead(self.config.profile) + self.preamble();
        let waiting = self.outgoing.waiting();
        let frames = waiting.div_ceil(self.payload_size().max(1));
        let talk = self.line.time_of(waiting + frames * overhead);
        let being_sent = self.line.left(now);
        let answer = self.line.time_of(ANSWER + overhead);
        let Some(turn) = &self.turn else {
            let sent_in = being_sent + talk;
            let answered_in = (sent_in + answer).saturating_sub(self.line.idle_for(now));
            return Some(Outlook { to_send, sent_in, answered_in });
        };
        let guard = turn.guard();
        // Between two bursts the other side says what has arrived.
        let turn_over = guard * 2 + self.line.time_of(LARGEST_HEADER + turn.preamble());
        let mut bursts = turn.bursts(talk);
        if !being_sent.is_zero() && !talk.is_zero() {
            bursts += 1;
        }
        let opens = match turn.opens_at() {
            Some(at) if being_sent.is_zero() && !talk.is_zero() => at - now,
            _ => Duration::ZERO,
        };
        let sent_in = being_sent + opens + talk + turn_over * bursts;
        let answered_in = (sent_in + guard + answer).saturating_sub(self.line.idle_for(now));
        Some(Outlook { to_send, sent_in, answered_in })
    }
}
