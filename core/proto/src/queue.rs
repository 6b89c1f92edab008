//! Bytes that wait to be sent.

use alloc::vec::Vec;

/// Above this the memory is given back as soon as the queue is empty.
const KEEP: usize = 1024;

/// Whole frames, one after another, taken out in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct ByteQueue {
    bytes: Vec<u8>,
    at: usize,
    /// How many bytes were taken out before `bytes[0]`, ever.
    before: u64,
}

impl ByteQueue {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), at: 0, before: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Where the next byte taken out stands in all that ever went through.
    pub(crate) fn taken(&self) -> u64 {
        self.before + self.at as u64
    }

    /// Where the next byte put in will stand.
    pub(crate) fn end(&self) -> u64 {
        self.before + self.bytes.len() as u64
    }

    /// For appending whole frames.
    #[inline]
    pub(crate) fn tail(&mut self) -> &mut Vec<u8> {
        if self.at > KEEP && self.at * 2 > self.bytes.len() {
            // Under a steady load the queue may never run empty.
            self.bytes.drain(..self.at);
            self.before += self.at as u64;
            self.at = 0;
        }
        &mut self.bytes
    }

    /// Copies up to `until` (a position as of `end`) to `out`.
    #[inline]
    pub(crate) fn take(&mut self, out: &mut [u8], until: u64) -> usize {
        let left = usize::try_from(until.saturating_sub(self.taken())).unwrap_or(usize::MAX);
        let n = left.min(out.len()).min(self.len());
        if let (Some(to), Some(from)) = (out.get_mut(..n), self.bytes.get(self.at..self.at + n)) {
            to.copy_from_slice(from);
        }
        self.at += n;
        if self.is_empty() {
            self.before += self.bytes.len() as u64;
            self.at = 0;
            if self.bytes.capacity() > KEEP {
                self.bytes = Vec::new();
            } else {
                self.bytes.clear();
            }
        }
        n
    }

    /// What is left up to `until`.
    pub(crate) fn rest(&self, until: u64) -> &[u8] {
        let end = usize::try_from(until.saturating_sub(self.before)).unwrap_or(usize::MAX);
        self.bytes.get(self.at..end.min(self.bytes.len())).unwrap_or_default()
    }

    pub(crate) fn clear(&mut self) {
        self.before = self.end();
        self.bytes = Vec::new();
        self.at = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_everything_that_went_through() {
        let mut queue = ByteQueue::default();
        let mut out = [0; 3];
        for round in 0..2000u64 {
            queue.tail().extend_from_slice(b"abcd");
            assert_eq!(queue.end(), round * 4 + 4);
            let n = queue.take(&mut out, u64::MAX) + queue.take(&mut out, u64::MAX);
            assert_eq!(n, 4);
            assert_eq!(queue.taken(), round * 4 + 4);
        }
        queue.tail().extend(core::iter::repeat_n(7, 20_000));
        let until = queue.taken() + 2;
        assert_eq!(queue.take(&mut out, until), 2);
        assert_eq!(queue.take(&mut out, until), 0);
        assert_eq!(queue.len(), 19_998);
        while queue.take(&mut out, u64::MAX) > 0 {}
        assert!(queue.is_empty() && queue.bytes.capacity() == 0);
    }
}
