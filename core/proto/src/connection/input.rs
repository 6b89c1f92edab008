//! Bytes in: cutting them into frames, however they are split.

use super::direct::{Direct, Hand, Handed, Queue};
use super::{Connection, State};
use crate::frame::{self, Header, ParseError, Short, StreamRef, kind};
use crate::handshake::{self, Hello};
use crate::limits::SPEED;
use crate::table::Key;
use crate::varint::{self, Stop};
use crate::{Breach, Event, Instant, ProtocolError};
use alloc::vec::Vec;

/// A frame, and what follows it.
type Split<'a> = (&'a [u8], &'a [u8]);

/// Where in the byte stream we are.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// The beginning of a hello, or of a frame: its length and what of its front has come.
    partial: Vec<u8>,
    body: Option<Body>,
}

impl Input {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The payload of a frame of which the front has been read.
#[derive(Clone, Copy, Debug)]
struct Body {
    sink: Sink,
    left: usize,
}

/// Where a payload goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sink {
    Arguments { call: Key, more: bool },
    Result { call: Key, more: bool },
    Items { stream: Key },
    Item { stream: Key, more: bool },
    Skip,
}

impl Connection {
    /// Takes bytes that arrived, in any number from one up.
    ///
    /// Everything in `bytes` is used up at once, so the events of one call are bounded by its
    /// length and by the limits.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol. A last frame for it is ready in
    /// [`poll_transmit`](Self::poll_transmit), and [`Event::Closed`] follows.
    pub fn receive(&mut self, now: Instant, bytes: &[u8]) -> Result<(), ProtocolError> {
        self.take(now, bytes, &mut Queue)
    }

    /// The same, but small calls and answers do not become events: they are handed over where they
    /// lie, unless there are events before them.
    ///
    /// # Errors
    ///
    /// As of [`receive`](Self::receive).
    #[inline]
    pub fn receive_with(
        &mut self,
        now: Instant,
        bytes: &[u8],
        direct: &mut impl Direct,
    ) -> Result<(), ProtocolError> {
        self.take(now, bytes, &mut Handed(direct))
    }

    fn take(
        &mut self,
        now: Instant,
        bytes: &[u8],
        hand: &mut impl Hand,
    ) -> Result<(), ProtocolError> {
        if self.is_closed() {
            return Ok(());
        }
        if !bytes.is_empty() {
            self.clock.received(now);
        }
        let unsent = self.out.urgent().len();
        let taken = self.take_bytes(now, bytes, hand).and_then(|()| self.check_control(unsent));
        taken.map_err(|error| self.violation(error.error()))
    }

    fn take_bytes(
        &mut self,
        now: Instant,
        mut bytes: &[u8],
        hand: &mut impl Hand,
    ) -> Result<(), Breach> {
        if self.peer_codec.is_none() {
            bytes = self.take_hello(bytes)?;
        }
        while !bytes.is_empty() && !matches!(self.state, State::Closed(_)) {
            bytes = if self.input.body.is_some() {
                self.take_body(bytes)?
            } else if SPEED
                && self.input.partial.is_empty()
                && let Some((frame, rest)) = self.whole_frame(bytes)?
            {
                // The two that matter for speed go without any intermediate state.
                match frame::parse_short(frame) {
                    Some((Short::Call { call, procedure }, payload)) => {
                        self.take_call(call, procedure, payload, hand)?;
                    }
                    Some((Short::Answer { call }, payload)) => {
                        self.take_answer(call, payload, hand)?;
                    }
                    None => {
                        self.take_front(now, frame, frame.len())?;
                    }
                }
                rest
            } else {
                self.take_piece(now, bytes)?
            };
        }
        Ok(())
    }

    fn take_hello<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Breach> {
        let missing = handshake::LEN - self.input.partial.len();
        let (now, rest) = bytes.split_at(missing.min(bytes.len()));
        self.input.partial.extend_from_slice(now);
        Hello::check_prefix(&self.input.partial)?;
        let Ok(hello) = <[u8; handshake::LEN]>::try_from(self.input.partial.as_slice()) else {
            return Ok(rest);
        };
        self.input.partial = Vec::new();
        let hello = Hello::decode(hello)?;
        let (ours, theirs) = (self.config.codec, hello.codec);
        if ours != theirs && ours != 0 && theirs != 0 {
            return Err(Breach::new(ProtocolError::Codec { ours, theirs }));
        }
        self.peer_codec = Some(hello.codec);
        let before = self.peer;
        self.peer = hello.limits();
        self.events.push_back(Event::Hello { codec: hello.codec, limits: self.peer });
        self.raise_credit(&before);
        Ok(rest)
    }

