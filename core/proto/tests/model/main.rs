//! Two engines on a simulated clock, and whatever an application may do on both sides, at random.
//! Whatever happens, each handle resolves exactly once, items arrive in order, no credit is lost,
//! and nothing is left over.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    reason = "helpers of a test"
)]

#[path = "../common/mod.rs"]
mod common;
mod side;
mod world;

use common::random::{Random, seed};
use world::Model;

#[test]
fn whatever_happens_everything_ends_once() {
    let operations: usize =
        std::env::var("IPFI_OPERATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let start = seed();
    let each = 2000;
    for seed in start..start + (operations / each) as u64 {
        // Printed when the test fails.
        println!("IPFI_SEED={seed} IPFI_OPERATIONS={each}");
        let mut model = Model::new(Random::new(seed));
        model.run(each / 2);
        if model.random.one_in(2) {
            model.quiesce();
        }
        model.run(each / 2);
        model.end();
    }
}
