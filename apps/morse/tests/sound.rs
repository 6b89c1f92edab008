//! The real sound path, and other people's decoder. These need programs that not every machine has:
//!
//!     tests/sound/air.sh cargo nextest run -p ipfi-morse-app --test sound --run-ignored only
#![allow(clippy::expect_used, reason = "a test may panic; without sound there is less of it")]

use std::io::{Read, Write};
use std::process::{Command, Stdio};

const MORSE: &str = env!("CARGO_BIN_EXE_morse");

/// What one process reads of what another plays, through the sound server.
#[cfg(feature = "audio")]
fn through_the_air(text: &str, seconds: u32) -> String {
    use std::io::{BufRead, BufReader};

    let mut listener = Command::new(MORSE)
        .args(["listen", "--json", "--seconds", &seconds.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("morse is built");
    let mut heard = BufReader::new(listener.stdout.take().expect("piped"));
    let mut first = String::new();
    heard.read_line(&mut first).expect("text");
    assert!(first.contains(r#""type":"listening""#), "no sound here: run under air.sh ({first})");
    let player = Command::new(MORSE)
        .args(["encode", text, "--play", "--wpm", "25"])
        .status()
        .expect("morse is built");
    assert!(player.success());
    let mut read = String::new();
    for line in heard.lines() {
        let line = line.expect("text");
        let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        match event["type"].as_str() {
            Some("character") => read.push_str(event["text"].as_str().expect("a letter")),
            Some("space") => read.push(' '),
            _ => eprintln!("{line}"),
        }
    }
    assert!(listener.wait().expect("it ends").success());
    read
}

#[test]
#[cfg(feature = "audio")]
#[ignore = "needs a sound server: run under tests/sound/air.sh"]
fn what_one_process_plays_another_reads() {
    let text = "CQ DE DL1ABC";
    // A sound server on a busy machine drops pieces now and then, which no decoder can mend: three
    // tries, as two people would.
    let tries: Vec<_> = (0..3)
        .map(|_| through_the_air(text, 14))
        .inspect(|read| eprintln!("read {read:?}"))
        .take_while(|read| read != text)
        .collect();
    assert!(tries.len() < 3, "{tries:?}");
}

#[test]
#[ignore = "needs multimon-ng"]
fn multimon_ng_reads_what_we_send() {
    let text = "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG 0123456789 CQ DE DL1ABC/P ?";
    for tone in ["500", "600", "800"] {
        let sent = Command::new(MORSE)
            .args(["encode", text, "--wpm", "20", "--tone", tone, "--rate", "22050"])
            .args(["--pad", "0.5", "-o", "-"])
            .output()
            .expect("morse is built");
        assert!(sent.status.success());
        let mut multimon = Command::new("multimon-ng")
            .args(["-q", "-t", "raw", "-a", "MORSE_CW", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("multimon-ng is installed (Debian: apt-get install multimon-ng)");
        // Raw samples: what stands behind the header of 44 bytes.
        let mut input = multimon.stdin.take().expect("piped");
        input.write_all(&sent.stdout[44..]).expect("it reads");
        drop(input);
        let mut read = String::new();
        multimon.stdout.take().expect("piped").read_to_string(&mut read).expect("text");
        assert!(multimon.wait().expect("it ends").success());
        assert_eq!(read.trim(), text, "at {tone} Hz");
    }
}
