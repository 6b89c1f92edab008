//! What the link gives to the medium.

use core::ops::Range;

use super::{GREETING_INTERVAL, IMPATIENT_GREETINGS, Link, PATIENT_GREETING_INTERVAL, Phase};
use crate::config::EscapeMap;
use crate::frame::{Done, Frame, Syn, VERSION};
use crate::framing;
use crate::loss::MIN_PAYLOAD;
use crate::time::Instant;

/// A payload with room for an acknowledgement beside it.
const ROOMY: usize = 128;

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
                let ack_due = self.ack_at.is_some_and(|at| at <= now);
                self.greet || self.ping || self.probe || ack_due || self.may_send_data()
            }
        }
    }

    /// While questions go unanswered nothing but questions is sent: it would only make a queue.
    fn may_send_data(&self) -> bool {
        let room = self.outgoing.in_flight() < self.config.profile.max_in_flight();
        self.in_vain == 0 && room && self.outgoing.has_next()
    }

    /// Puts the next frame into `out`, if there is one.
    fn next_frame(&mut self, now: Instant) -> bool {
        if !self.line.is_ready(now) || !self.has_something_to_send(now) {
            return false;
        }
        self.out.clear();
        self.out_taken = 0;
        self.frame.clear();
        match &mut self.phase {
            Phase::Greeting { next, tries } => {
                let often = *tries < IMPATIENT_GREETINGS;
                let wait = if often { GREETING_INTERVAL } else { PATIENT_GREETING_INTERVAL };
                *next = now + wait.max(self.line.time_of(4 * 32));
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

    fn encode_greeting(&mut self, now: Instant) {
        self.greet = false;
        let syn = Syn {
            version: VERSION,
            profile: self.config.profile.code(),
            id: self.id,
            heard: self.peer.as_ref().map_or(0, |peer| peer.id),
            max_payload: self.config.max_payload,
            credit: self.credit(),
            fec: false,
            escapes: self.config.escape.0,
            cookie: None,
        };
        syn.encode(&mut self.frame);
        self.give(now, EscapeMap::CONTROLS);
    }

    fn encode_reset(&mut self, now: Instant) {
        self.resets_left -= 1;
        self.next_reset = now + self.answer_timeout();
        if let Some(peer) = &self.peer {
            self.reset.encode(&peer.outgoing, &mut self.frame);
        }
        self.give(now, self.escapes);
    }

    fn encode_farewell(&mut self, now: Instant) {
        self.farewell = false;
        if let Some(peer) = &self.peer {
            Done::encode(&peer.outgoing, &mut self.frame);
        }
        self.give(now, self.escapes);
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
        self.line.give(now, self.out.len())
    }

    fn encode_session_frame(&mut self, now: Instant) {
        let asks = core::mem::take(&mut self.probe);
        let range = if asks {
            self.outgoing.probe_range(MIN_PAYLOAD)
        } else if self.may_send_data() {
            self.outgoing.next_range(self.payload_size())
        } else {
            None
        };
        let numbered = range.is_some() || asks || self.ping;
        let offset = range.as_ref().map(|range| range.start);
        let range = range.unwrap_or(0..0);
        let last = numbered && !self.outgoing.has_next_after(&range);
        let ack_due = self.ack_at.is_some_and(|at| at <= now);
        let roomy = self.ack_at.is_some() && range.end - range.start >= ROOMY as u64;
        let ack = if ack_due || roomy || self.ping { self.acknowledge() } else { None };

        let mut payload = core::mem::take(&mut self.scratch);
        payload.clear();
        self.outgoing.copy(&range, &mut payload);
        let frame = Frame {
            number: numbered.then(|| self.outgoing.next_number()),
            ack,
            offset,
            payload: &payload,
            fin: offset.is_some() && self.outgoing.covers_end(&range),
            poll: asks || self.ping || last,
            more: false,
        };
        if let Some(peer) = &self.peer {
            frame.encode(self.config.profile, &peer.outgoing, &mut self.frame);
        }
        self.statistics.bytes_sent += payload.len() as u64;
        self.scratch = payload;
        let done = self.give(now, self.escapes);
        if numbered {
            self.note_sent(now, range, done, asks);
        }
        self.ping = false;
    }

    fn note_sent(&mut self, now: Instant, range: Range<u64>, done: Instant, asks: bool) {
        if self.outgoing.in_flight() == 0 || asks {
            self.waiting_since = self.waiting_since.max(done);
        }
        self.owed_since.get_or_insert(now);
        self.statistics.frames_repeated += u64::from(self.outgoing.is_repeat(&range));
        self.outgoing.on_sent(range, self.out.len(), done);
    }

    fn acknowledge(&mut self) -> Option<crate::frame::Ack> {
        let ack = self.arrivals.report(self.assembler.next(), self.credit())?;
        self.promised =
            self.assembler.next() + u64::from(ack.credit) * self.config.profile.credit_unit();
        self.unacknowledged = 0;
        self.ack_at = None;
        Some(ack)
    }
}
