//! The half of a stream that receives.

use super::Connection;
use super::input::Sink;
use super::outbox::Mark;
use super::streams::{Announce, Consumer, Stream};
use crate::event::{Items, Read, Received};
use crate::frame::{RawHandle, StreamRef, kind};
use crate::limits::HANDLE_COST;
use crate::limits::SMALL;
use crate::table::Key;
use crate::{Breach, Code, Event, Instant, ProtocolError, StreamId, varint};
use alloc::string::String;
use alloc::vec::Vec;

/// The credit that an ITEM frame costs: what it makes the consumer hold, and never nothing.
pub(super) fn item_cost(payload: usize, handles: usize) -> usize {
    payload + 1 + handles * HANDLE_COST
}

/// Batches are put together up to this many bytes.
const BATCH: usize = 64 * 1024;
/// How a batch grows when more is appended.
pub(super) const STEP: usize = 4096;

impl Connection {
    fn consumer_mut(&mut self, key: Key) -> Option<&mut Consumer> {
        self.streams.get_mut(key).and_then(Stream::consumer_mut)
    }

    /// What there is to read on a stream. What it gives has to be handed to
    /// [`consume`](Self::consume) when it is used: that gives the producer new credit.
    pub fn read(&mut self, stream: StreamId) -> Read {
        let Some(consumer) = self.consumer_mut(stream.0).filter(|consumer| !consumer.dropped)
        else {
            return Read::End { code: Code::WIRE_LOST, text: String::new() };
        };
        if let Some(items) = consumer.ready.pop_front() {
            self.deliver(&items.handles);
            return Read::Items(items);
        }
        let Some((code, text)) = consumer.end.take() else {
            consumer.notified = false;
            return Read::Pending;
        };
        self.drop_reader(stream.0, Code::OK);
        Read::End { code, text }
    }

    /// Says that items of this [`cost`](Items::cost) are used and not held any more.
    pub fn consume(&mut self, stream: StreamId, cost: usize) {
        let window = self.config.limits.stream_window as u64;
        let Some(state) = self.streams.get_mut(stream.0) else { return };
        let wire = u64::from(state.wire().to_wire());
        let announced = state.announce == Announce::Announced;
        let Some(consumer) = state.consumer_mut() else { return };
        let cost = cost.min(consumer.charged);
        consumer.charged -= cost;
        let paid = consumer.debt.min(cost as u64);
        consumer.debt -= paid;
        consumer.consumed += cost as u64 - paid;
        // In few frames, but never so late that the producer has to wait for long.
        if announced
            && !consumer.stopped
            && consumer.end.is_none()
            && (consumer.consumed >= window / 4)
        {
            let bytes = core::mem::take(&mut consumer.consumed);
            consumer.left += bytes;
            self.control(kind::CREDIT, &[wire, bytes]);
        }
        self.help_large_item(stream.0);
        self.free(cost);
    }

    /// Ends a stream that we read from. Items that wait are dropped.
    pub fn stop(&mut self, stream: StreamId, code: Code) {
        if self.consumer_mut(stream.0).is_some_and(|consumer| !consumer.dropped) {
            self.drop_reader(stream.0, code);
        }
    }

    /// The application wants nothing more.
    fn drop_reader(&mut self, key: Key, code: Code) {
        let Some(state) = self.streams.get_mut(key) else { return };
        let announce = state.announce;
        let Some(consumer) = state.consumer_mut() else { return };
        consumer.dropped = true;
        let mut ready = core::mem::take(&mut consumer.ready);
        self.drop_partial(key);
        if let Some(consumer) = self.consumer_mut(key) {
            let charged = core::mem::take(&mut consumer.charged);
            self.free(charged);
        }
        while let Some(items) = ready.pop_front() {
            self.dispose_all(items.handles, code);
        }
        match announce {
            Announce::Announced => self.say_stop(key, code),
            Announce::Idle => self.forget_stream(key, Mark::SENT),
            // Once the peer knows the stream, it will be told.
            Announce::Carried => {}
        }
    }

    /// Sends our last word, if it was not sent, and forgets the stream if the peer's came.
    pub(super) fn say_stop(&mut self, key: Key, code: Code) {
        let Some(state) = self.streams.get_mut(key) else { return };
        let fields = [u64::from(state.wire().to_wire()), u64::from(code.0)];
        let Some(consumer) = state.consumer_mut() else { return };
        let (ended, dropped) = (consumer.ended, consumer.dropped);
        let mut mark = consumer.last_word;
        if !core::mem::replace(&mut consumer.stopped, true) {
            mark = self.out.control(kind::STOP, &fields, &[]);
        }
        if let Some(consumer) = self.consumer_mut(key) {
            consumer.last_word = mark;
        }
        if ended {
            self.free_number(key, mark);
            if dropped {
                self.forget_stream(key, mark);
            }
        }
    }

