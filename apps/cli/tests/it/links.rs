//! Every command over every kind of link.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use ipfi::WireOptions;

use crate::{
    common::{Running, command, listening, null_modem, run, until},
    service,
};

/// The same conversation with a server that offers everything.
fn converse(dir: &Path, address: &str) {
    let ok = |arguments: &[&str], input: Option<&str>| {
        let done = run(dir, arguments, input);
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{arguments:?}: {}", done.out);
        done.out
    };
    let list = ok(&["list", address], None);
    assert!(list.contains("add(i64, i64) -> i64\n    Adds two numbers.\n"), "{list}");
    assert_eq!(ok(&["call", address, "add", "2", "-3"], None), "-1\n");
    let count = ok(&["call", address, "count", "500"], None);
    assert_eq!(count.lines().count(), 500);
    assert!(count.ends_with("\n499\n"));
    let numbers = (0..200).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
    assert_eq!(ok(&["call", address, "sum", "--stream"], Some(&numbers)), "19900\n");
    assert_eq!(ok(&["call", address, "shout", "--stream", "-r"], Some("a b\nc")), "A B\nC\n");
    let twice = run(dir, &["call", address, "twice", "@print=7"], None);
    assert_eq!(
        (twice.code, twice.out.as_str(), twice.err.as_str()),
        (0, "7\n", "callback: [1]\ncallback: [7]\n")
    );
    let ping = ok(&["ping", address, "-n3", "--interval=1ms"], None);
    assert!(ping.contains("3 round trips: minimum"), "{ping}");
    let bench = ok(&["bench", address, "add", "2", "3", "-n50", "-c4"], None);
    assert!(bench.starts_with("50 calls in ") && bench.contains("median"), "{bench}");
    let done = run(dir, &["call", address, "divide", "1", "0"], None);
    assert_eq!((done.code, done.err.as_str()), (6, "ipfi: `divide`: code 300: division by zero\n"));
}

#[test]
fn over_tcp() {
    let dir = tempfile::tempdir().unwrap();
    converse(dir.path(), &service::tcp());
}

#[test]
fn over_unix_sockets_and_children() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("sock").display().to_string();
    let options = WireOptions::new().codec_of_peer();
    service::listen(service::interface(), options, &format!("unix-listen:{socket}"));
    converse(dir.path(), &format!("unix:{socket}"));
    converse(dir.path(), &format!("exec:socat STDIO UNIX-CONNECT:{socket}"));
}

#[test]
fn over_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let (_socat, a, b) = null_modem(dir.path());
    service::dial(&format!("serial:{a},reliable"));
    converse(dir.path(), &format!("serial:{b},reliable"));
}

#[test]
fn over_a_bad_line() {
    let dir = tempfile::tempdir().unwrap();
    let (_socat, a, b) = null_modem(dir.path());
    service::dial(&format!("arq+noise+serial:{a},flip=1e-4,baud=115200"));
    converse(dir.path(), &format!("arq+serial:{b},baud=115200"));
}

#[test]
fn a_call_that_was_given_up_leaves_the_line_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (_socat, a, b) = null_modem(dir.path());
    service::dial(&format!("arq+serial:{a},baud=115200"));
    let address = format!("arq+serial:{b},baud=115200");
    assert_eq!(run(dir.path(), &["call", &address, "add", "2", "3"], None).out, "5\n");
    // More is on its way than the line carries in seconds.
    let begun = Instant::now();
    let flood = run(dir.path(), &["call", &address, "count", "1000000", "--deadline=500ms"], None);
    assert_eq!((flood.code, flood.err.as_str()), (7, "ipfi: `count`: the deadline passed\n"));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(run(dir.path(), &["call", &address, "add", "2", "3"], None).out, "5\n");
}

