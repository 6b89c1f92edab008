//! A service like any other. That its calls cross the room as Morse is none of its business.

use ipfi::{Limits, WireOptions};

/// A telegraph office.
#[ipfi::service]
pub trait Telegraph {
    /// Takes a telegram, and reads it back as telegrams are written: in capitals.
    fn telegram(&self, text: String) -> String;
}

/// An office that does so.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing in it")]
pub struct Office;

impl Telegraph for Office {
    fn telegram(&self, text: String) -> String {
        println!("telegram: {text}");
        text.to_uppercase()
    }
}

/// How to talk about it: with patience, since a hello in plain Morse takes a minute.
#[must_use]
pub fn options() -> WireOptions {
    let limits = Limits { handshake_timeout: None, ..Limits::default() };
    WireOptions::new().limits(limits)
}
