//! What the engine and the application say to each other.

use crate::table::Key;
use crate::{Cause, Code, Failure, Instant, PeerLimits, Priority};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) Key);

        impl $name {
            /// A small number, reused, by which the application may index a table of its own.
            #[must_use]
            pub fn index(self) -> usize {
                self.0.index() as usize
            }
        }
    )* };
}

ids! {
    /// A call that this side opened.
    CallId
    /// A call that the peer opened.
    IncomingId
    /// A stream, whoever created it.
    StreamId
    /// A callback that this side gave to the peer.
    CallbackId
    /// A callback that the peer gave to this side.
    RemoteCallbackId
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A procedure by the number that [`Connection::bind`](crate::Connection::bind) gave it.
    Procedure(u32),
    /// A procedure by its name: numbers are used up.
    Named {
        /// At most [`MAX_NAME`](crate::MAX_NAME) bytes.
        name: String,
        /// Of its signature.
        fingerprint: u64,
    },
    /// A callback that the peer gave us.
    Callback(RemoteCallbackId),
}

/// What the peer calls.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Called {
    /// A procedure by a number, which came before in [`Event::Bound`].
    Procedure(u32),
    /// A procedure by its name.
    Named {
        /// At most [`MAX_NAME`](crate::MAX_NAME) bytes.
        name: String,
        /// Of the signature that the caller believes in.
        fingerprint: u64,
    },
    /// A callback that we gave to the peer.
    Callback(CallbackId),
}

/// How a call is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "written with ..CallOptions::default()")]
pub struct CallOptions {
    /// When it is to end at the latest, from now. Travels as what is left of it, in milliseconds.
    pub deadline: Option<Duration>,
    /// The class in which its arguments and its answer are sent.
    pub priority: Priority,
    /// More arguments follow with [`Connection::send_arguments`](crate::Connection::send_arguments).
    pub more: bool,
}

/// Which way the items of a stream go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Direction {
    /// From here to the peer: the peer gets the receiving half.
    Outgoing,
    /// From the peer to here: the peer gets the sending half.
    Incoming,
}

/// A half of a stream or a callback that this side gives away in a message.
///
/// The payload refers to it by its place in the list that goes with the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Handle {
    /// From [`Connection::open_stream`](crate::Connection::open_stream).
    Stream(StreamId),
    /// From [`Connection::export_callback`](crate::Connection::export_callback).
    Callback(CallbackId),
}

/// A half of a stream or a callback that came in a message and is ours now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Received {
    /// We send items on it.
    Sender(StreamId),
    /// We read items from it.
    Receiver(StreamId),
    /// We may call it.
    Callback(RemoteCallbackId),
}

/// Items that came on a stream, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    pub(crate) bytes: Vec<u8>,
    pub(crate) at: usize,
    pub(crate) single: bool,
    pub(crate) handles: Vec<Received>,
    pub(crate) cost: usize,
}

impl Items {
    /// The next item.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "lends from itself")]
    pub fn next(&mut self) -> Option<&[u8]> {
        if self.single {
            self.single = false;
            self.at = self.bytes.len();
            return Some(&self.bytes);
        }
        // The engine has checked the lengths.
        let (item, rest) = crate::varint::split(self.bytes.get(self.at..)?)?;
        self.at = self.bytes.len() - rest.len();
        Some(item)
    }

    /// The next item, which stays the next.
    #[must_use]
    pub fn peek(&self) -> Option<&[u8]> {
        if self.single {
            return Some(&self.bytes);
        }
        Some(crate::varint::split(self.bytes.get(self.at..)?)?.0)
    }

    /// The next item as a vector of its own; a large one is not copied.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        if self.single {
            self.single = false;
            self.at = 0;
            return Some(core::mem::take(&mut self.bytes));
        }
        self.next().map(<[u8]>::to_vec)
    }

    /// The streams and callbacks that belong to the item, which is then the only one.
    pub fn take_handles(&mut self) -> Vec<Received> {
        core::mem::take(&mut self.handles)
    }

    /// What to hand to [`Connection::consume`](crate::Connection::consume) when the items are used.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.cost
    }
}

