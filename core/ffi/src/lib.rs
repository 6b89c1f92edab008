//! The IPFI protocol engine for C, WebAssembly and everybody who can pass integers.
//!
//! `include/ipfi.h` says what each function does; `cargo rustc -p ipfi-ffi --release --crate-type` with
//! `staticlib` or `cdylib` makes the library, and for WebAssembly the module. Everything can be done by 32-bit integers, one byte at a time, so that
//! hosts need not share memory with their guests; for those that do there are functions with buffers
//! beside the others. Guests in Rust use [`Port`], which is the same without C.
//!
//! # How a program loops
//!
//! ```c
//! uint32_t wire = ipfi_open();
//! for (;;) {
//!     int32_t event, byte;
//!     while ((event = ipfi_event(wire)) > 0) handle(wire, event);
//!     while ((byte = ipfi_transmit(wire)) >= 0) putchar(byte);
//!     fflush(stdout);
//!     if (ipfi_is_closed(wire)) break;
//!     byte = getchar();  /* wait no longer than ipfi_timeout() says */
//!     if (byte == EOF) ipfi_receive_end(wire); else ipfi_receive(wire, byte);
//!     ipfi_elapse(wire, microseconds_since_last_time());
//! }
//! ipfi_free(wire);
//! ```
//!
//! # Rules
//!
//! * A connection has a *handle*, everything in it (calls, streams, callbacks, procedures) a *number*.
//!   Neither is used again soon: what is gone is an error, not somebody else.
//! * Results from 0 up are good; those below are the constants `IPFI_NONE` and so on.
//! * What goes out is *put* first, byte by byte or as a whole, streams and callbacks are *given*; the
//!   next command takes it all. What comes in is *taken* from the last event or item; what nobody took
//!   is let go when the next one comes.
//! * No function panics, whatever it is given, apart from pointers to memory that is not there.
//!   Several threads may use handles at once; those that use the same one wait for each other.
//!
//! This is the only crate with unsafe code: see `exports` and `lock`.
#![no_std]
#![warn(clippy::indexing_slicing)]
#![allow(clippy::wildcard_enum_match_arm, reason = "the enums of the engine are open")]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "exports")]
mod exports;
#[cfg(feature = "exports")]
mod handles;
#[cfg(feature = "exports")]
mod lock;
mod port;
mod status;
mod things;

#[cfg(feature = "exports")]
pub use self::exports::*;
pub use self::{
    port::{
        IPFI_CALL_HIGH, IPFI_CALL_LOW, IPFI_CALL_MORE, IPFI_EVENT_ANSWER, IPFI_EVENT_CALL,
        IPFI_EVENT_CALLBACK, IPFI_EVENT_CANCELLED, IPFI_EVENT_CLOSED, IPFI_EVENT_FAILED,
        IPFI_EVENT_GOING_AWAY, IPFI_EVENT_HELLO, IPFI_EVENT_PONG, IPFI_EVENT_READABLE,
        IPFI_EVENT_RELEASED, IPFI_EVENT_STOPPED, IPFI_EVENT_WRITABLE, IPFI_INCOMING,
        IPFI_OPTION_BUFFERED, IPFI_OPTION_CODEC, IPFI_OPTION_HANDSHAKE, IPFI_OPTION_IDLE,
        IPFI_OPTION_KEEPALIVE, IPFI_OPTION_LIMITS, IPFI_OPTION_SERVE_ONLY, IPFI_OPTION_SPEED,
        IPFI_OUTGOING, Port,
    },
    status::*,
    things::{
        IPFI_KIND_CALL, IPFI_KIND_CALLBACK, IPFI_KIND_INCOMING, IPFI_KIND_PROCEDURE,
        IPFI_KIND_RECEIVER, IPFI_KIND_REMOTE, IPFI_KIND_SENDER,
    },
};

#[cfg(all(target_family = "wasm", not(feature = "std")))]
mod bare;
