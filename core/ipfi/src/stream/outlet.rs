//! Items on their way from a `Sender` to the engine.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use ipfi_proto::{Cause, Code, Connection, Handle, SendError, StreamId};

use crate::{
    StreamError,
    shared::Shared,
    sync::{Waiters, lock},
};

/// So many bytes may wait here, besides what waits in the engine.
const ROOM: usize = 32 * 1024;
/// Items above this size go alone, without being copied once more.
pub(super) const LARGE: usize = 1024;

/// Items that are written already, until the driver takes them: many under one lock.
#[derive(Default)]
pub(crate) struct Outlet {
    wire: OnceLock<(Arc<Shared>, StreamId)>,
    /// The driver knows that there is something. Changed under the lock only.
    listed: AtomicBool,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    /// How much of the first was taken.
    at: usize,
    bytes: usize,
    /// No more will come.
    finish: bool,
    /// It ends with an error, once what is here is on its way.
    fail: Option<(Code, String)>,
    over: Option<Over>,
    waiters: Waiters,
    /// An empty vector to use again.
    spare: Vec<u8>,
}

enum Entry {
    /// Each item after its length.
    Small(Vec<u8>),
    Large(Vec<u8>, Vec<Handle>),
}

/// How it ended.
#[derive(Clone)]
enum Over {
    /// The receiver got everything.
    Received,
    Error(StreamError),
}

/// The length of a small item as it is written before it: the second byte stands if the first is at
/// least 0x80.
#[inline]
pub(super) fn length(len: usize) -> [u8; 2] {
    let [low, high] = [len & 0x7f, len >> 7].map(|part| part.to_le_bytes()[0]);
    [if high > 0 { low | 0x80 } else { low }, high]
}

/// What became of an item.
pub(super) enum Pushed {
    /// It is on its way. The driver has to be told, if `true`.
    Taken(bool),
    /// There is no room; the waker is kept.
    Full,
    /// Boxed, because this goes through hands for each item.
    Over(Box<StreamError>),
}

impl Outlet {
    pub(super) fn attach(&self, shared: &Arc<Shared>, id: StreamId) {
        let _ = self.wire.set((shared.clone(), id));
    }

    #[inline]
    pub(super) fn wire(&self) -> Option<&(Arc<Shared>, StreamId)> {
        self.wire.get()
    }

    /// Whether the driver will come by itself.
    #[inline]
    pub(super) fn listed(&self) -> bool {
        self.listed.load(Ordering::Relaxed)
    }

    /// With the lock: whether the driver has to be told, which it is from now on.
    #[inline]
    fn list(&self) -> bool {
        let listed = self.listed();
        self.listed.store(true, Ordering::Relaxed);
        !listed
    }

    /// Appends items of at most [`LARGE`] bytes, each after its length, and leaves the vector empty.
    pub(super) fn push_all(&self, items: &mut Vec<u8>, cx: &std::task::Context<'_>) -> Pushed {
        let mut queue = lock(&self.queue);
        if let Some(pushed) = queue.refuse(cx) {
            return pushed;
        }
        queue.bytes += items.len();
        if let Some(Entry::Small(batch)) = queue.entries.back_mut() {
            batch.append(items);
        } else {
            let spare = std::mem::take(&mut queue.spare);
            queue.entries.push_back(Entry::Small(std::mem::replace(items, spare)));
        }
        Pushed::Taken(self.list())
    }

    /// Appends an item of at most [`LARGE`] bytes.
    #[inline]
    pub(super) fn push(&self, item: &[u8], cx: &std::task::Context<'_>) -> Pushed {
        let mut queue = lock(&self.queue);
        if let Some(pushed) = queue.refuse(cx) {
            return pushed;
        }
        let length = length(item.len());
        let length = length.get(..1 + usize::from(length[0] >> 7)).unwrap_or_default();
        queue.bytes += item.len() + length.len();
        if !matches!(queue.entries.back(), Some(Entry::Small(_))) {
            let spare = std::mem::take(&mut queue.spare);
            queue.entries.push_back(Entry::Small(spare));
        }
        if let Some(Entry::Small(batch)) = queue.entries.back_mut() {
            batch.extend_from_slice(length);
            batch.extend_from_slice(item);
        }
        Pushed::Taken(self.list())
    }

    /// Appends a large item, or one in which there are handles, which are the engine's already.
    pub(super) fn push_large(
        &self,
        item: Vec<u8>,
        handles: Vec<Handle>,
    ) -> Result<bool, (StreamError, Vec<Handle>)> {
        let mut queue = lock(&self.queue);
        if let Some(Pushed::Over(error)) = queue.over() {
            return Err((*error, handles));
        }
        queue.bytes += item.len();
        queue.entries.push_back(Entry::Large(item, handles));
        Ok(self.list())
    }

