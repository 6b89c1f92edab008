//! `ipfi-bridge A B`: joins any two byte streams.

use std::process::ExitCode;

fn main() -> ExitCode {
    ipfi_bridge::main(&ipfi_transports::default_registry())
}
