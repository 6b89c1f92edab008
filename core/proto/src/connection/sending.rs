//! The half of a stream that sends.

use super::Connection;
use super::message::list;
use super::outbox::Mark;
use super::reading::item_cost;
use super::streams::{Announce, Chunk, Producer, Stream};
use crate::event::Handle;
use crate::frame::{self, StreamRef, kind};
use crate::limits::{HANDLE_COST, SMALL};
use crate::table::{Key, Tag};
use crate::{Breach, Code, Event, Instant, MAX_TEXT, SendError, StreamId};
use alloc::string::String;
use alloc::vec::Vec;

/// What may wait in a producer: enough for the wire, and no more than it takes in a moment.
fn send_buffer(frame_size: usize) -> usize {
    (frame_size * 4).max(256)
}

impl Connection {
    fn producer_mut(&mut self, stream: StreamId) -> Option<&mut Producer> {
        self.streams.get_mut(stream.0).and_then(Stream::producer_mut)
    }

    /// Sends an item. Small ones are put together in frames.
    ///
    /// # Errors
    ///
    /// [`SendError::Blocked`]: it was not taken; [`Event::Writable`] says when to try again.
    #[inline]
    pub fn send_item(&mut self, stream: StreamId, item: &[u8]) -> Result<(), SendError> {
        let frame_size = self.frame_size();
        let max = self.peer.max_message;
        let hello = self.peer_codec.is_some();
        let Some(producer) = self.producer_mut(stream).filter(|producer| producer.end.is_none())
        else {
            return Err(SendError::Finished);
        };
        let cost = item.len() + crate::varint::len(item.len() as u64);
        if producer.queued >= send_buffer(frame_size) || producer.is_dribbling() {
            producer.blocked = true;
            return Err(SendError::Blocked);
        }
        if cost as u64 <= producer.credit && item.len() <= SMALL.min(frame_size / 2) {
            producer.credit -= cost as u64;
            producer.queued += cost;
            match producer.queue.back_mut() {
                // The first may be on its way already.
                Some(chunk)
                    if chunk.at == 0 && chunk.bytes.len() + cost <= frame_size && !(chunk.last) =>
                {
                    crate::varint::encode(item.len() as u64, &mut chunk.bytes);
                    chunk.bytes.extend_from_slice(item);
                    return Ok(());
                }
                _ => {}
            }
            let mut bytes = Vec::with_capacity(cost.max(64));
            crate::varint::encode(item.len() as u64, &mut bytes);
            bytes.extend_from_slice(item);
            producer.queue.push_back(Chunk {
                bytes,
                at: 0,
                single: false,
                handles: Vec::new(),
                listed: 0,
                last: false,
            });
            self.requeue_stream(stream.0);
            return Ok(());
        }
        if hello && item.len() > max {
            return Err(SendError::TooLarge { max });
        }
        if producer.credit == 0 {
            producer.blocked = true;
            return Err(SendError::Blocked);
        }
        self.send_single(stream, item.to_vec(), &[]);
        Ok(())
    }

    /// Sends items that are written already, each after its length (SPEC.md, section 2), as many as
    /// there is credit and room for. Says how many bytes of `batch` that took: whole items, at
    /// least one.
    ///
    /// # Errors
    ///
    /// As of [`send_item`](Self::send_item), for the first. What is not a length and an item ends
    /// the batch.
    pub fn send_items(&mut self, stream: StreamId, batch: &[u8]) -> Result<usize, SendError> {
        let frame_size = self.frame_size();
        let buffer = send_buffer(frame_size);
        let mut at = 0;
        loop {
            let Some(producer) =
                self.producer_mut(stream).filter(|producer| producer.end.is_none())
            else {
                return Err(SendError::Finished);
            };
            let rest = batch.get(at..).unwrap_or_default();
            let room = usize::try_from(producer.credit).unwrap_or(usize::MAX).min(frame_size);
            let blocked = producer.queued >= buffer || producer.is_dribbling();
            let n = if blocked { 0 } else { whole_items(rest, room, SMALL.min(frame_size / 2)) };
            if n == 0 {
                // Nothing left, or an item for which special rules hold.
                let Some((item, behind)) = crate::varint::split(rest) else { return Ok(at) };
                match self.send_item(stream, item) {
                    Ok(()) => at = batch.len() - behind.len(),
                    Err(_) if at > 0 => return Ok(at),
                    Err(error) => return Err(error),
                }
                continue;
            }
            producer.credit -= n as u64;
            producer.queued += n;
            producer.queue.push_back(Chunk {
                bytes: rest.get(..n).unwrap_or_default().to_vec(),
                at: 0,
                single: false,
                handles: Vec::new(),
                listed: 0,
                last: false,
            });
            at += n;
            self.requeue_stream(stream.0);
        }
    }

