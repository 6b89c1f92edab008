//! A WebAssembly guest that passes nothing but integers: bytes in, bytes out.
//!
//! It serves and calls what `tests/peers/README.md` says. `host.mjs` runs it under Node, with standard
//! input and output for the bytes. Build it with
//!
//! ```sh
//! cargo build -p ipfi-ffi --example guest --no-default-features --profile guest --target wasm32-unknown-unknown
//! ```
#![no_std]
#![allow(clippy::must_use_candidate, reason = "the host calls them")]
#![allow(clippy::wildcard_enum_match_arm, reason = "the enums of the engine are open")]
#![expect(unsafe_code, reason = "exported names")]

extern crate alloc;

mod guest;
mod procedures;
mod value;

use alloc::boxed::Box;

use guest::Guest;
// The heap, and what is to be done at a panic.
use ipfi_ffi as _;

/// As long as the module lives: a host that wants another guest makes another instance.
static GUEST: Cell = Cell(core::cell::UnsafeCell::new(None));

struct Cell(core::cell::UnsafeCell<Option<Box<Guest>>>);

// SAFETY: a module has one thread.
unsafe impl Sync for Cell {}

/// The guest, if `handle` is its.
fn guest(handle: u32) -> Option<&'static mut Guest> {
    // SAFETY: a module has one thread, and no exported function calls another, so there is one such
    // reference at a time.
    unsafe { (*GUEST.0.get()).as_deref_mut().filter(|_| handle == 1) }
}

/// Begins; gives the handle for the others, 0 if that was done before.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn ipfi_open() -> u32 {
    // SAFETY: as above.
    let place = unsafe { &mut *GUEST.0.get() };
    if place.is_some() {
        return 0;
    }
    *place = Some(Box::new(Guest::new()));
    1
}

/// Hands over a byte that arrived.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn ipfi_receive(handle: u32, byte: u32) -> i32 {
    guest(handle).map_or(-2, |guest| guest.receive(byte.to_le_bytes()[0]))
}

/// The bytes ended.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn ipfi_receive_end(handle: u32) -> i32 {
    guest(handle).map_or(-2, Guest::receive_end)
}

/// Gives the next byte to send, or -1.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn ipfi_transmit(handle: u32) -> i32 {
    guest(handle).map_or(-2, Guest::transmit)
}

/// Lets so many microseconds pass.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn ipfi_elapse(handle: u32, micros: u32) -> i32 {
    guest(handle).map_or(-2, |guest| guest.elapse(micros))
}

/// Gives the milliseconds until time has to pass at the latest, or -1.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn ipfi_timeout(handle: u32) -> i32 {
    guest(handle).map_or(-2, |guest| guest.timeout())
}

/// Gives 0 as long as the wire is open, 1 when it ended well, 2 if the peer broke the protocol.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn ipfi_is_closed(handle: u32) -> i32 {
    guest(handle).map_or(-2, |guest| guest.closed)
}
