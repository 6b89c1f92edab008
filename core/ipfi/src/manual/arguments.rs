//! Arguments bit by bit: before they are all there, and longer than the memory.
//!
//! A caller need not have its arguments: [`Wire::call_in_parts`](crate::Wire::call_in_parts) opens the call,
//! and they follow one by one, or as bytes that are cut anywhere, even in the middle of an argument. Nothing
//! of this shows in the signature.
//!
//! Most procedures get them as a whole when they are complete: up to
//! [`Limits::max_message`](crate::Limits::max_message) bytes, within
//! [`Limits::arguments_timeout`](crate::Limits::arguments_timeout). A procedure that takes an
//! [`ArgumentReader`](crate::ArgumentReader) begins with the first byte, and there is no limit to what may
//! come:
//!
//! ```
//! use ipfi::{ArgumentReader, Bytes, Fault, Interface, Wire};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ipfi::CallError> {
//! type Upload = (String, Bytes);
//! let server = Interface::new().streaming("upload", async |_, mut args: ArgumentReader<Upload>| {
//!     let name: String = args.argument().await?;
//!     let announced = args.begin_bytes().await?;
//!     let mut stored = 0;
//!     while let Some(bytes) = args.bytes().await? {
//!         stored += bytes.len() as u64; // write them somewhere
//!     }
//!     assert_eq!(stored, announced);
//!     Ok::<String, Fault>(name)
//! });
//! let (wire, _other) = Wire::pair(Interface::new(), server);
//! let mut call = wire.call_in_parts::<Upload, String>("upload")?;
//! call.argument(&"recording").await?;
//! call.begin_bytes(3_000).await?;
//! for second in 0..3u8 {
//!     if call.is_over() {
//!         break; // it has its answer already
//!     }
//!     call.bytes(&[second; 1_000]).await?;
//! }
//! assert_eq!(call.finish().await?, "recording");
//! # Ok(()) }
//! ```
//!
//! What was sent and not read is bounded by [`Limits::message_window`](crate::Limits::message_window): a
//! slow procedure stops its caller, and nothing else on the wire. It may answer before it has read
//! everything; then the rest is not sent. If the caller gives up, the procedure is dropped where it
//! waits. And when such a call is lost with its wire, the procedure *may* have begun, however little
//! was sent ([`delivery`](super::delivery)).
//!
//! Several streams of items, or items with streams in them, are what a [`channel`](crate::channel) is for:
//! see [`streams`](super::streams). For encoded values there are
//! [`Interface::raw_streaming`](crate::Interface::raw_streaming) and, with
//! [`Call::in_parts`](crate::Call::in_parts), [`Wire::call_raw`](crate::Wire::call_raw).
