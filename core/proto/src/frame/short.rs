//! The frames that matter for speed: complete calls and answers.

use super::{ANSWER, CALL, ESCAPE, ITEMS, number_len, put_number};
use crate::varint;
use alloc::vec::Vec;

/// The front of a frame of the two kinds that matter for speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Short {
    Call { call: u32, procedure: u32 },
    Answer { call: u32 },
}

/// Reads the front of a whole frame, if it is one of those and nothing about it is unusual; gives
/// its payload with it. Whatever this leaves, [`parse_header`](super::parse_header) reads.
#[inline]
pub(crate) fn parse_short(frame: &[u8]) -> Option<(Short, &[u8])> {
    let (&head, rest) = frame.split_first()?;
    if head >= ITEMS {
        return None;
    }
    let (call, rest) = match u32::from(head & 0x3f) {
        ESCAPE => {
            let (more, rest) = short_number(rest)?;
            (ESCAPE + more, rest)
        }
        number => (number, rest),
    };
    if head & ANSWER != 0 {
        return Some((Short::Answer { call }, rest));
    }
    let (procedure, payload) = short_number(rest)?;
    Some((Short::Call { call, procedure }, payload))
}

/// A number of at most two bytes.
#[inline]
fn short_number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    match *bytes {
        [low @ 0..=0x7f, ref rest @ ..] => Some((u32::from(low), rest)),
        [low, high @ 0..=0x7f, ref rest @ ..] => {
            Some((u32::from(low & 0x7f) | u32::from(high) << 7, rest))
        }
        _ => None,
    }
}

/// Appends the front of a complete call.
pub(crate) fn put_call_front(call: u32, procedure: u32, payload: usize, out: &mut Vec<u8>) {
    let len = number_len(call) + varint::len(u64::from(procedure)) + payload;
    varint::encode(len as u64, out);
    put_number(CALL, call, out);
    varint::encode(u64::from(procedure), out);
}

/// Appends the front of a complete answer.
pub(crate) fn put_answer_front(call: u32, payload: usize, out: &mut Vec<u8>) {
    varint::encode((number_len(call) + payload) as u64, out);
    put_number(ANSWER, call, out);
}

/// Appends a small call.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "less than 128, 63 and 128")]
pub(crate) fn put_call(call: u32, procedure: u32, payload: &[u8], out: &mut Vec<u8>) {
    let len = payload.len() + 2;
    if call < ESCAPE && procedure < 0x80 && len < 0x80 {
        out.reserve(len + 1);
        out.extend_from_slice(&[len as u8, CALL | call as u8, procedure as u8]);
    } else if call < ESCAPE + 0x80 && procedure < 0x80 && len < 0x7f {
        out.reserve(len + 2);
        let more = (call - ESCAPE) as u8;
        out.extend_from_slice(&[len as u8 + 1, CALL | ESCAPE as u8, more, procedure as u8]);
    } else {
        put_call_front(call, procedure, payload.len(), out);
    }
    out.extend_from_slice(payload);
}

/// Appends a small answer.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "less than 128, 63 and 128")]
pub(crate) fn put_answer(call: u32, payload: &[u8], out: &mut Vec<u8>) {
    let len = payload.len() + 1;
    if call < ESCAPE && len < 0x80 {
        out.reserve(len + 1);
        out.extend_from_slice(&[len as u8, ANSWER | call as u8]);
    } else if call < ESCAPE + 0x80 && len < 0x7f {
        out.reserve(len + 2);
        out.extend_from_slice(&[len as u8 + 1, ANSWER | ESCAPE as u8, (call - ESCAPE) as u8]);
    } else {
        put_answer_front(call, payload.len(), out);
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::super::{Header, parse_header};
    use super::*;

    #[test]
    fn short_frames_are_those_that_everybody_reads() {
        for number in [0, 1, 62, 63, 64, 190, 191, 192, 70_000] {
            for procedure in [0, 127, 128, 70_000] {
                for size in [0, 1, 123, 124, 125, 126, 127, 128, 2048] {
                    let payload = alloc::vec![0xff; size];
                    let (mut call, mut answer) = (Vec::new(), Vec::new());
                    put_call(number, procedure, &payload, &mut call);
                    put_answer(number, &payload, &mut answer);
                    let (mut front, mut answer_front) = (Vec::new(), Vec::new());
                    put_call_front(number, procedure, size, &mut front);
                    put_answer_front(number, size, &mut answer_front);
                    front.extend_from_slice(&payload);
                    answer_front.extend_from_slice(&payload);
                    assert_eq!((&call, &answer), (&front, &answer_front));

                    let expected = [
                        (&call, Header::call(number, procedure)),
                        (&answer, Header::answer(number)),
                    ];
                    for (bytes, header) in expected {
                        let (len, used) = varint::decode(bytes).unwrap();
                        let frame = &bytes[used..];
                        assert_eq!(len, frame.len() as u64);
                        assert_eq!(parse_header(frame), Ok((header.clone(), frame.len() - size)));
                        let short = parse_short(frame).map(|(short, payload)| {
                            let header = match short {
                                Short::Call { call, procedure } => Header::call(call, procedure),
                                Short::Answer { call } => Header::answer(call),
                            };
                            (header, payload)
                        });
                        match short {
                            Some(short) => assert_eq!(short, (header, &payload[..])),
                            None => assert!(number > 16_000 || procedure > 16_000),
                        }
                    }
                }
            }
        }
    }
}
