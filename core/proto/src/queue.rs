//! Bytes that wait to be sent, and other things that wait.

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

/// First in, first out: a stack of what goes out next, and one of what came in since that was made. A ring
/// would be twice the code, and one of each type that waits somewhere.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    first: Vec<T>,
    last: Vec<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { first: Vec::new(), last: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.last.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn push_back(&mut self, value: T) {
        self.last.push(value);
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        if self.first.is_empty() {
            if self.last.len() < 2 {
                return self.last.pop();
            }
            core::mem::swap(&mut self.first, &mut self.last);
            self.first.reverse();
        }
        self.first.pop()
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.first.last().or_else(|| self.last.first())
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        self.first.last_mut().or_else(|| self.last.first_mut())
    }

    pub(crate) fn back(&self) -> Option<&T> {
        self.last.last().or_else(|| self.first.first())
    }

    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        self.last.last_mut().or_else(|| self.first.first_mut())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().rev().chain(&self.last)
    }

    /// Takes `value` out, which is in at most once, and says whether it was. The others keep their order.
    pub(crate) fn remove(&mut self, value: T) -> bool
    where
        T: Copy + PartialEq,
    {
        let before = self.len();
        for _ in 0..before {
            if let Some(first) = self.pop_front()
                && first != value
            {
                self.push_back(first);
            }
        }
        self.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::VecDeque;

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

    #[test]
    fn a_queue_keeps_its_order_whatever_is_done_with_it() {
        let (mut queue, mut model) = (Queue::new(), VecDeque::new());
        let mut random = 1u64;
        let steps = if cfg!(miri) { 500 } else { 20_000 };
        for value in 0..steps {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(value);
            match random >> 61 {
                0..=3 => {
                    queue.push_back(value);
                    model.push_back(value);
                }
                4 => {
                    let wanted = value - value.min(random >> 50 & 7);
                    let place = model.iter().position(|&other| other == wanted);
                    assert_eq!(queue.remove(wanted), place.is_some());
                    place.map(|place| model.remove(place));
                }
                5 => {
                    if let (Some(back), Some(other)) = (queue.back_mut(), model.back_mut()) {
                        (*back, *other) = (value, value);
                    }
                    if let (Some(front), Some(other)) = (queue.front_mut(), model.front_mut()) {
                        (*front, *other) = (value + (1 << 32), value + (1 << 32));
                    }
                }
                _ => assert_eq!(queue.pop_front(), model.pop_front()),
            }
            assert_eq!((queue.front(), queue.back()), (model.front(), model.back()));
            assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.is_empty()));
            if value % 64 == 0 {
                assert!(queue.iter().eq(&model));
            }
        }
    }
}
