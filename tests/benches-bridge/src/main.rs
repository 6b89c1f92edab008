//! `ipfi-bridge` against socat and a `tokio-splice2` relay: throughput, CPU and round trip, all
//! in one run, interleaved, so that the ratios mean something on a busy machine.
//!
//! ```text
//! cargo build --release -p ipfi-bridge && cargo run --release --manifest-path tests/benches-bridge/Cargo.toml
//! ```
//!
//! Arguments: the program to measure, and one part (`tcp` or `pty`).

mod load;
mod relay;

use std::{env, path::PathBuf, process::ExitCode};

use load::Measured;
use relay::Relay;

/// How often everything is measured; the median counts.
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [role, listen, dial] = arguments.as_slice()
        && role == "splice2"
    {
        return relay::splice2(listen, dial);
    }
    let bridge = arguments.first().map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/ipfi-bridge")),
        PathBuf::from,
    );
    if !bridge.exists() {
        eprintln!("there is no {}: cargo build --release -p ipfi-bridge", bridge.display());
        return ExitCode::FAILURE;
    }

    let only = arguments.get(1).map(String::as_str);
    if only.is_none_or(|part| part == "tcp") {
        println!("TCP -> TCP, {} MiB, median of {ROUNDS} rounds", load::BULK >> 20);
        let relays = [
            Relay::socat(&[]),
            Relay::socat(&["-b65536"]),
            Relay::splice2(),
            Relay::bridge(&bridge, &[]),
            Relay::bridge(&bridge, &["--no-splice"]),
        ];
        table(&relays, load::tcp_to_tcp);
    }
    if only.is_none_or(|part| part == "pty") {
        println!("\npty <-> TCP, {} MiB each way, median of {ROUNDS} rounds", load::PTY_BULK >> 20);
        let relays = [Relay::socat(&["-b65536"]), Relay::bridge(&bridge, &[])];
        println!("to the pty:");
        table(&relays, load::tcp_to_pty);
        println!("from the pty:");
        table(&relays, load::pty_to_tcp);
    }
    ExitCode::SUCCESS
}

fn table(relays: &[Relay], measure: fn(&Relay) -> Measured) {
    let mut runs = vec![Vec::new(); relays.len()];
    for _ in 0..ROUNDS {
        for (relay, runs) in relays.iter().zip(&mut runs) {
            runs.push(measure(relay));
        }
    }
    let medians: Vec<Measured> = runs.into_iter().map(Measured::median).collect();
    let Some(first) = medians.first() else { return };
    println!(
        "{:<34} {:>8} {:>8} {:>10} {:>9} {:>8}",
        "relay", "MB/s", "times", "CPU s/GiB", "64 B us", "RSS KiB"
    );
    for (relay, m) in relays.iter().zip(&medians) {
        println!(
            "{:<34} {:>8.0} {:>8.2} {:>10.2} {:>9.1} {:>8}",
            relay.name,
            m.megabytes_per_second,
            m.megabytes_per_second / first.megabytes_per_second,
            m.cpu_per_gibibyte,
            m.round_trip_micros,
            m.resident_kibibytes,
        );
    }
}
