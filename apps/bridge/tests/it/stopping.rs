//! Signals, `--once`, statistics.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::common::{Bridge, answer, connect, pause, payload, server, until};

#[test]
fn a_signal_drains_what_is_under_way() {
    let (listener, address) = server();
    let mut bridge = Bridge::start(&["tcp-listen:127.0.0.1:0", &address]);
    let port = bridge.port();
    let mut client = connect(port);
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(&payload(100_000)).unwrap();
    let mut received = vec![0; 100_000];
    server.read_exact(&mut received[..50_000]).unwrap();
    bridge.signal("TERM");
    bridge.wait_for("stopping");
    server.read_exact(&mut received[50_000..]).unwrap();
    assert!(received == payload(100_000));
    assert_eq!(server.read(&mut [0]).unwrap(), 0, "a clean end");
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "a clean end");
    let (status, _) = bridge.finish();
    assert_eq!(status.code(), Some(0));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_device_and_a_child_stop_at_once_even_if_nobody_reads() {
    let dir = tempfile::tempdir().unwrap();
    let pty = format!("pty:,link={}", dir.path().join("tty").display());
    let mut bridge = Bridge::start(&[&pty, "exec:echo unread; cat,shell,once"]);
    bridge.wait_for("opened exec:");
    bridge.signal("TERM");
    assert_eq!(bridge.finish().0.code(), Some(0)); // within the patience of a test
}

/// Nobody reads at the other end: when all buffers on the way stay full, draining takes its time.
fn fill(client: &mut TcpStream) {
    client.set_nonblocking(true).unwrap();
    let flood = payload(1 << 20);
    let mut refusals = 0;
    while refusals < 10 {
        if client.write(&flood).is_ok() {
            refusals = 0;
        } else {
            refusals += 1;
            pause(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_second_signal_stops_at_once() {
    let (listener, address) = server();
    let mut bridge = Bridge::start(&["tcp-listen:127.0.0.1:0", &address]);
    let mut client = bridge.connect();
    let (_server, _) = listener.accept().unwrap();
    fill(&mut client);
    bridge.signal("INT");
    bridge.wait_for("stopping");
    bridge.signal("INT");
    assert_eq!(bridge.finish().0.code(), Some(130));
}

#[test]
fn a_second_signal_ends_programs_too() {
    let stubborn = "exec:trap '' TERM; echo $$; while true; do sleep 0.01; done,shell";
    let mut bridge = Bridge::start(&["tcp-listen:127.0.0.1:0", stubborn]);
    let mut client = bridge.connect();
    let group = answer(&client);
    fill(&mut client);
    bridge.signal("INT");
    bridge.wait_for("stopping");
    bridge.signal("INT");
    assert_eq!(bridge.finish().0.code(), Some(130));
    let process = Path::new("/proc").join(group.trim());
    until(|| !process.exists());
}

#[test]
fn it_goes_on_when_nobody_hears_it() {
    let (listener, address) = server();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipfi-bridge"));
    command.args(["-v", "tcp-listen:127.0.0.1:0", &address]);
    let mut bridge = command.stderr(Stdio::piped()).spawn().unwrap();
    let said = answer(bridge.stderr.take().unwrap());
    let port = said.trim().rsplit(':').next().unwrap().parse().unwrap();
    for word in ["one\n", "two\n"] {
        let mut client = connect(port);
        let (server, _) = listener.accept().unwrap();
        client.write_all(word.as_bytes()).unwrap();
        assert_eq!(answer(&server), word);
    }
    // As when a terminal is closed.
    let pid = bridge.id().to_string();
    assert!(Command::new("kill").args(["-s", "HUP", &pid]).status().unwrap().success());
    assert_eq!(bridge.wait().unwrap().code(), Some(0));
}

#[test]
fn once_serves_one_peer() {
    let (listener, address) = server();
    let mut bridge = Bridge::start(&["--once", "tcp-listen:127.0.0.1:0", &address]);
    let mut client = bridge.connect();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"only\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(answer(&server), "only\n");
    server.write_all(b"reply\n").unwrap();
    drop(server);
    assert_eq!(answer(&client), "reply\n");
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!(bridge.finish().0.code(), Some(0));
}

#[test]
fn once_with_a_shared_end_serves_one_peer() {
    let dir = tempfile::tempdir().unwrap();
    let mut device = crate::common::Device::new(dir.path());
    let serial = format!("serial:{}", device.path);
    let mut bridge =
        Bridge::start(&["--once", "--linger=200ms", "tcp-listen:127.0.0.1:0", &serial]);
    let mut client = bridge.connect();
    client.write_all(b"ask\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(answer(&device.wire), "ask\n");
    device.wire.write_all(b"reply\n").unwrap();
    assert_eq!(answer(&client), "reply\n");
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!(bridge.finish().0.code(), Some(0));
}

#[test]
fn totals_for_programs() {
    let (listener, address) = server();
    let mut bridge = Bridge::start(&["--once", "--stats=json", "tcp-listen:127.0.0.1:0", &address]);
    let mut client = bridge.connect();
    let (server, _) = listener.accept().unwrap();
    client.write_all(b"12345\n").unwrap();
    assert_eq!(answer(&server), "12345\n");
    drop((client, server));
    let line = bridge.wait_for("a_to_b");
    let totals: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(totals["a_to_b"], 6);
    assert_eq!(totals["b_to_a"], 0);
    assert_eq!(totals["peers"], 1);
}
