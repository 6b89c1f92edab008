//! Beginning, time and end of a wire.

use super::{Connection, State};
use crate::frame::{self, kind};
use crate::table::{Tag, Tagged};
use crate::time::micros;
use crate::{Breach, Cause, Code, Event, Instant, MAX_TEXT, Started};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// A peer may take this many byte times for its hello.
const HELLO_BYTE_TIMES: usize = 64;
/// A peer may take this many byte times for a sign of life.
const PONG_BYTE_TIMES: usize = 256;

/// And this many round trips for either, where the wire has turns: some are repeats.
const ROUND_TRIPS: u64 = 4;

/// What a time-out is about: the deadline of a call of either side, or the arguments of one of the peer.
pub(crate) type Timer = Tagged;

/// What has to be done and when, the first first.
///
/// Deadlines mostly come in their order, so most are put at the end and taken from the front; a tree would be
/// twice the code.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    sorted: Vec<(Instant, Timer)>,
    /// How many at the front are over.
    over: usize,
}

impl Timers {
    fn first(&self) -> Option<&(Instant, Timer)> {
        self.sorted.get(self.over)
    }

    fn pop_first(&mut self) {
        self.over += 1;
    }

    pub(super) fn insert(&mut self, timer: (Instant, Timer)) {
        let mut at = self.sorted.len();
        if self.over > at / 2 {
            self.sorted.copy_within(self.over..at, 0);
            at -= self.over;
            self.sorted.truncate(at);
            self.over = 0;
        }
        self.sorted.push(timer);
        while at > self.over && self.sorted.get(at - 1).is_some_and(|before| *before > timer) {
            self.sorted.swap(at - 1, at);
            at -= 1;
        }
    }

    pub(super) fn remove(&mut self, timer: &(Instant, Timer)) {
        let live = self.sorted.get(self.over..).unwrap_or_default();
        let before = live.partition_point(|other| other < timer);
        if live.get(before) != Some(timer) {
            return;
        }
        let (at, end) = (self.over + before, self.sorted.len());
        // Whichever side is shorter moves up.
        if before < live.len() / 2 {
            self.sorted.copy_within(self.over..at, self.over + 1);
            self.over += 1;
        } else {
            self.sorted.copy_within(at + 1..end, at);
            self.sorted.truncate(end - 1);
        }
    }
}

/// When things last happened.
#[derive(Debug)]
pub(crate) struct Clock {
    received: Instant,
    sent: Instant,
    /// Nothing was open since.
    idle_since: Instant,
    /// A ping of the peer to be answered.
    pong: Option<u64>,
    /// A ping of ours: its token, when it was sent, and whether the application asked for it.
    ping: Option<(u64, Instant, bool)>,
    pings: u64,
    /// A graceful close ends by force.
    close_by: Option<Instant>,
    /// The peer said go-away.
    pub(super) peer_leaves: bool,
}

impl Clock {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            received: now,
            sent: now,
            idle_since: now,
            pong: None,
            ping: None,
            pings: 0,
            close_by: None,
            peer_leaves: false,
        }
    }

    #[inline]
    pub(super) fn received(&mut self, now: Instant) {
        self.received = self.received.max(now);
    }

    #[inline]
    pub(super) fn sent(&mut self, now: Instant) {
        self.sent = self.sent.max(now);
    }

    /// Something came to its end.
    pub(super) fn ended(&mut self, now: Instant) {
        self.idle_since = self.idle_since.max(now);
    }

    pub(super) fn take_pong(&mut self) -> Option<u64> {
        self.pong.take()
    }

    pub(super) fn has_pong(&self) -> bool {
        self.pong.is_some()
    }
}

