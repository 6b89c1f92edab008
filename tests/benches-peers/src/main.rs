//! The same work by sockets, frame by frame (raw) and all at once (bulk), and by IPFI, in turns
//! within one run.
//!
//! `cargo run --release [-- ROUNDS [WORK]]`.
//! Client and server run on a one-thread runtime each.

mod bulk;
mod frames;
mod measure;
mod rpc;

use measure::Table;

fn main() {
    let mut args = std::env::args().skip(1);
    let rounds = args.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    let only = args.next().unwrap_or_default();
    let mut table = Table::new(only);
    for _ in 0..rounds {
        frames::run(&mut table);
        bulk::run(&mut table);
        rpc::run(&mut table);
    }
    table.print();
}
