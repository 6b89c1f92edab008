//! The half of a stream that sends.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ipfi_proto::{Code, Direction, Received, StreamId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{
    Chan, Half, Incoming, SendAll,
    outlet::{LARGE, Outlet, Pushed},
    relay,
};
use crate::{
    Outbound, Shape, StreamError,
    raw::same_codec,
    scope::{self, Give, Written},
    shape::{Traced, shape_of},
    shared::Shared,
    sync::lock,
};

/// The sending half of a stream of items.
///
/// Dropping it finishes the stream: the receiver gets everything that was sent, then the end. If a
/// panic drops it, the receiver gets an error instead of the end.
///
/// As an argument it lets the peer send: [`channel`](crate::channel).
pub struct Sender<T> {
    chan: Arc<Chan<T>>,
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> Sender<T> {
    pub(super) fn new(chan: Arc<Chan<T>>) -> Self {
        Self { chan }
    }

    /// A sender that came from a peer.
    pub(crate) fn theirs(shared: &Arc<Shared>, id: StreamId) -> Self {
        let chan = Arc::new(Chan::new(1));
        chan.outlet.attach(shared, id);
        let mut state = shared.lock();
        let stopped = state.claim(id, &chan.outlet);
        let closed = state.engine.cause().cloned();
        drop(state);
        if let Some(code) = stopped.or_else(|| closed.as_ref().map(|_| Code::WIRE_LOST)) {
            chan.outlet.end(code, closed.as_ref());
        }
        Self { chan }
    }

    /// Sends where another one did.
    pub(super) fn onto(outlet: Arc<Outlet>) -> Self {
        Self { chan: Arc::new(Chan { outlet, ..Chan::new(1) }) }
    }

    /// Ends the stream with an error: the receiver gets it instead of what was not sent yet.
    pub fn fail(self, code: Code, text: &str) {
        let code = if code == Code::OK { Code::FAILED } else { code };
        end(&self.chan, Some((code, text.to_owned())));
    }

    /// Waits until nobody receives any more: the receiver was dropped, or the wire ended.
    pub async fn closed(&self) {
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    pub(super) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        let chan = &self.chan;
        if chan.outlet.wire().is_none() {
            let mut queue = lock(&chan.queue);
            if matches!(queue.receiver, Half::Dropped | Half::Refused) {
                return Poll::Ready(());
            }
            if chan.outlet.wire().is_none() {
                queue.senders.add(cx);
                return Poll::Pending;
            }
        }
        if chan.outlet.finished(cx).is_some() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Finishes the stream and waits until the receiver has taken everything.
    pub fn finish(self) -> Finish<T> {
        end(&self.chan, None);
        Finish { sender: self }
    }
}

impl<T: Outbound> Sender<T> {
    /// Sends an item, as soon as there is credit. `Ok` means that it is on its way; only
    /// [`finish`](Self::finish) says that everything was received.
    pub fn send(&self, item: T) -> Send<'_, T> {
        Send { sender: self, item: Some(item), written: None }
    }

    /// Sends items, as soon as there is credit: twice as fast as one by one if they are small, because
    /// they are passed on together. An item that takes its time to be made may keep those before it
    /// waiting.
    ///
    /// Dropping the future loses what it took from the iterator and did not pass on yet.
    ///
    /// ```
    /// use ipfi::{Interface, Receiver, Wire, channel};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Interface::new().procedure("sum", async |mut numbers: Receiver<u64>| {
    ///     let mut sum = 0;
    ///     while let Ok(Some(n)) = numbers.recv().await {
    ///         sum += n;
    ///     }
    ///     sum
    /// });
    /// let (wire, _other) = Wire::pair(Interface::new(), server);
    /// let (sender, receiver) = channel::<u64>(4);
    /// let sum = wire.call::<u64>("sum", (receiver,)).start();
    /// sender.send_all(1..=1000).await?;
    /// drop(sender);
    /// assert_eq!(sum.await?, 500_500);
    /// # Ok(()) }
    /// ```
    pub fn send_all<I: IntoIterator<Item = T>>(&self, items: I) -> SendAll<'_, T, I::IntoIter> {
        SendAll::new(self, items.into_iter())
    }

