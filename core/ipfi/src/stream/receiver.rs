//! The half of a stream that receives.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use ipfi_proto::{Cause, Code, Direction, Items, Read, Received, StreamId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{Chan, Half, Outgoing, relay};
use crate::{
    Inbound, Outbound, Raw, Shape, StreamError,
    raw::{Came, same_codec},
    scope::{self, Give, Written},
    shape::{Traced, shape_of},
    shared::Shared,
    sync::{lock, set_waker},
};

/// Credit is given back in pieces of this many bytes.
const PIECE: usize = 8 * 1024;

/// The receiving half of a stream of items.
///
/// Dropping it stops the sender. As an argument it lets the peer receive:
/// [`channel`](crate::channel).
pub struct Receiver<T> {
    chan: Arc<Chan<T>>,
    /// Items that came and were not asked for yet, and what they cost.
    items: Option<Items>,
    handles: Vec<Received>,
    cost: usize,
    used: usize,
    over: Option<Result<(), StreamError>>,
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("over", &self.over).finish_non_exhaustive()
    }
}

impl<T> Receiver<T> {
    pub(super) fn new(chan: Arc<Chan<T>>) -> Self {
        Self { chan, items: None, handles: Vec::new(), cost: 0, used: 0, over: None }
    }

    /// A receiver that came from a peer.
    pub(crate) fn theirs(shared: Arc<Shared>, id: StreamId) -> Self {
        let chan = Arc::new(Chan::new(1));
        let _ = chan.inlet.set((shared, id));
        Self::new(chan)
    }
}

impl<T: Inbound> Receiver<T> {
    /// The next item; `None` when the sender finished. An error means that items may be missing.
    pub fn recv(&mut self) -> Recv<'_, T> {
        Recv { receiver: self }
    }

    /// Polls for the next item; see [`recv`](Self::recv).
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<T>, StreamError>> {
        loop {
            if let Some(item) = self.items.as_mut().and_then(Items::next) {
                let Some((shared, _)) = self.chan.inlet.get() else { return Poll::Pending };
                self.used += item.len() + 1;
                let handles = std::mem::take(&mut self.handles);
                let value = T::read(Came { shared, payload: item, handles });
                if self.used >= PIECE {
                    self.give_back();
                }
                return Poll::Ready(value.map(Some).map_err(StreamError::Decode));
            }
            if let Some(over) = &self.over {
                return Poll::Ready(over.clone().map(|()| None));
            }
            match self.more(cx) {
                Poll::Ready(Some(item)) => return Poll::Ready(Ok(Some(item))),
                Poll::Ready(None) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Gives credit for what was used.
    fn give_back(&mut self) {
        let cost = self.used.min(self.cost);
        self.cost -= cost;
        self.used = 0;
        if let Some((shared, id)) = self.chan.inlet.get() {
            let mut state = shared.lock();
            state.engine.consume(*id, cost);
            if state.engine.wants_transmit() {
                shared.kick(state);
            }
        }
    }

    /// Gets items from the engine, or one from a sender that is still here.
    fn more(&mut self, cx: &Context<'_>) -> Poll<Option<T>> {
        let Some((shared, id)) = self.chan.inlet.get() else { return self.more_local(cx) };
        if self.chan.moved.load(Ordering::Relaxed) {
            self.over = Some(Err(StreamError::NotSent));
            return Poll::Ready(None);
        }
        if self.items.is_none() && self.cost == 0 {
            // What the sender sent before it left.
            if let Some(item) = lock(&self.chan.queue).items.pop_front() {
                return Poll::Ready(Some(item));
            }
        }
        self.items = None;
        self.used = 0;
        let cost = std::mem::take(&mut self.cost);
        let mut state = shared.lock();
        if cost > 0 {
            state.engine.consume(*id, cost);
        }
        match state.engine.read(*id) {
            Read::Items(mut items) => {
                self.handles = items.take_handles();
                state.register(&self.handles);
                self.cost = items.cost();
                self.items = Some(items);
            }
            Read::Pending => {
                if let Some(waker) = state.reader(*id) {
                    set_waker(waker, cx);
                }
                if state.engine.wants_transmit() {
                    shared.kick(state);
                }
                return Poll::Pending;
            }
            Read::End { code, text } => {
                state.remove_stream(*id);
                self.over = Some(match (code, state.engine.cause()) {
                    (Code::OK, _) => Ok(()),
                    (Code::WIRE_LOST, Some(cause)) => Err(StreamError::Lost(cause.clone())),
                    (Code::WIRE_LOST, None) => Err(StreamError::Lost(Cause::Lost)),
                    _ => Err(StreamError::Ended { code, text }),
                });
            }
            _ => {}
        }
        if state.engine.wants_transmit() || !self.handles.is_empty() {
            shared.kick(state);
        }
        Poll::Ready(None)
    }

    #[cold]
    fn more_local(&mut self, cx: &Context<'_>) -> Poll<Option<T>> {
        let mut queue = lock(&self.chan.queue);
        if let Some(item) = queue.items.pop_front() {
            let senders = queue.senders.take();
            drop(queue);
            senders.wake();
            return Poll::Ready(Some(item));
        }
        match queue.sender {
            Half::Dropped => {
                let failed = queue.failed.take();
                self.over = Some(match failed {
                    Some((code, text)) => Err(StreamError::Ended { code, text }),
                    None => Ok(()),
                });
            }
            Half::Refused => self.over = Some(Err(StreamError::NotSent)),
            Half::Here | Half::Sent if self.chan.inlet.get().is_none() => {
                queue.receivers.add(cx);
                return Poll::Pending;
            }
            Half::Here | Half::Sent => {}
        }
        Poll::Ready(None)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut queue = lock(&self.chan.queue);
        if queue.receiver == Half::Here {
            queue.receiver = Half::Dropped;
        }
        let senders = queue.senders.take();
        drop(queue);
        senders.wake();
        if self.over.is_none()
            && !self.chan.moved.load(Ordering::Relaxed)
            && let Some((shared, id)) = self.chan.inlet.get()
        {
            shared.dispose(std::mem::take(&mut self.handles).into_iter(), Code::DROPPED);
            let mut state = shared.lock();
            state.engine.stop(*id, Code::CANCELLED);
            state.remove_stream(*id);
            shared.kick(state);
        }
    }
}

/// The future of [`Receiver::recv`].
#[derive(Debug)]
#[must_use = "an item is received when this is awaited or waited for"]
pub struct Recv<'a, T> {
    receiver: &'a mut Receiver<T>,
}

impl<T: Inbound> Recv<'_, T> {
    /// Blocks this thread until there is an item or the end.
    ///
    /// # Errors
    ///
    /// As of awaiting it.
    pub fn wait(self) -> Result<Option<T>, StreamError> {
        crate::wait(self)
    }
}

