//! The whole story, through the simulated air.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::process::Command;

#[test]
fn a_call_by_morse_is_answered_read_along_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("morse.png");
    let story = Command::new(env!("CARGO_BIN_EXE_demo-morse"))
        .args(["--air", "--mode", "fast", "eureka", "--picture"])
        .arg(&picture)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&story.stdout);
    assert!(story.status.success(), "{said}{}", String::from_utf8_lossy(&story.stderr));
    assert!(said.contains("alice | telegram: eureka"), "{said}");
    assert!(said.contains(" s: EUREKA"), "{said}");
    // Somebody who only listens reads letters of both.
    let packets = said.lines().filter(|line| line.starts_with("   air | (fast, ")).count();
    assert!(packets >= 4, "{said}");
    let png = std::fs::read(picture).unwrap();
    assert!(png.starts_with(b"\x89PNG") && png.len() < 400_000, "{} bytes", png.len());
}