    /// The wire is over: what came can still be read, and then its end; all other streams are gone.
    /// Says what is held for that, and adds what was in items that came half to `orphans`.
    pub(super) fn keep_unread(&mut self, orphans: &mut Vec<Received>) -> usize {
        let mut held = 0;
        for key in self.streams.keys() {
            let Some(stream) = self.streams.get_mut(key) else { continue };
            stream.announce = Announce::Announced;
            if let Some(consumer) = stream.consumer_mut()
                && let Some(mut partial) = consumer.partial.take()
            {
                consumer.charged -= partial.cost;
                orphans.append(&mut partial.handles);
            }
            match stream.consumer_mut().filter(|consumer| !consumer.dropped) {
                Some(consumer) if !consumer.ready.is_empty() || consumer.end.is_some() => {
                    consumer.end.get_or_insert((Code::WIRE_LOST, String::new()));
                    // Nobody has to be told.
                    consumer.stopped = true;
                    consumer.ended = true;
                    held += consumer.charged;
                }
                _ => drop(self.streams.remove(key)),
            }
        }
        held
    }

    /// We cannot take more, and the application has to know.
    fn fail_reader(&mut self, key: Key, code: Code) {
        self.drop_partial(key);
        self.say_stop(key, code);
        if let Some(consumer) = self.consumer_mut(key) {
            consumer.end = Some((code, String::new()));
            self.notify(key);
        }
    }

    fn drop_partial(&mut self, key: Key) {
        let Some(consumer) = self.consumer_mut(key) else { return };
        let Some(partial) = consumer.partial.take() else { return };
        consumer.charged -= partial.cost;
        self.free(partial.cost);
        self.dispose_all(partial.handles, Code::DROPPED);
    }

    pub(super) fn notify(&mut self, key: Key) {
        if let Some(consumer) =
            self.streams.get_mut(key).filter(|stream| stream.known).and_then(Stream::consumer_mut)
            && !consumer.notified
            && !consumer.dropped
        {
            consumer.notified = true;
            self.emit(Event::Readable(StreamId(key)));
        }
    }

    /// The producer's last word.
    pub(super) fn take_end(
        &mut self,
        now: Instant,
        stream: StreamRef,
        code: Code,
        text: String,
    ) -> Result<(), Breach> {
        let key = self.find_stream(stream)?;
        if code != Code::OK {
            self.reset_frame(now)?;
        }
        let Some(consumer) = self.streams.get_mut(key).and_then(Stream::consumer_mut) else {
            return Err(Breach::bad_number("end of a stream the other way"));
        };
        if core::mem::replace(&mut consumer.ended, true) {
            return Err(Breach::bad_number("second end of a stream"));
        }
        if consumer.stopped {
            self.say_stop(key, code);
            return Ok(());
        }
        consumer.end = Some((code, text));
        self.drop_partial(key);
        self.notify(key);
        Ok(())
    }

    pub(super) fn begin_items(&mut self, stream: StreamRef, len: usize) -> Result<Sink, Breach> {
        let key = self.find_stream(stream)?;
        self.start_partial(key, false, len)?;
        Ok(Sink::Items { stream: key })
    }

    pub(super) fn begin_item(
        &mut self,
        stream: StreamRef,
        more: bool,
        handles: &[RawHandle],
        len: usize,
    ) -> Result<Sink, Breach> {
        let key = self.find_stream(stream)?;
        let partial = self.consumer_mut(key).and_then(|consumer| consumer.partial.as_ref());
        let before = partial.map_or(0, |partial| partial.handles.len());
        let handles = self.register(handles, before)?;
        self.start_partial(key, true, item_cost(len, handles.len()))?;
        match self.consumer_mut(key).and_then(|consumer| consumer.partial.as_mut()) {
            Some(partial) => partial.handles.extend(handles),
            None => self.dispose_all(handles, Code::CANCELLED),
        }
        Ok(Sink::Item { stream: key, more })
    }

    /// Takes `cost` out of the credit, and makes sure that what comes has a place, unless nobody
    /// wants it or there is no room.
    fn start_partial(&mut self, key: Key, single: bool, cost: usize) -> Result<(), Breach> {
        let Some(consumer) = self.streams.get_mut(key).and_then(Stream::consumer_mut) else {
            return Err(Breach::bad_number("items on a stream the other way"));
        };
        if consumer.ended {
            return Err(Breach::bad_number("items after the end"));
        }
        consumer.left = consumer
            .left
            .checked_sub(cost as u64)
            .ok_or_else(|| Breach::new(ProtocolError::CreditExceeded))?;
        if consumer.stopped || consumer.dropped {
            return Ok(());
        }
        let headroom = self.budget.headroom(self.config.limits.max_message);
        if self.budget.charge_leaving(cost, headroom).is_err() {
            self.fail_reader(key, Code::OVERLOADED);
            return Ok(());
        }
        consumer.charged += cost;
        let partial = consumer.partial.get_or_insert_with(|| Items {
            bytes: Vec::new(),
            at: 0,
            single,
            handles: Vec::new(),
            cost: 0,
        });
        partial.cost += cost;
        if partial.single != single {
            return Err(Breach::malformed("items in the middle of an item"));
        }
        Ok(())
    }

