//! The IPFI protocol engine: bytes in, bytes out, events out.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

extern crate alloc;

mod budget;
mod connection;
mod error;
mod event;
mod frame;
mod handshake;
mod limits;
mod meter;
mod queue;
mod table;
mod time;
mod varint;

pub use budget::{FREE_ALLOWANCE, SharedBudget};
pub use connection::{Connection, Stats};
pub use error::{CallError, Cause, Code, Failure, HandleError, ProtocolError, SendError, Started};
pub use event::{
    CallId, CallOptions, CallbackId, Called, Direction, Event, Handle, IncomingId, Items, Read,
    Received, RemoteCallbackId, StreamId, Target,
};
pub use handshake::{PeerLimits, VERSION};
pub use limits::{Config, Limits, MAX_HANDLES, MAX_NAME, MAX_TEXT, Priority};
pub use time::Instant;
