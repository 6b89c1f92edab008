//! Streams of items with credit.

use super::Connection;
use super::outbox::Mark;
use super::reading::item_cost;
use crate::event::{Direction, Handle, Items, Received};
use crate::frame::StreamRef;
use crate::queue::Queue;
use crate::table::{Key, Tag, at_mut};
use crate::{Code, Event, HandleError, Priority, StreamId};
use alloc::string::String;
use alloc::vec::Vec;

/// A stream of the peer's, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Their {
    /// May be used once everything up to the mark was sent.
    Free(Mark),
    Live(Key),
}

impl Default for Their {
    fn default() -> Self {
        Self::Free(Mark::SENT)
    }
}

/// Has the peer heard of it?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announce {
    /// No, and it is in no message.
    Idle,
    /// No, but the message waits to be sent.
    Carried,
    /// Yes.
    Announced,
}

#[derive(Debug)]
pub(crate) struct Stream {
    pub(super) number: u32,
    mine: bool,
    pub(super) announce: Announce,
    pub(super) class: Priority,
    /// The application has heard of it.
    pub(super) known: bool,
    /// Its number is free again, but the application has not taken its end.
    unnumbered: bool,
    pub(super) role: Role,
}

#[derive(Debug)]
pub(super) enum Role {
    Producer(Producer),
    Consumer(Consumer),
}

/// The half that sends.
#[derive(Debug)]
pub(crate) struct Producer {
    pub(super) queue: Queue<Chunk>,
    /// Bytes in `queue`.
    pub(super) queued: usize,
    pub(super) credit: u64,
    pub(super) end: Option<(Code, String)>,
    /// Our last word was sent.
    pub(super) ended: bool,
    /// Takes part in the turns, or is current.
    pub(super) in_turn: bool,
    /// The application waits for room.
    pub(super) blocked: bool,
}

/// What goes in one frame, or a large item that takes several.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    pub(super) at: usize,
    /// One item without its length, for which credit is taken as it goes.
    pub(super) single: bool,
    pub(super) handles: Vec<Handle>,
    pub(super) listed: usize,
    pub(super) last: bool,
}

/// The half that receives.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "four facts that come in any order")]
pub(crate) struct Consumer {
    pub(super) ready: Queue<Items>,
    /// A batch or an item that came half.
    pub(super) partial: Option<Items>,
    /// Credit that the peer still has.
    pub(super) left: u64,
    /// Consumed, and not granted again yet.
    pub(super) consumed: u64,
    /// Granted ahead, so that an item larger than the window could be finished.
    pub(super) debt: u64,
    /// Charged for what was not consumed.
    pub(super) charged: usize,
    pub(super) end: Option<(Code, String)>,
    /// The application knows that there is something.
    pub(super) notified: bool,
    /// The application wants nothing more.
    pub(super) dropped: bool,
    /// We sent our last word.
    pub(super) stopped: bool,
    /// Where that ends.
    pub(super) last_word: Mark,
    /// The peer sent its last word.
    pub(super) ended: bool,
}

impl Stream {
    pub(super) fn producer(&self) -> Option<&Producer> {
        match &self.role {
            Role::Producer(producer) => Some(producer),
            Role::Consumer(_) => None,
        }
    }

    pub(super) fn producer_mut(&mut self) -> Option<&mut Producer> {
        match &mut self.role {
            Role::Producer(producer) => Some(producer),
            Role::Consumer(_) => None,
        }
    }

    pub(super) fn consumer_mut(&mut self) -> Option<&mut Consumer> {
        match &mut self.role {
            Role::Consumer(consumer) => Some(consumer),
            Role::Producer(_) => None,
        }
    }

    pub(super) fn wire(&self) -> StreamRef {
        StreamRef { number: self.number, by_sender: self.mine }
    }
}

impl Producer {
    fn new(credit: usize) -> Self {
        Self {
            queue: Queue::new(),
            queued: 0,
            credit: credit as u64,
            end: None,
            ended: false,
            in_turn: false,
            blocked: false,
        }
    }

    pub(super) fn rest(&self) -> Option<&[u8]> {
        self.queue.front().and_then(|chunk| chunk.bytes.get(chunk.at..))
    }

    pub(super) fn advance(&mut self, n: usize) {
        self.queued = self.queued.saturating_sub(n);
        if let Some(chunk) = self.queue.front_mut() {
            chunk.at += n;
        }
    }

    /// An item that takes its credit as it goes is the last in the queue.
    pub(super) fn is_dribbling(&self) -> bool {
        self.queue.back().is_some_and(|chunk| chunk.single)
    }

    pub(super) fn is_ready(&self) -> bool {
        match self.queue.front() {
            Some(chunk) if chunk.single => {
                let handles = usize::from(chunk.listed < chunk.handles.len());
                self.credit >= item_cost(0, handles) as u64
            }
            Some(_) => true,
            None => self.end.is_some() && !self.ended,
        }
    }
}

impl Consumer {
    fn new(window: usize) -> Self {
        Self {
            ready: Queue::new(),
            partial: None,
            left: window as u64,
            consumed: 0,
            debt: 0,
            charged: 0,
            end: None,
            notified: false,
            dropped: false,
            stopped: false,
            last_word: Mark::SENT,
            ended: false,
        }
    }
}

