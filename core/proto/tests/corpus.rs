//! What the fuzzer has found out so far, once more: `tests/fuzz/corpus`, by the fuzzer's own scenarios.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::too_many_lines,
    reason = "the scenarios are shared with the fuzz targets"
)]

use proto_ops::{common, side};
use std::path::Path;

#[path = "../../../tests/fuzz/scenarios/proto_bytes.rs"]
mod proto_bytes;
#[path = "../../../tests/fuzz/scenarios/proto_ops.rs"]
mod proto_ops;

fn replay(name: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 10, "{} has {} files", folder.display(), files.len());
    for file in files {
        // Printed when the test fails.
        println!("{}", file.display());
        run(&std::fs::read(file).unwrap());
    }
}

#[test]
fn bytes_of_a_stranger() {
    replay("proto_bytes", proto_bytes::run);
}

#[test]
fn operations_on_both_sides() {
    replay("proto_ops", proto_ops::run);
}
