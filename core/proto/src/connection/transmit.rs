//! Bytes out.

use super::message::Outgoing;
use super::outbox::{Current, Source, Turn};
use super::{Connection, State, calls, serving, streams};
use crate::frame::{self, kind};
use crate::table::{Slab, Tag};
use crate::{Breach, Cause, Event, Instant, Limits, MAX_TEXT, ProtocolError};
use alloc::vec::Vec;

/// Stage memory kept between frames.
const KEEP: usize = 512;

/// What `source` has to send next of its current frame.
pub(super) fn payload<'a>(
    calls: &'a Slab<calls::OutCall>,
    incoming: &'a [serving::InCall],
    streams: &'a Slab<streams::Stream>,
    source: Source,
) -> Option<&'a [u8]> {
    let key = source.key();
    match source.tag() {
        Tag::Call => calls.get(key)?.out.as_deref().map(Outgoing::rest),
        Tag::Stream => streams.get(key)?.producer()?.rest(),
        Tag::Incoming | Tag::Arguments => {
            incoming.get(key.index() as usize)?.outgoing().map(Outgoing::rest)
        }
    }
}

/// The most unsent control frames.
pub(super) fn max_control(limits: &Limits) -> usize {
    let small = limits.max_streams as usize + limits.max_callbacks as usize;
    64 * 1024 + limits.max_calls as usize * (MAX_TEXT + 16) + small * 32
}

