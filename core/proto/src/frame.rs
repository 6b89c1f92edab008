//! The formats of frames: parsing headers and writing them (SPEC.md, sections 4 to 8).

mod short;
mod write;

pub(crate) use self::short::{
    Short, parse_short, put_answer, put_answer_front, put_call, put_call_front,
};
pub(crate) use self::write::{clip, put, put_fields, put_items, put_open, put_part};
use self::write::{number_len, put_number};

use crate::varint::{self, Stop};
use crate::{Breach, Code, MAX_HANDLES, MAX_NAME, MAX_TEXT, Priority};
use alloc::string::String;
use alloc::vec::Vec;

/// Frame types with the two upper bits set.
pub(crate) mod kind {
    pub(crate) const OPEN: u8 = 0xc0;
    pub(crate) const ARGUMENTS: u8 = 0xc1;
    pub(crate) const RESULT: u8 = 0xc2;
    pub(crate) const ERROR: u8 = 0xc3;
    pub(crate) const CANCEL: u8 = 0xc4;
    pub(crate) const ITEM: u8 = 0xc5;
    pub(crate) const END: u8 = 0xc6;
    pub(crate) const STOP: u8 = 0xc7;
    pub(crate) const CREDIT: u8 = 0xc8;
    pub(crate) const ADMIT_ARGUMENTS: u8 = 0xc9;
    pub(crate) const ADMIT_RESULT: u8 = 0xca;
    pub(crate) const BIND: u8 = 0xcb;
    pub(crate) const RELEASE: u8 = 0xcc;
    pub(crate) const PING: u8 = 0xcd;
    pub(crate) const PONG: u8 = 0xce;
    pub(crate) const GOAWAY: u8 = 0xcf;
    pub(crate) const BYE: u8 = 0xd0;
}

/// Frame classes in the two upper bits, with a number in the six lower ones.
pub(crate) const CALL: u8 = 0x00;
pub(crate) const ANSWER: u8 = 0x40;
pub(crate) const ITEMS: u8 = 0x80;
/// In the six lower bits: the number follows, less 63.
const ESCAPE: u32 = 63;

/// Longest frame whose header and body are parsed together.
pub(crate) const MAX_CONTROL_FRAME: usize = 1280;

// Flags of OPEN, ARGUMENTS, RESULT and ITEM.
pub(crate) const MORE: u8 = 1;
pub(crate) const HANDLES: u8 = 2;
pub(crate) const DEADLINE: u8 = 4;
const TARGET_SHIFT: u32 = 3;
const PRIORITY_SHIFT: u32 = 5;
pub(crate) const TOTAL: u8 = 0x80;

/// A stream as a frame names it: by whoever created it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamRef {
    pub(crate) number: u32,
    /// The sender of the frame created it.
    pub(crate) by_sender: bool,
}

impl StreamRef {
    pub(crate) fn from_wire(value: u32) -> Self {
        Self { number: value >> 1, by_sender: value & 1 == 0 }
    }

    /// The same stream in a frame the other way.
    pub(crate) fn turned(self) -> Self {
        Self { by_sender: !self.by_sender, ..self }
    }

    pub(crate) fn to_wire(self) -> u32 {
        self.number << 1 | u32::from(!self.by_sender)
    }
}

/// What travels beside a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RawHandle {
    /// A callback of the sender of the frame.
    Callback(u32),
    /// The receiver of the frame will read from it.
    Receiver(u32),
    /// The receiver of the frame will send on it.
    Sender(u32),
}

/// What an OPEN frame calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawTarget {
    Procedure(u32),
    Callback(u32),
    Named { name: String, fingerprint: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) call: u32,
    pub(crate) target: RawTarget,
    pub(crate) priority: Priority,
    pub(crate) more: bool,
    pub(crate) deadline: Option<u64>,
    pub(crate) total: Option<u64>,
    pub(crate) handles: Vec<RawHandle>,
}

/// The front of a frame, up to the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// CALL or OPEN.
    Open(Open),
    /// ANSWER or RESULT, ARGUMENTS, ITEM: the type, and the number of a call or stream.
    Part {
        head: u8,
        number: u32,
        more: bool,
        total: Option<u64>,
        handles: Vec<RawHandle>,
    },
    Items {
        stream: StreamRef,
    },
    Control(u8),
    Unknown,
}

impl Header {
    /// What a CALL says: no more than the number of the procedure.
    fn call(call: u32, procedure: u32) -> Self {
        Self::Open(Open {
            call,
            target: RawTarget::Procedure(procedure),
            priority: Priority::Normal,
            more: false,
            deadline: None,
            total: None,
            handles: Vec::new(),
        })
    }

    /// What an ANSWER says: that it is the whole result.
    fn answer(number: u32) -> Self {
        Self::Part { head: kind::RESULT, number, more: false, total: None, handles: Vec::new() }
    }
}

