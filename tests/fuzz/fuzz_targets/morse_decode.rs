//! Sound of any kind: reading it ends, and its characters come in order of time.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../scenarios/morse_decode.rs"]
mod scenario;

fuzz_target!(|data: &[u8]| scenario::run(data));
