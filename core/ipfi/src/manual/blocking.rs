//! The same without an asynchronous runtime.
//!
//! [`WireOptions::start`](crate::WireOptions::start) drives a wire with two threads. The handles are the
//! same; `.wait()` blocks where `.await` would wait, and [`wait`](crate::wait) blocks on any future.
//!
//! ```
//! use ipfi::{Interface, WireOptions, channel};
//! use std::net::{TcpListener, TcpStream};
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! std::thread::spawn(move || {
//!     let (stream, _) = listener.accept().unwrap();
//!     stream.set_nodelay(true).unwrap();
//!     let server = Interface::new().procedure("add", |a: i64, b: i64| a + b);
//!     let reader = stream.try_clone().unwrap();
//!     WireOptions::new().start(reader, stream, server).unwrap().detach();
//! });
//!
//! let stream = TcpStream::connect(address)?;
//! stream.set_nodelay(true)?;
//! let wire = WireOptions::new().start(stream.try_clone()?, stream, Interface::new())?;
//! assert_eq!(wire.call::<i64>("add", (2, 3)).wait()?, 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Asynchronous procedures and those added by [`Interface::blocking`](crate::Interface::blocking) run on
//! threads that come and go with the work. With the feature `blocking` alone nothing of tokio is built.
//!
//! A thread that blocks in `read` cannot be interrupted: after the wire has ended, the reading thread
//! stays until the other side closes the stream.