    /// Sends an item in which there are streams or callbacks, or a large one without copying it.
    /// The handles belong to the engine afterwards, unless it is blocked.
    ///
    /// # Errors
    ///
    /// [`SendError::Blocked`]: it was not taken and is given back; [`Event::Writable`] says when to
    /// try again. Otherwise it is lost.
    pub fn send_item_with(
        &mut self,
        stream: StreamId,
        item: Vec<u8>,
        handles: &[Handle],
    ) -> Result<(), (SendError, Vec<u8>)> {
        let buffer = send_buffer(self.frame_size());
        let max = self.peer.max_message;
        let hello = self.peer_codec.is_some();
        let Some(producer) = self.producer_mut(stream).filter(|producer| producer.end.is_none())
        else {
            self.discard(handles);
            return Err((SendError::Finished, item));
        };
        if producer.queued >= buffer || producer.is_dribbling() || producer.credit == 0 {
            producer.blocked = true;
            return Err((SendError::Blocked, item));
        }
        if hello && item.len() > max {
            self.discard(handles);
            return Err((SendError::TooLarge { max }, item));
        }
        if !self.can_give(handles) {
            self.discard(handles);
            return Err((SendError::HandleGone, item));
        }
        self.send_single(stream, item, handles);
        Ok(())
    }

    fn send_single(&mut self, stream: StreamId, bytes: Vec<u8>, handles: &[Handle]) {
        self.carry(handles);
        if let Some(producer) = self.producer_mut(stream) {
            producer.queued += bytes.len();
            producer.queue.push_back(Chunk {
                bytes,
                at: 0,
                single: true,
                handles: handles.to_vec(),
                listed: 0,
                last: false,
            });
        }
        self.requeue_stream(stream.0);
    }

    /// Says that no more items will come. Those that wait are sent first; [`Event::Stopped`] says
    /// when the consumer got everything.
    pub fn finish(&mut self, stream: StreamId) {
        if let Some(producer) = self.producer_mut(stream)
            && producer.end.is_none()
        {
            producer.end = Some((Code::OK, String::new()));
            producer.blocked = false;
            self.end_idle(stream.0);
            self.requeue_stream(stream.0);
        }
    }

    /// Ends a stream that we send on at once. Items that wait are dropped.
    pub fn reset(&mut self, stream: StreamId, code: Code, text: &str) {
        let key = stream.0;
        let source = Tag::Stream.of(key);
        let text = frame::clip(text, MAX_TEXT);
        let Some(producer) = self.streams.get_mut(key).and_then(Stream::producer_mut) else {
            return;
        };
        if producer.ended || matches!(&producer.end, Some((code, _)) if *code != Code::OK) {
            return;
        }
        producer.end = Some((code, text.into()));
        producer.blocked = false;
        let dropped = self.drop_queue(key);
        self.discard(&dropped);
        self.end_idle(key);
        if let Some(stream) = self.streams.get_mut(key) {
            self.out.dequeue(stream.class, source);
            if let Some(producer) = stream.producer_mut() {
                producer.in_turn = false;
            }
        }
        self.requeue_stream(key);
    }

    /// Empties the queue of a producer; keeps what is half sent. Gives back the handles in it.
    pub(super) fn drop_queue(&mut self, key: Key) -> Vec<Handle> {
        let source = Tag::Stream.of(key);
        let Some(producer) = self.streams.get_mut(key).and_then(Stream::producer_mut) else {
            return Vec::new();
        };
        producer.queued = 0;
        let mut queue = core::mem::take(&mut producer.queue);
        let front = queue.front().and_then(|chunk| chunk.bytes.get(chunk.at..));
        self.out.detach(source, |n| front.and_then(|b| b.get(..n)).unwrap_or_default().to_vec());
        let mut dropped = Vec::new();
        while let Some(chunk) = queue.pop_front() {
            let (listed, unlisted) = chunk.handles.split_at(chunk.listed);
            self.announced(listed);
            dropped.extend_from_slice(unlisted);
        }
        dropped
    }

    pub(super) fn requeue_stream(&mut self, key: Key) {
        if let Some(stream) = self.streams.get_mut(key)
            && stream.announce == Announce::Announced
            && let class = stream.class
            && let Some(producer) = stream.producer_mut()
            && !producer.in_turn
            && producer.is_ready()
        {
            producer.in_turn = true;
            self.out.enqueue(class, Tag::Stream.of(key));
        }
    }

