//! Procedure calls, streams and callbacks between two programs, over anything that carries bytes in
//! order.
//!
//! ```
//! use ipfi::{Interface, Wire};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ipfi::CallError> {
//! let server = Interface::new().procedure("add", |a: i64, b: i64| a + b);
//! let (wire, _other) = Wire::pair(Interface::new(), server);
//! assert_eq!(wire.call::<i64>("add", (2, 3)).await?, 5);
//! # Ok(()) }
//! ```
//!
//! Start with the [`manual`]: [a first call](manual::first_call) takes five minutes. [`service`] makes a
//! server and a typed client of a trait.
//!
//! Features: `tokio` and `blocking` drive wires, `bincode` and `msgpack` write values, `macros` brings
//! [`service`], `tracing` tells what wires do. All but `msgpack` and `tracing` are on by default. Without any
//! there is just the engine, [`proto`].
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(
    not(all(
        any(feature = "tokio", feature = "blocking"),
        any(feature = "bincode", feature = "msgpack")
    )),
    allow(
        dead_code,
        unreachable_patterns,
        unused_imports,
        reason = "without a driver and a codec, only types are left"
    )
)]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of the engine and of shapes are open"
)]

pub use ipfi_proto as proto;

/// Shaped like the crate `cfg-if`, because rustfmt looks for modules in that.
macro_rules! cfg_if {
    (if #[cfg($condition:meta)] { $($item:item)* }) => { $(#[cfg($condition)] $item)* };
}

cfg_if! { if #[cfg(feature = "std")] {
    mod arguments;
    mod call;
    mod callback;
    mod codec;
    mod context;
    mod describe;
    mod driver;
    mod error;
    mod handler;
    mod interface;
    mod memory;
    mod options;
    mod parts;
    mod queue;
    mod raw;
    mod scope;
    mod serve;
    mod shape;
    mod shared;
    mod stream;
    mod sync;
    mod trace;
    mod value;
    mod wire;

    pub use self::{
        arguments::ArgumentReader,
        call::{Call, Pending},
        callback::Callback,
        codec::Codec,
        context::Context,
        describe::{Description, ProcedureDescription},
        error::{CallError, Fault, StreamError},
        handler::{AsValue, Async, Erased, Given, Handler, OrFault, Place, Plain, Reply, With},
        interface::Interface,
        options::WireOptions,
        parts::Parts,
        raw::{Came, Inbound, Outbound, Raw, RawHandle},
        shape::Shape,
        stream::{Finish, Receiver, Recv, Send, SendAll, Sender, channel},
        sync::wait,
        value::{Bytes, Value},
        wire::Wire,
    };
    pub use ipfi_proto::{Cause, Code, Limits, Priority, SharedBudget, Started};
} }

#[cfg(all(feature = "tokio", feature = "blocking", feature = "bincode", feature = "macros"))]
pub mod manual;
#[cfg(feature = "tokio")]
mod server;

#[cfg(feature = "tokio")]
pub use self::server::{Server, Stopper};
#[cfg(feature = "macros")]
pub use ipfi_macros::service;

/// Names that signatures need and users do not.
#[cfg(feature = "std")]
#[doc(hidden)]
pub mod hidden {
    pub use crate::{
        handler::{AsValue, Async, Erased, Given, OrFault, Place, Plain, With},
        raw::Came,
        scope::Written,
    };
}
