//! Whatever bytes a stranger sends to the engine, in whatever pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../scenarios/proto_bytes.rs"]
mod scenario;

fuzz_target!(|data: &[u8]| scenario::run(data));
