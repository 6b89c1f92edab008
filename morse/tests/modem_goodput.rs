//! How fast bytes get through: packets, corrections, acknowledgements and turns included.

#![allow(clippy::unwrap_used, reason = "a test: helpers may panic")]

mod air;

use std::fmt::Write;

use air::{Choice, World};
use ipfi_morse::modem::Mode;

/// The air, the mode for it, what is required there, bytes a second.
const CELLS: [(&str, Mode, f64); 8] = [
    ("snr=30", Mode::Cable, 500.0),
    ("snr=15", Mode::Fast, 80.0),
    ("snr=8", Mode::Brisk, 40.0),
    ("snr=3", Mode::Room, 18.0),
    ("snr=25,room=0.3/6", Mode::Fast, 45.0),
    ("snr=25,room=0.5/3", Mode::Brisk, 35.0),
    ("snr=25,room=0.8/0", Mode::Room, 20.0),
    ("snr=25,room=0.8/-6", Mode::Rescue, 5.0),
];

fn goodput(air: &str, mode: Mode, bytes: usize, seed: u64) -> f64 {
    let mut world = World::new(&air.parse().unwrap(), mode, Choice::Fixed(mode), seed);
    let goodput = world.goodput(bytes, 3000.0);
    let bad: Vec<u32> = world.stations.iter().map(|station| station.bad).collect();
    println!("{air} {mode} {goodput:.1} B/s; bad packets {bad:?}");
    goodput
}

fn table(cells: &[(&str, Mode, f64)], bytes: usize, seeds: u64) -> String {
    let mut table = format!("{:<20} {:<7} required  B/s\n", "air", "mode");
    for &(air, mode, required) in cells {
        let mut runs: Vec<f64> = (1..=seeds).map(|seed| goodput(air, mode, bytes, seed)).collect();
        runs.sort_by(f64::total_cmp);
        let median = runs[runs.len() / 2];
        assert!(median >= required, "{air}: {median} B/s");
        writeln!(table, "{air:<20} {:<7} {required:>8}  {median:.0}", mode.name()).unwrap();
    }
    table
}

#[test]
fn a_short_transfer() {
    let cells = [("snr=30", Mode::Cable, 500.0), ("snr=15", Mode::Fast, 60.0)];
    insta::assert_snapshot!(table(&cells, 4096, 1));
}

/// `cargo test --release -p ipfi-morse --test modem_goodput -- --ignored`
#[test]
#[ignore = "minutes"]
fn a_transfer_of_4_kib_through_every_air() {
    insta::assert_snapshot!(table(&CELLS, 4096, 1));
}

/// What `mode=auto` makes of it, of 4 KiB and from `room` on.
fn auto(cells: &[(&str, Mode, f64)]) -> String {
    let mut table = format!("{:<20} {:<7} B/s\n", "air", "best");
    for &(air, mode, _) in cells {
        let mut world = World::new(&air.parse().unwrap(), mode, Choice::Ladder(Mode::Room), 1);
        let goodput = world.goodput(4096, 3000.0);
        println!("{air}: {goodput:.1} B/s {:?}", world.stations[0].modes);
        assert!(goodput > 0.0, "{air}");
        writeln!(table, "{air:<20} {:<7} {goodput:.0}", mode.name()).unwrap();
    }
    table
}

#[test]
fn a_short_transfer_that_finds_its_mode() {
    insta::assert_snapshot!(auto(&CELLS[..1]));
}

/// As above. From the first packet in `room` on, so that the climb is in the figures.
#[test]
#[ignore = "minutes"]
fn a_transfer_of_4_kib_that_finds_its_mode_in_every_air() {
    insta::assert_snapshot!(auto(&CELLS));
}
