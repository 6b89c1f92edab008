//! Where one wire ends in a stream of bytes, and the next begins.
//!
//! On a line without sessions the hello of the next peer may come in one piece with the last word of
//! the one before. Only frames tell them apart (`core/proto/SPEC.md`, sections 3, 4 and 8).

const HELLO: u64 = 8;
const GOAWAY: u8 = 0xcf;
const BYE: u8 = 0xd0;
/// A peer that was killed says no last word: where a frame should begin, the hello of the next one does.
/// No peer of this version sends a frame that begins so.
pub(super) const NEXT_HELLO: [u8; 3] = [0x1f, 0xf1, 1];
/// Codes of GOAWAY after which a wire goes on: finished, idle.
const PEACEFUL: [u8; 2] = [0, 39];

/// Where a wire ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// So many bytes more were of it.
    pub(super) at: usize,
    /// The last of them, as many as [`NEXT_HELLO`], begin the next wire.
    pub(super) in_hello: bool,
}

/// Follows the frames of one direction.
#[derive(Debug)]
pub(super) struct Ends {
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// So many bytes are neither lengths nor heads.
    Skip {
        left: u64,
        last: bool,
    },
    Length {
        value: u64,
        shift: u32,
    },
    Head {
        len: u64,
    },
    /// The code of a GOAWAY.
    Code {
        left: u64,
    },
    /// The version, if this is the next hello.
    Version {
        left: u64,
    },
    Over,
}

const START: State = State::Length { value: 0, shift: 0 };

impl Ends {
    /// At the beginning of a wire.
    pub(super) fn new() -> Self {
        Self { state: State::Skip { left: HELLO, last: false } }
    }

    /// Where in `bytes` the wire ends; `None`: it goes on.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Option<End> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(&byte) = rest.first() else { break };
            at += 1;
            self.state = match self.state {
                State::Skip { left, last } => {
                    let n = left.min(rest.len() as u64);
                    at += usize::try_from(n).unwrap_or(rest.len()) - 1;
                    after(left - n, last)
                }
                State::Length { value, shift } => {
                    let value = value | u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
                    match (byte & 0x80, value) {
                        (0, 0) => START,
                        (0, len) => State::Head { len },
                        _ => State::Length { value, shift: shift + 7 },
                    }
                }
                State::Head { len: 1 } if byte == BYE => State::Over,
                State::Head { len } if byte == GOAWAY && len > 1 => State::Code { left: len - 1 },
                State::Head { len } if [len, byte.into()] == NEXT_HELLO.map(u64::from)[..2] => {
                    State::Version { left: len - 1 }
                }
                State::Head { len } => after(len - 1, false),
                State::Version { .. } if byte == NEXT_HELLO[2] => {
                    self.state = State::Over;
                    return Some(End { at, in_hello: true });
                }
                State::Version { left } => after(left - 1, false),
                State::Code { left } => after(left - 1, !PEACEFUL.contains(&byte)),
                State::Over => return Some(End { at: at - 1, in_hello: false }),
            };
            if matches!(self.state, State::Over) {
                return Some(End { at, in_hello: false });
            }
        }
        None
    }
}

fn after(left: u64, last: bool) -> State {
    match (left, last) {
        (0, true) => State::Over,
        (0, false) => START,
        (left, last) => State::Skip { left, last },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &[u8] = &[0x1f, 0xf1, 1, 2, 0x75, 0xa6, 0x56, 0x77];

    #[test]
    fn a_wire_ends_with_bye_or_a_goaway_for_cause() {
        let bind = &[0x0b, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x66][..];
        let call = &[0x04, 0, 0, 0xd0, 0xcf][..];
        let nothing = &[0][..];
        let long = [&[0x80 | 0x48, 0x01][..], &[0xc1; 200]].concat();
        let peace = &[0x02, 0xcf, 0][..];
        for end in [&[0x01, 0xd0][..], &[0x04, 0xcf, 32, b'x', b'y'], &[0x03, 0xcf, 0xac, 0x02]] {
            let wire = [HELLO, bind, call, nothing, &long, peace, call, end].concat();
            let both = [&wire[..], HELLO, bind].concat();
            let end = End { at: wire.len(), in_hello: false };
            assert_eq!(Ends::new().find(&both), Some(end));
            // However it is cut.
            for size in 1..20 {
                let (mut ends, mut at) = (Ends::new(), 0);
                let found = both.chunks(size).find_map(|chunk| {
                    let found = ends.find(chunk).map(|end| at + end.at);
                    at += chunk.len();
                    found
                });
                assert_eq!(found, Some(wire.len()), "{size}");
            }
        }
    }

    #[test]
    fn a_wire_without_a_last_word_ends_where_the_next_begins() {
        let bind = &[0x0b, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x66][..];
        let inside = &[0x06, 0, 0, 0x1f, 0xf1, 1, 0][..];
        let unknown = [&[0x1f, 0xf1, 2][..], &[0; 29]].concat();
        let wire = [HELLO, bind, inside, &unknown].concat();
        let both = [&wire[..], HELLO, bind].concat();
        for size in 1..both.len() {
            let (mut ends, mut at) = (Ends::new(), 0);
            let found = both.chunks(size).find_map(|chunk| {
                let found = ends.find(chunk).map(|end| (at + end.at, end.in_hello));
                at += chunk.len();
                found
            });
            assert_eq!(found, Some((wire.len() + NEXT_HELLO.len(), true)), "{size}");
        }
    }
}
