//! What waits to be sent, and in which order it goes.

use crate::frame::{self, kind};
use crate::handshake::Hello;
use crate::limits::{CLASSES, SPEED};
use crate::queue::ByteQueue;
use crate::queue::Queue;
use crate::table::Tagged;
use crate::{Code, Limits, MAX_TEXT, Priority};
use alloc::vec::Vec;

/// Once in so many turns the lowest class goes first.
pub(super) const TURNS: u32 = 8;

/// Something that has large payloads to send, a frame at a time: a call of ours its arguments, one of the
/// peer its result, or a stream.
pub(crate) type Source = Tagged;

/// What is being handed to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Current {
    Nothing,
    /// Small frames, up to the mark.
    Small(Mark),
    /// The front of the frame is in `stage`, `left` bytes of payload follow.
    Bulk {
        source: Source,
        left: usize,
    },
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Nothing,
    Ready,
    Bulk(Source),
}

/// A position in one of the byte queues: the end of a frame that may not have been sent. In one word: the
/// place in [`Outbox::small`] in the two lower bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u64);

impl Mark {
    /// Before everything.
    pub(super) const SENT: Self = Self(0);

    #[inline]
    fn new(queue: usize, at: u64) -> Self {
        Self(at << 2 | queue as u64)
    }

    /// In the queue of small messages of a class.
    #[inline]
    pub(super) fn small(class: Priority, at: u64) -> Self {
        Self::new(1 + class.index(), at)
    }

    #[inline]
    fn queue(self) -> usize {
        if SPEED { usize::from(self.0.to_le_bytes()[0] & 3) } else { 0 }
    }

    #[inline]
    fn at(self) -> u64 {
        self.0 >> 2
    }
}

/// Without short cuts no messages are small.
const QUEUES: usize = if SPEED { 1 + CLASSES } else { 1 };

#[derive(Debug)]
pub(crate) struct Outbox {
    /// Small frames: those that go before everything else, then complete messages by class.
    small: [ByteQueue; QUEUES],
    /// How much of the first the peer caused, at most.
    pub(super) caused: usize,
    /// Those that take turns, by class.
    bulk: [Queue<Source>; CLASSES],
    /// The front of the current frame, and before it whatever has to go first.
    pub(super) stage: Vec<u8>,
    pub(super) stage_at: usize,
    pub(super) current: Current,
    turns: u32,
    bulk_next: [bool; CLASSES],
}

impl Outbox {
    pub(super) fn new(codec: u8, limits: &Limits) -> Self {
        Self {
            small: [const { ByteQueue::new() }; QUEUES],
            caused: 0,
            bulk: [const { Queue::new() }; CLASSES],
            stage: Hello::new(codec, limits).encode().to_vec(),
            stage_at: 0,
            current: Current::Nothing,
            turns: 0,
            bulk_next: [false; CLASSES],
        }
    }

