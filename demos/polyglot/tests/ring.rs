//! The text goes around.

use std::{path::Path, process::Command};

/// The largest that the WebAssembly guest may be, in bytes.
const GUEST: u64 = 64 << 10;

#[test]
fn each_language_calls_the_next() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut demo = Command::new(here.join("demo.sh"));
    let output = demo.arg(env!("CARGO_BIN_EXE_demo-polyglot")).output().expect("sh");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(text, "Rust -> C -> WebAssembly -> Python -> Rust\n", "{errors}");
    let guest = here.join("../../target/polyglot/ring.wasm");
    let size = guest.metadata().expect("the guest").len();
    assert!(size <= GUEST, "the guest is {size} bytes, at most {GUEST} are allowed");
}
