//! The formats of frames: parsing headers and writing them (SPEC.md, sections 4 to 8).

mod short;

pub(crate) use self::short::{
    Short, parse_short, put_answer, put_answer_front, put_call, put_call_front,
};

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
    fn from_wire(value: u32) -> Self {
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
    Call { call: u32, procedure: u32 },
    Answer { call: u32 },
    Items { stream: StreamRef },
    Open(Open),
    Arguments { call: u32, more: bool, handles: Vec<RawHandle> },
    Result { call: u32, more: bool, total: Option<u64>, handles: Vec<RawHandle> },
    Item { stream: StreamRef, more: bool, handles: Vec<RawHandle> },
    Control(u8),
    Unknown,
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

const fn malformed(what: &'static str) -> ParseError {
    ParseError::Invalid(what)
}

type Parse<T> = Result<T, ParseError>;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    #[inline]
    fn byte(&mut self) -> Parse<u8> {
        let byte = *self.bytes.get(self.at).ok_or(ParseError::Incomplete)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn long(&mut self) -> Parse<u64> {
        match varint::decode(self.bytes.get(self.at..).unwrap_or_default()) {
            Ok((value, used)) => {
                self.at += used;
                Ok(value)
            }
            Err(Stop::Incomplete) => Err(ParseError::Incomplete),
            Err(Stop::TooLong) => Err(malformed("integer")),
        }
    }

    #[inline]
    fn number(&mut self) -> Parse<u32> {
        // Numbers stay far below this; the margin keeps all sums and shifts in range.
        u32::try_from(self.long()?).ok().filter(|&n| n < 1 << 30).ok_or(malformed("number"))
    }

    fn code(&mut self) -> Parse<Code> {
        u32::try_from(self.long()?).map(Code).map_err(|_| malformed("code"))
    }

    fn take(&mut self, len: usize) -> Parse<&'a [u8]> {
        let end = self.at.checked_add(len).ok_or(ParseError::Incomplete)?;
        let bytes = self.bytes.get(self.at..end).ok_or(ParseError::Incomplete)?;
        self.at = end;
        Ok(bytes)
    }

    fn fixed(&mut self) -> Parse<u64> {
        let bytes = self.take(8)?;
        Ok(bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }

    fn text(&mut self, max: usize, what: &'static str) -> Parse<String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at = self.bytes.len();
        if rest.len() > max {
            return Err(malformed(what));
        }
        core::str::from_utf8(rest).map(String::from).map_err(|_| malformed(what))
    }

    fn stream(&mut self) -> Parse<StreamRef> {
        self.number().map(StreamRef::from_wire)
    }

    fn handles(&mut self) -> Parse<Vec<RawHandle>> {
        let count = self.long()?;
        if count > MAX_HANDLES as u64 {
            return Err(malformed("list of handles"));
        }
        let mut handles = Vec::new();
        for _ in 0..count {
            let value = self.number()?;
            handles.push(match value & 3 {
                0 => RawHandle::Callback(value >> 2),
                1 => RawHandle::Receiver(value >> 2),
                2 => RawHandle::Sender(value >> 2),
                _ => return Err(malformed("handle")),
            });
        }
        Ok(handles)
    }
}

/// Reads the front of a frame; `bytes` is the frame after its length, or the beginning of it. Says
/// how many bytes the front took.
#[inline]
pub(crate) fn parse_header(bytes: &[u8]) -> Parse<(Header, usize)> {
    let mut reader = Reader { bytes, at: 0 };
    let head = reader.byte()?;
    if head >= 0xc0 {
        let header = parse_long_header(head, &mut reader)?;
        return Ok((header, reader.at));
    }
    let mut number = u32::from(head & 0x3f);
    if number == ESCAPE {
        number += reader.number()?;
    }
    let header = match head & 0xc0 {
        CALL => Header::Call { call: number, procedure: reader.number()? },
        ANSWER => Header::Answer { call: number },
        _ => Header::Items { stream: StreamRef::from_wire(number) },
    };
    Ok((header, reader.at))
}

fn parse_long_header(head: u8, reader: &mut Reader<'_>) -> Parse<Header> {
    Ok(match head {
        kind::OPEN => Header::Open(parse_open(reader)?),
        kind::ARGUMENTS => {
            let call = reader.number()?;
            let flags = flags(reader, MORE | HANDLES)?;
            Header::Arguments { call, more: flags & MORE != 0, handles: handles(reader, flags)? }
        }
        kind::RESULT => {
            let call = reader.number()?;
            let flags = flags(reader, MORE | HANDLES | TOTAL)?;
            let total = if flags & TOTAL != 0 { Some(reader.long()?) } else { None };
            let handles = handles(reader, flags)?;
            Header::Result { call, more: flags & MORE != 0, total, handles }
        }
        kind::ITEM => {
            let stream = reader.stream()?;
            let flags = flags(reader, MORE | HANDLES)?;
            Header::Item { stream, more: flags & MORE != 0, handles: handles(reader, flags)? }
        }
        kind::ERROR | kind::CANCEL | kind::END..=kind::BYE => Header::Control(head),
        _ => Header::Unknown,
    })
}

fn flags(reader: &mut Reader<'_>, known: u8) -> Parse<u8> {
    let flags = reader.byte()?;
    if flags & !known == 0 { Ok(flags) } else { Err(malformed("flags")) }
}

fn handles(reader: &mut Reader<'_>, flags: u8) -> Parse<Vec<RawHandle>> {
    if flags & HANDLES != 0 { reader.handles() } else { Ok(Vec::new()) }
}

fn parse_open(reader: &mut Reader<'_>) -> Parse<Open> {
    let call = reader.number()?;
    let flags = reader.byte()?;
    let target = match flags >> TARGET_SHIFT & 3 {
        0 => RawTarget::Procedure(reader.number()?),
        1 => RawTarget::Callback(reader.number()?),
        2 => {
            let fingerprint = reader.fixed()?;
            let len = usize::from(reader.byte()?);
            let name = core::str::from_utf8(reader.take(len)?).map_err(|_| malformed("name"))?;
            RawTarget::Named { name: name.into(), fingerprint }
        }
        _ => return Err(malformed("target")),
    };
    let priority = match flags >> PRIORITY_SHIFT & 3 {
        0 => Priority::Normal,
        1 => Priority::High,
        2 => Priority::Low,
        _ => return Err(malformed("priority")),
    };
    let deadline = if flags & DEADLINE != 0 { Some(reader.long()?) } else { None };
    let total = if flags & TOTAL != 0 { Some(reader.long()?) } else { None };
    let handles = handles(reader, flags)?;
    Ok(Open { call, target, priority, more: flags & MORE != 0, deadline, total, handles })
}

/// Reads a whole frame of the type `head`.
pub(crate) fn parse_control(head: u8, frame: &[u8]) -> Result<Control, Breach> {
    let mut reader = Reader { bytes: frame, at: 1 };
    let control = parse_control_body(head, &mut reader).map_err(|error| match error {
        ParseError::Incomplete => Breach::malformed("frame: too short"),
        ParseError::Invalid(what) => Breach::malformed(what),
    })?;
    if reader.at < frame.len() {
        return Err(Breach::malformed("frame: too long"));
    }
    Ok(control)
}

fn parse_control_body(head: u8, reader: &mut Reader<'_>) -> Parse<Control> {
    Ok(match head {
        kind::ERROR => Control::Error {
            call: reader.number()?,
            started: flags(reader, 1)? == 1,
            code: reader.code()?,
            text: reader.text(MAX_TEXT, "text")?,
        },
        kind::CANCEL => Control::Cancel { call: reader.number()?, code: reader.code()? },
        kind::END => Control::End {
            stream: reader.stream()?,
            code: reader.code()?,
            text: reader.text(MAX_TEXT, "text")?,
        },
        kind::STOP => Control::Stop { stream: reader.stream()?, code: reader.code()? },
        kind::CREDIT => Control::Credit { stream: reader.stream()?, bytes: reader.long()? },
        kind::ADMIT_ARGUMENTS => {
            Control::AdmitArguments { call: reader.number()?, bytes: reader.long()? }
        }
        kind::ADMIT_RESULT => {
            Control::AdmitResult { call: reader.number()?, bytes: reader.long()? }
        }
        kind::BIND => Control::Bind {
            number: reader.number()?,
            fingerprint: reader.fixed()?,
            name: reader.text(MAX_NAME, "name")?,
        },
        kind::RELEASE => Control::Release { callback: reader.number()? },
        kind::PING => Control::Ping { token: reader.long()? },
        kind::PONG => Control::Pong { token: reader.long()? },
        kind::GOAWAY => {
            Control::GoAway { code: reader.code()?, text: reader.text(MAX_TEXT, "text")? }
        }
        kind::BYE => Control::Bye,
        _ => return Err(malformed("type")),
    })
}

fn number_len(number: u32) -> usize {
    if number < ESCAPE { 1 } else { 1 + varint::len(u64::from(number - ESCAPE)) }
}

#[expect(clippy::cast_possible_truncation, reason = "below 63")]
fn put_number(class: u8, number: u32, out: &mut Vec<u8>) {
    if number < ESCAPE {
        out.push(class | number as u8);
    } else {
        out.push(class | ESCAPE as u8);
        varint::encode(u64::from(number - ESCAPE), out);
    }
}

/// Appends the front of a batch of items.
pub(crate) fn put_items(stream: StreamRef, payload: usize, out: &mut Vec<u8>) {
    varint::encode((number_len(stream.to_wire()) + payload) as u64, out);
    put_number(ITEMS, stream.to_wire(), out);
}

/// Appends a frame of which `write` appends all but the length; `payload` more bytes will follow.
/// The length is put in front afterwards.
pub(crate) fn put(out: &mut Vec<u8>, payload: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    // Nearly all of these frames are shorter than 128 bytes.
    out.push(0);
    write(out);
    let len = out.len() - start - 1 + payload;
    if let (Ok(byte @ 0..=0x7f), Some(place)) = (u8::try_from(len), out.get_mut(start)) {
        *place = byte;
        return;
    }
    let end = out.len();
    varint::encode(len as u64, out);
    let more = out.len() - end;
    if let Some(frame) = out.get_mut(start..) {
        // The length came last: first with it, and over the byte that was kept for it.
        frame.rotate_right(more);
        frame.copy_within(more + 1.., more);
    }
    out.pop();
}

/// Appends the type and integers of a frame.
pub(crate) fn put_fields(head: u8, fields: &[u64], out: &mut Vec<u8>) {
    out.push(head);
    for &field in fields {
        varint::encode(field, out);
    }
}

/// As much of `text` as may travel.
pub(crate) fn clip(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

pub(crate) fn put_handles(handles: &[RawHandle], out: &mut Vec<u8>) {
    varint::encode(handles.len() as u64, out);
    for handle in handles {
        let (number, kind) = match *handle {
            RawHandle::Callback(number) => (number, 0),
            RawHandle::Receiver(number) => (number, 1),
            RawHandle::Sender(number) => (number, 2),
        };
        varint::encode(u64::from(number << 2 | kind), out);
    }
}

/// Appends the front of an OPEN frame.
pub(crate) fn put_open(open: &Open, payload: usize, out: &mut Vec<u8>) {
    let target: u8 = match open.target {
        RawTarget::Procedure(_) => 0,
        RawTarget::Callback(_) => 1,
        RawTarget::Named { .. } => 2,
    };
    let priority: u8 = match open.priority {
        Priority::Normal => 0,
        Priority::High => 1,
        Priority::Low => 2,
    };
    let mut flags = target << TARGET_SHIFT | priority << PRIORITY_SHIFT;
    for (set, flag) in [
        (open.more, MORE),
        (!open.handles.is_empty(), HANDLES),
        (open.deadline.is_some(), DEADLINE),
        (open.total.is_some(), TOTAL),
    ] {
        flags |= if set { flag } else { 0 };
    }
    put(out, payload, |out| {
        put_fields(kind::OPEN, &[u64::from(open.call)], out);
        out.push(flags);
        match &open.target {
            RawTarget::Procedure(number) | RawTarget::Callback(number) => {
                varint::encode(u64::from(*number), out);
            }
            RawTarget::Named { name, fingerprint } => {
                let name = clip(name, MAX_NAME);
                out.extend_from_slice(&fingerprint.to_le_bytes());
                out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
                out.extend_from_slice(name.as_bytes());
            }
        }
        for field in [open.deadline, open.total].into_iter().flatten() {
            varint::encode(field, out);
        }
        if !open.handles.is_empty() {
            put_handles(&open.handles, out);
        }
    });
}

/// Appends the front of a frame that continues a message.
pub(crate) fn put_part(
    head: u8,
    number: u32,
    more: bool,
    total: Option<u64>,
    handles: &[RawHandle],
    payload: usize,
    out: &mut Vec<u8>,
) {
    let mut flags = if more { MORE } else { 0 };
    flags |= if handles.is_empty() { 0 } else { HANDLES };
    flags |= if total.is_some() { TOTAL } else { 0 };
    put(out, payload, |out| {
        put_fields(head, &[u64::from(number)], out);
        out.push(flags);
        if let Some(total) = total {
            varint::encode(total, out);
        }
        if !handles.is_empty() {
            put_handles(handles, out);
        }
    });
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