    /// Says whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.stage_at == self.stage.len()
            && self.current == Current::Nothing
            && self.small.iter().all(ByteQueue::is_empty)
            && self.bulk.iter().all(Queue::is_empty)
    }

    /// Appends a control frame and says where it ends.
    pub(super) fn control(&mut self, head: u8, fields: &[u64], tail: &[u8]) -> Mark {
        let queue = self.urgent();
        frame::put(queue.tail(), 0, |out| {
            frame::put_fields(head, fields, out);
            out.extend_from_slice(tail);
        });
        Mark::new(0, queue.end())
    }

    /// Where small frames go that go before everything else.
    #[inline]
    pub(super) fn urgent(&mut self) -> &mut ByteQueue {
        let [urgent, ..] = &mut self.small;
        urgent
    }

    /// Where small messages of a class go.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "three classes")]
    pub(super) fn express(&mut self, class: Priority) -> &mut ByteQueue {
        &mut self.small[1 + class.index()]
    }

    /// Says whether everything up to `mark` was handed to the driver.
    #[inline]
    pub(super) fn is_sent(&self, mark: Mark) -> bool {
        self.small.get(mark.queue()).is_some_and(|queue| queue.taken() >= mark.at())
    }

    /// Lets `source` take part in the turns of its class. It must not be in it already.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "three classes")]
    pub(super) fn enqueue(&mut self, class: Priority, source: Source) {
        self.bulk[class.index()].push_back(source);
    }

    /// Chooses what goes next, and if that is bytes makes it current.
    pub(super) fn next(&mut self, allow_bulk: bool) -> Turn {
        let urgent = self.urgent();
        if !urgent.is_empty() {
            self.current = Current::Small(Mark::new(0, urgent.end()));
            return Turn::Ready;
        }
        self.turns = self.turns.wrapping_add(1);
        let low_first = self.turns.is_multiple_of(TURNS);
        for i in 0..CLASSES {
            let class = if low_first { i } else { CLASSES - 1 - i };
            let small = self.small.get(1 + class).filter(|small| !small.is_empty());
            let (Some(bulk), Some(bulk_next)) =
                (self.bulk.get_mut(class), self.bulk_next.get_mut(class))
            else {
                continue;
            };
            if let Some(small) = small
                && (bulk.is_empty() || !*bulk_next || !allow_bulk)
            {
                *bulk_next = true;
                self.current = Current::Small(Mark::new(1 + class, small.end()));
                return Turn::Ready;
            }
            if !bulk.is_empty() && !allow_bulk {
                return Turn::Nothing;
            }
            if let Some(source) = bulk.pop_front() {
                *bulk_next = false;
                return Turn::Bulk(source);
            }
        }
        Turn::Nothing
    }

    /// Copies from the current queue; says how much.
    #[inline]
    pub(super) fn take_queue(&mut self, mark: Mark, out: &mut [u8]) -> usize {
        let Some(queue) = self.small.get_mut(mark.queue()) else { return 0 };
        let n = queue.take(out, mark.at());
        if queue.taken() >= mark.at() {
            self.current = Current::Nothing;
        }
        n
    }

    /// If `source` is in the middle of a frame, keeps the rest of that frame, which `payload` gets,
    /// so that the source may go.
    pub(super) fn detach(&mut self, source: Source, payload: impl FnOnce(usize) -> Vec<u8>) {
        if let Current::Bulk { source: current, left } = self.current
            && current == source
        {
            let rest = payload(left);
            debug_assert_eq!(rest.len(), left);
            self.stage.extend_from_slice(&rest);
            self.current = Current::Nothing;
        }
    }

    /// Takes `source` out of the turns, and says whether it was in.
    pub(super) fn dequeue(&mut self, class: Priority, source: Source) -> bool {
        let Some(bulk) = self.bulk.get_mut(class.index()) else { return false };
        bulk.remove(source)
    }

    /// Drops everything but what is half handed out, and appends the last frame.
    pub(super) fn leave(
        &mut self,
        goodbye: Option<(Code, &str)>,
        payload: impl FnOnce(Source, usize) -> Vec<u8>,
    ) {
        let rest = match self.current {
            Current::Nothing => Vec::new(),
            Current::Small(mark) => {
                self.small.get(mark.queue()).map_or(&[][..], |queue| queue.rest(mark.at())).to_vec()
            }
            Current::Bulk { source, left } => payload(source, left),
        };
        self.stage.extend_from_slice(&rest);
        self.current = Current::Nothing;
        for queue in &mut self.small {
            queue.clear();
        }
        self.bulk = [const { Queue::new() }; CLASSES];
        if let Some((code, text)) = goodbye {
            frame::put(&mut self.stage, 0, |out| {
                frame::put_fields(kind::GOAWAY, &[u64::from(code.0)], out);
                out.extend_from_slice(frame::clip(text, MAX_TEXT).as_bytes());
            });
        }
    }
}
