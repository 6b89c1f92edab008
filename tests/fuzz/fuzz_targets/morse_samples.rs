//! Any sound: no panic, bounded memory, and no packet that nobody sent.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../scenarios/morse_samples.rs"]
mod scenario;

fuzz_target!(|script: &[u8]| scenario::run(script));
