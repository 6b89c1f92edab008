//! The bridge, where the test finds it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ipfi_bridge::main(&ipfi_transports::default_registry())
}
