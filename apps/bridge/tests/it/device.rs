//! A device that goes away and comes back.

use std::{
    io::{ErrorKind, Read, Write},
    thread,
    time::Duration,
};

use crate::common::{Bridge, Device, PATIENCE, answer, pause, payload, server, until};

fn bridge(device: &Device, arguments: &[&str]) -> Bridge {
    let serial = format!("serial:{},baud=115200", device.path);
    Bridge::start(&[arguments, &["-v", "tcp-listen:127.0.0.1:0", &serial]].concat())
}

#[test]
fn the_client_stays_and_every_byte_arrives_after_the_device_is_back() {
    const VOLUME: usize = 24 << 20;
    let dir = tempfile::tempdir().unwrap();
    let mut device = Device::new(dir.path());
    let mut bridge = bridge(&device, &[]);
    let mut client = bridge.connect();
    client.write_all(b"before\n").unwrap();
    assert_eq!(answer(&device.wire), "before\n");

    device.unplug();
    bridge.wait_for("lost serial:");
    // More than all buffers hold: the client is slowed down, not cut.
    let mut writer = client.try_clone().unwrap();
    let sent = thread::spawn(move || writer.write_all(&payload(VOLUME)).unwrap());
    for number in 1..=3 {
        bridge.wait_for(&format!("try {number}:"));
    }
    assert!(!sent.is_finished(), "nobody takes {VOLUME} bytes while the device is away");

    device.plug_in();
    let mut received = vec![0; VOLUME];
    device.wire.read_exact(&mut received).unwrap();
    sent.join().unwrap();
    assert!(received == payload(VOLUME), "bytes are missing or out of place");
    bridge.wait_for("is back after");

    device.wire.write_all(b"hello again\n").unwrap();
    assert_eq!(answer(&client), "hello again\n");
}

#[test]
fn a_device_that_is_away_costs_no_processor_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut device = Device::new(dir.path());
    let mut bridge = bridge(&device, &[]);
    let _client = bridge.connect();
    device.unplug();
    bridge.wait_for("lost serial:");
    let before = bridge.cpu_ticks();
    pause(Duration::from_secs(3));
    let ticks = bridge.cpu_ticks() - before;
    assert!(ticks <= 3, "{ticks} ticks of 10 ms in 3 s: more than 1 %");
}

#[test]
fn bytes_for_an_absent_device_are_thrown_away_when_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut device = Device::new(dir.path());
    let mut bridge = bridge(&device, &["--while-down=discard"]);
    let mut client = bridge.connect();
    client.write_all(b"before\n").unwrap();
    assert_eq!(answer(&device.wire), "before\n");
    device.unplug();
    bridge.wait_for("lost serial:");
    client.write_all(&payload(4 << 20)).unwrap(); // nobody slows the client down
    bridge.wait_for("try 2:");
    until(|| {
        bridge.signal("USR1");
        let line = bridge.wait_for("serial:");
        line.contains(&format!("discarded {}", 4 << 20))
    });
    device.plug_in();
    bridge.wait_for("is back after");
    client.write_all(b"after\n").unwrap();
    assert_eq!(answer(&device.wire), "after\n");
}

#[test]
fn losing_the_device_ends_the_program_when_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut device = Device::new(dir.path());
    let mut bridge = bridge(&device, &["--on-loss=exit"]);
    let mut client = bridge.connect();
    client.write_all(b"x\n").unwrap();
    assert_eq!(answer(&device.wire), "x\n");
    device.unplug();
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let (status, _) = bridge.finish();
    assert_eq!(status.code(), Some(4));
}

#[test]
fn with_retry_the_device_may_come_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut device = Device::new(dir.path());
    device.unplug();
    let mut bridge = bridge(&device, &["--on-loss=retry"]);
    let mut client = bridge.connect();
    client.write_all(b"early\n").unwrap();
    bridge.wait_for("try 1:");
    device.plug_in();
    assert_eq!(answer(&device.wire), "early\n");
}

#[test]
fn a_terminal_stays_while_its_peer_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let (listener, address) = server();
    let pty = format!("pty:,link={}", dir.path().join("modem").display());
    let mut bridge = Bridge::start(&["-v", &pty, &address]);
    bridge.wait_for("opened tcp:");
    let (mut server, _) = listener.accept().unwrap();
    let open = || {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).open(dir.path().join("modem")).unwrap()
    };
    let mut tty = open();
    tty.write_all(b"one\n").unwrap();
    assert_eq!(answer(&server), "one\n");
    server.write_all(b"two\n").unwrap();
    assert_eq!(answer(&tty), "two\n");
    drop(server);
    bridge.wait_for("lost tcp:");
    tty.write_all(b"three\n").unwrap(); // the terminal is still there
    let (server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(answer(&server), "three\n");
    drop(tty);
    let mut tty = open(); // and survives being closed and opened again
    tty.write_all(b"four\n").unwrap();
    assert_eq!(answer(&server), "four\n");
}
