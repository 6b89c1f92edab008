//! Streams of items: `Sender`, `Receiver`, `channel`.

mod outlet;
mod receiver;
mod relay;
mod send_all;
mod sender;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock, atomic::AtomicBool},
};

use ipfi_proto::{Code, StreamId};

pub(crate) use self::outlet::Outlet;
pub use self::{
    receiver::{Receiver, Recv},
    send_all::SendAll,
    sender::{Finish, Send, Sender},
};
use crate::{
    scope::Attach,
    shared::{Shared, State},
    sync::{Waiters, lock},
};

/// Creates a stream of items, one half of which can be sent to the peer inside a call.
///
/// As long as both halves are here, up to `capacity` items wait in between. Once one half is at the
/// peer, credit decides how far the sender may be ahead of the receiver (see
/// [`Limits::stream_window`](crate::Limits::stream_window)).
///
/// ```
/// let (sender, mut receiver) = ipfi::channel::<u32>(2);
/// sender.send(1).wait()?;
/// drop(sender);
/// assert_eq!(receiver.recv().wait()?, Some(1));
/// assert_eq!(receiver.recv().wait()?, None);
/// # Ok::<(), ipfi::StreamError>(())
/// ```
#[must_use]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let chan = Arc::new(Chan::new(capacity));
    (Sender::new(chan.clone()), Receiver::new(chan))
}

/// Where a half is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Here,
    Dropped,
    /// In a message that may or may not have left, or at the peer.
    Sent,
    /// In a message that never left.
    Refused,
}

/// What the halves share.
struct Chan<T> {
    queue: Mutex<Queue<T>>,
    /// Towards the peer, if it has the receiver.
    outlet: Arc<Outlet>,
    /// From the peer, if it has the sender.
    inlet: OnceLock<(Arc<Shared>, StreamId)>,
    /// Somebody else reads from there now.
    moved: AtomicBool,
}

/// What has not left, or never will.
struct Queue<T> {
    items: VecDeque<T>,
    capacity: usize,
    sender: Half,
    receiver: Half,
    /// The sender was not dropped in peace.
    failed: Option<(Code, String)>,
    senders: Waiters,
    receivers: Waiters,
}

impl<T> Chan<T> {
    fn new(capacity: usize) -> Self {
        Self {
            queue: Mutex::new(Queue {
                items: VecDeque::new(),
                capacity: capacity.max(1),
                sender: Half::Here,
                receiver: Half::Here,
                failed: None,
                senders: Waiters::default(),
                receivers: Waiters::default(),
            }),
            outlet: Arc::default(),
            inlet: OnceLock::new(),
            moved: AtomicBool::new(false),
        }
    }
}

/// The sender went to the peer, the receiver is here.
struct Incoming<T>(Arc<Chan<T>>);

impl<T: std::marker::Send> Attach for Incoming<T> {
    fn attach(&self, shared: &Arc<Shared>, state: &mut State, id: StreamId) {
        state.add_stream(id, None);
        let _ = self.0.inlet.set((shared.clone(), id));
        let receivers = lock(&self.0.queue).receivers.take();
        // Under the lock of the engine; wakers only schedule.
        receivers.wake();
    }

    fn refuse(&self) {
        let mut queue = lock(&self.0.queue);
        queue.sender = Half::Refused;
        let receivers = queue.receivers.take();
        drop(queue);
        receivers.wake();
    }
}

/// The receiver went to the peer, the sender is here.
struct Outgoing<T>(Arc<Chan<T>>);

impl<T: std::marker::Send> Attach for Outgoing<T> {
    fn attach(&self, shared: &Arc<Shared>, state: &mut State, id: StreamId) {
        state.add_stream(id, Some(self.0.outlet.clone()));
        self.0.outlet.attach(shared, id);
        state.mark_full(id, self.0.outlet.clone());
        let senders = lock(&self.0.queue).senders.take();
        senders.wake();
    }

    fn refuse(&self) {
        let mut queue = lock(&self.0.queue);
        queue.receiver = Half::Refused;
        let senders = queue.senders.take();
        drop(queue);
        senders.wake();
    }
}
