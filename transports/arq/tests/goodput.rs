//! How much of a bad line is left for the application: a regression table.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small numbers of a simulation"
)]

mod simulator;

use std::fmt::Write;
use std::time::Duration;

use ipfi_arq::{Config, Fec};
use simulator::{Faults, Line, World};

const SEEDS: u64 = 3;

fn lines(rate: u32, delay: Duration, faults: Faults, seed: u64) -> [Line; 2] {
    [0, 1].map(|side| Line::new(f64::from(rate), delay, faults, seed * 2 + side))
}

/// Bytes of the stream by byte times of the line, from the first greeting on.
fn goodput(fec: Fec, rate: u32, bytes: [u64; 2], faults: Faults, seed: u64) -> f64 {
    let delay = Duration::from_millis(5);
    let mut config = Config::serial(Some(rate));
    config.fec = fec;
    let mut world = World::pair(&config, lines(rate, delay, faults, seed), seed);
    for (side, bytes) in bytes.into_iter().enumerate() {
        world.end(side).to_write = bytes;
    }
    let limit = Duration::from_secs(4000);
    world.run_until(limit, "all bytes are read", |world| {
        world.end(1).read == bytes[0] && world.end(0).read == bytes[1]
    });
    let seconds = world.now.as_micros() as f64 / 1e6;
    bytes[0].max(bytes[1]) as f64 / seconds / f64::from(rate)
}

fn median(fec: Fec, rate: u32, bytes: [u64; 2], faults: Faults) -> f64 {
    let mut values: Vec<_> =
        (1..=SEEDS).map(|seed| goodput(fec, rate, bytes, faults, seed)).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What the tables must not fall below, one way.
const FLOOR: [f64; 6] = [0.96, 0.91, 0.77, 0.63, 0.45, 0.87];
const FLOOR_CORRECTED: [f64; 6] = [0.96, 0.91, 0.85, 0.85, 0.82, 0.82];
/// Both directions at once, without errors.
const FLOOR_BOTH: f64 = 0.92;

fn table(fec: Fec, floors: [f64; 6]) -> String {
    let flips = [0.0, 1e-5, 1e-4, 3e-4, 1e-3].map(|flip| Faults { flip, ..Faults::default() });
    let slips = Faults { drop: 1e-4, insert: 1e-4, ..Faults::default() };
    let columns: Vec<_> = flips.into_iter().chain([slips]).collect();
    let mut table = String::from("bytes/s    way    0     1e-5  1e-4  3e-4  1e-3  slips\n");
    for (rate, bytes) in [(960, 40_000), (11_520, 200_000), (300_000, 1_000_000)] {
        for both in [false, true] {
            let way = if both { "both" } else { "one" };
            write!(table, "{rate:<10} {way:<6}").expect("a string takes all");
            let bytes = [bytes, if both { bytes } else { 0 }];
            for (faults, floor) in columns.iter().zip(floors) {
                let value = median(fec, rate, bytes, *faults);
                write!(table, " {value:.3}").expect("a string takes all");
                assert!(both || value >= floor, "{table} is below {floor}");
                assert!(!both || faults.flip + faults.drop > 0.0 || value >= FLOOR_BOTH, "{table}");
            }
            table.push('\n');
        }
    }
    table
}

#[test]
fn goodput_of_bad_lines() {
    insta::assert_snapshot!(table(Fec::Off, FLOOR));
}

#[test]
fn goodput_with_error_correction() {
    insta::assert_snapshot!(table(Fec::Auto, FLOOR_CORRECTED));
}

/// Questions and answers get through a bad line as well: no run is much worse than the median.
#[test]
fn no_run_stalls() {
    let faults = Faults { flip: 1e-3, ..Faults::default() };
    for seed in 1..=16 {
        let goodput = goodput(Fec::Auto, 11_520, [80_000, 0], faults, seed);
        assert!(goodput > 0.75, "seed {seed}: {goodput}");
    }
}

/// Where nothing else comes through.
#[test]
fn goodput_of_very_bad_lines() {
    let mut table = String::from("mode    2e-3  3e-3  5e-3\n");
    for fec in [Fec::Auto, Fec::Strong] {
        write!(table, "{:<7}", format!("{fec:?}")).unwrap();
        for flip in [2e-3, 3e-3, 5e-3] {
            let faults = Faults { flip, ..Faults::default() };
            write!(table, " {:.3}", median(fec, 11_520, [100_000, 0], faults)).unwrap();
        }
        table.push('\n');
    }
    insta::assert_snapshot!(table);
}
