//! `ipfi-bridge A B`: joins any two byte streams.
//!
//! This library is the whole program but for the list of transports, so that a program with
//! transports of its own is five lines:
//!
//! ```no_run
//! use ipfi_transport::Memory;
//!
//! fn main() -> std::process::ExitCode {
//!     ipfi_bridge::main(&ipfi_transports::default_registry().with(Memory::new()))
//! }
//! ```

mod bridge;
mod cli;
mod config;
mod describe;
mod exit;
mod hub;
mod log;
mod meter;
mod peer;
mod port;
mod queue;
mod relay;
mod run;
mod session;
mod settings;
#[cfg(target_os = "linux")]
mod splice;
mod stats;
mod systemd;

pub use exit::Exit;

use std::process::ExitCode;

use clap::Parser;
use ipfi_transport::Registry;

/// Runs the program with the transports of `registry`, on the command line of this process.
#[must_use]
pub fn main(registry: &Registry) -> ExitCode {
    let cli = cli::Cli::parse();
    match run::run(&cli, registry) {
        Ok(exit) => exit.into(),
        Err(error) => {
            if exit::is_broken_pipe(&error) {
                return Exit::Finished.into(); // Whoever reads our output has seen enough.
            }
            log::error(&error.to_string());
            exit::of(&error).into()
        }
    }
}
