//! Beginning, time and end of a wire.

use super::{Connection, State};
use crate::frame::{self, kind};
use crate::table::Key;
use crate::{Breach, Cause, Code, Event, Instant, MAX_TEXT, Started};
use alloc::collections::VecDeque;
use alloc::string::String;
use core::time::Duration;

/// A peer may take this many byte times for its hello.
const HELLO_BYTE_TIMES: usize = 64;
/// A peer may take this many byte times for a sign of life.
const PONG_BYTE_TIMES: usize = 256;

/// And this many round trips for either, where the wire has turns: some are repeats.
const ROUND_TRIPS: u32 = 4;

/// What a time-out is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The deadline of a call of ours.
    Call(Key),
    /// The deadline of a call of the peer.
    Incoming(Key),
    /// The arguments of a call of the peer.
    Arguments(Key),
}

/// What has to be done and when, the first first.
///
/// Deadlines mostly come in their order, so most are put at the end and taken from the front; a tree would be
/// twice the code.
#[derive(Debug, Default)]
pub(crate) struct Timers(VecDeque<(Instant, Timer)>);

impl Timers {
    fn first(&self) -> Option<&(Instant, Timer)> {
        self.0.front()
    }

    fn pop_first(&mut self) {
        self.0.pop_front();
    }

    fn place(&self, timer: &(Instant, Timer)) -> usize {
        self.0.partition_point(|other| other < timer)
    }

    pub(super) fn insert(&mut self, timer: (Instant, Timer)) {
        self.0.insert(self.place(&timer), timer);
    }

    pub(super) fn remove(&mut self, timer: &(Instant, Timer)) {
        let at = self.place(timer);
        if self.0.get(at) == Some(timer) {
            self.0.remove(at);
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

    /// What the wire needs for so many bytes, and for turns and repeats.
    pub(super) fn extra(&self, bytes: usize) -> Duration {
        let turns = self.config.round_trip.unwrap_or_default() * ROUND_TRIPS;
        turns + Duration::from_micros(self.meter.micros(bytes))
    }

    fn handshake_by(&self) -> Option<Instant> {
        let timeout = self.config.limits.handshake_timeout.filter(|_| self.peer_codec.is_none())?;
        let since = self.clock.received.max(self.clock.sent);
        Some(since + timeout.max(self.extra(HELLO_BYTE_TIMES)))
    }

    fn alive_by(&self) -> Option<Instant> {
        let silence = self.config.keepalive?;
        match self.clock.ping {
            // Whatever came since then is a sign of life as well.
            Some((_, sent, false)) if self.clock.received <= sent => {
                Some(sent + silence + self.extra(PONG_BYTE_TIMES))
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
            match timer {
                Timer::Call(key) => self.give_up_call(key, Code::DEADLINE, Started::Maybe),
                Timer::Incoming(key) => self.cancel_incoming(key, Code::DEADLINE),
                Timer::Arguments(key) => self.arguments_late(now, key),
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
