//! Not one wrong, lost or doubled byte.

mod simulator;

use std::time::Duration;

use ipfi_arq::Config;
use simulator::{Faults, Line, World, seed};

/// Sends `bytes` in each direction over a fast line and checks every one of them.
fn carry(bytes: u64, faults: Faults, seed: u64) {
    let rate = 1_000_000u32;
    let delay = Duration::from_micros(300);
    let lines = [0, 1].map(|side| Line::new(rate.into(), delay, faults, seed * 2 + side));
    let mut world = World::pair(&Config::serial(Some(rate)), lines, seed);
    for side in 0..2 {
        world.end(side).to_write = bytes;
        world.end(side).finish_when_written = true;
    }
    world.run_until(Duration::from_secs(1 + bytes / 10_000), "all is read", |world| {
        [0, 1].into_iter().all(|side| world.end(side).saw_fin)
    });
    for side in 0..2 {
        assert_eq!(world.end(side).read, bytes);
    }
}

/// Bytes for each seed, in millions: `IPFI_MEGABYTES` makes the run long.
fn megabytes(default: u64) -> u64 {
    let set = std::env::var("IPFI_MEGABYTES").ok().and_then(|text| text.parse().ok());
    set.unwrap_or(default)
}

const BAD: Faults = Faults { flip: 1e-4, drop: 1e-4, insert: 1e-4, burst: 1e-5 };

#[test]
fn a_bad_line_changes_nothing() {
    let first = seed(1);
    for seed in first..first + 4 {
        carry(300_000, BAD, seed);
    }
}

#[test]
fn a_clean_line_changes_nothing() {
    carry(3_000_000, Faults::default(), 1);
}

/// `IPFI_MEGABYTES=50 cargo test --release -p ipfi-arq --test integrity -- --ignored bad` carries
/// 1 GB in each direction.
#[test]
#[ignore = "takes minutes"]
fn a_gigabyte_over_a_bad_line() {
    for seed in 1..=20 {
        carry(megabytes(50) * 1_000_000, BAD, seed);
    }
}

/// `IPFI_MEGABYTES=5000 ... -- --ignored clean` carries 10 GB in all.
#[test]
#[ignore = "takes minutes"]
fn gigabytes_over_a_clean_line() {
    carry(megabytes(5000) * 1_000_000, Faults::default(), 1);
}
