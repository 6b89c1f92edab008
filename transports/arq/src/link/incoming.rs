//! What the link does with bytes that arrive.

use super::{ECHOES, Link, Peer, Phase};
use crate::config::{EscapeMap, Profile};
use crate::error::Ended;
use crate::fec::Kind;
use crate::frame::{Ack, Check, Done, Frame, Reset, Syn, VERSION, is_syn};
use crate::framing;
use crate::number::expand;
use crate::sender::Report;
use crate::time::Instant;

impl Link {
    /// Takes bytes that arrived: any number of a line's, or exactly one datagram or packet.
    pub fn receive(&mut self, now: Instant, bytes: &[u8]) {
        self.statistics.wire_bytes_received += bytes.len() as u64;
        if !self.config.profile.is_framed() {
            self.on_frame(now, bytes);
            return;
        }
        let (mut rest, mut deframer) = (bytes, core::mem::take(&mut self.deframer));
        while let Some(raw) = deframer.next(&mut rest) {
            self.on_raw(now, raw);
        }
        self.deframer = deframer;
        self.find_coded(now, bytes);
    }

    /// Looks for coded frames in the same bytes: to the deframer they are garbage.
    fn find_coded(&mut self, now: Instant, bytes: &[u8]) {
        let Some(mut finder) = self.finder.take() else { return };
        let mut rest = bytes;
        while let Some((kind, frame)) = finder.next(&mut rest) {
            if self.on_frame(now, frame) {
                self.hears_strong = kind != Kind::Light;
                // What the deframer has made of it was no harm done by the line.
                (self.statistics.frames_bad, self.statistics.bytes_skipped) = self.before_coded;
            }
        }
        if !finder.is_collecting() {
            self.before_coded = (self.statistics.frames_bad, self.statistics.bytes_skipped);
        }
        self.finder = Some(finder);
    }

    /// Takes what lay between two zeros. Greetings are escaped on any line, all else on those
    /// that need it.
    fn on_raw(&mut self, now: Instant, raw: &[u8]) {
        let mut frame = core::mem::take(&mut self.frame);
        let map = (!self.escapes.is_empty()).then_some(self.escapes);
        let mut good = framing::decode(raw, map, &mut frame) && self.on_frame(now, &frame);
        if !good && framing::has_escapes(raw) {
            let all = Some(EscapeMap::CONTROLS);
            let decoded = framing::decode(raw, all, &mut frame) && is_syn(&frame);
            good = decoded && self.on_frame(now, &frame);
        }
        if good {
            self.hears_strong = false;
        } else {
            self.statistics.frames_bad += 1;
            self.statistics.bytes_skipped += raw.len() as u64;
        }
        self.frame = frame;
    }

    /// Takes a frame with its check. `false`: it is none, or none of this session.
    fn on_frame(&mut self, now: Instant, frame: &[u8]) -> bool {
        if is_syn(frame) {
            let Some(syn) = Syn::decode(frame) else { return false };
            self.on_syn(now, &syn);
            self.statistics.frames_received += 1;
            return true;
        }
        let Some(body) = self.peer.as_ref().and_then(|peer| peer.incoming.open(frame)) else {
            return false;
        };
        self.statistics.frames_received += 1;
        if let Some(reset) = Reset::decode(body) {
            self.on_reset(reset);
        } else if let Some(Done) = Done::decode(body) {
            self.on_farewell();
        } else if let Some(frame) = Frame::decode(self.config.profile, body) {
            self.on_session_frame(now, &frame);
        } else {
            self.statistics.frames_refused += 1;
        }
        true
    }

    fn on_syn(&mut self, now: Instant, syn: &Syn) {
        if syn.id == self.id {
            self.echoes += 1;
            if self.echoes >= ECHOES && self.peer.is_none() {
                self.fail(Ended::LoopedBack);
            }
            return;
        }
        self.note_turn(now, true, false);
        let known = self.peer.as_ref().is_some_and(|peer| peer.id == syn.id);
        match self.phase {
            Phase::Greeting { .. } => self.on_greeting(now, syn),
            Phase::Open | Phase::Lingering { .. } if known => {
                // It has not heard that it was heard.
                if syn.cookie.is_some() && syn.cookie != self.cookie {
                    // It knows nothing of a session that it has had.
                    self.fail(Ended::PeerRestarted);
                    return;
                }
                self.greet = syn.heard != self.id || syn.cookie.is_some();
                self.ping = true;
            }
            Phase::Lingering { .. } => self.phase = Phase::Closed,
            // Anybody can send a datagram: the program at the other end has heard of this one.
            Phase::Open if self.config.profile == Profile::Datagram && syn.heard != self.id => {
                self.stranger = Some(syn.id);
                self.greet = true;
            }
            Phase::Open => self.fail(Ended::PeerRestarted),
            Phase::Closed | Phase::Failed(_) => {}
        }
    }

