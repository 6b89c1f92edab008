//! Over what it runs, and how to write a link of your own.
//!
//! A wire needs a stream of bytes in each direction, in order, complete and unchanged:
//! `AsyncRead + AsyncWrite` for [`Wire::spawn`](crate::Wire::spawn), `Read` and `Write` for
//! [`WireOptions::start`](crate::WireOptions::start). Two halves are joined by `tokio::io::join`, for example
//! the standard input and output of a child.
//!
//! The crate `ipfi-transport` opens streams by address (`tcp:host:7000`, `serial:/dev/ttyUSB0,baud=9600`,
//! `exec:ssh host agent`), puts layers on top (`arq+serial:` for lines that lose bytes), and defines the
//! trait for links of your own. Whatever it gives is a stream for a wire, and what listens there goes to a
//! [`Server`](crate::Server):
//!
//! ```
//! use ipfi::{Interface, Wire};
//! use ipfi_transport::Memory;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (here, there) = Memory::pair();
//! let _server = Wire::spawn(there, Interface::new().procedure("answer", || 42));
//! let wire = Wire::spawn(here, Interface::new());
//! assert_eq!(wire.call::<i32>("answer", ()).await?, 42);
//! # Ok(()) }
//! ```
//!
//! A wire needs every byte: on a link that may lose some, it would part with a message about the
//! protocol sooner or later. Open addresses with `Registry::open_reliable`, `dial_reliable` and
//! `listen_reliable`: these refuse such a link and say what to write instead, `arq+serial:...` for a
//! serial line, or `serial:...,reliable` for one that is known to be good.
//!
//! On slow links, frames and time-outs follow the speed that the wire measures. If buffers hide it (a
//! serial port, a modem), say it: `WireOptions::new().line(stream.line())` takes what the link knows
//! ([`WireOptions::line`](crate::WireOptions::line)), as a [`Server`](crate::Server) does by itself; so a
//! hello by Morse may take a minute. On TCP, switch `TCP_NODELAY` on.