/// What there is to read on a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Read {
    /// Items.
    Items(Items),
    /// Nothing yet: wait for [`Event::Readable`].
    Pending,
    /// The end; the stream is forgotten. [`Code::OK`] if the producer finished.
    End {
        /// Why.
        code: Code,
        /// The same for people.
        text: String,
    },
}

/// What there is of arguments that are [taken as they come](crate::Connection::take_arguments).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arguments {
    /// The next bytes.
    Part(Vec<u8>),
    /// Nothing yet: wait for [`Event::Arguments`].
    Pending,
    /// They were complete.
    End {
        /// The streams and callbacks in them.
        handles: Vec<Received>,
    },
    /// No more will come: the caller gave up, there is no room, or the call or the wire is over.
    Over {
        /// Why.
        code: Code,
    },
}

/// Something the application has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The peer's hello came.
    Hello {
        /// Its codec; 0 if it follows ours.
        codec: u8,
        /// What it takes.
        limits: PeerLimits,
    },
    /// The peer will call this procedure by `number`, which counts up from 0. If there is none, or
    /// with another signature, refuse the calls to it.
    Bound {
        /// How [`Called::Procedure`] will name it.
        number: u32,
        /// Its name.
        name: String,
        /// Of the signature that the caller believes in.
        fingerprint: u64,
    },
    /// The peer calls; all arguments are there. To be ended with
    /// [`Connection::answer`](crate::Connection::answer) or
    /// [`Connection::fail`](crate::Connection::fail).
    Call {
        /// To answer it.
        call: IncomingId,
        /// What is called.
        called: Called,
        /// The encoded arguments.
        payload: Vec<u8>,
        /// The streams and callbacks in them.
        handles: Vec<Received>,
        /// When the caller will have lost patience.
        deadline: Option<Instant>,
        /// The caller's class; the answer goes in the same.
        priority: Priority,
    },
    /// The peer calls, and its arguments come bit by bit. This is told only with
    /// [`Config::partial_arguments`](crate::Config::partial_arguments): the application may
    /// [take them as they come](crate::Connection::take_arguments), or do nothing and get
    /// [`Event::Call`] when they are complete.
    Opened {
        /// To take its arguments, and to answer it.
        call: IncomingId,
        /// What is called.
        called: Called,
        /// When the caller will have lost patience.
        deadline: Option<Instant>,
        /// The caller's class; the answer goes in the same.
        priority: Priority,
    },
    /// There is something to [`read_arguments`](crate::Connection::read_arguments), where there was
    /// nothing.
    Arguments(IncomingId),
    /// The caller gave up, or its deadline passed: stop, and end the call with
    /// [`Connection::fail`](crate::Connection::fail).
    Cancelled {
        /// Which call.
        call: IncomingId,
        /// Why.
        code: Code,
    },
    /// A call of ours was answered, and is over.
    Answer {
        /// Which call.
        call: CallId,
        /// The encoded result.
        payload: Vec<u8>,
        /// The streams and callbacks in it.
        handles: Vec<Received>,
    },
    /// A call of ours failed, and is over.
    Failed {
        /// Which call.
        call: CallId,
        /// Why.
        failure: Failure,
    },
    /// There is something to [`read`](crate::Connection::read), where there was nothing.
    Readable(StreamId),
    /// A stream that blocked takes items again.
    Writable(StreamId),
    /// A stream that we send on is over and forgotten: [`Code::OK`] if the consumer got everything.
    Stopped {
        /// Which stream.
        stream: StreamId,
        /// Why.
        code: Code,
    },
    /// The peer let go of a callback of ours.
    Released(CallbackId),
    /// The peer takes no new calls any more; what runs will be finished.
    GoingAway {
        /// Why.
        code: Code,
        /// The same for people.
        text: String,
    },
    /// An answer to [`Connection::ping`](crate::Connection::ping).
    Pong {
        /// How long it took.
        round_trip: Duration,
    },
    /// The wire is over; every handle is void, except that items that came can still be
    /// [read](crate::Connection::read), and then the end of their stream:
    /// [`Code::WIRE_LOST`] unless the producer had ended it. The last event there is.
    Closed {
        /// Why.
        cause: Cause,
    },
}