/// What `ipfi serve` offers, to `ipfi` at the other end.
fn converse_with_commands(dir: &Path, address: &str) {
    let ok = |arguments: &[&str], input: Option<&str>| {
        let done = run(dir, arguments, input);
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{arguments:?}: {}", done.out);
        done.out
    };
    assert!(ok(&["list", address], None).contains("Says it louder."));
    assert_eq!(ok(&["call", address, "-r", "say", "a b", "c"], None), "a b\nc\n");
    assert_eq!(ok(&["call", address, "-r", "up", "--stream"], Some("x\ny")), "X\nY\n");
    assert!(ok(&["ping", address, "-n1"], None).contains("1 round trip"));
    let done = run(dir, &["call", address, "fail"], None);
    assert_eq!(
        (done.code, done.err.as_str()),
        (6, "ipfi: `fail`: code 259: exit status 3: out of paper\n")
    );
}

const COMMANDS: [&str; 8] = [
    "--exec",
    "say=printf '%s\\n' \"$@\"",
    "--exec",
    "up=tr a-z A-Z",
    "--exec",
    "fail=echo out of paper >&2; exit 3",
    "--doc",
    "up=Says it louder.",
];

fn serve(dir: &Path, address: &str) -> Running {
    let mut server = command(dir, &["serve", "-v", address]);
    server.args(COMMANDS);
    Running::start_to_hear_both(server)
}

#[test]
fn serving_over_tcp_and_unix_sockets() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = serve(dir.path(), "tcp-listen:127.0.0.1:0");
    converse_with_commands(dir.path(), &listening(&mut server));
    let socket = dir.path().join("sock").display().to_string();
    let mut server = serve(dir.path(), &format!("unix-listen:{socket},mode=600"));
    assert_eq!(listening(&mut server), format!("unix:{socket}"));
    converse_with_commands(dir.path(), &format!("unix:{socket}"));
}

#[test]
fn serving_as_a_child() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("child");
    let quoted = COMMANDS.map(|word| format!("'{}'", word.replace('\'', "'\\''"))).join(" ");
    let ipfi = env!("CARGO_BIN_EXE_ipfi");
    std::fs::write(&script, format!("exec {ipfi} serve -q stdio: {quoted}\n")).unwrap();
    converse_with_commands(dir.path(), &format!("exec:sh {}", script.display()));
}

#[test]
fn serving_on_terminals() {
    let dir = tempfile::tempdir().unwrap();
    // A pseudo-terminal of its own, which the other end takes for a serial port.
    let link = dir.path().join("modem").display().to_string();
    let mut server = serve(dir.path(), &format!("pty:{link}"));
    server.wait_for("serving at ");
    converse_with_commands(dir.path(), &format!("serial:{link},reliable"));
    drop(server);
    // A serial port with a bad line behind it.
    let (_socat, a, b) = null_modem(dir.path());
    let _server = serve(dir.path(), &format!("arq+noise+serial:{a},flip=1e-4"));
    converse_with_commands(dir.path(), &format!("arq+serial:{b}"));
}

#[test]
fn a_description_travels_once() {
    let dir = tempfile::tempdir().unwrap();
    let address = service::tcp();
    let cached = || std::fs::read_dir(dir.path().join("ipfi")).map_or(0, Iterator::count);
    assert_eq!(run(dir.path(), &["call", &address, "add", "2", "3"], None).out, "5\n");
    assert_eq!(cached(), 2);
    // A trace of the second call has neither the description nor the question for it.
    let traced = format!("trace+{address}");
    std::fs::copy(file_of(dir.path(), &address), file_of(dir.path(), &traced)).unwrap();
    let done = run(dir.path(), &["call", &traced, "add", "2", "3"], None);
    assert_eq!(done.out, "5\n");
    assert!(!done.err.contains("describe") && !done.err.contains("count"), "{}", done.err);
    until(|| cached() == 3);
}

/// Where the cache keeps which description an address has.
fn file_of(dir: &Path, address: &str) -> std::path::PathBuf {
    let hash = address.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    dir.join("ipfi").join(format!("{hash:016x}.at"))
}

#[test]
fn a_server_waits_for_somebody_to_come() {
    let dir = tempfile::tempdir().unwrap();
    let (_socat, a, b) = null_modem(dir.path());
    let mut server = serve(dir.path(), &format!("arq+serial:{a},baud=115200,connect=50ms"));
    server.wait_for("waiting for somebody at ");
    let address = format!("arq+serial:{b},baud=115200");
    let said = run(dir.path(), &["call", &address, "say", "hello"], None);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "\"hello\"\n", ""));
}
