//! The list as tests of `cargo test`, which can be chosen by name and run side by side.

use std::path::Path;

use anyhow::{Result, ensure};
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

use crate::{Peer, built, list};

/// Which checks are made under valgrind, where each start takes a second: nothing new is found byte
/// by byte, or at the fiftieth start.
const VALGRIND: [&str; 4] = ["plain::", "limits::", "frames::", "ends::while"];

/// The largest that the WebAssembly guest may be, in bytes.
const GUEST: u64 = 64 << 10;

fn test(name: String, run: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::test(name, || run().map_err(|error| Failed::from(format!("{error:?}"))))
}

/// A test for each check; the peer is made when it runs.
fn trials(
    name: &str,
    only: &'static [&'static str],
    peer: impl Fn() -> Result<Peer> + Clone + Send + 'static,
) -> Vec<Trial> {
    let wanted = |check: &str| only.is_empty() || only.iter().any(|part| check.starts_with(part));
    let checks = list().into_iter().filter(|check| wanted(check.name()));
    checks
        .map(|check| {
            let peer = peer.clone();
            test(format!("{name}::{}", check.name()), move || check.run(&peer()?))
        })
        .collect()
}

/// Holds peers to the list, as the arguments of this program say: those of this workspace, and `others`,
/// each by a name.
pub fn harness(arguments: &Arguments, others: &[(&str, Peer)]) -> Conclusion {
    let mut all = Vec::new();
    for (name, peer) in others {
        let peer = peer.clone();
        all.extend(trials(name, &[], move || Ok(peer.clone())));
    }
    let c = || Ok(Peer::new(built()?.join("peer")));
    all.extend(trials("c", &[], c));
    let checked = || {
        let peer = Peer::new("valgrind").arg("-q").arg("--error-exitcode=99");
        let peer = peer.arg("--leak-check=full").arg("--errors-for-leak-kinds=definite,possible");
        Ok(peer.arg(built()?.join("peer")))
    };
    all.extend(trials("c_valgrind", &VALGRIND, checked));
    let wasm = || {
        let host =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../core/ffi/examples/guest/host.mjs");
        Ok(Peer::new("node").arg(host).arg(built()?.join("guest.wasm")))
    };
    all.extend(trials("wasm", &[], wasm));
    all.push(test("wasm::size".into(), || {
        let size = built()?.join("guest.wasm").metadata()?.len();
        ensure!(size <= GUEST, "the guest is {size} bytes, at most {GUEST} are allowed");
        Ok(())
    }));
    libtest_mimic::run(arguments, all)
}
