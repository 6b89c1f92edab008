//! A packet as bytes on the air: check, whitening, Reed-Solomon parity, interleaving; and back.

use super::mode::Shape;
use super::reed_solomon;
use crate::packing::BLOCK_BYTES;
use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// IEEE's CRC-32: another than that of the link above, so that no error suits both.
static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
const CRC_BYTES: usize = 4;
/// The most bytes of one codeword over GF(256).
const CODEWORD: usize = 255;
/// Parity that is never spent on correcting: it tells whether the rest was right.
const RESERVE: usize = 2;
/// How many sets of erasures are tried.
const STEPS: usize = 6;

/// How a packet of some length is laid out; sender and receiver find the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Rows of blocks, one block to a stream; the first block is the header.
    pub(crate) rows: usize,
    /// Bytes of the packet with its check.
    data: usize,
    /// All bytes behind the header: data and parity.
    coded: usize,
    /// Codewords, a byte of each in turn.
    codewords: usize,
}

/// A byte as received.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Heard {
    pub(crate) byte: u8,
    /// By how much the decoder prefers it: the lower, the more doubtful.
    pub(crate) surety: f32,
}

/// A packet that came through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) bytes: Vec<u8>,
    /// Bytes that were wrong.
    pub(crate) corrected: usize,
    /// The share of what could have been corrected that was needed, in percent.
    pub(crate) strain: usize,
}

impl Layout {
    pub(crate) fn new(shape: &Shape, packet: usize) -> Self {
        let data = packet + CRC_BYTES;
        let wanted = (data * 100).div_ceil(shape.share) + BLOCK_BYTES;
        Self::of_rows(shape, data, wanted.div_ceil(shape.row_bytes()))
    }

    fn of_rows(shape: &Shape, data: usize, rows: usize) -> Self {
        // What is left of the last row is parity too.
        let coded = rows * shape.row_bytes() - BLOCK_BYTES;
        Self { rows, data, coded, codewords: coded.div_ceil(CODEWORD) }
    }

    /// The largest packet that takes so many rows.
    pub(crate) fn packet(shape: &Shape, rows: usize) -> usize {
        let coded = rows * shape.row_bytes() - BLOCK_BYTES;
        (coded * shape.share / 100).saturating_sub(CRC_BYTES)
    }

    /// Bytes that a codeword has of so many that are dealt out in turn.
    fn part(&self, of: usize, codeword: usize) -> usize {
        (of + self.codewords - 1 - codeword) / self.codewords
    }

    fn parity(&self, codeword: usize) -> usize {
        self.part(self.coded, codeword) - self.part(self.data, codeword)
    }
}

/// Evens out what programs send: runs of zeros would be runs of one letter.
fn whiten(bytes: &mut [u8]) {
    let mut state = 0x1d87_2b41_u32;
    for byte in bytes {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *byte ^= (state >> 24) as u8;
    }
}

/// The bytes behind the header.
pub(crate) fn encode(layout: &Layout, packet: &[u8]) -> Vec<u8> {
    let mut data = packet.to_vec();
    data.extend_from_slice(&CRC.checksum(packet).to_le_bytes());
    whiten(&mut data);
    let mut coded = vec![0; layout.coded];
    for codeword in 0..layout.codewords {
        let part: Vec<u8> = data.iter().skip(codeword).step_by(layout.codewords).copied().collect();
        let parity = reed_solomon::parity(&part, layout.parity(codeword));
        let places = coded.iter_mut().skip(codeword).step_by(layout.codewords);
        for (place, byte) in places.zip(part.into_iter().chain(parity)) {
            *place = byte;
        }
    }
    coded
}

/// The packet of the bytes behind the header, if its check is right.
pub(crate) fn decode(layout: &Layout, heard: &[Heard]) -> Option<Decoded> {
    if heard.len() != layout.coded {
        return None;
    }
    let mut data = vec![0; layout.data];
    let (mut corrected, mut strain) = (0, 0);
    for codeword in 0..layout.codewords {
        let part: Vec<Heard> =
            heard.iter().skip(codeword).step_by(layout.codewords).copied().collect();
        let found = correct(&part, layout.parity(codeword))?;
        let places = data.iter_mut().skip(codeword).step_by(layout.codewords);
        for (place, &byte) in places.zip(&found.bytes) {
            *place = byte;
        }
        corrected += found.corrected;
        strain = strain.max(found.strain);
    }
    whiten(&mut data);
    let check = data.split_off(layout.data - CRC_BYTES);
    (CRC.checksum(&data).to_le_bytes()[..] == check).then_some(Decoded {
        bytes: data,
        corrected,
        strain,
    })
}

