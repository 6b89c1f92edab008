//! One list of checks for IPFI peers in any language: see `README.md`.
//!
//! A [`Peer`] is a command. [`list`] gives the checks, each of which starts the command as often as it
//! likes; [`harness()`] runs them as tests.

#![expect(clippy::wildcard_enum_match_arm, reason = "whatever else comes is a failed check")]

mod build;
mod checks;
mod harness;
mod process;
mod raw;
pub mod service;
mod session;
mod split;

pub use self::{
    build::built,
    checks::{Check, list},
    harness::harness,
    process::Peer,
};