/// A frame without payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Error { call: u32, started: bool, code: Code, text: String },
    Cancel { call: u32, code: Code },
    End { stream: StreamRef, code: Code, text: String },
    Stop { stream: StreamRef, code: Code },
    Credit { stream: StreamRef, bytes: u64 },
    AdmitArguments { call: u32, bytes: u64 },
    AdmitResult { call: u32, bytes: u64 },
    Bind { number: u32, fingerprint: u64, name: String },
    Release { callback: u32 },
    Ping { token: u64 },
    Pong { token: u64 },
    GoAway { code: Code, text: String },
    Bye,
}

/// Why a header cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParseError {
    Incomplete,
    Invalid(&'static str),
}

/// Takes fields off the front of a frame. After the first that cannot be read all are empty, and only
/// [`end`](Self::end) says so: asking once is less code than asking at each.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    error: Option<ParseError>,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, error: None }
    }

    #[cold]
    fn fail(&mut self, error: ParseError) {
        self.error.get_or_insert(error);
        self.bytes = &[];
    }

    #[cold]
    fn malformed(&mut self, what: &'static str) {
        self.fail(ParseError::Invalid(what));
    }

    fn end<T>(self, value: T) -> Result<(T, usize), ParseError> {
        match self.error {
            None => Ok((value, self.at)),
            Some(error) => Err(error),
        }
    }

    #[inline]
    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    fn long(&mut self) -> u64 {
        match varint::decode(self.rest()) {
            Ok((value, used)) => {
                self.at += used;
                return value;
            }
            Err(Stop::Incomplete) => self.fail(ParseError::Incomplete),
            Err(Stop::TooLong) => self.malformed("integer"),
        }
        0
    }

    /// Numbers stay far below the limit here; the margin keeps all sums and shifts in range.
    fn number(&mut self) -> u32 {
        let number = u32::try_from(self.long()).ok().filter(|&n| n < 1 << 30);
        number.unwrap_or_else(|| {
            self.malformed("number");
            0
        })
    }

    fn code(&mut self) -> Code {
        Code(u32::try_from(self.long()).unwrap_or_else(|_| {
            self.malformed("code");
            0
        }))
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let Some(bytes) = self.rest().get(..len) else {
            self.fail(ParseError::Incomplete);
            return &[];
        };
        self.at += len;
        bytes
    }

    fn fixed(&mut self) -> u64 {
        self.take(8).iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    }

    /// Bytes that have to be text.
    fn text(&mut self, bytes: &[u8], what: &'static str) -> String {
        String::from(core::str::from_utf8(bytes).unwrap_or_else(|_| {
            self.malformed(what);
            ""
        }))
    }

    /// All that is left, as text.
    fn last(&mut self, max: usize, what: &'static str) -> String {
        let rest = self.rest();
        self.at += rest.len();
        if rest.len() > max {
            self.malformed(what);
            return String::new();
        }
        self.text(rest, what)
    }

    fn stream(&mut self) -> StreamRef {
        StreamRef::from_wire(self.number())
    }

    fn flags(&mut self, known: u8) -> u8 {
        let flags = self.byte();
        if flags & !known != 0 {
            self.malformed("flags");
        }
        flags
    }

    fn long_if(&mut self, is_there: bool) -> Option<u64> {
        is_there.then(|| self.long())
    }

    fn handles(&mut self, flags: u8) -> Vec<RawHandle> {
        let mut handles = Vec::new();
        if flags & HANDLES == 0 {
            return handles;
        }
        let count = self.long();
        if count > MAX_HANDLES as u64 {
            self.malformed("list of handles");
            return handles;
        }
        for _ in 0..count {
            let value = self.number();
            handles.push(match value & 3 {
                0 => RawHandle::Callback(value >> 2),
                1 => RawHandle::Receiver(value >> 2),
                2 => RawHandle::Sender(value >> 2),
                _ => {
                    self.malformed("handle");
                    return handles;
                }
            });
        }
        handles
    }
}

/// Reads the front of a frame; `bytes` is the frame after its length, or the beginning of it. Says
/// how many bytes the front took.
#[inline]
pub(crate) fn parse_header(bytes: &[u8]) -> Result<(Header, usize), ParseError> {
    let mut reader = Reader::new(bytes);
    let head = reader.byte();
    let header = match head {
        kind::OPEN => Header::Open(parse_open(&mut reader)),
        kind::ARGUMENTS | kind::RESULT | kind::ITEM => {
            let number = reader.number();
            let total = if head == kind::RESULT { TOTAL } else { 0 };
            let flags = reader.flags(MORE | HANDLES | total);
            let total = reader.long_if(flags & TOTAL != 0);
            let handles = reader.handles(flags);
            Header::Part { head, number, more: flags & MORE != 0, total, handles }
        }
        kind::ERROR | kind::CANCEL | kind::END..=kind::BYE => Header::Control(head),
        _ if head >= 0xc0 => Header::Unknown,
        _ => {
            let mut number = u32::from(head & 0x3f);
            if number == ESCAPE {
                number += reader.number();
            }
            match head & 0xc0 {
                CALL => Header::call(number, reader.number()),
                ANSWER => Header::answer(number),
                _ => Header::Items { stream: StreamRef::from_wire(number) },
            }
        }
    };
    reader.end(header)
}

