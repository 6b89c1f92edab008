//! A reliable, ordered stream of bytes over a link that flips, drops and invents them.
//!
//! [`Link`] is a state machine: bytes in, bytes out, and the time as an argument. It knows no
//! socket, no thread and no clock, so the same code runs over a serial line, in a simulation and in
//! a microcontroller. `SPEC.md`, beside the sources, says what goes over the line.
#![no_std]
#![warn(clippy::indexing_slicing)]

extern crate alloc;
#[cfg(any(test, feature = "tokio"))]
extern crate std;

#[cfg(feature = "tokio")]
mod adapter;
mod config;
mod congestion;
mod error;
mod fec;
mod frame;
mod framing;
mod greeting;
mod line;
mod link;
mod loss;
mod number;
mod ranges;
mod receiver;
mod rtt;
mod sender;
mod statistics;
mod time;
mod turn;
#[cfg(test)]
mod vectors;

#[cfg(feature = "tokio")]
pub use adapter::{Arq, ArqOptions, Correction, Escape, connect, random_id};
pub use config::{Config, EscapeMap, Fec, HalfDuplex, Profile};
pub use error::{Ended, WriteError};
pub use greeting::Greeting;
pub use link::{Link, Outlook, State};
pub use statistics::Statistics;
pub use time::Instant;
