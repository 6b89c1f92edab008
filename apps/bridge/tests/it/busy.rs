//! What a second peer gets while the far side has one already.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
};

use crate::common::{Bridge, Device, answer, connect, pass, payload, until};

struct Setup {
    bridge: Bridge,
    device: Device,
    port: u16,
    _dir: tempfile::TempDir,
}

fn setup(arguments: &[&str]) -> Setup {
    let dir = tempfile::tempdir().unwrap();
    let device = Device::new(dir.path());
    let serial = format!("serial:{}", device.path);
    let mut bridge =
        Bridge::start(&[arguments, &["-v", "tcp-listen:127.0.0.1:0", &serial]].concat());
    let port = bridge.port();
    Setup { bridge, device, port, _dir: dir }
}

impl Setup {
    /// A peer that has been served.
    fn peer(&mut self, greeting: &str) -> TcpStream {
        let mut peer = connect(self.port);
        peer.write_all(greeting.as_bytes()).unwrap();
        assert_eq!(answer(&self.device.wire), greeting);
        peer
    }
}

fn is_cut(mut peer: &TcpStream) -> bool {
    matches!(peer.read(&mut [0]), Err(error) if error.kind() == ErrorKind::ConnectionReset)
}

#[test]
fn reject_resets_the_second_peer_and_serves_the_next_one() {
    let mut setup = setup(&[]);
    let first = setup.peer("first\n");
    assert!(is_cut(&connect(setup.port)));
    setup.bridge.wait_for("busy: refused");
    setup.device.wire.write_all(b"still yours\n").unwrap();
    assert_eq!(answer(&first), "still yours\n");
    drop(first);
    setup.peer("next\n");
}

#[test]
fn a_peer_that_only_waits_for_an_answer_gives_way() {
    let mut setup = setup(&[]);
    let first = setup.peer("first\n");
    first.shutdown(Shutdown::Write).unwrap();
    setup.device.wire.write_all(b"an answer\n").unwrap();
    assert_eq!(answer(&first), "an answer\n");
    let second = setup.peer("second\n");
    assert_eq!((&first).read(&mut [0]).unwrap(), 0, "the first one hears a clean end");
    setup.device.wire.write_all(b"yours\n").unwrap();
    assert_eq!(answer(&second), "yours\n");
}

#[test]
fn wait_queues_the_second_peer() {
    let mut setup = setup(&["--on-busy=wait"]);
    let first = setup.peer("first\n");
    let mut second = connect(setup.port);
    second.write_all(b"second\n").unwrap();
    setup.device.wire.write_all(b"for the first\n").unwrap();
    assert_eq!(answer(&first), "for the first\n");
    drop(first);
    assert_eq!(answer(&setup.device.wire), "second\n");
}

#[test]
fn kick_resets_the_first_peer() {
    let mut setup = setup(&["--on-busy=kick"]);
    let first = setup.peer("first\n");
    let second = setup.peer("second\n");
    assert!(is_cut(&first));
    setup.device.wire.write_all(b"yours\n").unwrap();
    assert_eq!(answer(&second), "yours\n");
    setup.bridge.wait_for("kicked");
}

#[test]
fn share_lets_all_hear_and_writes_are_whole() {
    let mut setup = setup(&["--on-busy=share"]);
    let peers: Vec<_> = (0..8).map(|i| setup.peer(&format!("{i}\n"))).collect();
    setup.device.wire.write_all(b"to all\n").unwrap();
    for peer in &peers {
        assert_eq!(answer(peer), "to all\n");
    }
    // Each write is a line of one letter; the device hears whole lines.
    std::thread::scope(|scope| {
        for (letter, mut peer) in (b'a'..).zip(&peers) {
            scope.spawn(move || {
                let line = [&[letter; 99][..], b"\n"].concat();
                for _ in 0..50 {
                    peer.write_all(&line).unwrap();
                }
            });
        }
        for _ in 0..8 * 50 {
            let line = answer(&setup.device.wire);
            assert!(
                line.len() == 100 && line[..99].bytes().all(|b| b == line.as_bytes()[0]),
                "{line}"
            );
        }
    });
}

#[test]
fn share_drops_who_reads_too_slowly_and_nobody_else() {
    const VOLUME: usize = 32 << 20;
    let mut setup = setup(&["--on-busy=share"]);
    let slow = setup.peer("slow\n");
    let quick = setup.peer("quick\n");
    let piece = payload(64 << 10);
    for _ in 0..VOLUME / piece.len() {
        // In step with the quick one, so that only the other one falls behind.
        pass(&piece, &setup.device.wire, &quick);
    }
    setup.bridge.wait_for("reads too slowly and is dropped");
    let mut slow_got = Vec::new();
    let end = (&slow).read_to_end(&mut slow_got);
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let mut bridge = setup.bridge;
    until(|| {
        bridge.signal("USR1");
        bridge.wait_for("back:").contains("slow 1")
    });
}