    /// The frame at the front of `bytes` if all of it is there, and what follows.
    #[inline]
    fn whole_frame<'a>(&self, bytes: &'a [u8]) -> Result<Option<Split<'a>>, Breach> {
        let Some((len, used)) = self.frame_len(bytes)? else { return Ok(None) };
        let rest = bytes.get(used..).unwrap_or_default();
        Ok(rest.split_at_checked(len))
    }

    #[inline]
    fn frame_len(&self, bytes: &[u8]) -> Result<Option<(usize, usize)>, Breach> {
        match varint::decode(bytes) {
            Ok((len, used)) => match usize::try_from(len) {
                Ok(len) if len <= self.config.limits.max_frame => Ok(Some((len, used))),
                _ => {
                    let max = self.config.limits.max_frame as u64;
                    Err(Breach::new(ProtocolError::FrameTooLong { len, max }))
                }
            },
            Err(Stop::Incomplete) => Ok(None),
            Err(Stop::TooLong) => Err(Breach::malformed("frame length")),
        }
    }

    /// Takes as much as is there of a frame of `len` bytes; `false` if that is not enough of its front.
    fn take_front(&mut self, now: Instant, front: &[u8], len: usize) -> Result<bool, Breach> {
        if len == 0 {
            self.empty_frame(now)?;
            return Ok(true);
        }
        let left = len - front.len();
        let (header, used) = match frame::parse_header(front) {
            Ok((Header::Control(head), _)) if left == 0 => {
                self.take_control(now, frame::parse_control(head, front)?)?;
                return Ok(true);
            }
            Ok((Header::Control(_), _)) if len > frame::MAX_CONTROL_FRAME => {
                return Err(Breach::malformed("frame: too long"));
            }
            Ok((Header::Control(_), _)) => return Ok(false),
            Ok(parsed) => parsed,
            Err(ParseError::Incomplete) if left == 0 => {
                return Err(Breach::malformed("frame: too short"));
            }
            Err(ParseError::Incomplete) if front.len() >= frame::MAX_CONTROL_FRAME => {
                return Err(Breach::malformed("frame: front too long"));
            }
            Err(ParseError::Incomplete) => return Ok(false),
            Err(ParseError::Invalid(what)) => return Err(Breach::malformed(what)),
        };
        let sink = self.begin(now, header, len - used)?;
        self.input.body = Some(Body { sink, left: len - used });
        self.take_body(front.get(used..).unwrap_or_default())?;
        Ok(true)
    }

    /// Collects the front of a frame that does not come in one piece.
    fn take_piece<'a>(&mut self, now: Instant, bytes: &'a [u8]) -> Result<&'a [u8], Breach> {
        let before = self.input.partial.len();
        let room = frame::MAX_CONTROL_FRAME + varint::MAX_LEN - before;
        let candidate = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.input.partial.extend_from_slice(candidate);
        let Some((len, used)) = self.frame_len(&self.input.partial)? else {
            return Ok(bytes.get(candidate.len()..).unwrap_or_default());
        };
        // Give back what belongs to the next frame.
        self.input.partial.truncate(used + len);
        let taken = self.input.partial.len() - before;
        let rest = bytes.get(taken..).unwrap_or_default();
        let partial = core::mem::take(&mut self.input.partial);
        if !self.take_front(now, partial.get(used..).unwrap_or_default(), len)? {
            self.input.partial = partial;
        }
        Ok(rest)
    }

    fn take_body<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Breach> {
        let Some(Body { sink, left }) = self.input.body else { return Ok(bytes) };
        let (here, rest) = bytes.split_at(left.min(bytes.len()));
        let left = left - here.len();
        self.input.body = (left > 0).then_some(Body { sink, left });
        self.push(sink, here, left)?;
        if left == 0 {
            self.end(sink)?;
        }
        Ok(rest)
    }

    /// Reads the front of a frame with a payload of `len` bytes, and says where that goes.
    fn begin(&mut self, now: Instant, header: Header, len: usize) -> Result<Sink, Breach> {
        match header {
            Header::Open(open) => self.begin_call(now, open, len),
            Header::Part { head: kind::ITEM, number, more, handles, .. } => {
                self.begin_item(StreamRef::from_wire(number), more, &handles, len)
            }
            Header::Part { head, number, more, total, handles } => {
                if len == 0 && more && handles.is_empty() {
                    self.empty_frame(now)?;
                }
                if head == kind::RESULT {
                    self.begin_result(number, more, total, &handles)
                } else {
                    self.begin_arguments(number, more, &handles)
                }
            }
            Header::Items { stream } => {
                if len == 0 {
                    self.empty_frame(now)?;
                }
                self.begin_items(stream, len)
            }
            Header::Control(_) | Header::Unknown => {
                self.empty_frame(now)?;
                Ok(Sink::Skip)
            }
        }
    }

    /// Takes some of a payload; `left` bytes of the same frame will follow.
    #[inline]
    fn push(&mut self, sink: Sink, bytes: &[u8], left: usize) -> Result<(), Breach> {
        match sink {
            Sink::Arguments { call, .. } => self.push_arguments(call, bytes, left),
            Sink::Result { call, .. } => self.push_result(call, bytes, left),
            Sink::Items { stream } => {
                self.push_items(stream, bytes, left);
                Ok(())
            }
            Sink::Item { stream, .. } => {
                self.push_item(stream, bytes, left);
                Ok(())
            }
            Sink::Skip => Ok(()),
        }
    }

    fn end(&mut self, sink: Sink) -> Result<(), Breach> {
        match sink {
            Sink::Arguments { call, more } => self.end_arguments(call, more),
            Sink::Result { call, more } => self.end_result(call, more),
            Sink::Items { stream } => return self.end_items(stream),
            Sink::Item { stream, more } => self.end_item(stream, more),
            Sink::Skip => {}
        }
        Ok(())
    }

    /// A frame without effect, of which there may not be too many.
    pub(super) fn empty_frame(&mut self, now: Instant) -> Result<(), Breach> {
        if self.empty_frames.take(now) {
            Ok(())
        } else {
            Err(Breach::new(ProtocolError::TooManyEmptyFrames))
        }
    }

    /// A reset of something, of which there may not be too many.
    pub(super) fn reset_frame(&mut self, now: Instant) -> Result<(), Breach> {
        if self.resets.take(now) { Ok(()) } else { Err(Breach::new(ProtocolError::TooManyResets)) }
    }

    fn take_control(&mut self, now: Instant, control: frame::Control) -> Result<(), Breach> {
        use frame::Control;
        match control {
            Control::Error { call, started, code, text } => {
                self.take_error(call, started, code, text)
            }
            Control::Cancel { call, code } => self.take_cancel(now, call, code),
            Control::End { stream, code, text } => self.take_end(now, stream, code, text),
            Control::Stop { stream, code } => self.take_stop(now, stream, code),
            Control::Credit { stream, bytes } => self.take_credit(now, stream, bytes),
            Control::AdmitArguments { call, bytes } => self.take_admit_arguments(now, call, bytes),
            Control::AdmitResult { call, bytes } => self.take_admit_result(now, call, bytes),
            Control::Bind { number, fingerprint, name } => {
                if number != self.peer_bound || number >= self.config.limits.max_bindings {
                    return Err(Breach::bad_number("binding"));
                }
                self.peer_bound += 1;
                self.events.push_back(Event::Bound { number, name, fingerprint });
                Ok(())
            }
            Control::Release { callback } => self.take_release(callback),
            Control::Ping { token } => self.take_ping(now, token),
            Control::Pong { token } => {
                self.take_pong(now, token);
                Ok(())
            }
            Control::GoAway { code, text } => {
                self.take_go_away(code, text);
                Ok(())
            }
            Control::Bye => {
                self.take_bye();
                Ok(())
            }
        }
    }

    /// The stream that a frame of the peer names.
    pub(super) fn find_stream(&self, stream: StreamRef) -> Result<Key, Breach> {
        let key = if stream.by_sender {
            match self.theirs.get(stream.number as usize) {
                Some(super::streams::Their::Live(key)) => Some(*key),
                Some(super::streams::Their::Free(_)) | None => None,
            }
        } else {
            self.mine.get(stream.number as usize).copied().flatten()
        };
        key.ok_or_else(|| Breach::bad_number("stream that is not open"))
    }
}