impl Connection {
    /// Fills `buf` with bytes to send and says how many. Zero means there is nothing to send now.
    ///
    /// Any size of `buf` works; 16 to 64 KiB is a good one. It returns early after a frame of a
    /// large message, so that what comes up meanwhile waits for no more than that frame. Call it
    /// again when the bytes are written: how long that takes is how the engine learns the wire's
    /// speed.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut [u8]) -> usize {
        self.meter.asked(now);
        let frame_size = self.frame_size();
        let mut n = 0;
        let mut bulk = 0;
        while let Some(room) = buf.get_mut(n..).filter(|room| !room.is_empty()) {
            let taken = self.take_stage(room);
            if taken > 0 {
                n += taken;
                continue;
            }
            match self.out.current {
                Current::Small(mark) => n += self.out.take_queue(mark, room),
                Current::Bulk { source, left } => {
                    let taken = self.take_bulk(source, left, room);
                    n += taken;
                    bulk += taken;
                }
                Current::Nothing => {
                    if !self.next_frame(now, bulk < frame_size) {
                        break;
                    }
                }
            }
        }
        if n > 0 {
            self.clock.sent(now);
            if !self.out.is_empty() {
                self.meter.busy(now, n);
            }
        }
        n
    }

    /// Says whether `poll_transmit` would give something.
    #[must_use]
    pub fn wants_transmit(&self) -> bool {
        !self.out.is_empty() || self.may_say_bye() || (self.clock.has_pong() && !self.is_closed())
    }

    #[inline]
    fn take_stage(&mut self, room: &mut [u8]) -> usize {
        let out = &mut self.out;
        let rest = out.stage.get(out.stage_at..).unwrap_or_default();
        let n = rest.len().min(room.len());
        if n == 0 {
            return 0;
        }
        if let (Some(to), Some(from)) = (room.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        out.stage_at += n;
        if out.stage_at == out.stage.len() {
            out.stage_at = 0;
            if out.stage.capacity() > KEEP {
                out.stage = Vec::new();
            } else {
                out.stage.clear();
            }
            if let Current::Bulk { source, left: 0 } = out.current {
                out.current = Current::Nothing;
                self.frame_sent(source);
            }
        }
        n
    }

    fn take_bulk(&mut self, source: Source, left: usize, room: &mut [u8]) -> usize {
        let bytes = payload(&self.calls, &self.incoming, &self.streams, source).unwrap_or_default();
        let n = left.min(room.len()).min(bytes.len());
        if let (Some(to), Some(from)) = (room.get_mut(..n), bytes.get(..n)) {
            to.copy_from_slice(from);
        }
        self.advance(source, n);
        debug_assert!(n > 0, "a frame without the payload that it announced");
        if n == left || n == 0 {
            self.out.current = Current::Nothing;
            self.frame_sent(source);
        } else {
            self.out.current = Current::Bulk { source, left: left - n };
        }
        n
    }

    fn advance(&mut self, source: Source, n: usize) {
        let key = source.key();
        match source.tag() {
            Tag::Call => {
                if let Some(out) = self.calls.get_mut(key).and_then(|call| call.out.as_mut()) {
                    out.advance(n);
                }
            }
            Tag::Stream => {
                if let Some(producer) =
                    self.streams.get_mut(key).and_then(streams::Stream::producer_mut)
                {
                    producer.advance(n);
                }
            }
            Tag::Incoming | Tag::Arguments => {
                let call = self.incoming.get_mut(key.index() as usize);
                if let Some(out) = call.and_then(serving::InCall::outgoing_mut) {
                    out.advance(n);
                }
            }
        }
    }

    /// Makes the next frame current; `false` if there is none.
    fn next_frame(&mut self, now: Instant, allow_bulk: bool) -> bool {
        if self.is_closed() {
            return false;
        }
        if let Some(token) = self.clock.take_pong() {
            self.out.control(kind::PONG, &[token], &[]);
        }
        loop {
            match self.out.next(allow_bulk) {
                Turn::Ready => return true,
                Turn::Bulk(source) => {
                    let key = source.key();
                    let left = match source.tag() {
                        Tag::Call => self.frame_of_call(now, key),
                        Tag::Stream => self.frame_of_stream(key),
                        Tag::Incoming | Tag::Arguments => self.frame_of_answer(key),
                    };
                    if let Some(left) = left {
                        self.out.current = Current::Bulk { source, left };
                        return true;
                    }
                    if !self.out.stage.is_empty() {
                        return true;
                    }
                }
                Turn::Nothing => return allow_bulk && self.say_bye(),
            }
        }
    }

    /// A frame of `source` is out: whatever waited for that may go on.
    fn frame_sent(&mut self, source: Source) {
        let key = source.key();
        match source.tag() {
            Tag::Call => self.call_frame_sent(key),
            Tag::Stream => self.stream_frame_sent(key),
            Tag::Incoming | Tag::Arguments => self.answer_frame_sent(key),
        }
    }

    fn may_say_bye(&self) -> bool {
        matches!(self.state, State::Leaving(_)) && self.is_idle() && self.out.is_empty()
    }

    /// The last frame of a graceful close.
    fn say_bye(&mut self) -> bool {
        let State::Leaving(cause) = &self.state else { return false };
        if !self.is_idle() {
            return false;
        }
        let cause = cause.clone();
        self.finish_with(cause, None);
        frame::put(&mut self.out.stage, 0, |out| out.push(kind::BYE));
        true
    }

    /// Queues a control frame, which a peer that reads cannot make too many.
    pub(super) fn control(&mut self, head: u8, fields: &[u64]) {
        self.out.control(head, fields, &[]);
    }

    /// A peer that makes us answer without reading may not do so for ever. All that it can cause is
    /// bounded by numbers that it may not reuse before it was answered; this is the second lock.
    /// `unsent` control bytes waited before the peer's last bytes came.
    pub(super) fn check_control(&mut self, unsent: usize) -> Result<(), Breach> {
        // What this side wanted to say itself is not the peer's fault.
        let caused = self.out.urgent().len().saturating_sub(unsent);
        self.out.caused = self.out.caused.min(unsent) + caused;
        if self.out.caused > max_control(&self.config.limits) {
            return Err(Breach::new(ProtocolError::NotReading));
        }
        Ok(())
    }

    /// Tells the application.
    pub(super) fn emit(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Why the wire is over, if it is.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        match &self.state {
            State::Closed(cause) => Some(cause),
            State::Open | State::Leaving(_) => None,
        }
    }
}
