//! The receiving half: puts the stream together, and knows what to acknowledge.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::frame::{Ack, MAX_BITMAP};
use crate::ranges::RangeSet;

/// Holes that the stream may have at once; a frame that would make one more counts as lost.
const MAX_HOLES: usize = 1024;
/// Bits of memory for frame numbers, one block a word.
const WORDS: usize = MAX_BITMAP / 8;
/// A frame is reported in this many acknowledgements at least.
const REPEATS: usize = 4;

/// The stream as it arrives.
///
/// The end of the stream takes one offset, so that "all arrived" covers it as well.
#[derive(Debug)]
pub(crate) struct Assembler {
    /// `buffer[0]` is the byte at `read`; bytes past `next` may be holes.
    buffer: VecDeque<u8>,
    window: u64,
    /// Offset of the next byte for the application.
    read: u64,
    /// All before this offset has arrived.
    next: u64,
    early: RangeSet,
    end: Option<u64>,
}

impl Assembler {
    pub(crate) fn new(window: u64) -> Self {
        Self {
            buffer: VecDeque::new(),
            window,
            read: 0,
            next: 0,
            early: RangeSet::new(),
            end: None,
        }
    }

    /// The first offset that has not arrived.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The first offset for which there is no room.
    pub(crate) fn limit(&self) -> u64 {
        self.read + self.window
    }

    /// Whether the whole stream has arrived.
    pub(crate) fn is_complete(&self) -> bool {
        self.end.is_some_and(|end| self.next > end)
    }

    /// Whether the application has read the whole stream.
    pub(crate) fn is_read(&self) -> bool {
        self.is_complete() && self.end == Some(self.read)
    }

    /// Bytes that [`read`](Self::read) would give now.
    pub(crate) fn readable(&self) -> usize {
        let arrived = self.end.map_or(self.next, |end| self.next.min(end));
        usize::try_from(arrived - self.read).unwrap_or(usize::MAX)
    }

    /// Takes in a piece. `false`: it does not fit, and must not be acknowledged.
    pub(crate) fn insert(&mut self, offset: u64, payload: &[u8], fin: bool) -> bool {
        let Some(data_end) = offset.checked_add(payload.len() as u64) else { return false };
        let range = offset..data_end + u64::from(fin);
        let ends_elsewhere = match self.end {
            Some(end) => data_end > end || (fin && data_end != end),
            None => fin && (data_end < self.next || self.early.iter().any(|r| r.end > data_end)),
        };
        let holes = if range.start <= self.next { 0 } else { self.early.len_with(&range) };
        if ends_elsewhere || data_end > self.limit() || holes > MAX_HOLES {
            return false;
        }
        if fin {
            self.end = Some(data_end);
        }
        self.copy(offset, payload);
        self.early.insert(range.start.max(self.next)..range.end.max(self.next));
        if let Some(end) = self.early.pop_reached(self.next) {
            self.next = end;
        }
        true
    }

    fn copy(&mut self, offset: u64, payload: &[u8]) {
        let known = usize::try_from(self.next.saturating_sub(offset)).unwrap_or(usize::MAX);
        let Some(fresh) = payload.get(known..) else { return };
        let Ok(at) = usize::try_from(offset.max(self.next) - self.read) else { return };
        if self.buffer.len() < at + fresh.len() {
            self.buffer.resize(at + fresh.len(), 0);
        }
        let (front, back) = self.buffer.as_mut_slices();
        let split = front.len();
        let in_front = split.saturating_sub(at).min(fresh.len());
        let (first, second) = fresh.split_at(in_front);
        if let Some(place) = front.get_mut(at..at + first.len()) {
            place.copy_from_slice(first);
        }
        let at = at.max(split) - split;
        if let Some(place) = back.get_mut(at..at + second.len()) {
            place.copy_from_slice(second);
        }
    }

    pub(crate) fn read(&mut self, buf: &mut [u8]) -> usize {
        let count = buf.len().min(self.readable());
        let (front, back) = self.buffer.as_slices();
        let in_front = count.min(front.len());
        for (place, bytes) in [(0..in_front, front), (in_front..count, back)] {
            let length = place.len();
            if let (Some(place), Some(bytes)) = (buf.get_mut(place), bytes.get(..length)) {
                place.copy_from_slice(bytes);
            }
        }
        self.buffer.drain(..count);
        self.read += count as u64;
        count
    }
}

/// Which frame numbers have arrived, as far as that still matters.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// One more than the largest number received; 0 before the first.
    next: u64,
    /// Bit `i` of the words stands for `next - 2 - i`.
    bits: [u64; WORDS],
    /// What `next` was at the latest acknowledgements.
    reported: VecDeque<u64>,
}

impl Arrivals {
    /// The number to expect.
    pub(crate) fn expected(&self) -> u64 {
        self.next
    }

