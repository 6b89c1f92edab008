//! Calls, streams and callbacks by numbers.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use ipfi_proto::{CallId, CallbackId, IncomingId, Received, RemoteCallbackId, StreamId, Target};

/// A call that this side opened.
pub const IPFI_KIND_CALL: i32 = 1;
/// A call that the peer opened.
pub const IPFI_KIND_INCOMING: i32 = 2;
/// A stream on which this side sends.
pub const IPFI_KIND_SENDER: i32 = 3;
/// A stream from which this side reads.
pub const IPFI_KIND_RECEIVER: i32 = 4;
/// A callback of this side.
pub const IPFI_KIND_CALLBACK: i32 = 5;
/// A callback of the peer.
pub const IPFI_KIND_REMOTE: i32 = 6;
/// A procedure of the peer.
pub const IPFI_KIND_PROCEDURE: i32 = 7;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    Call(CallId),
    Incoming(IncomingId),
    /// `mine` can be given away in a message, once.
    Sender {
        id: StreamId,
        mine: bool,
    },
    Receiver {
        id: StreamId,
        mine: bool,
    },
    Callback {
        id: CallbackId,
        mine: bool,
    },
    Remote(RemoteCallbackId),
    Procedure(Target),
}

impl Thing {
    pub(crate) fn kind(&self) -> i32 {
        match self {
            Self::Call(_) => IPFI_KIND_CALL,
            Self::Incoming(_) => IPFI_KIND_INCOMING,
            Self::Sender { .. } => IPFI_KIND_SENDER,
            Self::Receiver { .. } => IPFI_KIND_RECEIVER,
            Self::Callback { .. } => IPFI_KIND_CALLBACK,
            Self::Remote(_) => IPFI_KIND_REMOTE,
            Self::Procedure(_) => IPFI_KIND_PROCEDURE,
        }
    }
}

/// What the engine names in events, as keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Id {
    Call(CallId),
    Incoming(IncomingId),
    Stream(StreamId),
    Callback(CallbackId),
}

fn id_of(thing: &Thing) -> Option<Id> {
    Some(match thing {
        Thing::Call(id) => Id::Call(*id),
        Thing::Incoming(id) => Id::Incoming(*id),
        Thing::Sender { id, .. } | Thing::Receiver { id, .. } => Id::Stream(*id),
        Thing::Callback { id, .. } => Id::Callback(*id),
        Thing::Remote(_) | Thing::Procedure(_) => return None,
    })
}

/// All things of a connection. Numbers count up from 1 and are not used again before all others were.
#[derive(Debug, Default)]
pub(crate) struct Things {
    by_number: BTreeMap<u32, Thing>,
    by_id: BTreeMap<Id, u32>,
    last: u32,
}

impl Things {
    pub(crate) fn add(&mut self, thing: Thing) -> u32 {
        loop {
            self.last = if self.last >= i32::MAX as u32 { 1 } else { self.last + 1 };
            if !self.by_number.contains_key(&self.last) {
                break;
            }
        }
        if let Some(id) = id_of(&thing) {
            self.by_id.insert(id, self.last);
        }
        self.by_number.insert(self.last, thing);
        self.last
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Thing> {
        self.by_number.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Thing> {
        self.by_number.get_mut(&number)
    }

    pub(crate) fn find(&self, id: Id) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<Thing> {
        let thing = self.by_number.remove(&number)?;
        if let Some(id) = id_of(&thing) {
            self.by_id.remove(&id);
        }
        Some(thing)
    }

    /// What came in a message gets numbers.
    pub(crate) fn receive(&mut self, received: Vec<Received>) -> Vec<u32> {
        let thing = |received| match received {
            Received::Sender(id) => Some(Thing::Sender { id, mine: false }),
            Received::Receiver(id) => Some(Thing::Receiver { id, mine: false }),
            Received::Callback(id) => Some(Thing::Remote(id)),
            _ => None,
        };
        received.into_iter().filter_map(thing).map(|thing| self.add(thing)).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.by_number.clear();
        self.by_id.clear();
    }
}
