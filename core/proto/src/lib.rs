//! The IPFI protocol engine: bytes in, bytes out, events out.
//!
//! Two programs call each other's procedures over one stream of bytes: TCP, a pipe, a serial line,
//! Morse code. This crate holds the state of one end of that and nothing else: it does no I/O, reads
//! no clock, knows no codec, has no dependencies and needs no standard library. What the bytes mean is
//! written in `SPEC.md` beside it, for those who write the other end in another language.
//!
//! Most programs want the `ipfi` crate, which puts drivers, codecs and typed handles around this.
//!
//! # How a driver loops
//!
//! ```
//! use ipfi_proto::{Config, Connection, Event, Failure, Code, Started, Instant};
//! use std::io::{self, Read, Write};
//!
//! /// Serves a peer that waits for each answer before it says more: enough for a device.
//! fn serve(mut wire: impl Read + Write, clock: impl Fn() -> Instant) -> io::Result<()> {
//!     let mut engine = Connection::new(Config::default().with_serve_only(), clock());
//!     let mut buffer = [0; 512];
//!     loop {
//!         while let Some(event) = engine.poll_event() {
//!             match event {
//!                 Event::Call { call, payload, .. } if payload.is_empty() => {
//!                     let nothing = Failure::new(Code::BAD_ARGUMENTS, Started::No);
//!                     engine.fail(call, &nothing.with_text("say something"));
//!                 }
//!                 Event::Call { call, payload, .. } => {
//!                     let _ = engine.answer(clock(), call, payload.into(), &[]);
//!                 }
//!                 _ => {}
//!             }
//!         }
//!         loop {
//!             let n = engine.poll_transmit(clock(), &mut buffer);
//!             if n == 0 {
//!                 break;
//!             }
//!             wire.write_all(&buffer[..n])?;
//!         }
//!         if engine.is_closed() {
//!             return Ok(());
//!         }
//!         // A driver that has timers waits no longer than `engine.poll_timeout()` says.
//!         match wire.read(&mut buffer)? {
//!             0 => engine.receive_end(),
//!             n => drop(engine.receive(clock(), &buffer[..n])),
//!         }
//!         engine.handle_timeout(clock());
//!     }
//! }
//! # struct Loop(io::Cursor<Vec<u8>>, Vec<u8>);
//! # impl Read for Loop { fn read(&mut self, b: &mut [u8]) -> io::Result<usize> { self.0.read(b) } }
//! # impl Write for Loop {
//! #     fn write(&mut self, b: &[u8]) -> io::Result<usize> { self.1.write(b) }
//! #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
//! # }
//! # let call = b"\x1f\xf1\x01\x01\0\0\0\0\x0b\xcb\0\0\0\0\0\0\0\0\0f\x04\0\0hi\x02\xcf\0";
//! # let mut wire = Loop(io::Cursor::new(call.to_vec()), Vec::new());
//! # serve(&mut wire, || Instant::from_micros(0)).unwrap();
//! # assert!(wire.1.ends_with(b"\x03\x40hi"));
//! ```
//!
//! # What belongs to whom
//!
//! * A call of ours ends with exactly one [`Event::Answer`] or [`Event::Failed`], or with our own
//!   [`cancel`](Connection::cancel). A call of the peer is ours to end, once, with
//!   [`answer`](Connection::answer) or [`fail`](Connection::fail), also after [`Event::Cancelled`].
//! * Streams and callbacks travel *beside* a payload, in a list, and the payload refers to them by
//!   their places in it. So whoever relays messages between two wires can translate them without
//!   understanding the codec, and those in a payload that cannot be decoded are not lost.
//! * What comes in such a list is ours: to be used, or let go with [`dispose`](Connection::dispose).
//!   What we put in one belongs to the engine from then on; if the message is never sent, we learn it
//!   by [`Event::Stopped`], the end of the stream, or [`Event::Released`].
//! * A stream we send on ends with exactly one [`Event::Stopped`], a stream we read from with one
//!   [`Read::End`], a callback of ours with one [`Event::Released`]; unless we stopped reading
//!   ourselves, or the wire ended.
//! * An event that was queued before we gave something up may still name it. Identifiers are never
//!   used twice, so nothing can be mistaken; methods ignore what is gone or say so.
//! * [`Event::Closed`] is the last event, and ends everything that had no end yet. Items that came
//!   before can still be read; [`stop`](Connection::stop) lets go of those that are not wanted.
//!
//! # What is bounded
//!
//! See [`Limits`]. A call that finds no place waits in the engine of the caller; a message that finds
//! no room waits half way, or is refused with a code that says that a retry is safe; an item that has
//! no credit is given back as [`SendError::Blocked`]. What the peer must not do ends the wire.
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
pub use connection::{Connection, Direct, Stats};
pub(crate) use error::Breach;
pub use error::{CallError, Cause, Code, Failure, HandleError, ProtocolError, SendError, Started};
pub use event::{
    Arguments, CallId, CallOptions, CallbackId, Called, Direction, Event, Handle, IncomingId,
    Items, Read, Received, RemoteCallbackId, StreamId, Target,
};
pub use handshake::{PeerLimits, VERSION};
pub use limits::{Config, Limits, MAX_HANDLES, MAX_NAME, MAX_TEXT, Priority};
pub use time::Instant;
