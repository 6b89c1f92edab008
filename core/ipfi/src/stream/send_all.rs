//! Many items at once.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use super::{
    Send, Sender,
    outlet::{LARGE, length},
};
use crate::{Outbound, StreamError, scope::Written};

/// So many bytes are put together before they are passed on.
const BATCH: usize = 4 * 1024;

/// The future of [`Sender::send_all`].
#[must_use = "items are sent when this is awaited or waited for"]
pub struct SendAll<'a, T, I> {
    sender: &'a Sender<T>,
    items: I,
    /// Small items that are written, each after its length.
    batch: Vec<u8>,
    /// An item that goes alone, after those.
    alone: Option<Send<'a, T>>,
    /// It is over, once all that is on its way.
    over: Option<Result<(), StreamError>>,
}

impl<T, I> fmt::Debug for SendAll<'_, T, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendAll").finish_non_exhaustive()
    }
}

impl<T, I> Unpin for SendAll<'_, T, I> {}

impl<'a, T: Outbound, I: Iterator<Item = T>> SendAll<'a, T, I> {
    pub(super) fn new(sender: &'a Sender<T>, items: I) -> Self {
        Self { sender, items, batch: Vec::new(), alone: None, over: None }
    }

    /// Blocks this thread until all items are on their way.
    ///
    /// # Errors
    ///
    /// As of awaiting it.
    pub fn wait(self) -> Result<(), StreamError> {
        crate::wait(self)
    }

    /// Writes items, as long as the driver has something to do anyway.
    fn collect(&mut self) {
        let Some(codec) = self.sender.codec() else {
            // It has not left: who receives is still here, and takes them as they are.
            match self.items.next() {
                Some(item) => self.alone = Some(self.sender.send(item)),
                None => self.over = Some(Ok(())),
            }
            return;
        };
        let mut written = Written { bytes: std::mem::take(&mut self.batch), ..Written::default() };
        loop {
            let Some(item) = self.items.next() else {
                self.over = Some(Ok(()));
                break;
            };
            let start = written.bytes.len();
            written.bytes.push(0);
            if let Err(why) = item.write(codec, &mut written) {
                written.bytes.truncate(start);
                self.over = Some(Err(StreamError::Encode(why)));
                break;
            }
            let len = written.bytes.len() - start - 1;
            if len > LARGE || !written.given.is_empty() {
                let bytes = written.bytes.split_off(start + 1);
                written.bytes.truncate(start);
                let given = std::mem::take(&mut written.given);
                self.alone = Some(self.sender.send_written(Written { bytes, given }));
                break;
            }
            let [low, high] = length(len);
            if let Some(place) = written.bytes.get_mut(start) {
                *place = low;
            }
            if high > 0 {
                written.bytes.insert(start + 1, high);
            }
            if written.bytes.len() >= BATCH || !self.sender.busy() {
                break;
            }
        }
        self.batch = written.bytes;
    }
}

impl<T: Outbound, I: Iterator<Item = T>> Future for SendAll<'_, T, I> {
    type Output = Result<(), StreamError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            if !this.batch.is_empty() {
                ready!(this.sender.poll_send_batch(&mut this.batch, cx))?;
            }
            if let Some(alone) = &mut this.alone {
                ready!(Pin::new(alone).poll(cx))?;
                this.alone = None;
            }
            if let Some(over) = &this.over {
                return Poll::Ready(over.clone());
            }
            this.collect();
        }
    }
}