fn parse_open(reader: &mut Reader<'_>) -> Open {
    let call = reader.number();
    let flags = reader.byte();
    let target = match flags >> TARGET_SHIFT & 3 {
        0 => RawTarget::Procedure(reader.number()),
        1 => RawTarget::Callback(reader.number()),
        2 => {
            let fingerprint = reader.fixed();
            let len = usize::from(reader.byte());
            let name = reader.take(len);
            RawTarget::Named { name: reader.text(name, "name"), fingerprint }
        }
        _ => {
            reader.malformed("target");
            RawTarget::Procedure(0)
        }
    };
    let priority = match flags >> PRIORITY_SHIFT & 3 {
        1 => Priority::High,
        2 => Priority::Low,
        other => {
            if other != 0 {
                reader.malformed("priority");
            }
            Priority::Normal
        }
    };
    let deadline = reader.long_if(flags & DEADLINE != 0);
    let total = reader.long_if(flags & TOTAL != 0);
    let handles = reader.handles(flags);
    Open { call, target, priority, more: flags & MORE != 0, deadline, total, handles }
}

/// Reads a whole frame of the type `head`.
pub(crate) fn parse_control(head: u8, frame: &[u8]) -> Result<Control, Breach> {
    let mut reader = Reader::new(frame);
    reader.at = 1;
    let control = match head {
        kind::ERROR => Control::Error {
            call: reader.number(),
            started: reader.flags(1) == 1,
            code: reader.code(),
            text: reader.last(MAX_TEXT, "text"),
        },
        kind::CANCEL => Control::Cancel { call: reader.number(), code: reader.code() },
        kind::END => Control::End {
            stream: reader.stream(),
            code: reader.code(),
            text: reader.last(MAX_TEXT, "text"),
        },
        kind::STOP => Control::Stop { stream: reader.stream(), code: reader.code() },
        kind::CREDIT => Control::Credit { stream: reader.stream(), bytes: reader.long() },
        kind::ADMIT_ARGUMENTS => {
            Control::AdmitArguments { call: reader.number(), bytes: reader.long() }
        }
        kind::ADMIT_RESULT => Control::AdmitResult { call: reader.number(), bytes: reader.long() },
        kind::BIND => Control::Bind {
            number: reader.number(),
            fingerprint: reader.fixed(),
            name: reader.last(MAX_NAME, "name"),
        },
        kind::RELEASE => Control::Release { callback: reader.number() },
        kind::PING => Control::Ping { token: reader.long() },
        kind::PONG => Control::Pong { token: reader.long() },
        kind::GOAWAY => {
            Control::GoAway { code: reader.code(), text: reader.last(MAX_TEXT, "text") }
        }
        // BYE; there are no others.
        _ => Control::Bye,
    };
    match reader.end(control) {
        Ok((control, used)) if used == frame.len() => Ok(control),
        Ok(_) => Err(Breach::malformed("frame: too long")),
        Err(ParseError::Incomplete) => Err(Breach::malformed("frame: too short")),
        Err(ParseError::Invalid(what)) => Err(Breach::malformed(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_frame_survives_every_choice() {
        let targets = [
            RawTarget::Procedure(300),
            RawTarget::Callback(0),
            RawTarget::Named { name: "é".repeat(90), fingerprint: u64::MAX - 7 },
        ];
        for target in targets {
            for priority in Priority::ALL {
                for bits in 0..16u32 {
                    let open = Open {
                        call: bits * 100,
                        target: target.clone(),
                        priority,
                        more: bits & 1 != 0,
                        deadline: (bits & 2 != 0).then_some(1 << 40),
                        total: (bits & 4 != 0).then_some(5),
                        handles: if bits & 8 == 0 {
                            Vec::new()
                        } else {
                            [RawHandle::Callback(9), RawHandle::Receiver(0), RawHandle::Sender(70)]
                                .into()
                        },
                    };
                    let mut out = Vec::new();
                    put_open(&open, 3, &mut out);
                    let (len, used) = varint::decode(&out).unwrap();
                    assert_eq!(len, (out.len() + 3 - used) as u64);
                    let header = parse_header(&out[used..]);
                    assert_eq!(header, Ok((Header::Open(open), out.len() - used)));
                    for cut in used..out.len() {
                        assert_eq!(parse_header(&out[used..cut]), Err(ParseError::Incomplete));
                    }
                }
            }
        }
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(clip("aéb", 2), "a");
        assert_eq!(clip("aéb", 3), "aé");
        assert_eq!(clip("aéb", 9), "aéb");
    }
}
