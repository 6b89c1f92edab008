//! A hostile peer of the reliable link: raw bytes, and frames whose check is right.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../scenarios/arq_bytes.rs"]
mod scenario;

fuzz_target!(|data: &[u8]| scenario::run(data));
