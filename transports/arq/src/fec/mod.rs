//! Frames that correct themselves: Reed-Solomon blocks behind a word that is found through errors.

mod finder;
mod mode;

use alloc::vec::Vec;

use reed_solomon::{Decoder, Encoder};

pub(crate) use finder::Finder;
pub(crate) use mode::{Mode, Switch};

/// The kinds of coded frames, each announced by a word of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Two interleaved blocks of RS(255, 239): corrects 8 bytes in each.
    Light,
    /// Two interleaved blocks of RS(255, 223): corrects 16 bytes in each.
    Strong,
    /// One block of RS(64, 32), for what is short on a very bad line.
    Short,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Light, Self::Strong, Self::Short];

    /// The word before the blocks: the attached sync marker of CCSDS 131.0-B, its complement, and a
    /// word that differs from both in 16 bits.
    const fn word(self) -> u32 {
        match self {
            Self::Light => 0x1acf_fc1d,
            Self::Strong => 0xe530_03e2,
            Self::Short => 0x4f9a_a948,
        }
    }

    const fn blocks(self) -> usize {
        match self {
            Self::Light | Self::Strong => 2,
            Self::Short => 1,
        }
    }

    /// Bytes of one block, and how many of them are parity.
    const fn block(self) -> (usize, usize) {
        match self {
            Self::Light => (255, 16),
            Self::Strong => (255, 32),
            Self::Short => (64, 32),
        }
    }

    /// Bytes on the line after the word.
    pub(crate) const fn coded_len(self) -> usize {
        self.blocks() * self.block().0
    }

    /// The longest frame, with its check, that fits.
    pub(crate) const fn capacity(self) -> usize {
        let (block, parity) = self.block();
        self.blocks() * (block - parity) - LENGTH
    }
}

/// The length of the frame stands before it.
const LENGTH: usize = 2;

/// Appends `frame` as a coded frame. The caller sees to it that it fits.
pub(crate) fn encode(kind: Kind, frame: &[u8], out: &mut Vec<u8>) {
    let (block, parity) = kind.block();
    let mut content = Vec::with_capacity(kind.coded_len());
    content.extend_from_slice(&u16::try_from(frame.len()).unwrap_or(0).to_le_bytes());
    content.extend_from_slice(frame);
    content.resize(kind.blocks() * (block - parity), 0);
    let encoder = Encoder::new(parity);
    let blocks: Vec<_> = content.chunks(block - parity).map(|data| encoder.encode(data)).collect();
    out.extend_from_slice(&kind.word().to_be_bytes());
    for index in 0..block {
        out.extend(blocks.iter().filter_map(|block| block.get(index)));
    }
    out.push(0);
}

/// Corrects what followed the word of `kind`: leaves the frame in `frame`, and says how many bytes
/// were wrong.
fn decode(kind: Kind, coded: &[u8], frame: &mut Vec<u8>) -> Option<usize> {
    let (block, parity) = kind.block();
    if coded.len() != kind.coded_len() {
        return None;
    }
    frame.clear();
    let (decoder, mut wrong) = (Decoder::new(parity), 0);
    for number in 0..kind.blocks() {
        let bytes: Vec<u8> = coded.iter().skip(number).step_by(kind.blocks()).copied().collect();
        debug_assert_eq!(bytes.len(), block);
        let (corrected, errors) = decoder.correct_err_count(&bytes, None).ok()?;
        frame.extend_from_slice(corrected.data());
        wrong += errors;
    }
    let length = usize::from(u16::from_le_bytes(*frame.first_chunk::<LENGTH>()?));
    frame.drain(..LENGTH);
    (length > 0 && length <= frame.len()).then(|| frame.truncate(length))?;
    Some(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    #[test]
    fn words_are_far_apart() {
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let difference = Kind::ALL[one].word() ^ Kind::ALL[other].word();
            assert!(difference.count_ones() >= 14, "{one} and {other}");
        }
        assert!(Kind::ALL.iter().all(|kind| !kind.word().to_be_bytes().contains(&0)));
    }

    proptest! {
        #[test]
        fn corrects_what_it_promises(
            strength in 0usize..3,
            length in 1usize..=1000,
            errors in prop::collection::vec((any::<u16>(), 1u8..), 0..16),
        ) {
            let kind = Kind::ALL[strength];
            let frame: Vec<u8> = (0..=255).cycle().take(1 + length % kind.capacity()).collect();
            let mut wire = Vec::new();
            encode(kind, &frame, &mut wire);
            prop_assert_eq!(wire.len(), 4 + kind.coded_len() + 1);
            let mut coded = wire[4..wire.len() - 1].to_vec();
            let mut hits = vec![false; coded.len()];
            for (place, flip) in errors.into_iter().take(kind.block().1 / 2) {
                let place = usize::from(place) % coded.len();
                if !core::mem::replace(&mut hits[place], true) {
                    coded[place] ^= flip;
                }
            }
            let mut back = Vec::new();
            let wrong = decode(kind, &coded, &mut back);
            prop_assert_eq!(wrong, Some(hits.iter().filter(|hit| **hit).count()));
            prop_assert_eq!(back, frame);
        }

        #[test]
        fn any_bytes_decode_or_not(strength in 0usize..3, bytes in prop::collection::vec(any::<u8>(), 510)) {
            let kind = Kind::ALL[strength];
            let _ = decode(kind, &bytes[..kind.coded_len()], &mut Vec::new());
        }
    }
}
