//! Procedure calls, streams and callbacks between two programs, over anything that carries bytes in
//! order.
#![cfg_attr(not(feature = "std"), no_std)]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of the engine and of shapes are open"
)]

pub use ipfi_proto as proto;

#[cfg(feature = "std")]
mod call;
#[cfg(feature = "std")]
mod callback;
#[cfg(feature = "std")]
mod codec;
#[cfg(feature = "std")]
mod context;
#[cfg(feature = "std")]
mod describe;
#[cfg(feature = "std")]
mod driver;
#[cfg(feature = "std")]
mod error;
#[cfg(feature = "std")]
mod handler;
#[cfg(feature = "std")]
mod interface;
#[cfg(feature = "std")]
mod options;
#[cfg(feature = "std")]
mod scope;
#[cfg(feature = "std")]
mod serve;
#[cfg(feature = "tokio")]
mod server;
#[cfg(feature = "std")]
mod shape;
#[cfg(feature = "std")]
mod shared;
#[cfg(feature = "std")]
mod stream;
#[cfg(feature = "std")]
mod sync;
#[cfg(feature = "std")]
mod value;
#[cfg(feature = "std")]
mod wire;

#[cfg(feature = "tokio")]
pub use self::server::{Server, Stopper};
#[cfg(feature = "std")]
pub use self::{
    call::{Call, Pending},
    callback::Callback,
    codec::Codec,
    context::Context,
    describe::{Description, ProcedureDescription},
    error::{CallError, Fault, StreamError},
    handler::{AsValue, Async, Erased, Given, Handler, OrFault, Place, Plain, Reply, With},
    interface::Interface,
    options::WireOptions,
    shape::Shape,
    stream::{Finish, Receiver, Recv, Send, Sender, channel},
    sync::wait,
    value::{Bytes, Value},
    wire::Wire,
};
#[cfg(feature = "macros")]
pub use ipfi_macros::service;
#[cfg(feature = "std")]
pub use ipfi_proto::{Cause, Code, Limits, Priority, SharedBudget, Started};

/// Names that signatures need and users do not.
#[cfg(feature = "std")]
#[doc(hidden)]
pub mod hidden {
    pub use crate::handler::{AsValue, Async, Erased, Given, OrFault, Place, Plain, With};
}
