//! Whatever two applications do to each other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scenario::{common, side};

#[path = "../scenarios/proto_ops.rs"]
mod scenario;

fuzz_target!(|data: &[u8]| scenario::run(data));