    /// The front of the next frame of a stream; says how much payload follows.
    pub(super) fn frame_of_stream(&mut self, key: Key) -> Option<usize> {
        let frame_size = self.frame_size();
        let max_frame = self.peer.max_frame;
        let stream = self.streams.get_mut(key)?;
        let wire = stream.wire();
        let producer = stream.producer_mut()?;
        let Some(chunk) = producer.queue.front_mut() else {
            producer.in_turn = false;
            if let Some((code, text)) = producer.end.take() {
                let fields = [u64::from(wire.to_wire()), u64::from(code.0)];
                frame::put(&mut self.out.stage, 0, |out| {
                    frame::put_fields(kind::END, &fields, out);
                    out.extend_from_slice(text.as_bytes());
                });
                // The stream lives until the consumer's last word.
                producer.end = Some((code, String::new()));
                producer.ended = true;
            }
            return None;
        };
        if !chunk.single {
            chunk.last = true;
            frame::put_items(wire, chunk.bytes.len(), &mut self.out.stage);
            return Some(chunk.bytes.len());
        }
        let credit = usize::try_from(producer.credit).unwrap_or(usize::MAX);
        let handles =
            list(&chunk.handles, &mut chunk.listed, credit.saturating_sub(1) / HANDLE_COST);
        let room = credit.saturating_sub(item_cost(0, handles.len()));
        let cut = if handles.is_empty() { frame_size } else { frame_size.min(max_frame - 384) };
        let left = chunk.bytes.len() - chunk.at;
        let n = left.min(cut).min(room);
        chunk.last = n == left && chunk.listed == chunk.handles.len();
        producer.credit = producer.credit.saturating_sub(item_cost(n, handles.len()) as u64);
        let more = !chunk.last;
        let handles = self.raw_handles(&handles);
        let stage = &mut self.out.stage;
        frame::put_part(kind::ITEM, wire.to_wire(), more, None, &handles, n, stage);
        Some(n)
    }

    pub(super) fn stream_frame_sent(&mut self, key: Key) {
        let buffer = send_buffer(self.frame_size());
        let Some(producer) = self.streams.get_mut(key).and_then(Stream::producer_mut) else {
            return;
        };
        producer.in_turn = false;
        let mut announced = Vec::new();
        if producer.queue.front().is_some_and(|chunk| chunk.last)
            && let Some(chunk) = producer.queue.pop_front()
        {
            announced = chunk.handles;
        }
        let writable = producer.blocked
            && producer.credit > 0
            && producer.queued <= buffer / 2
            && !producer.is_dribbling();
        if writable {
            producer.blocked = false;
            self.emit(Event::Writable(StreamId(key)));
        }
        self.requeue_stream(key);
        self.announced(&announced);
    }

    /// The peer's hello came: more credit for what exists.
    pub(super) fn raise_streams(&mut self, window: u64) {
        let max = self.peer.max_message;
        for key in self.streams.keys() {
            self.add_credit(key, window);
            let producer = self.streams.get(key).and_then(Stream::producer);
            if producer.is_some_and(|producer| producer.queue.iter().any(|c| c.bytes.len() > max)) {
                self.reset(StreamId(key), Code::TOO_LARGE, "");
            }
        }
    }

    fn add_credit(&mut self, key: Key, bytes: u64) {
        let buffer = send_buffer(self.frame_size());
        let Some(producer) = self.streams.get_mut(key).and_then(Stream::producer_mut) else {
            return;
        };
        producer.credit = producer.credit.saturating_add(bytes);
        if producer.blocked && producer.queued <= buffer / 2 && !producer.is_dribbling() {
            producer.blocked = false;
            self.emit(Event::Writable(StreamId(key)));
        }
        self.requeue_stream(key);
    }

    pub(super) fn take_credit(
        &mut self,
        now: Instant,
        stream: StreamRef,
        bytes: u64,
    ) -> Result<(), Breach> {
        let key = self.find_stream(stream)?;
        if self.streams.get(key).and_then(Stream::producer).is_none() {
            return Err(Breach::bad_number("credit for a stream the other way"));
        }
        if bytes == 0 {
            self.empty_frame(now)?;
        }
        self.add_credit(key, bytes);
        Ok(())
    }

    /// The consumer's last word.
    pub(super) fn take_stop(
        &mut self,
        now: Instant,
        stream: StreamRef,
        code: Code,
    ) -> Result<(), Breach> {
        let key = self.find_stream(stream)?;
        let Some(producer) = self.streams.get_mut(key).and_then(Stream::producer_mut) else {
            return Err(Breach::bad_number("stop of a stream the other way"));
        };
        let mut mark = Mark::SENT;
        if !producer.ended {
            self.reset_frame(now)?;
            let dropped = self.drop_queue(key);
            self.discard(&dropped);
            let fields = [u64::from(stream.turned().to_wire()), u64::from(Code::CANCELLED.0)];
            mark = self.out.control(kind::END, &fields, &[]);
        }
        let known = self.streams.get(key).is_some_and(|stream| stream.known);
        self.forget_stream(key, mark);
        if known {
            self.emit(Event::Stopped { stream: StreamId(key), code });
        }
        Ok(())
    }
}

/// How many bytes at the front of `batch` are whole items of at most `max` bytes each and `room`
/// together.
fn whole_items(batch: &[u8], room: usize, max: usize) -> usize {
    let batch = batch.get(..room.min(batch.len())).unwrap_or_default();
    let mut rest = batch;
    while let Some((item, behind)) = crate::varint::split(rest)
        && item.len() <= max
    {
        rest = behind;
    }
    batch.len() - rest.len()
}