/// Corrects one codeword: first believing every byte, then giving up more and more of the doubtful
/// ones (generalised minimum distance decoding, G. D. Forney, 1966). An erasure costs half of
/// what an error costs.
fn correct(heard: &[Heard], parity: usize) -> Option<Decoded> {
    let bytes: Vec<u8> = heard.iter().map(|heard| heard.byte).collect();
    let mut doubtful: Vec<usize> = (0..heard.len()).collect();
    doubtful.sort_by(|&a, &b| heard[a].surety.total_cmp(&heard[b].surety));
    let usable = parity - RESERVE.min(parity);
    let mut best: Option<Decoded> = None;
    for step in 0..=STEPS {
        let erasures = &doubtful[..(usable * step / STEPS).min(doubtful.len())];
        let mut fixed = bytes.clone();
        let Some(errors) = reed_solomon::correct(&mut fixed, parity, erasures) else { continue };
        let needed = erasures.len() + 2 * errors;
        let corrected = fixed.iter().zip(&bytes).filter(|(fixed, heard)| fixed != heard).count();
        if needed > usable || best.as_ref().is_some_and(|best| best.corrected <= corrected) {
            continue;
        }
        fixed.truncate(bytes.len() - parity);
        // What was needed, had the decoder known best.
        let strain = needed.min(2 * corrected) * 100 / parity.max(1);
        best = Some(Decoded { bytes: fixed, corrected, strain });
        if step == 0 {
            break;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modem::{Config, Mode};
    use proptest::prelude::*;

    fn shape(mode: Mode) -> Shape {
        Config::new(48_000).shape(mode)
    }

    fn layouts() -> impl Iterator<Item = (Shape, usize)> {
        let shapes = Mode::ALL.map(shape);
        shapes.into_iter().flat_map(|shape| (0..=crate::modem::MAX_PACKET).map(move |n| (shape, n)))
    }

    #[test]
    fn every_layout_fits_its_codewords() {
        for (shape, packet) in layouts() {
            let layout = Layout::new(&shape, packet);
            for codeword in 0..layout.codewords {
                assert!(layout.part(layout.coded, codeword) <= CODEWORD);
                let (parity, all) = (layout.parity(codeword), layout.part(layout.coded, codeword));
                assert!(parity * 100 + 400 >= all * (100 - shape.share), "{shape:?} {packet}");
                assert!(parity >= 2, "{shape:?} {packet}");
            }
            let rows = layout.rows;
            assert!(Layout::packet(&shape, rows) >= packet || rows == 1);
        }
    }

    proptest! {
        #[test]
        fn what_can_be_corrected_is(
            mode in prop::sample::select(Mode::ALL.to_vec()),
            packet in prop::collection::vec(any::<u8>(), 0..500),
            errors in prop::collection::vec((any::<u16>(), 1u8.., any::<bool>()), 0..12),
        ) {
            let layout = Layout::new(&shape(mode), packet.len());
            let coded = encode(&layout, &packet);
            let mut heard: Vec<Heard> =
                coded.iter().map(|&byte| Heard { byte, surety: 9.0 }).collect();
            let mut weight = vec![0; layout.codewords];
            for (place, flip, doubted) in errors {
                let place = usize::from(place) % heard.len();
                let parity = layout.parity(place % layout.codewords);
                let weight = &mut weight[place % layout.codewords];
                if heard[place].byte == coded[place] && *weight + 2 + RESERVE <= parity {
                    heard[place].byte ^= flip;
                    heard[place].surety = if doubted { 0.1 } else { 9.0 };
                    *weight += 2;
                }
            }
            let decoded = decode(&layout, &heard).unwrap();
            prop_assert_eq!(decoded.bytes, packet);
        }

        #[test]
        fn doubt_doubles_what_can_be_corrected(seed: u64, packet in prop::collection::vec(any::<u8>(), 200)) {
            let layout = Layout::new(&shape(Mode::Room), packet.len());
            let mut heard: Vec<Heard> =
                encode(&layout, &packet).iter().map(|&byte| Heard { byte, surety: 9.0 }).collect();
            let mut random = fastrand::Rng::with_seed(seed);
            for at in random.choose_multiple(0..heard.len(), (layout.parity(0) - RESERVE) * 3 / 4) {
                heard[at].byte = random.u8(..);
                heard[at].surety = 1.0;
            }
            prop_assert_eq!(decode(&layout, &heard).map(|d| d.bytes), Some(packet));
        }

        #[test]
        fn garbage_is_refused(
            mode in prop::sample::select(Mode::ALL.to_vec()),
            packet in 0usize..300,
            seed: u64,
        ) {
            let layout = Layout::new(&shape(mode), packet);
            let mut random = fastrand::Rng::with_seed(seed);
            let heard: Vec<Heard> = (0..layout.coded)
                .map(|_| Heard { byte: random.u8(..), surety: random.f32() })
                .collect();
            prop_assert_eq!(decode(&layout, &heard), None);
        }
    }
}
