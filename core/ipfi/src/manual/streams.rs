//! Items in both directions, and credit.
//!
//! [`channel`](crate::channel) makes two halves; one of them goes to the peer inside a call, as an
//! argument, in a result, in an item, or deep in a struct. The direction is up to you:
//!
//! ```
//! use ipfi::{Interface, Receiver, Sender, Wire, channel};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Interface::new()
//!     .procedure("count", async |to: u32, out: Sender<u32>| {
//!         // An error says that nobody listens any more.
//!         let _ = out.send_all(1..=to).await;
//!     })
//!     .procedure("sum", async |mut numbers: Receiver<u32>| {
//!         let mut sum = 0;
//!         while let Ok(Some(n)) = numbers.recv().await {
//!             sum += n;
//!         }
//!         sum
//!     });
//! let (wire, _other) = Wire::pair(Interface::new(), server);
//!
//! let (sender, mut counted) = channel::<u32>(8);
//! let counting = wire.call::<()>("count", (3u32, sender)).start();
//! let (numbers, receiver) = channel::<u32>(8);
//! let sum = wire.call::<u32>("sum", (receiver,)).start();
//! while let Some(n) = counted.recv().await? {
//!     numbers.send(n).await?;
//! }
//! numbers.finish().await?;
//! counting.await?;
//! assert_eq!(sum.await?, 6);
//! # Ok(()) }
//! ```
//!
//! [`send_all`](crate::Sender::send_all) is for what an iterator gives at once, and the fastest way for
//! many small items; [`send`](crate::Sender::send) for items that come one by one.
//!
//! Each stream has credit of its own, [`Limits::stream_window`](crate::Limits::stream_window) bytes: a
//! slow receiver stops its sender, and nothing else on the wire. Small items are put together in
//! frames; large ones are cut, and take turns with everything else.
//!
//! Dropping the sender finishes the stream, dropping the receiver stops the sender. If a panic drops
//! the sender, the receiver gets an error instead of the end. A stream may outlive the call that
//! carried it; it ends with the wire.
//!
//! What came from one peer can be sent on, to another or back to the same: items are then relayed as
//! they are, at the pace of the slowest. The codec of both wires must be the same. `Ok` of
//! [`finish`](crate::Sender::finish) then says that the relay has taken every item; an end is told on
//! as an end, an error and the loss of a wire as an error.