impl<T: Inbound> Future for Recv<'_, T> {
    type Output = Result<Option<T>, StreamError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.receiver.poll_recv(cx)
    }
}

impl<T: Outbound + Send + 'static> Receiver<T> {
    /// This half goes away in a message, by a wire of this codec.
    pub(crate) fn give(&self, codec: u8) -> Result<Give, String> {
        let mut queue = lock(&self.chan.queue);
        let inlet = self.chan.inlet.get();
        let sent = queue.receiver != Half::Here || self.chan.moved.load(Ordering::Relaxed);
        if sent || (queue.sender == Half::Sent && inlet.is_none()) {
            return Err("this stream was sent already".into());
        }
        if let Some((shared, _)) = inlet {
            same_codec(shared, codec, "receiver")?;
        }
        queue.receiver = Half::Sent;
        let early = std::mem::take(&mut queue.items);
        let finished = queue.sender == Half::Dropped;
        let failed = queue.failed.take();
        drop(queue);
        // What was sent before it had anywhere to go.
        let mut items = Vec::with_capacity(early.len());
        for item in early {
            let mut message = Written::default();
            scope::aside(|| item.write(codec, &mut message))?;
            if !message.given.is_empty() {
                return Err("items with streams or callbacks in them can be sent only once the \
                            receiver is with the peer"
                    .into());
            }
            items.push(message.bytes);
        }
        if let Some((shared, id)) = inlet {
            self.chan.moved.store(true, Ordering::Relaxed);
            let mut rest = Receiver::<Raw>::theirs(shared.clone(), *id);
            rest.items.clone_from(&self.items);
            rest.over.clone_from(&self.over);
            (rest.cost, rest.used) = (self.cost, self.used);
            lock(&rest.chan.queue).items.extend(items.into_iter().map(Raw::new));
            return Ok(relay::receiver(shared, rest));
        }
        for bytes in items {
            let _ = self.chan.outlet.push_large(bytes, Vec::new());
        }
        match failed {
            Some((code, text)) => {
                self.chan.outlet.fail(code, text);
            }
            None if finished => {
                self.chan.outlet.finish();
            }
            None => {}
        }
        Ok(Give::Stream(Arc::new(Outgoing(self.chan.clone())), Direction::Outgoing))
    }
}

impl<T: Outbound + Send + 'static> Serialize for Receiver<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(codec) = scope::giving() else {
            return Err(ser::Error::custom(scope::outside("receiver")));
        };
        let give = self.give(codec.number()).map_err(ser::Error::custom)?;
        serializer.serialize_u32(scope::give(give).unwrap_or(u32::MAX))
    }
}

impl<'de, T: Deserialize<'static>> Deserialize<'de> for Receiver<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if Traced::is_active() {
            Traced::handle(Shape::Receiver(Box::new(shape_of::<T>())));
            u32::deserialize(deserializer)?;
            return Ok(Self::new(Arc::new(Chan::new(1))));
        }
        let place = u32::deserialize(deserializer)?;
        let taken = scope::take(place, |received| match received {
            Received::Receiver(id) => Some(id),
            _ => None,
        });
        let Some((shared, id)) = taken else {
            return Err(de::Error::custom(scope::outside("receiver")));
        };
        Ok(Self::theirs(shared, id))
    }
}
