//! One wire of a gateway, and what of it is what on another.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    task::Waker,
};

use ipfi::{
    Code, Priority, Started,
    proto::{
        CallId, CallbackId, Connection, Direction, Handle, IncomingId, Instant, Items, Received,
        RemoteCallbackId, StreamId,
    },
};

/// The name of a wire: 0 is the slow one, the others count up and are never used again.
pub(super) type Key = u64;
/// The slow wire.
pub(super) const TARGET: Key = 0;

/// A call that came, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the [`Backlog`].
    Waiting,
    /// At the other side, under this name.
    Open(Key, CallId),
}

/// One wire, and what of it is what on another. Every name in it leads to the one at the other wire,
/// and from there back.
pub(super) struct Peer {
    pub(super) key: Key,
    pub(super) engine: Connection,
    pub(super) waker: Option<Waker>,
    /// What the numbers of procedures mean that it calls.
    pub(super) bound: Vec<(String, u64)>,
    /// Calls that it opened.
    pub(super) incoming: BTreeMap<IncomingId, Place>,
    /// Calls that we opened, for another.
    pub(super) calls: BTreeMap<CallId, (Key, IncomingId)>,
    /// Those of them that were lost with the wire before they were sent.
    pub(super) unsent: BTreeSet<CallId>,
    pub(super) streams: BTreeMap<StreamId, (Key, StreamId)>,
    /// Callbacks of another that it holds.
    pub(super) given: BTreeMap<CallbackId, (Key, RemoteCallbackId)>,
    /// Its callbacks that another holds.
    pub(super) taken: BTreeMap<RemoteCallbackId, (Key, CallbackId)>,
    /// Items that were read here and find no room there, and their handles there.
    pub(super) held: BTreeMap<StreamId, (Items, Vec<Handle>)>,
    pub(super) backlog: Backlog,
    /// Streams that have a name at the other side since now, and may have had items before.
    pub(super) fresh: Vec<StreamId>,
}

/// What a client wants of the slow wire and has not got yet.
#[derive(Default)]
pub(super) struct Backlog {
    /// By priority, high first.
    calls: [VecDeque<Waiting>; 3],
    /// Streams that may have items.
    streams: VecDeque<StreamId>,
    /// Calls and streams take turns.
    turn: bool,
    /// Bytes that the client had of the slow wire so far.
    pub(super) served: u64,
}

/// A call that waits for its turn.
pub(super) struct Waiting {
    pub(super) call: IncomingId,
    pub(super) to: To,
    pub(super) payload: Vec<u8>,
    pub(super) handles: Vec<Received>,
    pub(super) deadline: Option<Instant>,
    pub(super) priority: Priority,
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// By its name and the fingerprint of its signature.
    Procedure(String, u64),
    Callback(RemoteCallbackId),
}

/// What comes next.
pub(super) enum Work {
    Call(Waiting),
    Stream(StreamId),
}

impl Backlog {
    pub(super) fn push(&mut self, waiting: Waiting) {
        let class = match waiting.priority {
            Priority::High => 0,
            Priority::Low => 2,
            _ => 1,
        };
        if let Some(queue) = self.calls.get_mut(class) {
            queue.push_back(waiting);
        }
    }

    pub(super) fn push_stream(&mut self, stream: StreamId) {
        if !self.streams.contains(&stream) {
            self.streams.push_back(stream);
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.calls.iter().map(VecDeque::len).sum()
    }

    /// Whether there is anything to do, if there is room for calls or not.
    pub(super) fn has_work(&self, room: bool) -> bool {
        !self.streams.is_empty() || (room && self.waiting() > 0)
    }

    pub(super) fn pop(&mut self, room: bool) -> Option<Work> {
        self.turn = !self.turn;
        let call = room && (self.turn || self.streams.is_empty());
        let waiting = if call { self.calls.iter_mut().find_map(VecDeque::pop_front) } else { None };
        match waiting {
            Some(waiting) => Some(Work::Call(waiting)),
            None => self.streams.pop_front().map(Work::Stream),
        }
    }

    /// Takes a call back.
    pub(super) fn remove(&mut self, call: IncomingId) -> Option<Waiting> {
        self.calls.iter_mut().find_map(|queue| {
            let at = queue.iter().position(|waiting| waiting.call == call)?;
            queue.remove(at)
        })
    }

    pub(super) fn take_all(&mut self) -> Vec<Waiting> {
        self.calls.iter_mut().flat_map(|queue| queue.drain(..)).collect()
    }

    /// Takes back the calls to callbacks, which do not outlive their wire.
    pub(super) fn take_callbacks(&mut self) -> Vec<Waiting> {
        let (mut taken, mut left) = (Vec::new(), Vec::new());
        for waiting in self.calls.iter_mut().flat_map(|queue| queue.drain(..)) {
            let callback = matches!(waiting.to, To::Callback(_));
            if callback { &mut taken } else { &mut left }.push(waiting);
        }
        for waiting in left {
            self.push(waiting);
        }
        taken
    }

    pub(super) fn remove_stream(&mut self, stream: StreamId) {
        self.streams.retain(|other| *other != stream);
    }
}

impl Peer {
    pub(super) fn new(key: Key, engine: Connection) -> Self {
        Self {
            key,
            engine,
            waker: None,
            bound: Vec::new(),
            incoming: BTreeMap::new(),
            calls: BTreeMap::new(),
            unsent: BTreeSet::new(),
            streams: BTreeMap::new(),
            given: BTreeMap::new(),
            taken: BTreeMap::new(),
            held: BTreeMap::new(),
            backlog: Backlog::default(),
            fresh: Vec::new(),
        }
    }

