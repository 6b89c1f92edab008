//! Giving up, deadlines, closing.
//!
//! Dropping a [`Pending`](crate::Pending) gives the call up; so does a future that holds one, for
//! example in `select!`. The peer is told: an asynchronous procedure is dropped where it waits, unless
//! it takes a [`Context`](crate::Context); then it is told and decides itself. A plain function runs to
//! its end; a long one looks at [`cancelled`](crate::Context::cancelled) from time to time.
//!
//! ```
//! use ipfi::{Code, Context, Interface, Wire};
//! use std::time::Duration;
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let server = Interface::new().procedure("search", async |context: Context, what: String| {
//!     tokio::select! {
//!         code = context.on_cancel() => format!("{what} was not found: {code}"),
//!         () = std::future::pending() => unreachable!(),
//!     }
//! });
//! let (wire, _other) = Wire::pair(Interface::new(), server);
//! let search = wire.call::<String>("search", ("it",)).deadline(Duration::from_millis(5));
//! assert_eq!(search.await.unwrap_err().code(), Code::DEADLINE);
//! # }
//! ```
//!
//! A deadline travels as the time that is left, so the clocks of the two sides do not matter.
//! [`WireOptions::deadline`](crate::WireOptions::deadline) sets one for all calls.
//!
//! A wire closes in peace when its last [`Wire`](crate::Wire) is dropped or by
//! [`close`](crate::Wire::close): what runs is finished, new calls are refused with
//! [`Code::GOING_AWAY`](crate::Code::GOING_AWAY) and did not start. [`abort`](crate::Wire::abort) cuts it.
//! However it ends, everybody who waits learns the [`Cause`](crate::Cause) at once.
