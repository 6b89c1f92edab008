//! Functions as values.
//!
//! A [`Callback`](crate::Callback) is made on one side, sent inside a call, and called on the other as
//! often as it likes. Calls of callbacks are calls: they have answers, errors, deadlines and can be
//! cancelled.
//!
//! ```
//! use ipfi::{Callback, Interface, Wire};
//! use std::sync::{Arc, Mutex};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ipfi::CallError> {
//! let server = Interface::new().procedure(
//!     "render",
//!     async |frames: u32, progress: Callback<(u32, u32)>| {
//!         for frame in 1..=frames {
//!             let _ = progress.call((frame, frames)).await;
//!         }
//!         format!("{frames} frames")
//!     },
//! );
//! let (wire, _other) = Wire::pair(Interface::new(), server);
//! let seen = Arc::new(Mutex::new(Vec::new()));
//! let see = seen.clone();
//! let progress: Callback<(u32, u32)> =
//!     Callback::new(move |frame: u32, _: u32| see.lock().unwrap().push(frame));
//! let done: String = wire.call("render", (2u32, progress)).await?;
//! assert_eq!(done, "2 frames");
//! assert_eq!(*seen.lock().unwrap(), [1, 2]);
//! # Ok(()) }
//! ```
//!
//! The closure is dropped when the peer drops its `Callback`, or when the wire ends. To call anything
//! else of the peer, a procedure takes a [`Context`](crate::Context) and uses its
//! [`wire`](crate::Context::wire).
//!
//! A callback that came from one peer can be sent on, to another or back to the same: calls are then
//! relayed, with their deadlines, errors and whatever is in their arguments. When the last one who
//! has it lets go, so does the relay.