    /// The wire is over: names on it mean nothing any more.
    pub(super) fn clear(&mut self) {
        self.bound = Vec::new();
        self.incoming.clear();
        self.calls.clear();
        self.unsent.clear();
        self.streams.clear();
        self.given.clear();
        self.taken.clear();
        self.held.clear();
        self.backlog = Backlog::default();
        self.fresh.clear();
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// A call was lost with the wire.
    pub(super) fn note_lost(&mut self, call: CallId, started: Started) {
        if started == Started::No {
            self.unsent.insert(call);
        }
    }

    /// Names that lead somewhere: nothing is left over when there are none.
    pub(super) fn names(&self) -> usize {
        self.incoming.len()
            + self.calls.len()
            + self.streams.len()
            + self.given.len()
            + self.taken.len()
            + self.held.len()
    }

    pub(super) fn dispose(&mut self, handles: Vec<Received>, code: Code) {
        for handle in handles {
            self.engine.dispose(handle, code);
        }
    }
}

/// What came in a message from one, made anew for the other. If that takes no more, nothing is made
/// and everything is let go.
pub(super) fn translate(
    from: &mut Peer,
    to: &mut Peer,
    received: &[Received],
) -> Result<Vec<Handle>, Code> {
    let mut handles = Vec::with_capacity(received.len());
    for (i, handle) in received.iter().enumerate() {
        let made = match *handle {
            Received::Receiver(stream) => {
                from.fresh.push(stream);
                open(from, to, stream, Direction::Outgoing)
            }
            Received::Sender(stream) => open(from, to, stream, Direction::Incoming),
            Received::Callback(callback) => to.engine.export_callback().ok().map(|other| {
                to.given.insert(other, (from.key, callback));
                from.taken.insert(callback, (to.key, other));
                Handle::Callback(other)
            }),
            _ => None,
        };
        let Some(made) = made else {
            unmake(from, to, &handles);
            let rest = received.get(i..).unwrap_or_default().to_vec();
            from.dispose(rest, Code::REFUSED);
            return Err(Code::REFUSED);
        };
        handles.push(made);
    }
    Ok(handles)
}

fn open(from: &mut Peer, to: &mut Peer, stream: StreamId, direction: Direction) -> Option<Handle> {
    let other = to.engine.open_stream(direction).ok()?;
    to.streams.insert(other, (from.key, stream));
    from.streams.insert(stream, (to.key, other));
    Some(Handle::Stream(other))
}

/// Unmakes what no message will carry, on both sides.
pub(super) fn unmake(from: &mut Peer, to: &mut Peer, handles: &[Handle]) {
    for handle in handles {
        match *handle {
            Handle::Stream(stream) => {
                to.engine.reset(stream, Code::DROPPED, "");
                to.engine.stop(stream, Code::DROPPED);
                if let Some((_, source)) = to.streams.remove(&stream) {
                    from.streams.remove(&source);
                    from.engine.reset(source, Code::DROPPED, "");
                    from.engine.stop(source, Code::DROPPED);
                }
            }
            Handle::Callback(callback) => {
                to.engine.discard_callback(callback);
                if let Some((_, source)) = to.given.remove(&callback) {
                    from.taken.remove(&source);
                    from.engine.release_callback(source);
                }
            }
            _ => {}
        }
    }
}