    fn on_greeting(&mut self, now: Instant, syn: &Syn) {
        let ours = self.config.profile.code();
        if syn.version != VERSION || syn.profile != ours {
            self.greet = true;
            self.fail(Ended::Incompatible { version: syn.version, profile: syn.profile, ours });
            return;
        }
        self.cookie = syn.cookie.or(self.cookie);
        self.peer = Some(Peer {
            id: syn.id,
            max_payload: usize::from(syn.max_payload),
            takes_coded: syn.fec && self.finder.is_some(),
            outgoing: Check::session(self.id, syn.id),
            incoming: Check::session(syn.id, self.id),
        });
        self.escapes = EscapeMap::from_bits(self.config.escape.0 | syn.escapes);
        self.outgoing.set_limit(u64::from(syn.credit) * self.config.profile.credit_unit());
        if syn.heard == self.id {
            // By datagram the answer is the proof of this side's address.
            self.greet = self.config.profile == Profile::Datagram;
            self.open(now);
        } else if let Phase::Greeting { next, .. } = &mut self.phase {
            *next = now;
        }
    }

    fn open(&mut self, now: Instant) {
        self.phase = Phase::Open;
        self.heard_at = now;
        // The other side opens at the first frame that only this session can have sent.
        self.ping = true;
    }

    fn on_reset(&mut self, reset: Reset) {
        if matches!(self.phase, Phase::Lingering { .. }) {
            self.phase = Phase::Closed;
        } else {
            let Reset { code, reason } = reset;
            self.fail(Ended::Reset { code, reason });
        }
        self.resets_left = 0;
    }

    /// The other side has all of this side's stream, and has heard that this side has all of its.
    fn on_farewell(&mut self) {
        if self.is_open() && self.assembler.is_complete() {
            self.farewell = matches!(self.phase, Phase::Open);
            self.outgoing.complete();
            self.phase = Phase::Closed;
        }
    }

    fn on_session_frame(&mut self, now: Instant, frame: &Frame<'_>) {
        match self.phase {
            Phase::Greeting { .. } => self.open(now),
            Phase::Failed(Ended::Aborted) => {
                // It has not heard of the abort.
                self.resets_left = self.resets_left.max(1);
                return;
            }
            Phase::Lingering { .. } | Phase::Closed => {
                // It has not heard that all is done.
                self.farewell = true;
                return;
            }
            Phase::Failed(_) => return,
            Phase::Open => {}
        }
        self.heard_at = now;
        self.note_turn(now, frame.poll, frame.more);
        if let Some(ack) = &frame.ack {
            self.on_ack(now, ack);
        }
        if self.turn.is_some() {
            // Nothing can be on its way while the other side talks.
            self.statistics.frames_lost += self.outgoing.lose_all(now);
            self.in_vain = 0;
            self.probe = false;
        }
        if let Some(number) = frame.number {
            self.on_numbered(now, number, frame);
        }
        self.check_finished(now);
    }

    fn note_turn(&mut self, now: Instant, passes: bool, wants: bool) {
        let answer = self.longest_frame();
        if let Some(turn) = &mut self.turn {
            turn.heard(now, passes, wants, answer);
        }
    }

    fn on_ack(&mut self, now: Instant, ack: &Ack) {
        let profile = self.config.profile;
        let near = self.outgoing.next_number().saturating_sub(1);
        let next = expand(ack.next, profile.offset_width(), self.outgoing.acked());
        let report = Report {
            largest: expand(ack.largest, profile.number_width(), near),
            next,
            limit: next + u64::from(ack.credit) * profile.credit_unit(),
            bitmap: &ack.bitmap,
        };
        let Some(verdict) = self.outgoing.on_report(now, &report) else {
            self.statistics.frames_refused += 1;
            return;
        };
        self.statistics.frames_lost += verdict.lost;
        if let Some(rtt) = verdict.rtt.filter(|_| self.turn.is_none()) {
            self.rtt.sample(rtt);
        }
        self.lose_late(now);
        if verdict.arrived + verdict.lost > 0 {
            self.in_vain = 0;
            self.probe = false;
            self.waiting_since = now;
        }
        if self.outgoing.in_flight() == 0 {
            self.owed_since = None;
        }
        if !self.outgoing.is_blocked() {
            self.patience = 0;
        }
    }

    fn on_numbered(&mut self, now: Instant, number: u64, frame: &Frame<'_>) {
        let profile = self.config.profile;
        let number = expand(number, profile.number_width(), self.arrivals.expected());
        if let Some(offset) = frame.offset {
            let offset = expand(offset, profile.offset_width(), self.assembler.next());
            if !self.assembler.insert(offset, frame.payload, frame.fin) {
                self.statistics.frames_refused += 1;
                return;
            }
        }
        let again = self.arrivals.contains(number);
        let gap = self.arrivals.insert(number);
        self.unacknowledged += 1;
        let at_once = gap || again || frame.poll || self.unacknowledged >= 2;
        let due = if at_once { now } else { now + super::ACK_DELAY };
        self.ack_at = Some(self.ack_at.map_or(due, |at| at.min(due)));
    }

    fn check_finished(&mut self, now: Instant) {
        if self.outgoing.is_complete() && self.assembler.is_complete() {
            self.farewell = true;
            self.phase = Phase::Lingering { until: now + self.linger() };
        }
    }
}
