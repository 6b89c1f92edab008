//! A small WebAssembly guest with one procedure, which calls one of its host: a link of the ring in
//! `demos/polyglot`.
//!
//! `pass(text) -> text` adds this language to the text, hands it to the host's `pass`, and answers what that
//! answered. Nothing but integers passes the border, one byte at a time.
#![no_std]
#![allow(clippy::must_use_candidate, reason = "the host calls them")]
#![allow(clippy::wildcard_enum_match_arm, reason = "the enums of the engine are open")]
#![expect(unsafe_code, reason = "exported names")]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::UnsafeCell;

use ipfi_proto::{
    CallId, CallOptions, Called, Code, Config, Connection, Event, Failure, IncomingId, Instant,
    Limits, Received, Started, Target,
};

// The heap, and what is to be done at a panic.
use ipfi_ffi as _;

const NAME: &str = "pass";
const MINE: &[u8] = b" -> WebAssembly";

struct Guest {
    engine: Connection,
    /// Whether the host's procedure of each number is ours.
    bound: Vec<bool>,
    /// The host's procedure, once it was called.
    pass: Option<Target>,
    /// Calls of ours, and whom they answer.
    calls: Vec<(CallId, IncomingId)>,
}

/// This guest needs no clock: it has no deadlines, and its host knows when it is gone.
const NOW: Instant = Instant::from_micros(0);

impl Guest {
    fn new() -> Self {
        let limits =
            Limits { handshake_timeout: None, arguments_timeout: None, ..Limits::smallest() };
        let config = Config::default().with_codec(2).with_limits(limits);
        Self {
            engine: Connection::new(config, NOW),
            bound: Vec::new(),
            pass: None,
            calls: Vec::new(),
        }
    }

    fn run(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            match event {
                Event::Bound { name, .. } => self.bound.push(name == NAME),
                Event::Call { call, called, payload, handles, .. } => {
                    let known = match &called {
                        Called::Procedure(number) => {
                            self.bound.get(*number as usize) == Some(&true)
                        }
                        Called::Named { name, .. } => name == NAME,
                        _ => false,
                    };
                    let begun = if known {
                        self.pass_on(call, &payload)
                    } else {
                        Err(Code::NO_SUCH_PROCEDURE)
                    };
                    if let Err(code) = begun {
                        self.engine.fail(call, &Failure::new(code, Started::No));
                    }
                    self.let_go(handles);
                }
                Event::Answer { call, payload, handles } => {
                    if let Some(caller) = self.take(call) {
                        let _ = self.engine.answer(NOW, caller, payload.into(), &[]);
                    }
                    self.let_go(handles);
                }
                Event::Failed { call, failure } => {
                    if let Some(caller) = self.take(call) {
                        self.engine.fail(caller, &failure);
                    }
                }
                Event::Cancelled { call, code } => {
                    self.engine.fail(call, &Failure::new(code, Started::Yes));
                }
                _ => {}
            }
        }
    }

    fn pass_on(&mut self, caller: IncomingId, arguments: &[u8]) -> Result<(), Code> {
        let text = text(arguments).ok_or(Code::BAD_ARGUMENTS)?;
        // One text of up to 65,535 bytes.
        let len = u16::try_from(text.len() + MINE.len()).map_err(|_| Code::TOO_LARGE)?;
        let mut out = Vec::from([0x91, 0xda]);
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(text);
        out.extend_from_slice(MINE);
        let target = match &self.pass {
            Some(target) => target.clone(),
            None => self.pass.insert(self.engine.bind(NAME, 0)).clone(),
        };
        let options = CallOptions::default();
        let call = self.engine.open_call(NOW, &target, out.into(), &[], options);
        self.calls.push((call.map_err(|_| Code::FAILED)?, caller));
        Ok(())
    }

    fn take(&mut self, call: CallId) -> Option<IncomingId> {
        let at = self.calls.iter().position(|(other, _)| *other == call)?;
        Some(self.calls.swap_remove(at).1)
    }

    fn let_go(&mut self, handles: Vec<Received>) {
        for received in handles {
            self.engine.dispose(received, Code::DROPPED);
        }
    }
}

/// The text in arguments that are just that.
fn text(arguments: &[u8]) -> Option<&[u8]> {
    let (len, text) = match arguments {
        [0x91, head @ 0xa0..=0xbf, text @ ..] => (usize::from(head & 31), text),
        [0x91, 0xd9, len, text @ ..] => (usize::from(*len), text),
        [0x91, 0xda, high, low, text @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), text)
        }
        _ => return None,
    };
    (text.len() == len).then_some(text)
}

/// As long as the module lives.
static GUEST: Cell = Cell(UnsafeCell::new(None));

struct Cell(UnsafeCell<Option<Box<Guest>>>);

// SAFETY: a module has one thread.
unsafe impl Sync for Cell {}

/// The guest, if `handle` is its.
fn guest(handle: u32) -> Option<&'static mut Guest> {
    // SAFETY: a module has one thread, and no exported function calls another, so there is one such
    // reference at a time.
    unsafe { (*GUEST.0.get()).as_deref_mut().filter(|_| handle == 1) }
}

// Names for WebAssembly only: elsewhere the library has functions of these names.

/// Begins; gives the handle for the others.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn ipfi_open() -> u32 {
    // SAFETY: as above.
    let place = unsafe { &mut *GUEST.0.get() };
    if place.is_none() {
        *place = Some(Box::new(Guest::new()));
    }
    1
}

/// Hands over a byte that arrived; -1 if that is not possible any more.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn ipfi_receive(handle: u32, byte: u32) -> i32 {
    let Some(guest) = guest(handle) else { return -2 };
    let good = guest.engine.receive(NOW, &[byte.to_le_bytes()[0]]).is_ok();
    guest.run();
    if good { 0 } else { -1 }
}

/// Gives the next byte to send, or -1.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn ipfi_transmit(handle: u32) -> i32 {
    let Some(guest) = guest(handle) else { return -2 };
    let mut byte = [0];
    match guest.engine.poll_transmit(NOW, &mut byte) {
        0 => -1,
        _ => byte[0].into(),
    }
}

/// Gives 1 if the wire is over.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn ipfi_is_closed(handle: u32) -> i32 {
    guest(handle).map_or(-2, |guest| guest.engine.is_closed().into())
}
