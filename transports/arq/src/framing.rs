//! Cutting a stream of bytes into frames: COBS between zeros, and escapes.

use alloc::vec::Vec;

use crate::config::EscapeMap;

/// The longest frame between two zeros; more is garbage and is skipped.
pub(crate) const MAX_ENCODED: usize = 2048;

const ESCAPE: u8 = 0x7d;
const FLIP: u8 = 0x20;

impl EscapeMap {
    const fn contains(self, byte: u8) -> bool {
        byte < 32 && self.0 >> byte & 1 == 1
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Appends `frame` as COBS, escaped, with a zero after it.
pub(crate) fn encode(frame: &[u8], escapes: EscapeMap, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    scratch.resize(cobs::max_encoding_length(frame.len()), 0);
    let length = cobs::try_encode(frame, scratch).unwrap_or_default();
    let encoded = scratch.get(..length).unwrap_or_default();
    if escapes.is_empty() {
        out.extend_from_slice(encoded);
    } else {
        for &byte in encoded {
            if byte == ESCAPE || escapes.contains(byte) {
                out.extend_from_slice(&[ESCAPE, byte ^ FLIP]);
            } else {
                out.push(byte);
            }
        }
    }
    out.push(0);
}

/// Undoes [`encode`] for what lies between two zeros: leaves the frame in `frame`.
///
/// Characters of `escapes` are never sent bare, so those in `raw` come from the line and go away.
/// `None`: no escapes are in use, and [`ESCAPE`] is a byte like any other.
pub(crate) fn decode(raw: &[u8], escapes: Option<EscapeMap>, frame: &mut Vec<u8>) -> bool {
    frame.clear();
    if let Some(escapes) = escapes {
        let mut flip = 0;
        for &byte in raw.iter().filter(|&&byte| !escapes.contains(byte)) {
            if byte == ESCAPE {
                flip = FLIP;
            } else {
                frame.push(byte ^ flip);
                flip = 0;
            }
        }
        if flip != 0 {
            return false;
        }
    } else {
        frame.extend_from_slice(raw);
    }
    let length = cobs::decode_in_place(frame).ok();
    frame.truncate(length.unwrap_or_default());
    length.is_some_and(|length| length > 0)
}

/// Whether undoing escapes could make a difference.
pub(crate) fn has_escapes(raw: &[u8]) -> bool {
    raw.contains(&ESCAPE) || raw.iter().any(|&byte| EscapeMap::CONTROLS.contains(byte))
}

/// Finds the zeros in what arrives, in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Deframer {
    buffer: Vec<u8>,
    /// The frame in the buffer has been handed out.
    taken: bool,
    overlong: bool,
    /// Bytes thrown away because no zero came in time.
    pub(crate) skipped: u64,
}

impl Deframer {
    /// Takes bytes off the front of `input` up to the end of a frame, and hands the frame out as it
    /// was on the line. `None`: all of `input` is taken, and the frame goes on.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Option<&[u8]> {
        if core::mem::take(&mut self.taken) {
            self.buffer.clear();
        }
        loop {
            let end = input.iter().position(|&byte| byte == 0);
            let (piece, rest) = input.split_at_checked(end.unwrap_or(input.len()))?;
            self.push(piece);
            let Some((_, rest)) = rest.split_first() else {
                *input = rest;
                return None;
            };
            *input = rest;
            if core::mem::take(&mut self.overlong) {
                self.buffer.clear();
            } else if !self.buffer.is_empty() {
                self.taken = true;
                return Some(&self.buffer);
            }
        }
    }

    fn push(&mut self, piece: &[u8]) {
        if self.overlong {
            self.skipped += piece.len() as u64;
        } else if self.buffer.len() + piece.len() > MAX_ENCODED {
            self.skipped += (self.buffer.len() + piece.len()) as u64;
            self.overlong = true;
        } else {
            self.buffer.extend_from_slice(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    fn frames_of(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, u64) {
        let (mut deframer, mut frames) = (Deframer::default(), Vec::new());
        for piece in pieces {
            let mut input = *piece;
            while let Some(frame) = deframer.next(&mut input) {
                frames.push(frame.to_vec());
            }
        }
        (frames, deframer.skipped)
    }

    proptest! {
        #[test]
        fn frames_round_trip(frame in prop::collection::vec(any::<u8>(), 1..1200), bits: u32) {
            let (map, mut wire, mut back) = (EscapeMap::from_bits(bits), Vec::new(), Vec::new());
            encode(&frame, map, &mut Vec::new(), &mut wire);
            let body = wire.strip_suffix(&[0]).unwrap();
            prop_assert!(!body.contains(&0));
            prop_assert!(body.iter().all(|&byte| !map.contains(byte)));
            prop_assert!(decode(body, (!map.is_empty()).then_some(map), &mut back));
            prop_assert_eq!(&back, &frame);
            if !map.is_empty() {
                let stray = (1..32).find(|&code| map.contains(code)).unwrap();
                let noisy: Vec<u8> = body.iter().flat_map(|&byte| [stray, byte]).collect();
                prop_assert!(decode(&noisy, Some(map), &mut back));
                prop_assert_eq!(&back, &frame);
            }
        }

        #[test]
        fn any_bytes_decode_or_not(raw in prop::collection::vec(1u8.., 0..600), bits: u32) {
            for map in [None, Some(EscapeMap::from_bits(bits))] {
                decode(&raw, map, &mut Vec::new());
            }
        }

        #[test]
        fn pieces_do_not_matter(bytes in prop::collection::vec(0u8..4, 0..200), cuts in prop::collection::vec(0usize..200, 0..20)) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(frames_of(&pieces), frames_of(&[&bytes]));
        }
    }

    #[test]
    fn every_split_of_a_short_input() {
        let bytes = [0, 1, 2, 0, 0, 3, 0, 4, 5, 0, 6, 0];
        let whole = frames_of(&[&bytes]);
        for mask in 0u32..1 << (bytes.len() - 1) {
            let (mut pieces, mut start) = (Vec::new(), 0);
            for end in (1..bytes.len()).filter(|end| mask >> (end - 1) & 1 == 1) {
                pieces.push(&bytes[start..end]);
                start = end;
            }
            pieces.push(&bytes[start..]);
            assert_eq!(frames_of(&pieces), whole);
        }
    }

    #[test]
    fn endless_garbage_is_counted_and_not_kept() {
        let garbage = [7; 1000];
        let mut pieces = [garbage.as_slice(); 100].to_vec();
        pieces.push(&[0, 9, 0]);
        assert_eq!(frames_of(&pieces), (vec![vec![9]], 100_000));
    }
}
