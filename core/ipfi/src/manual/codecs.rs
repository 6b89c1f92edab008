//! How values are written, and how a mismatch is found.
//!
//! | codec | feature | for |
//! |---|---|---|
//! | [bincode 2](crate::Codec), standard configuration | `bincode` (default) | Rust on both sides: smallest and fastest |
//! | `MessagePack` | `msgpack` | other languages and tools: values describe themselves |
//!
//! The codec is named in the first bytes of a wire; sides that insist on different ones part at once.
//! A server may [follow its peers](crate::WireOptions::codec_of_peer).
//!
//! bincode does not describe itself: what was written as two `u32` would be read as two other `i64`.
//! So each procedure has a *fingerprint* of its signature, which travels once, with its name, before
//! its first call; if it differs, calls are errors, not misread numbers. It is made of what serde knows
//! of the types: kinds of values, names and order of fields and variants. It ignores names of types and
//! widths of integers (except `u8` and `i8`), because a small number is written alike at any width and one
//! that does not fit is an error.
//!
//! ```
//! # use ipfi::{Interface, Wire};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ipfi::CallError> {
//! let server = Interface::new().procedure("add", |a: i64, b: i64| a + b).doc("Adds.");
//! let (wire, _other) = Wire::pair(Interface::new(), server);
//! let all = wire.describe(&[]).await?;
//! assert_eq!(all.procedures[0].signature, "(i64, i64) -> i64");
//! // Whoever keeps it sends its hash the next time, and gets eight bytes instead.
//! assert_eq!(wire.describe(&[all.clone()]).await?, all);
//! # Ok(()) }
//! ```
//!
//! Two things follow: arguments derive both `Serialize` and `Deserialize`, and what is already encoded
//! goes as [`Raw`](crate::Raw). A `Vec<u8>` is a list of numbers for serde;
//! [`Bytes`](crate::Bytes) are copied as a whole.
//!
//! # For other languages
//!
//! A caller that does not know a fingerprint says 0, which matches any signature. The procedure
//! `ipfi.describe` tells what there is: its arguments are one list of hashes (`u64`) of descriptions that the
//! caller has kept; its result is the enum `Known(hash)` or `New { hash, procedures }`, each procedure with
//! `name`, `signature`, `doc` and `fingerprint`. In `MessagePack` structs are maps, enums are maps of one entry
//! (or a string, for variants without content), and arguments are an array.
//!
//! Streams and callbacks are written as one unsigned number: their place in the list of handles of the
//! message or item (section 4.7 of the specification, `core/proto/SPEC.md`).
