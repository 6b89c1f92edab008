//! `ipfi`: procedures from a terminal.

use std::process::ExitCode;

fn main() -> ExitCode {
    ipfi_cli::main(&ipfi_transports::default_registry())
}
