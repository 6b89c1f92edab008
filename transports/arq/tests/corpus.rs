//! What the fuzzer has found out so far, once more: `tests/fuzz/corpus`, by the fuzzer's own scenarios.
#![allow(unreachable_pub, reason = "the scenarios are shared with the fuzz targets")]

use std::path::Path;

#[path = "../../../tests/fuzz/scenarios/arq_bytes.rs"]
mod arq_bytes;
#[path = "../../../tests/fuzz/scenarios/arq_ops.rs"]
mod arq_ops;

fn replay(name: &str, run: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    assert!(files.len() > 10, "{} has {} files", folder.display(), files.len());
    for file in files {
        run(&std::fs::read(file).expect("its bytes"));
    }
}

#[test]
fn bytes_of_a_hostile_peer() {
    replay("arq_bytes", arq_bytes::run);
}

#[test]
fn operations_on_two_links() {
    replay("arq_ops", arq_ops::run);
}
