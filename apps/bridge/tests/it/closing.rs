//! How streams end: what one end says the other hears, 8 MiB each way, spliced and copied.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

use crate::common::{Bridge, PATIENCE, answer, connect, pass, pause, payload, server};

const VOLUME: usize = 8 << 20;
const WAYS: [&[&str]; 2] = [&[], &["--no-splice"]];

fn pair(way: &[&str]) -> (Bridge, TcpStream, TcpStream) {
    let (listener, address) = server();
    let mut bridge = Bridge::start(&[way, &["tcp-listen:127.0.0.1:0", &address]].concat());
    let client = bridge.connect();
    let (server, _) = listener.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    (bridge, client, server)
}

fn read_all(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_reply_that_starts_two_seconds_after_the_half_close_is_whole() {
    for way in WAYS {
        let (_bridge, mut client, mut server) = pair(way);
        let reply = thread::spawn(move || {
            let request = read_all(&server);
            pause(Duration::from_secs(2));
            server.write_all(&payload(VOLUME)).unwrap();
            request
        });
        client.write_all(&payload(VOLUME)).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert!(read_all(&client) == payload(VOLUME), "{way:?}: the reply");
        assert!(reply.join().unwrap() == payload(VOLUME), "{way:?}: the request");
    }
}

#[test]
fn a_client_that_sends_and_closes_is_heard_to_the_end() {
    for way in WAYS {
        let (_bridge, mut client, server) = pair(way);
        let reader = thread::spawn(move || read_all(&server));
        client.write_all(&payload(VOLUME)).unwrap();
        drop(client);
        assert!(reader.join().unwrap() == payload(VOLUME), "{way:?}");
    }
}

#[test]
fn a_server_that_replies_and_closes_is_heard_by_a_slow_client() {
    for way in WAYS {
        let (_bridge, mut client, mut server) = pair(way);
        let writer = thread::spawn(move || server.write_all(&payload(VOLUME)).unwrap());
        let mut received = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        loop {
            if received.len() % (1 << 20) < piece.len() {
                pause(Duration::from_millis(20));
            }
            match client.read(&mut piece).unwrap() {
                0 => break,
                n => received.extend_from_slice(&piece[..n]),
            }
        }
        writer.join().unwrap();
        assert!(received == payload(VOLUME), "{way:?}");
    }
}

#[test]
fn a_reset_passes_through_as_a_reset_both_ways() {
    for way in WAYS {
        for bulk in [1, 1 << 20] {
            let (_bridge, mut client, server) = pair(way);
            exchange(&client, &server, bulk);
            socket2::SockRef::from(&server).set_linger(Some(Duration::ZERO)).unwrap();
            drop(server);
            let error = client.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{way:?}");

            let (_bridge, client, mut server) = pair(way);
            exchange(&client, &server, bulk);
            socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            drop(client);
            let error = server.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{way:?}");
        }
    }
}

fn exchange(client: &TcpStream, server: &TcpStream, bulk: usize) {
    pass(&payload(bulk), client, server);
    pass(&payload(bulk), server, client);
}

#[test]
fn a_failed_child_resets_its_client_and_a_good_one_does_not() {
    for (script, is_cut) in [("echo hello; exit 0", false), ("echo hello; exit 3", true)] {
        let far = format!("exec:{script},shell");
        let mut bridge = Bridge::start(&["tcp-listen:127.0.0.1:0", &far]);
        let mut client = bridge.connect();
        assert_eq!(answer(&client), "hello\n");
        let end = client.read(&mut [0]);
        assert_eq!(end.is_err(), is_cut, "{script}: {end:?}");
    }
}

#[test]
fn half_dead_pairs_end_after_the_linger_and_no_byte_sooner() {
    let (listener, address) = server();
    let mut bridge = Bridge::start(&["--linger=300ms", "tcp-listen:127.0.0.1:0", &address]);
    let mut client = bridge.connect();
    let (mut server, _) = listener.accept().unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
    for _ in 0..5 {
        pause(Duration::from_millis(150));
        server.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 1);
    }
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the silent half ends");
}

#[test]
fn idle_pairs_end_when_told_so() {
    let (listener, address) = server();
    let mut bridge = Bridge::start(&["--idle=200ms", "tcp-listen:127.0.0.1:0", &address]);
    let port = bridge.port();
    let mut client = connect(port);
    let (_server, _) = listener.accept().unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}
