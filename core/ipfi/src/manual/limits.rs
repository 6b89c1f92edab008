//! What a stranger can make you hold.
//!
//! Every limit is in [`Limits`](crate::Limits), with its default and what it costs, and is checked
//! before anything is allocated. [`worst_case`](crate::Limits::worst_case) is the sum, in bytes, whatever
//! the peer sends and however little it reads:
//!
//! ```
//! use ipfi::{Interface, Limits, SharedBudget, WireOptions};
//! let limits = Limits { max_message: 64 << 10, max_buffered: 1 << 20, max_calls: 64, ..Limits::default() };
//! assert!(limits.worst_case() < 8 << 20);
//! // All peers together: at most 256 MiB, and 4 KiB for each wire.
//! let everybody = SharedBudget::new(256 << 20);
//! let options = WireOptions::new().limits(limits).budget(everybody).serve_only();
//! # let _ = options;
//! // Over all wires, at most 1000 procedures at once; 5000 calls more may wait for their turn.
//! let interface = Interface::new()
//!     .procedure("add", |a: i64, b: i64| a + b)
//!     .max_running(1000)
//!     .max_waiting(5000);
//! # let _ = interface;
//! ```
//!
//! A call beyond a limit is refused with a reason, and did not start. A peer that breaks the protocol
//! loses its wire; other wires of the same interface do not notice.
//!
//! What the limits cannot count is what your procedures make of their arguments: decoded values may be
//! larger than their bytes by the size of their types, and a stream's receiver holds one batch of items
//! more than its window while you use it. Lists of values that take no bytes (`Vec<()>`) cannot be
//! received at all, and values may be nested 128 deep.