    /// Sends what is written already.
    pub(super) fn send_written(&self, written: Written) -> Send<'_, T> {
        Send { sender: self, item: None, written: Some(written) }
    }

    /// How items are written, if the receiver is at the peer.
    pub(super) fn codec(&self) -> Option<u8> {
        self.chan.outlet.wire().map(|(shared, _)| shared.codec_number())
    }

    /// Whether the driver has something to do for this stream.
    #[inline]
    pub(super) fn busy(&self) -> bool {
        self.chan.outlet.listed()
    }

    /// Passes on small items, each after its length.
    pub(super) fn poll_send_batch(
        &self,
        batch: &mut Vec<u8>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), StreamError>> {
        let Some((shared, id)) = self.chan.outlet.wire() else { return Poll::Pending };
        match self.chan.outlet.push_all(batch, cx) {
            Pushed::Taken(first) => {
                if first {
                    list(&self.chan, shared, *id);
                }
                Poll::Ready(Ok(()))
            }
            Pushed::Full => Poll::Pending,
            Pushed::Over(error) => Poll::Ready(Err(*error)),
        }
    }

    /// Writes an item and passes it on; keeps it in `written` if there is no room for it, because
    /// an item with streams in it can be written only once.
    fn poll_send(
        &self,
        item: &T,
        written: &mut Option<Written>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Box<StreamError>>> {
        let Some((shared, id)) = self.chan.outlet.wire() else {
            return Poll::Pending;
        };
        scope::with_message(|message| {
            if let Err(why) = item.write(shared.codec_number(), message) {
                return Poll::Ready(Err(Box::new(StreamError::Encode(why))));
            }
            if message.bytes.len() > LARGE || !message.given.is_empty() {
                *written = Some(std::mem::take(message));
                return self.poll_written(written, cx).map_err(Box::new);
            }
            match self.chan.outlet.push(&message.bytes, cx) {
                Pushed::Taken(first) => {
                    if first {
                        list(&self.chan, shared, *id);
                    }
                    Poll::Ready(Ok(()))
                }
                Pushed::Full => Poll::Pending,
                Pushed::Over(error) => Poll::Ready(Err(error)),
            }
        })
    }

    /// Passes on an item that is written already.
    fn poll_written(
        &self,
        written: &mut Option<Written>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), StreamError>> {
        let chan = &self.chan;
        let Some((shared, id)) = chan.outlet.wire() else { return Poll::Pending };
        let room = chan.outlet.room(cx);
        if matches!(room, Some(Pushed::Full)) {
            return Poll::Pending;
        }
        let Some(written) = written.take() else { return Poll::Pending };
        if let Some(Pushed::Over(error)) = room {
            return Poll::Ready(Err(*error));
        }
        Poll::Ready(push_large(chan, shared, *id, written))
    }
}

#[cold]
fn push_large<T>(
    chan: &Chan<T>,
    shared: &Arc<Shared>,
    id: StreamId,
    // What it still has when this returns is refused after `state` is unlocked.
    mut written: Written,
) -> Result<(), StreamError> {
    let mut state = shared.lock();
    if let Some(cause) = state.engine.cause().cloned() {
        return Err(StreamError::Lost(cause));
    }
    let max = state.engine.peer_limits().max_message;
    if state.engine.codec() != 0 && written.bytes.len() > max {
        return Err(StreamError::TooLarge { max });
    }
    let handles = match scope::export(shared, &mut state, written.given.take()) {
        Ok(handles) => handles,
        Err((error, given)) => {
            drop(state);
            scope::refuse(given);
            return Err(StreamError::Handles(error));
        }
    };
    // Their other halves may end before the item leaves.
    state.engine.carry(&handles);
    let pushed = chan.outlet.push_large(written.bytes, handles);
    let first = pushed.map_err(|(error, handles)| {
        state.engine.discard(&handles);
        error
    })?;
    if first {
        state.mark_full(id, chan.outlet.clone());
        shared.kick(state);
    }
    Ok(())
}

/// Tells the driver that there are items.
#[inline]
fn list<T>(chan: &Chan<T>, shared: &Arc<Shared>, id: StreamId) {
    let mut state = shared.lock();
    if state.closed.is_none() {
        state.mark_full(id, chan.outlet.clone());
    }
    shared.kick(state);
}

/// The sender is gone, or says so.
fn end<T>(chan: &Chan<T>, failed: Option<(Code, String)>) {
    let mut queue = lock(&chan.queue);
    if queue.sender != Half::Here {
        return;
    }
    queue.sender = Half::Dropped;
    queue.failed.clone_from(&failed);
    let receivers = queue.receivers.take();
    drop(queue);
    receivers.wake();
    let Some((shared, id)) = chan.outlet.wire() else { return };
    if let Some((code, text)) = failed {
        let mut state = shared.lock();
        state.engine.reset(*id, code, &text);
        shared.kick(state);
    } else if chan.outlet.finish() {
        list(chan, shared, *id);
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        end(&self.chan, std::thread::panicking().then(|| (Code::PANICKED, String::new())));
    }
}

/// The future of [`Sender::send`].
#[must_use = "an item is sent when this is awaited or waited for"]
pub struct Send<'a, T> {
    sender: &'a Sender<T>,
    item: Option<T>,
    written: Option<Written>,
}

