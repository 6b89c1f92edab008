//! Every peer is held to one list: see `README.md`.

use std::process::ExitCode;

use ipfi_peers::{Peer, harness};
use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let rust = Peer::new(env!("CARGO_BIN_EXE_ipfi-peer-rust"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../demos/python/tests/peer.py");
    let python = Peer::new("python3").arg(script);
    harness(&Arguments::from_args(), &[("rust", rust), ("python", python)]).exit_code()
}
