//! The list as tests of `cargo test`, which can be chosen by name and run side by side.

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

use crate::{Peer, list};

/// Holds some peers to the list, as the arguments of this program say; each goes by a name.
pub fn harness(arguments: &Arguments, peers: &[(&str, Peer)]) -> Conclusion {
    let trials = peers.iter().flat_map(|(name, peer)| {
        list().into_iter().map(move |check| {
            let peer = peer.clone();
            Trial::test(format!("{name}::{}", check.name()), move || {
                check.run(&peer).map_err(|error| Failed::from(format!("{error:?}")))
            })
        })
    });
    libtest_mimic::run(arguments, trials.collect())
}
