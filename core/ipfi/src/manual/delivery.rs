//! What `Ok` means, what it does not, and when a retry is safe.
//!
//! * `Ok` of a **call**: the procedure ran to its end, once, and this is what it returned.
//! * `Ok` of [`send`](crate::Sender::send): the item is on its way. The receiver may never see it.
//!   `Ok` of [`finish`](crate::Sender::finish): the receiver has taken every item. Whether it did
//!   anything with them, only an answer of its own can tell.
//! * `Ok(None)` of [`recv`](crate::Receiver::recv): the sender finished; nothing is missing. A stream
//!   that was cut is an error, never an end. Items that had come when the wire broke are received
//!   before the error.
//!
//! A call that failed says whether its procedure [started](crate::CallError::started):
//!
//! | started | example | a retry |
//! |---|---|---|
//! | `No` | refused, no such procedure, the wire was gone already | does nothing twice |
//! | `Maybe` | the wire broke before the answer came | is safe if doing it twice is |
//! | `Yes` | the procedure failed or panicked, the answer was too large | likewise |
//!
//! Calls on one wire are begun in the order in which they were made, if their priorities are the
//! same and their arguments are small. Those that wait run side by side; answers come in any order.
//!
//! Nothing is repeated behind your back, and there is no reconnecting: make a new wire, and decide
//! for each call.
//!
//! ```
//! use ipfi::{Interface, Started, Wire};
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let (wire, other) = Wire::pair(Interface::new(), Interface::new());
//! let error = wire.call::<u8>("missing", ()).await.unwrap_err();
//! assert_eq!(error.started(), Started::No);
//! drop(other);
//! wire.closed().await;
//! let error = wire.call::<u8>("missing", ()).await.unwrap_err();
//! assert_eq!(error.started(), Started::No);
//! # }
//! ```
