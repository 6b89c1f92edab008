//! Procedures by Morse through the real sound path. It needs a sound server:
//!
//!     tests/sound/air.sh cargo nextest run -p ipfi-cli --features audio --test sound --run-ignored only
#![cfg(feature = "audio")]
#![expect(clippy::expect_used, reason = "a test may panic")]

use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

/// There is one air, and room for one conversation on it.
static AIR: Mutex<()> = Mutex::new(());

/// `ipfi`, whose words go where the test's do.
fn ipfi(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipfi"));
    command.args(arguments).stdout(Stdio::piped());
    command
}

/// Ends with the test.
struct Server(Child);

impl Server {
    fn start(address: &str) -> Self {
        let server = ipfi(&["serve", "-q", address, "--exec", "echo=cat"]).spawn();
        Self(server.expect("ipfi is built"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The seconds that a round trip took, of five the second. On a machine with too much to do the sound
/// server drops pieces, which the link repeats.
fn round_trip(server: &str, client: &str) -> f64 {
    let _air = AIR.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let _server = Server::start(server);
    let ping = ipfi(&["ping", client, "-n", "5"]).output().expect("ipfi is built");
    assert!(ping.status.success(), "no sound here? run under tests/sound/air.sh");
    let text = String::from_utf8_lossy(&ping.stdout);
    println!("{server}, {client}: {text}");
    let mut times: Vec<f64> = text.lines().filter_map(seconds).collect();
    assert_eq!(times.len(), 5, "{text}");
    times.sort_by(f64::total_cmp);
    times[1]
}

/// Reads `1: 1.25 s` or `1: 870 ms`.
fn seconds(line: &str) -> Option<f64> {
    let mut words = line.split_whitespace();
    words.next()?.strip_suffix(':')?.parse::<u32>().ok()?;
    let number: f64 = words.next()?.parse().ok()?;
    Some(if words.next()? == "ms" { number / 1000.0 } else { number })
}

#[test]
#[ignore = "needs a sound server: run under tests/sound/air.sh"]
fn two_programs_in_one_room_hear_each_other_and_not_themselves() {
    let seconds = round_trip("morse-listen:,mode=cable", "morse:,mode=cable");
    assert!(seconds <= 3.0, "{seconds} s");
}

#[test]
#[ignore = "needs a sound server: run under tests/sound/air.sh"]
fn two_programs_hear_each_other_by_two_cables() {
    let seconds = round_trip(
        "morse-listen:,mode=cable,capture=here.monitor,playback=there",
        "morse:,mode=cable,capture=there.monitor,playback=here",
    );
    assert!(seconds <= 3.0, "{seconds} s");
}
