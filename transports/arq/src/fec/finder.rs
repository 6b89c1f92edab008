//! Finding coded frames in a stream of bytes.

use alloc::vec::Vec;

use super::{Kind, decode};

/// Bits of a word that may be wrong.
const TOLERANCE: u32 = 4;
/// Bytes that have to arrive for each frame that cannot be corrected: decoding costs much more than
/// pretending to have something to decode.
const PRICE: usize = 170;

/// Looks for the words of coded frames in all that arrives, beside the deframer, and collects what
/// follows them.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    /// The latest four bytes.
    recent: u32,
    kind: Option<Kind>,
    coded: Vec<u8>,
    frame: Vec<u8>,
    paid: usize,
}

impl Finder {
    /// Takes bytes off the front of `input` until a frame is found; hands it out with its kind.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Option<(Kind, &[u8])> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.paid = (self.paid + 1).min(PRICE * 4);
            if let Some(kind) = self.push(byte) {
                return Some((kind, &self.frame));
            }
        }
        None
    }

    /// Whether what arrives now may be a coded frame.
    pub(crate) fn is_collecting(&self) -> bool {
        self.kind.is_some()
    }

    fn push(&mut self, byte: u8) -> Option<Kind> {
        let Some(kind) = self.kind else {
            self.recent = self.recent << 8 | u32::from(byte);
            self.kind = Kind::ALL
                .into_iter()
                .find(|kind| (kind.word() ^ self.recent).count_ones() <= TOLERANCE);
            return None;
        };
        self.coded.push(byte);
        if self.coded.len() < kind.coded_len() {
            return None;
        }
        self.kind = None;
        self.recent = 0;
        let coded = core::mem::take(&mut self.coded);
        if decode(kind, &coded, &mut self.frame).is_some() {
            self.coded = coded;
            self.coded.clear();
            return Some(kind);
        }
        if self.paid >= PRICE {
            self.paid -= PRICE;
            // It was no frame, or one with a slip: the next may begin inside.
            return coded.into_iter().fold(None, |found, byte| self.push(byte).or(found));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::encode;
    use super::*;
    use std::vec;

    fn found(wire: &[u8], piece: usize) -> Vec<(Kind, Vec<u8>)> {
        let (mut finder, mut frames) = (Finder::default(), Vec::new());
        for mut input in wire.chunks(piece) {
            while let Some((kind, frame)) = finder.next(&mut input) {
                frames.push((kind, frame.to_vec()));
            }
        }
        frames
    }

    #[test]
    fn finds_frames_behind_damaged_words_and_slips() {
        let mut wire = vec![0x55; 100];
        encode(Kind::Light, b"first", &mut wire);
        let slip = wire.len() + 200;
        encode(Kind::Strong, b"with a slip", &mut wire);
        let word = wire.len();
        encode(Kind::Short, b"third", &mut wire);
        encode(Kind::Strong, b"fourth", &mut wire);
        wire[word] ^= 0x81;
        wire[word + 2] ^= 0x11;
        wire.remove(slip);
        let expected = [
            (Kind::Light, b"first".to_vec()),
            (Kind::Short, b"third".to_vec()),
            (Kind::Strong, b"fourth".to_vec()),
        ];
        for piece in [1, 3, 64, 5000] {
            assert_eq!(found(&wire, piece), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn words_without_end_cost_little() {
        let wire = Kind::Strong.word().to_be_bytes().repeat(50_000);
        let mut finder = Finder::default();
        assert!(finder.next(&mut wire.as_slice()).is_none());
        assert!(finder.coded.len() <= Kind::Strong.coded_len());
    }
}
