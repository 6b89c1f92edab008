//! The first block of a packet: 16 bits in 130 dot lengths.
//!
//! The bits become 8 bytes of a Reed-Solomon code (any two of its 65,536 words differ in at least 7
//! bytes), and those a block of letters like any other. The keyings of two words differ in 47 dot
//! lengths on average and hardly ever in less than 15, while any two letters may differ in one. The receiver
//! compares what it heard with all words and takes the most similar.

use std::sync::OnceLock;

use super::mode::{MAX_PACKET, Mode};
use super::reed_solomon::parity;
use crate::packing::{BLOCK_BYTES, Packing};

/// What a packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Bytes of the packet.
    pub(crate) length: usize,
    /// The mode in which the sender wants to be answered.
    pub(crate) wish: Option<Mode>,
    /// Two bits for the user of the modem.
    pub(crate) tag: u8,
}

const LENGTH_BITS: u32 = 11;
const NO_WISH: u16 = 7;
/// Keeps the word of zero from being a run of one letter.
const MASK: [u8; BLOCK_BYTES] = [0x5a, 0x3c, 0x96, 0xe1, 0x0f, 0xb4, 0x78, 0xd2];
/// Headers less like what was heard than this are none (correlation coefficient). Of noise the most
/// similar of all has 0.39 on average, and this only once in thousands.
const LEAST_LIKENESS: f32 = 0.5;

const UNITS: usize = 130;
const GROUPS: usize = UNITS.div_ceil(8);

impl Header {
    fn bits(self) -> u16 {
        let wish = self.wish.map_or(NO_WISH, |mode| mode.index() as u16);
        self.length as u16 | wish << LENGTH_BITS | u16::from(self.tag & 3) << (LENGTH_BITS + 3)
    }

    fn of_bits(bits: u16) -> Option<Self> {
        let length = usize::from(bits & ((1 << LENGTH_BITS) - 1));
        let wish = usize::from(bits >> LENGTH_BITS & 7);
        let tag = (bits >> (LENGTH_BITS + 3)) as u8;
        (length <= MAX_PACKET).then(|| Self { length, wish: Mode::ALL.get(wish).copied(), tag })
    }

    /// The block of letters.
    pub(crate) fn encode(self) -> [u8; BLOCK_BYTES] {
        word(self.bits())
    }

    /// The header most like the amplitudes heard in the dot lengths of a block, how like it is (a
    /// correlation coefficient), and its keying.
    pub(crate) fn find(amplitudes: &[f32]) -> Option<(Self, f32, Vec<bool>)> {
        let heard = amplitudes.get(..UNITS)?;
        let mean = heard.iter().sum::<f32>() / UNITS as f32;
        let spread = heard.iter().map(|v| (v - mean).powi(2)).sum::<f32>().sqrt();
        if !(spread.is_finite() && spread > 0.0) {
            return None;
        }
        // What each byte of keying contributes
        let mut sums = vec![[0.0f32; 256]; GROUPS];
        for (group, sums) in sums.iter_mut().enumerate() {
            for pattern in 1usize..256 {
                let bit = pattern.trailing_zeros() as usize;
                let unit = group * 8 + bit;
                let value = heard.get(unit).map_or(0.0, |v| v - mean);
                sums[pattern] = sums[pattern & (pattern - 1)] + value;
            }
        }
        let mut best = (f32::MIN, 0);
        for (bits, word) in words().iter().enumerate() {
            let sum: f32 =
                word.keying.iter().zip(&sums).map(|(&byte, sums)| sums[usize::from(byte)]).sum();
            let likeness = sum * word.scale;
            if likeness > best.0 {
                best = (likeness, bits);
            }
        }
        let likeness = best.0 / spread;
        let header = Self::of_bits(best.1 as u16)?;
        let keying =
            (0..UNITS).map(|u| words()[best.1].keying[u / 8] >> (u % 8) & 1 == 1).collect();
        (likeness >= LEAST_LIKENESS).then_some((header, likeness, keying))
    }
}

fn word(bits: u16) -> [u8; BLOCK_BYTES] {
    let mut word = [0; BLOCK_BYTES];
    let data = bits.to_be_bytes();
    let coded = data.into_iter().chain(parity(&data, BLOCK_BYTES - 2));
    for (byte, (coded, mask)) in word.iter_mut().zip(coded.zip(MASK)) {
        *byte = coded ^ mask;
    }
    word
}

/// A header's keying, 8 dot lengths to a byte, and what makes its sum a correlation coefficient.
struct Word {
    keying: [u8; GROUPS],
    scale: f32,
}

fn words() -> &'static [Word] {
    static WORDS: OnceLock<Vec<Word>> = OnceLock::new();
    WORDS.get_or_init(|| {
        let packing = Packing::letters();
        let keyed = |bits| {
            let mut keying = [0u8; GROUPS];
            let mut unit = 0;
            for token in packing.pack(&word(bits)) {
                for &down in &token.keying {
                    keying[unit / 8] |= u8::from(down) << (unit % 8);
                    unit += 1;
                }
            }
            let down = keying.iter().map(|byte| byte.count_ones()).sum::<u32>() as f32;
            Word { keying, scale: (down * (1.0 - down / UNITS as f32)).sqrt().recip() }
        };
        (0..=u16::MAX).map(keyed).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    #[test]
    fn a_header_is_found_in_noise_and_noise_is_none() {
        let mut noise = Noise::new(5);
        let header = Header { length: 777, wish: Some(Mode::Brisk), tag: 2 };
        let keying: Vec<bool> = Packing::letters()
            .pack(&header.encode())
            .iter()
            .flat_map(|token| token.keying.iter().copied())
            .collect();
        let mut likest = 0.0f32;
        for _ in 0..30 {
            // A dot's energy over the noise density is 7 dB here: a fifth of all letters are misread.
            let heard = |down: bool, noise: &mut Noise| {
                let (re, im) = (noise.gaussian(), noise.gaussian());
                (if down { 3.2 + re } else { re }).hypot(im) as f32
            };
            let heard: Vec<f32> = keying.iter().map(|&down| heard(down, &mut noise)).collect();
            let (found, _, keyed) = Header::find(&heard).unwrap();
            assert_eq!((found, &keyed), (header, &keying));
            let only: Vec<f32> =
                (0..130).map(|_| noise.gaussian().hypot(noise.gaussian()) as f32).collect();
            likest = likest.max(Header::find(&only).map_or(0.0, |found| found.1));
        }
        assert!(likest < 0.5, "{likest}");
    }

    #[test]
    fn all_headers_come_back_and_are_far_apart() {
        for bits in (0..=u16::MAX).step_by(37) {
            if let Some(header) = Header::of_bits(bits) {
                let again = header.bits();
                assert!(again == bits || header.wish.is_none());
            }
        }
        let words = words();
        let distance = |a: usize, b: usize| {
            let pairs = words[a].keying.iter().zip(words[b].keying);
            pairs.map(|(x, y)| (x ^ y).count_ones()).sum::<u32>()
        };
        let mut random = fastrand::Rng::with_seed(1);
        let nearest = (0..300_000).map(|_| {
            let a = random.usize(..words.len());
            distance(a, (a + 1 + random.usize(..words.len() - 1)) % words.len())
        });
        assert!(nearest.min().unwrap() >= 14);
    }
}
