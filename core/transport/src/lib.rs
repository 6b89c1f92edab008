//! The contract between IPFI and the links it runs over.
//!
//! A link is an ordered stream of bytes in both directions, a [`ByteStream`]. A [`Transport`]
//! opens such streams, by dialling or by listening; an [`Address`] says in a line of text which
//! transport, where, with which options, and which layers go on top; a [`Registry`] holds the
//! transports that a program knows and opens addresses.
//!
//! Beside the contract there are the tools that every transport wants: [`Memory`] pairs, the
//! layers [`Noise`] (faults) and [`Trace`] (hex dumps), and the [`conformance`] suite.

mod address;
pub mod conformance;
mod error;
mod fault;
mod layer;
mod memory;
mod options;
mod random;
mod registry;
mod stream;
mod trace;
mod transport;
mod value;

pub use address::{Address, AddressError, is_name};
pub use error::{OpenError, reason};
pub use fault::{FaultInjector, Faults, Noise};
pub use layer::{Layer, Side};
pub use memory::{Memory, MemoryOptions, MemoryStream};
#[doc(hidden)]
pub use options::{__key, __parse};
pub use options::{OptionError, OptionSpec, Options};
pub use registry::Registry;
#[cfg(unix)]
pub use stream::Descriptors;
pub use stream::{BoxStream, ByteStream, Direction, Line, Medium, Reading, Value, boxed};
pub use trace::{Trace, TraceOptions, Tracer};
pub use transport::{
    AnyTransport, BoxFuture, CheckError, Description, Listener, Pairs, Place, Properties, Resolver,
    Transport,
};
pub use value::OptionValue;
