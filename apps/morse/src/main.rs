//! `morse`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ipfi_morse_app::main()
}