    /// Notes a frame. Says whether numbers before it are missing that were not missed before.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        if number >= self.next {
            let distance = number - self.next + 1;
            let is_first = self.next == 0;
            self.shift(distance);
            self.next = number + 1;
            distance > 1 && !(is_first && number == 0)
        } else {
            if let Some(index) = (self.next - 1).checked_sub(number + 1) {
                self.set(index);
            }
            false
        }
    }

    /// Whether the frame has been noted, as far as memory goes.
    pub(crate) fn contains(&self, number: u64) -> bool {
        let Some(index) = self.next.checked_sub(number + 1) else { return false };
        index == 0 || self.bit(index - 1)
    }

    fn bit(&self, index: u64) -> bool {
        let word = usize::try_from(index / 64).ok().and_then(|word| self.bits.get(word));
        word.is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    fn set(&mut self, index: u64) {
        let word = usize::try_from(index / 64).ok().and_then(|word| self.bits.get_mut(word));
        if let Some(word) = word {
            *word |= 1 << (index % 64);
        }
    }

    /// Moves all bits up by `distance`, and enters the number that was the largest.
    fn shift(&mut self, distance: u64) {
        let old = core::mem::take(&mut self.bits);
        let (skip, bits) = (usize::try_from(distance / 64).unwrap_or(WORDS), distance % 64);
        let lower = core::iter::once(0).chain(old);
        for (place, (word, below)) in
            self.bits.iter_mut().skip(skip).zip(old.into_iter().zip(lower))
        {
            *place = word << bits
                | below.checked_shr(64 - u32::try_from(bits).unwrap_or(0)).unwrap_or(0);
        }
        if self.next > 0 {
            self.set(distance - 1);
        }
    }

    /// What to report now, or nothing if no frame has arrived yet. It reaches back to the largest
    /// number of the fourth report before, and `least` numbers at least.
    pub(crate) fn report(&mut self, next: u64, credit: u8, least: u64) -> Option<Ack> {
        let largest = self.next.checked_sub(1)?;
        let full = self.reported.len() == REPEATS;
        let since = if full { self.reported.pop_front().unwrap_or(0) } else { 0 };
        self.reported.push_back(largest);
        let covered = usize::try_from((largest - since.min(largest)).max(least.min(largest)));
        let covered = covered.unwrap_or(usize::MAX);
        let length = covered.div_ceil(8).min(MAX_BITMAP);
        let bytes = self.bits.iter().flat_map(|word| word.to_le_bytes());
        let bitmap: Vec<u8> = bytes.take(length).collect();
        Some(Ack { largest, next, credit, bitmap })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec;

    proptest! {
        /// However a stream is cut, doubled, overlapped and shuffled: it is read as it was.
        #[test]
        fn puts_the_stream_together(
            length in 0usize..400,
            pieces in prop::collection::vec((0usize..400, 0usize..60), 0..80),
            reads in prop::collection::vec(0usize..50, 0..80),
        ) {
            let stream: Vec<u8> = (0..=250).cycle().step_by(7).take(length).collect();
            let (mut assembler, mut got) = (Assembler::new(256), Vec::new());
            let mut model = BTreeSet::new();
            let mut reads = reads.into_iter();
            let rest = (0..=length).step_by(40).map(|start| (start, 40));
            for (start, len) in pieces.into_iter().chain(rest) {
                let (start, end) = (start.min(length), (start + len).min(length));
                let fin = end == length;
                let taken = assembler.insert(start as u64, &stream[start..end], fin);
                prop_assert_eq!(taken, end <= got.len() + 256);
                if taken {
                    model.extend(start..end + usize::from(fin));
                }
                let next = (0..=length + 1).find(|n| !model.contains(n)).unwrap();
                prop_assert_eq!(assembler.next(), next as u64);
                prop_assert_eq!(assembler.readable(), next.min(length) - got.len());
                let mut buf = vec![0; reads.next().unwrap_or(100)];
                let count = assembler.read(&mut buf);
                got.extend_from_slice(&buf[..count]);
                prop_assert_eq!(&got, &stream[..got.len()]);
            }
            while assembler.readable() > 0 {
                let mut buf = [0; 64];
                let count = assembler.read(&mut buf);
                got.extend_from_slice(&buf[..count]);
            }
            prop_assert!(assembler.is_complete() || length > 256);
            prop_assert_eq!(assembler.is_read(), got.len() == length && assembler.is_complete());
        }

        #[test]
        fn remembers_which_numbers_came(numbers in prop::collection::vec(0u64..400, 1..200)) {
            let (mut arrivals, mut model) = (Arrivals::default(), BTreeSet::new());
            for number in numbers {
                arrivals.insert(number);
                model.insert(number);
                let largest = *model.last().unwrap();
                prop_assert_eq!(arrivals.expected(), largest + 1);
                for n in largest.saturating_sub(256)..=largest {
                    prop_assert_eq!(arrivals.contains(n), model.contains(&n), "{}", n);
                }
                let ack = arrivals.report(0, 0, 0).unwrap();
                prop_assert_eq!(ack.largest, largest);
                for (index, byte) in ack.bitmap.iter().enumerate() {
                    for bit in 0..8 {
                        let number = largest.checked_sub((index * 8 + bit + 1) as u64);
                        let came = number.is_some_and(|number| model.contains(&number));
                        prop_assert_eq!(byte >> bit & 1 == 1, came);
                    }
                }
            }
        }
    }

    #[test]
    fn a_stream_has_one_end() {
        let mut assembler = Assembler::new(100);
        assert!(assembler.insert(0, b"abc", true));
        assert!(!assembler.insert(3, b"d", false), "bytes after the end");
        assert!(!assembler.insert(0, b"ab", true), "another end");
        assert!(assembler.insert(0, b"abc", true), "the same again");
        assert_eq!(assembler.read(&mut [0; 8]), 3);
        assert!(assembler.is_read());
    }

    #[test]
    fn holes_are_limited() {
        let mut assembler = Assembler::new(1 << 20);
        let taken = (1..10_000).filter(|n| assembler.insert(n * 2, b"x", false)).count();
        assert_eq!(taken, MAX_HOLES);
        assert!(assembler.insert(0, b"y", false), "what is next always fits");
    }
}
