//! The program as a user meets it: real sockets, terminals, children and signals.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, helpers too")]

mod busy;
mod cli;
mod closing;
mod common;
mod device;
mod errors;
mod links;
mod many;
mod stopping;
mod systemd;