    pub(super) fn push_items(&mut self, key: Key, bytes: &[u8], left: usize) {
        let Some(consumer) = self.streams.get_mut(key).and_then(Stream::consumer_mut) else {
            return;
        };
        if let Some(partial) = &mut consumer.partial {
            let len = partial.bytes.len() + bytes.len();
            if len > partial.bytes.capacity() {
                // The whole frame: it was charged, and nothing else can come before its end.
                partial.bytes.reserve_exact(bytes.len() + left);
            }
            partial.bytes.extend_from_slice(bytes);
        }
    }

    pub(super) fn push_item(&mut self, key: Key, bytes: &[u8], left: usize) {
        let max = self.config.limits.max_message;
        let Some(consumer) = self.streams.get_mut(key).and_then(Stream::consumer_mut) else {
            return;
        };
        if let Some(partial) = &mut consumer.partial {
            let len = partial.bytes.len() + bytes.len();
            if len + left > max {
                self.fail_reader(key, Code::TOO_LARGE);
                return;
            }
            if len > partial.bytes.capacity() {
                let more = left.max(len / 4).min(max - len);
                partial.bytes.reserve_exact(bytes.len() + more);
            }
            partial.bytes.extend_from_slice(bytes);
        }
    }

    pub(super) fn end_items(&mut self, key: Key) -> Result<(), Breach> {
        let Some(consumer) = self.streams.get_mut(key).and_then(Stream::consumer_mut) else {
            return Ok(());
        };
        let Some(batch) = consumer.partial.take() else { return Ok(()) };
        check_batch(&batch.bytes)?;
        consumer.append(batch);
        self.notify(key);
        Ok(())
    }

    pub(super) fn end_item(&mut self, key: Key, more: bool) {
        let Some(consumer) = self.streams.get_mut(key).and_then(Stream::consumer_mut) else {
            return;
        };
        if more {
            self.help_large_item(key);
            return;
        }
        let Some(mut item) = consumer.partial.take() else { return };
        if item.handles.is_empty() && item.bytes.len() <= SMALL {
            // In a batch it takes hardly more than its bytes.
            let mut bytes = Vec::with_capacity(item.bytes.len() + 2);
            varint::encode(item.bytes.len() as u64, &mut bytes);
            bytes.append(&mut item.bytes);
            item = Items { bytes, single: false, ..item };
        }
        consumer.append(item);
        self.notify(key);
    }

    /// An item may be larger than the window. If nothing else is held, it may use up more credit
    /// than there is; what was granted ahead is subtracted when it is consumed.
    fn help_large_item(&mut self, key: Key) {
        let window = self.config.limits.stream_window as u64;
        let Some(stream) = self.streams.get_mut(key) else { return };
        let wire = u64::from(stream.wire().to_wire());
        let Some(consumer) = stream.consumer_mut().filter(|c| !c.stopped && c.end.is_none()) else {
            return;
        };
        let Some(partial) = consumer.partial.as_ref().filter(|partial| partial.single) else {
            return;
        };
        if consumer.charged == partial.cost && consumer.left <= window / 2 {
            let grant = window - consumer.left;
            consumer.left += grant;
            consumer.debt += grant;
            self.control(kind::CREDIT, &[wire, grant]);
        }
    }
}

impl Consumer {
    /// Puts together what came, so that many small frames cost little more than their bytes.
    fn append(&mut self, mut items: Items) {
        if !items.single
            && items.handles.is_empty()
            && let Some(last) = self.ready.back_mut()
            && !last.single
            && last.handles.is_empty()
            && last.bytes.len() + items.bytes.len() <= BATCH
        {
            let len = last.bytes.len() + items.bytes.len();
            if len > last.bytes.capacity() {
                let wanted = len + STEP.min(BATCH - len);
                last.bytes.reserve_exact(wanted - last.bytes.len());
            }
            last.bytes.append(&mut items.bytes);
            last.cost += items.cost;
            return;
        }
        items.at = 0;
        self.ready.push_back(items);
    }
}

/// Says whether the bytes are items, each after its length.
fn check_batch(mut bytes: &[u8]) -> Result<(), Breach> {
    while !bytes.is_empty() {
        let (_, rest) = varint::split(bytes).ok_or_else(|| Breach::malformed("batch of items"))?;
        bytes = rest;
    }
    Ok(())
}
