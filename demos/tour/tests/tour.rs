//! The tour shows what it says it shows.

use std::{path::Path, process::Command};

#[test]
fn each_step_has_its_result() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Beside this test, or the script builds them.
    let me = std::env::current_exe().expect("a path");
    let programs = me.parent().and_then(Path::parent).expect("target/debug");
    let output = Command::new(here.join("tour.sh")).arg(programs).output().expect("bash");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    let mut rest = &*text;
    for expected in [
        "divide(f64, f64) -> f64",
        "    3.5\n",
        "division by zero",
        "    exit status 6\n",
        "    500500.0\n",
        "    1 2 4 8 16 32 64\n",
        "callback: [25",
        "callback: [100",
        "    5.0\n",
        "    42.0\n",
        "    21.5 degrees, said hello\n",
        "5 round trips: minimum",
        "    \"500\"\n",
        "21.5 degrees, said Ada\n",
        "21.5 degrees, said Grace\n",
        "21.5 degrees, said Edsger\n",
        "21.5 degrees, said Barbara\n",
        "count(Vec<String>, Receiver<String>, Sender<String>)",
        "1000 calls in ",
        "    Rust -> C -> WebAssembly -> Python -> Rust\n",
        "That is all of it.",
    ] {
        let at = rest.find(expected);
        rest = &rest[at.unwrap_or_else(|| panic!("no {expected:?} in {rest}\n{text}{errors}"))..];
    }
}