impl Connection {
    /// When to call [`handle_timeout`](Self::handle_timeout) at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_closed() {
            return None;
        }
        let timer = self.timers.first().map(|&(at, _)| at);
        [timer, self.handshake_by(), self.alive_by(), self.idle_by(), self.clock.close_by]
            .into_iter()
            .flatten()
            .min()
    }

    /// Microseconds that the wire needs for so many bytes, and for turns and repeats.
    pub(super) fn extra(&self, bytes: usize) -> u64 {
        let turns = self.config.round_trip.map_or(0, micros).saturating_mul(ROUND_TRIPS);
        turns.saturating_add(self.meter.micros(bytes))
    }

    fn handshake_by(&self) -> Option<Instant> {
        let timeout = self.config.limits.handshake_timeout.filter(|_| self.peer_codec.is_none())?;
        let since = self.clock.received.max(self.clock.sent);
        Some(since.after(micros(timeout).max(self.extra(HELLO_BYTE_TIMES))))
    }

    fn alive_by(&self) -> Option<Instant> {
        let silence = self.config.keepalive?;
        match self.clock.ping {
            // Whatever came since then is a sign of life as well.
            Some((_, sent, false)) if self.clock.received <= sent => {
                Some((sent + silence).after(self.extra(PONG_BYTE_TIMES)))
            }
            _ => Some(self.clock.received + silence),
        }
    }

    fn idle_by(&self) -> Option<Instant> {
        let idle = self.config.idle_timeout.filter(|_| self.state == State::Open)?;
        let since = self.clock.idle_since.max(self.clock.received).max(self.clock.sent);
        Some(since + idle)
    }

    /// Does what has to be done at this time. Any time will do, too early and too late alike.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.is_closed() {
            return;
        }
        while let Some(&(at, timer)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            let key = timer.key();
            match timer.tag() {
                Tag::Call => self.give_up_call(key, Code::DEADLINE, Started::Maybe),
                Tag::Incoming => self.cancel_incoming(key, Code::DEADLINE),
                Tag::Arguments | Tag::Stream => self.arguments_late(now, key),
            }
        }
        let over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if over(self.clock.close_by) {
            self.lost(Cause::CloseTimeout, Code::CANCELLED);
        } else if over(self.handshake_by()) {
            self.lost(Cause::HandshakeTimeout, Code::TIMEOUT);
        } else if over(self.alive_by()) {
            let received = self.clock.received;
            if matches!(self.clock.ping, Some((_, sent, false)) if received <= sent) {
                self.lost(Cause::KeepaliveTimeout, Code::TIMEOUT);
            } else {
                self.send_ping(now, false);
            }
        } else if over(self.idle_by()) {
            if self.is_idle() {
                self.leave(Cause::Idle, Code::IDLE, "");
            } else {
                self.clock.idle_since = now;
            }
        }
    }

    fn lost(&mut self, cause: Cause, code: Code) {
        self.finish_with(cause, Some((code, "")));
    }

    /// Measures the round trip: [`Event::Pong`] comes back.
    pub fn ping(&mut self, now: Instant) {
        if !self.is_closed() {
            self.send_ping(now, true);
        }
    }

    fn send_ping(&mut self, now: Instant, asked: bool) {
        self.clock.pings += 1;
        self.clock.ping = Some((self.clock.pings, now, asked));
        self.control(kind::PING, &[self.clock.pings]);
    }

    pub(super) fn take_ping(&mut self, now: Instant, token: u64) -> Result<(), Breach> {
        // Only the last one is answered, so that nobody can make us hold many.
        self.clock.pong = Some(token);
        self.empty_frame(now)
    }

    pub(super) fn take_pong(&mut self, now: Instant, token: u64) {
        if let Some((expected, sent, asked)) = self.clock.ping
            && token == expected
        {
            self.clock.ping = None;
            if asked {
                self.emit(Event::Pong { round_trip: now - sent });
            }
        }
    }

    /// Closes the wire in peace: calls that run are finished, new calls to procedures are refused on
    /// both sides, and then [`Event::Closed`] comes with [`Cause::Graceful`]. Calls to callbacks go
    /// on, because what runs may need them; streams go on to their ends, which have to be read. After
    /// `within` the rest is cut off.
    pub fn close(&mut self, now: Instant, within: Option<Duration>) {
        self.clock.close_by = within.map(|within| now + within);
        self.leave(Cause::Graceful, Code::OK, "");
    }

    fn leave(&mut self, cause: Cause, code: Code, text: &str) {
        if self.state != State::Open {
            return;
        }
        self.state = State::Leaving(cause);
        let text = frame::clip(text, MAX_TEXT);
        self.out.control(kind::GOAWAY, &[u64::from(code.0)], text.as_bytes());
    }

    /// Ends the wire at once, and tells the peer why.
    pub fn abort(&mut self, code: Code, text: &str) {
        let cause = Cause::Aborted { code, text: text.into() };
        self.finish_with(cause, Some((code, text)));
    }

    /// The byte stream ended: nothing more will be received.
    pub fn receive_end(&mut self) {
        self.finish_with(Cause::Lost, None);
    }

    /// The byte stream failed, and said why: nothing more will be received.
    pub fn receive_error(&mut self, text: &str) {
        self.finish_with(Cause::Broken { text: text.into() }, None);
    }

    pub(super) fn take_go_away(&mut self, code: Code, text: String) {
        if !matches!(code, Code::OK | Code::IDLE) {
            self.finish_with(Cause::Peer { code, text }, None);
            return;
        }
        if !core::mem::replace(&mut self.clock.peer_leaves, true) {
            self.refuse_waiting(false);
            self.emit(Event::GoingAway { code, text });
        }
    }

    /// The peer has nothing open any more and will not send anything.
    pub(super) fn take_bye(&mut self) {
        // What it did not answer came after its go-away, and it never looked at that.
        self.refuse_waiting(true);
        self.finish_with(Cause::Graceful, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Key, Tag};

    #[test]
    fn timers_stay_in_their_order() {
        let (mut timers, mut model) = (Timers::default(), Vec::new());
        let mut random = 1u64;
        for round in 0..20_000u32 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round.into());
            let at = Instant::from_micros(u64::from(round / 4) + (random >> 58));
            match random >> 40 & 7 {
                0..=2 => {
                    let timer = (at, Tag::Call.of(Key::new(round, 0)));
                    timers.insert(timer);
                    model.push(timer);
                    model.sort_unstable();
                }
                3..=5 if !model.is_empty() => {
                    let timer = model.remove((random >> 20) as usize % model.len());
                    timers.remove(&timer);
                    // What is not there does no harm.
                    timers.remove(&timer);
                }
                6 if !model.is_empty() => {
                    model.remove(0);
                    timers.pop_first();
                }
                _ => {}
            }
            assert_eq!(timers.first(), model.first());
            assert_eq!(timers.sorted.get(timers.over..), Some(&model[..]));
        }
    }
}
