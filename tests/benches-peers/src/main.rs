//! The same work by sockets and by remote procedure calls, in turns within one run:
//!
//! ```text
//! cargo run --release [-- ROUNDS [WORK [WHO,...]]]
//! ```
//!
//! `raw` is tokio with a length before each frame, one frame after another; `bulk` copies all frames
//! at once and looks at none, which is the most that the sockets can do. `WORK` is a part of a name
//! in the table, `WHO` are names in it: `-- 5 "in flight" bulk,ipfi`. Every measurement is a process
//! of its own that has a time limit: what hangs or fails is in the table as that. Three rounds of
//! everything take six minutes on a quiet machine; on one that is not, compare CPU times.
//!
//! Cap'n Proto takes part if its compiler is there (Debian: `capnproto`); gRPC needs nothing beside
//! crates. With `--no-default-features` there are only IPFI and the sockets, which builds in half a
//! minute.
//!
//! All talk TCP over the loopback, without delay, client and server on a runtime each: on one thread,
//! or with `-mt` on as many as there are processors.

mod bulk;
mod frames;
mod measure;
#[cfg(feature = "peers")]
mod peers;
mod resources;
mod rpc;
mod table;

use std::{
    io::Read,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use table::Table;

/// What a measurement may take.
const LIMIT: Duration = Duration::from_secs(20);

/// All who take part, each with what a process of its own does.
fn everybody() -> Vec<(&'static str, fn(measure::Role))> {
    #[cfg_attr(not(feature = "peers"), expect(unused_mut))]
    let mut all: Vec<(&'static str, fn(measure::Role))> = vec![
        ("raw", measure::take::<frames::Frames>),
        ("bulk", measure::take::<bulk::Raw>),
        ("ipfi", measure::take::<rpc::Ipfi>),
        ("ipfi-mt", measure::take_mt::<rpc::Ipfi>),
    ];
    #[cfg(feature = "peers")]
    all.extend(peers::all());
    all
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |n: usize| args.get(n).map_or("", String::as_str);
    if let ("--work" | "--serve", who) = (arg(0), arg(1)) {
        let role = match arg(0) {
            "--serve" => measure::Role::Serve,
            _ => measure::Role::Work(arg(2).to_owned()),
        };
        let (_, take) = everybody().into_iter().find(|(name, _)| *name == who).unwrap();
        return take(role);
    }
    let rounds = arg(0).parse().unwrap_or(5);
    let mut table = Table::default();
    for round in 0..rounds {
        for work in measure::WORKS.iter().filter(|work| work.contains(arg(1))) {
            for (who, _) in everybody() {
                if arg(2).is_empty() || arg(2).split(',').any(|part| part == who) {
                    one(&mut table, work, who);
                }
            }
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    table.print();
}

/// Has one measurement made.
fn one(table: &mut Table, work: &str, who: &'static str) {
    if table.has_failed(work, who) {
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--work", who, work])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if start.elapsed() > LIMIT => break None,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    match status {
        Some(status) if status.success() => {
            let mut output = String::new();
            child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
            for line in output.lines() {
                let (row, value) = line.split_once('\t').unwrap();
                table.add(row, who, value.parse().unwrap());
            }
        }
        Some(_) => table.fail(work, who, "fails"),
        None => {
            child.kill().unwrap();
            child.wait().unwrap();
            table.fail(work, who, "hangs");
        }
    }
}
