//! The same work by raw sockets, by IPFI and by its peers, in turns within one run.
//!
//! `cargo run --release [-- ROUNDS [WORK]]`; with `--features peers` also tonic and tarpc.
//! Client and server run on a one-thread runtime each.

mod measure;
mod rpc;
mod raw;
#[cfg(feature = "peers")]
mod peers;

use measure::Table;

fn main() {
    let mut args = std::env::args().skip(1);
    let rounds = args.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    let only = args.next().unwrap_or_default();
    let mut table = Table::new(only);
    for _ in 0..rounds {
        raw::run(&mut table);
        rpc::run(&mut table);
        #[cfg(feature = "peers")]
        peers::run(&mut table);
    }
    table.print();
}
