//! Many peers: at once, one after the other, and one that never reads.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use crate::common::{Bridge, connect, pass, payload, server, until};

/// Sends everything back, for any number of peers.
fn echo(listener: TcpListener) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            // Small stacks: there may be a thousand.
            let echo = thread::Builder::new().stack_size(64 * 1024);
            let run = move || {
                let mut buf = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buf) {
                    if stream.write_all(&buf[..n]).is_err() {
                        break;
                    }
                }
            };
            echo.spawn(run).unwrap();
        }
    });
}

#[test]
fn a_thousand_at_once_and_ten_thousand_in_sequence() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();

    let (listener, address) = server();
    echo(listener);
    let mut bridge = Bridge::start(&["tcp-listen:127.0.0.1:0", &address]);
    let port = bridge.port();
    let visit = |i: u32| {
        let mut client = connect(port);
        client.write_all(&i.to_le_bytes()).unwrap();
        let mut reply = [0; 4];
        client.read_exact(&mut reply).unwrap();
        assert_eq!(u32::from_le_bytes(reply), i);
        client
    };

    // Warmed up, so that what stays is a leak.
    drop((0..1000).map(visit).collect::<Vec<_>>());
    until(|| bridge.descriptors() < 32);
    let (descriptors, resident) = (bridge.descriptors(), bridge.resident());

    let clients: Vec<_> = (0..1000).map(visit).collect();
    assert!(bridge.descriptors() >= 2000, "they are all there");
    for (mut client, i) in clients.iter().zip(0_u32..) {
        client.write_all(&i.to_le_bytes()).unwrap();
    }
    for (mut client, i) in clients.iter().zip(0_u32..) {
        let mut reply = [0; 4];
        client.read_exact(&mut reply).unwrap();
        assert_eq!(u32::from_le_bytes(reply), i);
    }
    drop(clients);
    for i in 0..10_000 {
        drop(visit(i));
    }
    until(|| bridge.descriptors() <= descriptors);
    let grown = bridge.resident().saturating_sub(resident);
    assert!(grown < 1024, "{grown} KiB more than after the first thousand");
    until(|| {
        bridge.signal("USR1");
        let line = bridge.wait_for("back:");
        line.contains("peers 12000") && !line.contains("active")
    });
}

#[test]
fn a_client_that_never_reads_stalls_nobody() {
    let (listener, address) = server();
    echo(listener);
    let mut bridge = Bridge::start(&["tcp-listen:127.0.0.1:0", &address]);
    let port = bridge.port();
    let lazy = connect(port);
    let mut writer = lazy.try_clone().unwrap();
    writer.set_write_timeout(None).unwrap();
    thread::spawn(move || writer.write_all(&payload(64 << 20)));
    let eager = connect(port);
    pass(&payload(8 << 20), &eager, &eager);
    drop(lazy);
}

#[test]
fn no_more_peers_than_allowed() {
    let (listener, address) = server();
    echo(listener);
    let mut bridge = Bridge::start(&["--max-peers=2", "tcp-listen:127.0.0.1:0", &address]);
    let port = bridge.port();
    let mut peers: Vec<_> = (0..3).map(|_| connect(port)).collect();
    let third = &mut peers.pop().unwrap();
    third.write_all(b"x").unwrap();
    for peer in &mut peers {
        peer.write_all(b"y").unwrap();
        peer.read_exact(&mut [0]).unwrap();
    }
    bridge.signal("USR1");
    let line = bridge.wait_for("back:");
    assert!(line.contains("peers 2, active 2"), "{line}");
    drop(peers.pop());
    third.read_exact(&mut [0]).unwrap();
}
