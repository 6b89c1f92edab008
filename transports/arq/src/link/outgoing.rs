//! What the link gives to the medium.

use core::ops::Range;
use core::time::Duration;

use super::{
    GREETING_INTERVAL, IMPATIENT_GREETINGS, LARGEST_HEADER, Link, PATIENT_GREETING_INTERVAL, Phase,
};
use crate::config::{EscapeMap, Profile};
use crate::fec::{self, Kind, Mode};
use crate::frame::{Ack, Done, Frame, Syn, VERSION, data_overhead};
use crate::framing;
use crate::loss::MIN_PAYLOAD;
use crate::time::Instant;
use crate::turn::Turn;

/// A payload with room for an acknowledgement beside it.
const ROOMY: usize = 128;

/// A datagram that so many others have overtaken is still reported.
const OVERTAKEN: u64 = 64;
/// A greeting by datagram is padded, so that an answer is never longer.
const LEAST_GREETING: usize = 64;

impl Link {
    /// Fills `buf` with bytes for the medium and says how many. Zero means that there is nothing
    /// to send now. A buffer for a line may have any size; one for datagrams or packets has to
    /// hold a frame (1,500 bytes always do) and gets one at a time.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut [u8]) -> usize {
        let mut filled = 0;
        while let Some(room) = buf.get_mut(filled..).filter(|room| !room.is_empty()) {
            if self.out_taken == self.out.len() && !self.next_frame(now) {
                break;
            }
            let rest = self.out.get(self.out_taken..).unwrap_or_default();
            let count = rest.len().min(room.len());
            for (place, byte) in room.iter_mut().zip(rest) {
                *place = *byte;
            }
            self.out_taken += count;
            filled += count;
            if !self.config.profile.is_framed() {
                self.out_taken = self.out.len();
                break;
            }
        }
        self.statistics.wire_bytes_sent += filled as u64;
        filled
    }

    /// Whether a frame would go out now if the line were free.
    pub(super) fn has_something_to_send(&self, now: Instant) -> bool {
        match &self.phase {
            Phase::Greeting { next, .. } => *next <= now,
            Phase::Failed(_) => self.greet || (self.resets_left > 0 && self.next_reset <= now),
            Phase::Closed | Phase::Lingering { .. } => self.greet || self.farewell,
            Phase::Open => {
                let ack_due = self.has_turn() && self.ack_at.is_some_and(|at| at <= now);
                let wanted = self.has_turn() && self.turn.as_ref().is_some_and(|turn| turn.wanted);
                let asks = self.greet || self.ping || self.probe;
                asks || ack_due || wanted || self.may_send_data()
            }
        }
    }

    /// Always on media where both may talk.
    pub(super) fn has_turn(&self) -> bool {
        self.turn.as_ref().is_none_or(Turn::is_ours)
    }

    /// While questions go unanswered nothing but questions is sent: it would only make a queue.
    fn may_send_data(&self) -> bool {
        let room = self.outgoing.in_flight() < self.config.profile.max_in_flight();
        self.in_vain == 0 && room && self.outgoing.has_next() && self.outgoing.network_has_room()
    }

    /// Puts the next frame into `out`, if there is one.
    fn next_frame(&mut self, now: Instant) -> bool {
        let ready = self.may_send(now);
        let waits = self.has_something_to_send(now);
        self.line.set_waiting(waits && self.turn.is_none(), ready);
        if !ready || !waits {
            return false;
        }
        if let Some(turn) = &mut self.turn {
            turn.take();
        }
        self.out.clear();
        self.out_taken = 0;
        self.frame.clear();
        match &mut self.phase {
            Phase::Greeting { next, tries } => {
                let often = *tries < IMPATIENT_GREETINGS;
                let wait = if often { GREETING_INTERVAL } else { PATIENT_GREETING_INTERVAL };
                let wait = wait.max(self.line.time_of(4 * 32));
                // Where turns are taken, they say when.
                *next = if self.turn.is_some() { now } else { now + wait };
                *tries += 1;
                self.encode_greeting(now);
            }
            Phase::Failed(_) if !self.greet => self.encode_reset(now),
            Phase::Open if !self.greet => self.encode_session_frame(now),
            Phase::Closed | Phase::Lingering { .. } if !self.greet => self.encode_farewell(now),
            Phase::Open | Phase::Lingering { .. } | Phase::Closed | Phase::Failed(_) => {
                self.encode_greeting(now);
            }
        }
        self.statistics.frames_sent += 1;
        true
    }

    fn greets_whom(&mut self) -> u32 {
        let peer = self.peer.as_ref().map(|peer| peer.id);
        self.stranger.take().or(peer).unwrap_or(0)
    }

    fn encode_greeting(&mut self, now: Instant) {
        self.greet = false;
        let is_network = self.config.profile == Profile::Datagram;
        let heard = self.greets_whom();
        let syn = Syn {
            version: VERSION,
            profile: self.config.profile.code(),
            id: self.id,
            heard,
            max_payload: self.takes(),
            credit: self.credit(),
            fec: self.finder.is_some(),
            escapes: self.config.escape.0,
            cookie: self.cookie,
        };
        syn.encode(&mut self.frame, if is_network { LEAST_GREETING } else { 0 });
        self.give(now, EscapeMap::CONTROLS);
        if let Some(turn) = &mut self.turn {
            // Until somebody answers: two that begin together would go on together.
            turn.missed();
        }
        self.end_burst(true);
    }

    fn encode_reset(&mut self, now: Instant) {
        self.resets_left -= 1;
        self.next_reset = now + self.answer_timeout();
        if let Some(peer) = &self.peer {
            self.reset.encode(&peer.outgoing, &mut self.frame);
        }
        self.give(now, self.escapes);
        self.end_burst(false);
    }

    fn encode_farewell(&mut self, now: Instant) {
        self.farewell = false;
        if let Some(peer) = &self.peer {
            Done::encode(&peer.outgoing, &mut self.frame);
        }
        self.give(now, self.escapes);
        self.end_burst(false);
    }

    /// Frames `frame` into `out`. Returns when it will have left.
    fn give(&mut self, now: Instant, escapes: EscapeMap) -> Instant {
        if self.config.profile.is_framed() {
            if self.line.is_idle(now) {
                // Ends whatever noise has made the other side believe to have begun.
                self.out.push(0);
            }
            framing::encode(&self.frame, escapes, &mut self.scratch, &mut self.out);
        } else {
            self.out.extend_from_slice(&self.frame);
        }
        let preamble = self.preamble();
        let paced = self.rtt.smoothed().zip(self.outgoing.congestion.as_ref());
        if let Some((round_trip, congestion)) = paced {
            self.line.set_rate(congestion.pace(round_trip));
        }
        let done = self.line.give(now, self.out.len() + preamble);
        // A network carries a frame when it is given one: the pace is this side's own.
        let done = if self.outgoing.congestion.is_some() { now } else { done };
        let time = self.line.time_of(self.out.len() + preamble);
        if let Some(turn) = &mut self.turn {
            turn.sent(time, done);
        }
        done
    }

    /// The medium is the other side's now, if `asks`.
    fn end_burst(&mut self, asks: bool) {
        let answer = self.longest_frame();
        if let Some(turn) = &mut self.turn {
            turn.end_burst(asks, answer);
        }
    }

    /// The time that a frame of either side takes at most.
    pub(super) fn longest_frame(&self) -> Duration {
        let preamble = self.preamble();
        self.line.time_of(usize::from(self.config.max_payload) + LARGEST_HEADER + preamble)
    }

    pub(super) fn may_send(&self, now: Instant) -> bool {
        match &self.turn {
            Some(turn) => turn.is_open(now),
            None => self.line.is_ready(now),
        }
    }

    /// Whether another frame follows the one with `range` before the other side has its turn.
    fn goes_on_after(&self, range: &Range<u64>) -> bool {
        let room = self.outgoing.in_flight() + 1 < self.config.profile.max_in_flight();
        let in_time = self.turn.as_ref().is_none_or(|turn| {
            let frame = self.payload_size() + LARGEST_HEADER + turn.preamble();
            turn.has_room(self.line.time_of(frame * 2))
        });
        self.in_vain == 0 && room && in_time && self.outgoing.has_next_after(range)
    }

    fn encode_session_frame(&mut self, now: Instant) {
        let asks = core::mem::take(&mut self.probe);
        let long = if asks || !self.may_send_data() { None } else { self.long_kind() };
        // A coded frame always has room for an acknowledgement, but it must be known how much.
        let early = if long.is_some() && self.ack_at.is_some() { self.acknowledge() } else { None };
        let (range, long) = self.pick_range(asks, long, early.as_ref());
        let numbered = range.is_some() || asks || self.ping;
        let offset = range.as_ref().map(|range| range.start);
        let range = range.unwrap_or(0..0);
        let goes_on = numbered && self.goes_on_after(&range);
        let last = numbered && !goes_on;
        let more = self.turn.is_some() && last && self.outgoing.has_next_after(&range);
        let gives_back = self.turn.as_ref().is_some_and(|turn| turn.wanted && !goes_on);
        let ack_due = self.ack_at.is_some_and(|at| at <= now);
        let roomy = self.ack_at.is_some() && range.end - range.start >= ROOMY as u64;
        let ack =
            if ack_due || roomy || self.ping || gives_back { self.acknowledge() } else { None };
        let ack = early.or(ack);

        let poll = asks || last || gives_back || (self.ping && self.turn.is_none());
        let mut payload = core::mem::take(&mut self.scratch);
        payload.clear();
        self.outgoing.copy(&range, &mut payload);
        let frame = Frame {
            number: numbered.then(|| self.outgoing.next_number()),
            ack,
            offset,
            payload: &payload,
            fin: offset.is_some() && self.outgoing.covers_end(&range),
            poll,
            more,
        };
        if let Some(peer) = &self.peer {
            frame.encode(self.config.profile, &peer.outgoing, &mut self.frame);
        }
        self.statistics.bytes_sent += payload.len() as u64;
        self.scratch = payload;
        let kind = long.or_else(|| self.short_kind());
        let done = match kind {
            Some(kind) => self.give_coded(now, kind),
            None => self.give(now, self.escapes),
        };
        if numbered {
            self.note_sent(now, range, done, asks, kind.is_some());
        }
        self.ping = false;
        if !goes_on {
            self.end_burst(poll);
        }
    }

    /// How a frame with much payload is to go out, if not plain.
    fn long_kind(&mut self) -> Option<Kind> {
        let kind = self.mode().kind()?;
        (!self.outgoing.fec.takes_sample()).then_some(kind)
    }

    /// How the frame in `frame` is to go out if it is short, on a line so bad that plain ones do
    /// not come through: as this side or the other has found, or fears since a question was not
    /// answered. Without that one lost question after the other could cost seconds.
    fn short_kind(&self) -> Option<Kind> {
        let bad = self.mode() == Mode::Strong || self.hears_strong || self.in_vain > 0;
        let fits = self.frame.len() <= Kind::Short.capacity();
        (bad && fits && self.takes_coded()).then_some(Kind::Short)
    }

    /// Whether the other side takes coded frames, on a line that carries them.
    pub(super) fn takes_coded(&self) -> bool {
        self.escapes.is_empty() && self.peer.as_ref().is_some_and(|peer| peer.takes_coded)
    }

    /// What goes into the next frame: as much as a coded frame of the kind `long` takes, or less
    /// and plain.
    fn pick_range(
        &self,
        asks: bool,
        long: Option<Kind>,
        ack: Option<&Ack>,
    ) -> (Option<Range<u64>>, Option<Kind>) {
        let overhead = data_overhead(self.config.profile);
        let least = Kind::Short.capacity() - overhead;
        let is_bad = self.mode() == Mode::Strong;
        if asks {
            let coded = is_bad || (self.in_vain > 0 && self.takes_coded());
            let max = if coded { least } else { MIN_PAYLOAD };
            return (self.outgoing.probe_range(max), None);
        }
        if !self.may_send_data() {
            return (None, None);
        }
        if let Some(kind) = long {
            let ack = ack.map_or(0, |ack| ack.encoded_len(self.config.profile));
            let range = self.outgoing.next_range(kind.capacity() - overhead - ack);
            if range.as_ref().is_some_and(|range| range.end - range.start >= ROOMY as u64) {
                return (range, long);
            }
        }
        let max = if is_bad && long.is_some() { least } else { self.payload_size() };
        (self.outgoing.next_range(max), None)
    }

    /// As [`give`](Self::give), but coded.
    fn give_coded(&mut self, now: Instant, kind: Kind) -> Instant {
        fec::encode(kind, &self.frame, &mut self.out);
        self.line.give(now, self.out.len())
    }

    fn note_sent(
        &mut self,
        now: Instant,
        range: Range<u64>,
        done: Instant,
        asks: bool,
        coded: bool,
    ) {
        if self.outgoing.in_flight() == 0 || asks {
            self.waiting_since = self.waiting_since.max(done);
        }
        self.owed_since.get_or_insert(now);
        self.statistics.frames_repeated += u64::from(self.outgoing.is_repeat(&range));
        self.outgoing.on_sent(range, self.out.len(), done, coded);
    }

    fn acknowledge(&mut self) -> Option<Ack> {
        let is_network = self.config.profile == Profile::Datagram;
        let least = if is_network { OVERTAKEN } else { 0 };
        let ack = self.arrivals.report(self.assembler.next(), self.credit(), least)?;
        self.promised =
            self.assembler.next() + u64::from(ack.credit) * self.config.profile.credit_unit();
        self.unacknowledged = 0;
        self.ack_at = None;
        Some(ack)
    }
}