    /// Says whether there is room, or why never.
    pub(super) fn room(&self, cx: &std::task::Context<'_>) -> Option<Pushed> {
        lock(&self.queue).refuse(cx)
    }

    /// No more items will come: tell the driver, if `true`.
    pub(super) fn finish(&self) -> bool {
        let mut queue = lock(&self.queue);
        queue.finish = true;
        self.list()
    }

    /// How it ended, if it did; else the waker is kept.
    pub(super) fn finished(&self, cx: &std::task::Context<'_>) -> Option<Result<(), StreamError>> {
        let mut queue = lock(&self.queue);
        match &queue.over {
            Some(Over::Received) => Some(Ok(())),
            Some(Over::Error(error)) => Some(Err(error.clone())),
            None => {
                queue.waiters.add(cx);
                None
            }
        }
    }

    /// The same with an error at the end.
    pub(super) fn fail(&self, code: Code, text: String) -> bool {
        lock(&self.queue).fail = Some((code, text));
        self.finish()
    }

    /// Hands over as much as the engine takes; says whom to wake.
    pub(crate) fn drain(&self, engine: &mut Connection, id: StreamId) -> Waiters {
        let mut queue = lock(&self.queue);
        let queue = &mut *queue;
        self.listed.store(false, Ordering::Relaxed);
        while let Some(entry) = queue.entries.front_mut() {
            match entry {
                Entry::Small(batch) => {
                    let rest = batch.get(queue.at..).unwrap_or_default();
                    match engine.send_items(id, rest) {
                        Ok(n) => {
                            queue.at += n;
                            queue.bytes -= n;
                            if n < rest.len() {
                                continue;
                            }
                        }
                        Err(SendError::Blocked) => {
                            // The event that it goes on again lists it.
                            self.list();
                            return queue.waiters_if_room();
                        }
                        Err(_) => queue.bytes -= rest.len(),
                    }
                    queue.at = 0;
                    if let Some(Entry::Small(mut batch)) = queue.entries.pop_front() {
                        batch.clear();
                        queue.spare = batch;
                    }
                }
                Entry::Large(item, handles) => {
                    let len = item.len();
                    match engine.send_item_with(id, std::mem::take(item), handles) {
                        Err((SendError::Blocked, same)) => {
                            *item = same;
                            self.list();
                            return queue.waiters_if_room();
                        }
                        Ok(()) | Err(_) => queue.bytes -= len,
                    }
                    queue.entries.pop_front();
                }
            }
        }
        match queue.fail.take() {
            Some((code, text)) => engine.reset(id, code, &text),
            None if queue.finish => engine.finish(id),
            None => {}
        }
        queue.waiters.take()
    }

    /// The stream is over; says whom to wake, and what goes with items that never will.
    pub(crate) fn end(&self, code: Code, lost: Option<&Cause>) -> (Waiters, Vec<Handle>) {
        let mut queue = lock(&self.queue);
        if queue.over.is_none() {
            queue.over = Some(match lost {
                Some(cause) => Over::Error(StreamError::Lost(cause.clone())),
                None if code == Code::OK => Over::Received,
                None => Over::Error(StreamError::Ended { code, text: String::new() }),
            });
        }
        queue.bytes = 0;
        let left = std::mem::take(&mut queue.entries).into_iter().flat_map(|entry| match entry {
            Entry::Small(_) => Vec::new(),
            Entry::Large(_, handles) => handles,
        });
        (queue.waiters.take(), left.collect())
    }
}

impl Queue {
    #[cold]
    fn over(&self) -> Option<Pushed> {
        let error = self.over.as_ref().map(|over| match over {
            Over::Received => StreamError::Ended { code: Code::OK, text: String::new() },
            Over::Error(error) => error.clone(),
        });
        error.map(|error| Pushed::Over(Box::new(error)))
    }

    fn waiters_if_room(&mut self) -> Waiters {
        if self.bytes <= ROOM / 2 { self.waiters.take() } else { Waiters::default() }
    }

    #[inline]
    fn refuse(&mut self, cx: &std::task::Context<'_>) -> Option<Pushed> {
        if self.over.is_some() {
            return self.over();
        }
        if self.bytes < ROOM {
            return None;
        }
        self.waiters.add(cx);
        Some(Pushed::Full)
    }
}
