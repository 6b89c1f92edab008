//! Everything arrives, although bits are turned over.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

#[test]
fn calls_and_streams_survive_a_bad_line() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo-serial-pty"));
    let output = demo.arg(dir.path().join("tty")).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), output.stderr);
    assert!(output.status.success(), "{out}{}", String::from_utf8_lossy(&err));
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with("it answers after "), "{out}");
    assert_eq!(
        lines[1..],
        [
            "it is 21.5 degrees",
            "500 samples, 21.95 degrees on average",
            "it adds up 1000 numbers to 499500",
        ]
    );
}
