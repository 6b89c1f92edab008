//! Calls through the real sound path. They need a sound server:
//!
//!     tests/sound/air.sh cargo nextest run -p demo-morse --test sound --run-ignored only
#![cfg(feature = "audio")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// There is one air, and room for one conversation on it.
static AIR: Mutex<()> = Mutex::new(());

const DEMO: &str = env!("CARGO_BIN_EXE_demo-morse");

/// Ends with the test.
struct Listener(Child);

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Seconds of each of five calls with 64 bytes each way, the shortest first; the one in the middle
/// counts. A sound server without a processor for it drops pieces, which the link repeats.
fn calls(listen: &str, call: &str) -> Vec<f64> {
    let _air = AIR.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let listener = Command::new(DEMO).args(["listen", listen]).stdout(Stdio::null()).spawn();
    let _listener = Listener(listener.unwrap());
    let text = "0123456789abcdef".repeat(4);
    let calls = Command::new(DEMO).args(["call", &text, call, "-n", "5"]).output().unwrap();
    let said = String::from_utf8_lossy(&calls.stdout);
    let complaints = String::from_utf8_lossy(&calls.stderr);
    assert!(calls.status.success(), "no sound here? run under tests/sound/air.sh: {complaints}");
    let answered = said.lines().filter_map(|line| line.strip_prefix("answered in "));
    let mut seconds: Vec<f64> = answered
        .map(|answer| {
            let (seconds, text_back) = answer.split_once(" s: ").unwrap();
            assert_eq!(text_back, text.to_uppercase());
            seconds.parse().unwrap()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    println!("{call}: {seconds:?} s");
    seconds
}

#[test]
#[ignore = "needs a sound server: run under tests/sound/air.sh"]
fn a_call_through_one_room_takes_at_most_three_seconds() {
    let seconds = calls("morse-listen:,mode=cable", "morse:,mode=cable");
    assert!(seconds[2] <= 3.0, "{seconds:?}");
}

#[test]
#[ignore = "needs a sound server: run under tests/sound/air.sh"]
fn a_call_through_two_cables_takes_at_most_three_seconds() {
    let seconds = calls(
        "morse-listen:,mode=cable,capture=here.monitor,playback=there",
        "morse:,mode=cable,capture=there.monitor,playback=here",
    );
    assert!(seconds[2] <= 3.0, "{seconds:?}");
}

/// The sound server may even part with a program that does not answer it.
#[test]
#[ignore = "needs a sound server: run under tests/sound/air.sh"]
fn a_program_that_stops_for_a_while_loses_sound_and_no_bytes() {
    let _air = AIR.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut listener = Command::new(DEMO);
    let listener = listener.args(["listen", "morse-listen:,mode=cable"]);
    let listener = Listener(listener.stdout(Stdio::null()).spawn().unwrap());
    let signal = |name: &str| {
        let id = listener.0.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    };
    let mut call = Command::new(DEMO);
    let call = call.args(["call", "are you there", "morse:,mode=cable", "-n", "4"]);
    let mut call = call.stdout(Stdio::piped()).spawn().unwrap();
    let mut answers = 0;
    for line in BufReader::new(call.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.ends_with(" s: ARE YOU THERE") {
            answers += 1;
        }
        // Neither quick enough to be answered, nor long enough to be given up.
        if line.starts_with("calling: ") && answers > 0 {
            signal("-STOP");
            std::thread::sleep(Duration::from_millis(700 * answers));
            signal("-CONT");
        }
    }
    assert!(call.wait().unwrap().success());
    assert_eq!(answers, 4);
}

#[test]
#[ignore = "needs a sound server: run under tests/sound/air.sh"]
fn the_story_is_told_with_sound_where_there_is_some() {
    let _air = AIR.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("morse.png");
    let mut story = Command::new(DEMO);
    let story = story.args(["--mode", "fast", "eureka", "--picture"]).arg(&picture);
    let story = story.output().unwrap();
    let said = String::from_utf8_lossy(&story.stdout);
    assert!(story.status.success(), "{said}{}", String::from_utf8_lossy(&story.stderr));
    assert!(said.starts_with("Two programs, and the sound of this machine."), "{said}");
    assert!(said.contains(" s: EUREKA"), "{said}");
    assert!(said.contains("   air | (fast, "), "{said}");
    assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
}