impl<T> fmt::Debug for Send<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Send").finish_non_exhaustive()
    }
}

impl<T> Unpin for Send<'_, T> {}

impl<T: Outbound> Send<'_, T> {
    /// Blocks this thread until the item is on its way.
    ///
    /// # Errors
    ///
    /// As of awaiting it.
    pub fn wait(self) -> Result<(), StreamError> {
        crate::wait(self)
    }
}

impl<T: Outbound> Future for Send<'_, T> {
    type Output = Result<(), StreamError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.written.is_some() {
            return self.sender.poll_written(&mut self.written, cx);
        }
        let Some(item) = self.item.take() else { return Poll::Pending };
        let chan = &self.sender.chan;
        if chan.outlet.wire().is_none() {
            let mut queue = lock(&chan.queue);
            match queue.receiver {
                Half::Here if queue.items.len() < queue.capacity => {
                    queue.items.push_back(item);
                    let receivers = queue.receivers.take();
                    drop(queue);
                    receivers.wake();
                    return Poll::Ready(Ok(()));
                }
                Half::Refused => return Poll::Ready(Err(StreamError::NotSent)),
                Half::Dropped => {
                    let text = String::new();
                    return Poll::Ready(Err(StreamError::Ended { code: Code::DROPPED, text }));
                }
                // It may have got its wire while we looked.
                Half::Here | Half::Sent if chan.outlet.wire().is_none() => {
                    queue.senders.add(cx);
                    drop(queue);
                    self.item = Some(item);
                    return Poll::Pending;
                }
                Half::Here | Half::Sent => {}
            }
        }
        match self.sender.poll_send(&item, &mut self.written, cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(*error)),
            Poll::Pending => {
                self.item = Some(item);
                Poll::Pending
            }
        }
    }
}

/// The future of [`Sender::finish`].
#[derive(Debug)]
#[must_use = "waits only when it is awaited or waited for"]
pub struct Finish<T> {
    sender: Sender<T>,
}

impl<T> Finish<T> {
    /// Blocks this thread until the receiver has taken everything.
    ///
    /// # Errors
    ///
    /// The receiver or the wire went away before.
    pub fn wait(self) -> Result<(), StreamError> {
        crate::wait(self)
    }
}

impl<T> Future for Finish<T> {
    type Output = Result<(), StreamError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let chan = &self.sender.chan;
        if chan.outlet.wire().is_none() {
            let mut queue = lock(&chan.queue);
            return match queue.receiver {
                Half::Here | Half::Dropped if queue.items.is_empty() => Poll::Ready(Ok(())),
                Half::Refused | Half::Dropped => Poll::Ready(Err(StreamError::NotSent)),
                Half::Here | Half::Sent => {
                    queue.senders.add(cx);
                    Poll::Pending
                }
            };
        }
        chan.outlet.finished(cx).map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T: std::marker::Send + 'static> Sender<T> {
    /// This half goes away in a message, by a wire of this codec.
    pub(crate) fn give(&self, codec: u8) -> Result<Give, String> {
        let mut queue = lock(&self.chan.queue);
        let wire = self.chan.outlet.wire();
        if queue.sender != Half::Here || (queue.receiver == Half::Sent && wire.is_none()) {
            return Err("this stream was sent already".into());
        }
        if let Some((shared, _)) = wire {
            same_codec(shared, codec, "sender")?;
        }
        queue.sender = Half::Sent;
        drop(queue);
        Ok(match wire {
            Some((shared, _)) => relay::sender(shared, self.chan.outlet.clone()),
            None => Give::Stream(Arc::new(Incoming(self.chan.clone())), Direction::Incoming),
        })
    }
}

impl<T: std::marker::Send + 'static> Serialize for Sender<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(codec) = scope::giving() else {
            return Err(ser::Error::custom(scope::outside("sender")));
        };
        let give = self.give(codec.number()).map_err(ser::Error::custom)?;
        serializer.serialize_u32(scope::give(give).unwrap_or(u32::MAX))
    }
}

impl<'de, T: Deserialize<'static>> Deserialize<'de> for Sender<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if Traced::is_active() {
            Traced::handle(Shape::Sender(Box::new(shape_of::<T>())));
            u32::deserialize(deserializer)?;
            return Ok(Self { chan: Arc::new(Chan::new(1)) });
        }
        let place = u32::deserialize(deserializer)?;
        let taken = scope::take(place, |received| match received {
            Received::Sender(id) => Some(id),
            _ => None,
        });
        let Some((shared, id)) = taken else {
            return Err(de::Error::custom(scope::outside("sender")));
        };
        Ok(Self::theirs(&shared, id))
    }
}
