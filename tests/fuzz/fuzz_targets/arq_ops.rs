//! Two reliable links over a line that does what the bytes say: what is read was written.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../scenarios/arq_ops.rs"]
mod scenario;

fuzz_target!(|data: &[u8]| scenario::run(data));
