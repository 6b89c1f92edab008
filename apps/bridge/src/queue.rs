//! Chunks of bytes on their way to an end, bounded in bytes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

/// The largest chunk, in bytes.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Bytes that may be queued for one end.
const LIMIT: usize = 256 * 1024;

/// A queue that holds at most 256 KiB.
pub(crate) fn queue() -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared { room: Semaphore::new(LIMIT), cut: AtomicBool::new(false) });
    (Sender { chunks: sender, shared: shared.clone() }, Receiver { chunks: receiver, shared })
}

#[derive(Debug)]
struct Shared {
    room: Semaphore,
    /// Whether what was put in ended with a cut.
    cut: AtomicBool,
}

/// Puts chunks in. Whoever waits longest for room gets it first.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    chunks: mpsc::UnboundedSender<Bytes>,
    shared: Arc<Shared>,
}

/// Why a chunk was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Nobody takes chunks out any more.
    Closed,
    /// There is no room.
    Full,
}

impl Sender {
    /// Says that the end, when it comes, is a cut.
    pub(crate) fn cut(&self) {
        self.shared.cut.store(true, Relaxed);
    }

    /// Waits for room. `Err` means that nobody takes chunks out any more.
    pub(crate) async fn send(&self, chunk: Bytes) -> Result<(), Refused> {
        let room =
            self.shared.room.acquire_many(size(&chunk)).await.map_err(|_| Refused::Closed)?;
        room.forget();
        self.chunks.send(chunk).map_err(|_| Refused::Closed)
    }

    /// Whether the largest chunk would be taken now.
    pub(crate) fn has_room(&self) -> bool {
        self.shared.room.available_permits() >= CHUNK
    }

    /// Puts a chunk in if there is room.
    pub(crate) fn try_send(&self, chunk: Bytes) -> Result<(), Refused> {
        let room =
            self.shared.room.try_acquire_many(size(&chunk)).map_err(|error| match error {
                tokio::sync::TryAcquireError::Closed => Refused::Closed,
                tokio::sync::TryAcquireError::NoPermits => Refused::Full,
            })?;
        room.forget();
        self.chunks.send(chunk).map_err(|_| Refused::Closed)
    }
}

/// Takes chunks out.
#[derive(Debug)]
pub(crate) struct Receiver {
    chunks: mpsc::UnboundedReceiver<Bytes>,
    shared: Arc<Shared>,
}

impl Receiver {
    /// The next chunk, or nothing when all senders are gone. Cancel safe.
    pub(crate) async fn recv(&mut self) -> Option<Bytes> {
        let chunk = self.chunks.recv().await?;
        self.shared.room.add_permits(size(&chunk) as usize);
        Some(chunk)
    }

    /// The next chunk, if it is there already.
    pub(crate) fn try_recv(&mut self) -> Option<Bytes> {
        let chunk = self.chunks.try_recv().ok()?;
        self.shared.room.add_permits(size(&chunk) as usize);
        Some(chunk)
    }
}

impl Receiver {
    /// Whether the end, if it has come, is a cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.shared.cut.load(Relaxed)
    }

    /// Whether there is nothing and nothing can come.
    pub(crate) fn is_finished(&self) -> bool {
        self.chunks.is_closed() && self.chunks.is_empty()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.room.close();
    }
}

fn size(chunk: &Bytes) -> u32 {
    u32::try_from(chunk.len().min(LIMIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn holds_no_more_than_its_limit() {
        let (sender, mut receiver) = queue();
        let chunk = Bytes::from(vec![7; CHUNK]);
        let mut taken = 0;
        while sender.try_send(chunk.clone()).is_ok() {
            taken += chunk.len();
        }
        assert_eq!(taken, LIMIT);
        assert_eq!(sender.try_send(chunk.clone()), Err(Refused::Full));
        assert_eq!(receiver.recv().await.unwrap(), chunk);
        sender.send(chunk.clone()).await.unwrap();
        drop(receiver);
        assert_eq!(sender.try_send(chunk.clone()), Err(Refused::Closed));
        assert_eq!(sender.send(chunk).await, Err(Refused::Closed));
    }
}
