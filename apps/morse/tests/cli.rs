//! The command line: what it prints and how it fails, as snapshots.
#![expect(clippy::expect_used, reason = "a test may panic")]

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs `morse` with this standard input; what it printed, where, and its exit code.
fn morse(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_morse"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .env("ALSA_CONFIG_PATH", "/dev/null") // no sound, whatever the machine has
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("morse is built");
    // It may end without reading.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        text.push_str("! ");
        text.push_str(line);
        text.push('\n');
    }
    text + &format!("exit {}", output.status.code().expect("not killed"))
}

#[test]
fn encode_prints_dots_and_dashes() {
    insta::assert_snapshot!(morse(&["encode", "CQ", "de", "<SK>"], ""), @r"
    -.-. --.- / -.. . / ...-.-
    exit 0
    ");
    insta::assert_snapshot!(morse(&["encode", "-"], "sos 1\n\nz%\n"), @r"
    ... --- ... / .----

    --..
    ! morse: `%` (character 2 of the text) has no Morse code; leave it out or spell it; it is left out
    exit 0
    ");
}

#[test]
fn what_cannot_be_sent_is_named_with_the_way_out() {
    let cases: &[&[&str]] = &[
        &["encode", "50%"],
        &["encode", "<AR"],
        &["encode", "E", "--wpm", "0"],
        &["encode", "E", "--wpm", "10000"],
        &["encode", "E", "--farnsworth", "25"],
        &["encode", "E", "--tone", "0"],
        &["encode", "E", "--tone", "1e6"],
        &["encode", "E", "--tone", "100", "--wpm", "300"],
        &["encode", "E", "--weight", "90"],
        &["encode", "E", "--level", "3"],
        &["encode", "E", "--rate", "0"],
        &["encode", "E", "--air", "snr=200"],
        &["encode", "E", "-o", "/no/such/place.wav"],
        &["train", "--chars", "%"],
        &["train", "--chars", " "],
    ];
    let all: Vec<_> = cases.iter().map(|case| morse(case, "")).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn clap_errors_end_with_2() {
    for case in [
        &["encode"][..],
        &["encode", "E", "--air", "snow=1"],
        &["encode", "E", "--pad", "x"],
        &["encode", "E", "--play", "-o", "x"],
        &["train", "--koch", "1"],
        &["sing"],
    ] {
        let printed = morse(case, "");
        assert!(printed.ends_with("exit 2"), "{case:?}: {printed}");
    }
}

#[test]
#[cfg(all(target_os = "linux", feature = "audio"))]
fn a_machine_without_sound_says_so_and_ends_with_3() {
    for case in [
        &["encode", "E", "--play"][..],
        &["devices"],
        &["train"],
        &["encode", "E", "--play", "--device", "nonesuch"],
    ] {
        let printed = morse(case, "");
        let errors = printed.lines().filter(|line| line.starts_with("! ")).count();
        assert!(printed.ends_with("exit 3") && errors == 1, "{case:?}: {printed}");
    }
}

#[test]
fn training_scores_what_is_typed() {
    let lesson = ["train", "--koch", "2", "--length", "3", "-n", "3", "--show", "--seed", "3"];
    insta::assert_snapshot!(morse(&lesson, "mmm\n\nkm\n"));
}

#[test]
fn help_and_completions_and_man_page() {
    insta::assert_snapshot!("help", morse(&["--help"], ""));
    insta::assert_snapshot!("help_encode", morse(&["encode", "--help"], ""));
    insta::assert_snapshot!("help_train", morse(&["train", "--help"], ""));
    for shell in ["bash", "zsh", "fish"] {
        assert!(morse(&["completions", shell], "").contains("morse"));
    }
    assert!(morse(&["man"], "").contains(".TH morse"));
}

#[test]
fn nobody_reading_is_not_an_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_morse"))
        .args(["encode", &"PARIS ".repeat(500), "-o", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("morse is built");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