impl Connection {
    /// Creates a stream. Give its [`Handle::Stream`] away in a message: the peer gets the other half.
    /// Items may be sent before that, as far as credit goes.
    ///
    /// # Errors
    ///
    /// The peer takes no more streams at once, or the wire is over.
    pub fn open_stream(&mut self, direction: Direction) -> Result<StreamId, HandleError> {
        if self.is_closed() {
            return Err(HandleError::Closed);
        }
        let max = self.peer.max_streams;
        let number = self.stream_numbers.take(max).ok_or(HandleError::Limit { max })?;
        let role = match direction {
            Direction::Outgoing => Role::Producer(Producer::new(self.peer.stream_window)),
            Direction::Incoming => Role::Consumer(Consumer::new(self.config.limits.stream_window)),
        };
        let stream = Stream {
            number,
            mine: true,
            announce: Announce::Idle,
            class: Priority::Normal,
            known: true,
            unnumbered: false,
            role,
        };
        let key = self.streams.insert(stream);
        *at_mut(&mut self.mine, number) = Some(key);
        Ok(StreamId(key))
    }

    /// Chooses the class in which the items of a stream are sent; it is [`Priority::Normal`] before.
    pub fn prioritize(&mut self, stream: StreamId, class: Priority) {
        let source = Tag::Stream.of(stream.0);
        let Some(stream) = self.streams.get_mut(stream.0) else { return };
        let before = core::mem::replace(&mut stream.class, class);
        if self.out.dequeue(before, source) {
            self.out.enqueue(class, source);
        }
    }

    pub(super) fn add_their_stream(&mut self, number: u32, is_consumer: bool) -> Received {
        let role = if is_consumer {
            Role::Consumer(Consumer::new(self.config.limits.stream_window))
        } else {
            Role::Producer(Producer::new(self.peer.stream_window))
        };
        let announce = Announce::Announced;
        let stream = Stream {
            number,
            mine: false,
            announce,
            class: Priority::Normal,
            known: false,
            unnumbered: false,
            role,
        };
        let key = self.streams.insert(stream);
        *at_mut(&mut self.theirs, number) = Their::Live(key);
        if is_consumer {
            Received::Receiver(StreamId(key))
        } else {
            Received::Sender(StreamId(key))
        }
    }

    /// A stream that ends before it was in any message needs no frames.
    pub(super) fn end_idle(&mut self, key: Key) {
        if self.streams.get(key).is_some_and(|stream| stream.announce == Announce::Idle) {
            self.drop_unannounced(key);
        }
    }

    /// The message that should have announced a stream will not be sent.
    pub(super) fn drop_unannounced(&mut self, key: Key) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        if stream.announce == Announce::Announced {
            return;
        }
        match &mut stream.role {
            Role::Producer(producer) => {
                let code = match &producer.end {
                    Some((code, _)) if *code != Code::OK => *code,
                    _ => Code::DROPPED,
                };
                let dropped = self.drop_queue(key);
                self.discard(&dropped);
                self.forget_stream(key, Mark::SENT);
                self.emit(Event::Stopped { stream: StreamId(key), code });
            }
            Role::Consumer(consumer) if consumer.dropped => self.forget_stream(key, Mark::SENT),
            Role::Consumer(consumer) => {
                consumer.end = Some((Code::DROPPED, String::new()));
                // Nobody has to be told.
                consumer.stopped = true;
                consumer.ended = true;
                stream.announce = Announce::Announced;
                self.notify(key);
            }
        }
    }

    pub(super) fn stream_announced(&mut self, key: Key) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.announce = Announce::Announced;
        match &stream.role {
            Role::Producer(_) => self.requeue_stream(key),
            Role::Consumer(consumer) if consumer.dropped => self.say_stop(key, Code::DROPPED),
            Role::Consumer(_) => {}
        }
    }

    /// The application gets these handles now. What happened to the streams before that, it learns
    /// after that.
    pub(super) fn deliver(&mut self, handles: &[Received]) {
        let closed = self.is_closed();
        for handle in handles {
            match *handle {
                Received::Sender(id) => match self.streams.get_mut(id.0) {
                    Some(stream) => stream.known = true,
                    // After the end of the wire nothing is told.
                    None if closed => {}
                    None => self.emit(Event::Stopped { stream: id, code: Code::DROPPED }),
                },
                Received::Receiver(id) => {
                    let Some(stream) = self.streams.get_mut(id.0) else { continue };
                    stream.known = true;
                    if stream.consumer_mut().is_some_and(|c| !c.ready.is_empty() || c.end.is_some())
                    {
                        self.notify(id.0);
                    }
                }
                Received::Callback(_) => {}
            }
        }
    }

    /// Both sides have said their last word, and the application knows.
    pub(super) fn forget_stream(&mut self, key: Key, mark: Mark) {
        self.free_number(key, mark);
        if let Some(stream) = self.streams.remove(key)
            && stream.producer().is_some_and(|producer| producer.in_turn)
        {
            self.out.dequeue(stream.class, Tag::Stream.of(key));
        }
    }

    /// Both sides have said their last word: the number may be used again, by the peer once it
    /// has heard everything up to `mark`.
    pub(super) fn free_number(&mut self, key: Key, mark: Mark) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let (number, mine) = (stream.number, stream.mine);
        if core::mem::replace(&mut stream.unnumbered, true) || self.is_closed() {
            return;
        }
        if mine {
            if let Some(entry) = self.mine.get_mut(number as usize) {
                *entry = None;
            }
            self.stream_numbers.give(number);
        } else {
            *at_mut(&mut self.theirs, number) = Their::Free(mark);
        }
    }
}
