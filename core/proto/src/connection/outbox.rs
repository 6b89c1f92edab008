//! What waits to be sent, and in which order it goes.

use crate::frame::{self, kind};
use crate::handshake::Hello;
use crate::queue::ByteQueue;
use crate::table::Key;
use crate::{Code, Limits, MAX_TEXT, Priority};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Once in so many turns the lowest class goes first.
pub(super) const TURNS: u32 = 8;

/// Something that has large payloads to send, a frame at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The arguments of a call of ours.
    Call(Key),
    /// The result of a call of the peer.
    Answer(Key),
    /// A stream of ours.
    Stream(Key),
}

/// What is being handed to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Current {
    Nothing,
    Control {
        until: u64,
    },
    Express {
        class: usize,
        until: u64,
    },
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

/// A position in one of the byte queues: the end of a frame that may not have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// 0 for control, else 1 + class.
    queue: usize,
    at: u64,
}

impl Mark {
    /// Before everything.
    pub(super) const SENT: Self = Self { queue: 0, at: 0 };

    /// In the queue of small messages of a class.
    #[inline]
    pub(super) fn small(class: Priority, at: u64) -> Self {
        Self { queue: 1 + class.index(), at }
    }
}

#[derive(Debug)]
pub(crate) struct Outbox {
    /// Small frames that go before everything else.
    pub(super) control: ByteQueue,
    /// How much of that the peer caused, at most.
    pub(super) caused: usize,
    /// Complete small messages by class.
    express: [ByteQueue; 3],
    /// Those that take turns, by class.
    bulk: [VecDeque<Source>; 3],
    /// The front of the current frame, and before it whatever has to go first.
    pub(super) stage: Vec<u8>,
    pub(super) stage_at: usize,
    pub(super) current: Current,
    turns: u32,
    bulk_next: [bool; 3],
}

impl Outbox {
    pub(super) fn new(codec: u8, limits: &Limits) -> Self {
        Self {
            control: ByteQueue::default(),
            caused: 0,
            express: [const { ByteQueue::new() }; 3],
            bulk: [const { VecDeque::new() }; 3],
            stage: Hello::new(codec, limits).encode().to_vec(),
            stage_at: 0,
            current: Current::Nothing,
            turns: 0,
            bulk_next: [false; 3],
        }
    }

    /// Says whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.stage_at == self.stage.len()
            && self.current == Current::Nothing
            && self.control.is_empty()
            && self.express.iter().all(ByteQueue::is_empty)
            && self.bulk.iter().all(VecDeque::is_empty)
    }

    /// Appends a control frame and says where it ends.
    pub(super) fn control(&mut self, head: u8, fields: &[u64], tail: &[u8]) -> Mark {
        frame::put(self.control.tail(), 0, |out| {
            frame::put_fields(head, fields, out);
            out.extend_from_slice(tail);
        });
        Mark { queue: 0, at: self.control.end() }
    }

    /// Where small messages of a class go.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "three classes")]
    pub(super) fn express(&mut self, class: Priority) -> &mut ByteQueue {
        &mut self.express[class.index()]
    }

    /// Says whether everything up to `mark` was handed to the driver.
    #[inline]
    pub(super) fn is_sent(&self, mark: Mark) -> bool {
        let queue = match mark.queue.checked_sub(1) {
            None => &self.control,
            Some(class) => self.express.get(class).unwrap_or(&self.control),
        };
        queue.taken() >= mark.at
    }

    /// Lets `source` take part in the turns of its class. It must not be in it already.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "three classes")]
    pub(super) fn enqueue(&mut self, class: Priority, source: Source) {
        self.bulk[class.index()].push_back(source);
    }

    /// Chooses what goes next, and if that is bytes makes it current.
    pub(super) fn next(&mut self, allow_bulk: bool) -> Turn {
        if !self.control.is_empty() {
            self.current = Current::Control { until: self.control.end() };
            return Turn::Ready;
        }
        self.turns = self.turns.wrapping_add(1);
        let low_first = self.turns.is_multiple_of(TURNS);
        for i in 0..3 {
            let class = if low_first { i } else { 2 - i };
            let (Some(express), Some(bulk), Some(bulk_next)) =
                (self.express.get(class), self.bulk.get_mut(class), self.bulk_next.get_mut(class))
            else {
                continue;
            };
            if !express.is_empty() && (bulk.is_empty() || !*bulk_next || !allow_bulk) {
                *bulk_next = true;
                self.current = Current::Express { class, until: express.end() };
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
    pub(super) fn take_queue(&mut self, out: &mut [u8]) -> usize {
        let (queue, until) = match self.current {
            Current::Control { until } => (Some(&mut self.control), until),
            Current::Express { class, until } => (self.express.get_mut(class), until),
            Current::Nothing | Current::Bulk { .. } => (None, 0),
        };
        let Some(queue) = queue else { return 0 };
        let n = queue.take(out, until);
        if queue.taken() >= until {
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
        let place = bulk.iter().position(|&other| other == source);
        place.and_then(|place| bulk.remove(place)).is_some()
    }

    /// Drops everything but what is half handed out, and appends the last frame.
    pub(super) fn leave(
        &mut self,
        goodbye: Option<(Code, &str)>,
        payload: impl FnOnce(Source, usize) -> Vec<u8>,
    ) {
        let rest = match self.current {
            Current::Nothing => Vec::new(),
            Current::Control { until } => self.control.rest(until).to_vec(),
            Current::Express { class, until } => {
                self.express.get(class).map(|queue| queue.rest(until).to_vec()).unwrap_or_default()
            }
            Current::Bulk { source, left } => payload(source, left),
        };
        self.stage.extend_from_slice(&rest);
        self.current = Current::Nothing;
        self.control.clear();
        for queue in &mut self.express {
            queue.clear();
        }
        self.bulk = [const { VecDeque::new() }; 3];
        if let Some((code, text)) = goodbye {
            frame::put(&mut self.stage, 0, |out| {
                frame::put_fields(kind::GOAWAY, &[u64::from(code.0)], out);
                out.extend_from_slice(frame::clip(text, MAX_TEXT).as_bytes());
            });
        }
    }
}
