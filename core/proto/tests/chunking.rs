//! However the bytes are cut, the events and the answers are the same.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "helpers of tests")]

mod common;

use common::random::{Random, seed};
use common::{Pair, events};
use ipfi_proto::{
    CallId, CallOptions, Called, Code, Config, Connection, Direct, Direction, Event, Handle,
    IncomingId, Instant, Limits, Priority, Read, Received,
};
use std::time::Duration;

fn now() -> Instant {
    Instant::from_micros(1_000_000)
}

/// What one side said in a conversation in which everything occurs.
fn recorded() -> Vec<u8> {
    let mut pair = Pair::new(Config::default().with_codec(1), Config::default());
    let echo = pair.a.bind("echo", 0x0102_0304_0506_0708);
    let low =
        CallOptions { deadline: Some(Duration::from_secs(9)), priority: Priority::Low, more: true };
    let plain = CallOptions::default();
    pair.a.open_call(pair.now, &echo, b"small"[..].into(), &[], plain).unwrap();
    let bits = pair.a.open_call(pair.now, &echo, b"bit"[..].into(), &[], low).unwrap();
    let callback = pair.a.export_callback().unwrap();
    let sender = pair.a.open_stream(Direction::Outgoing).unwrap();
    let back = pair.a.open_stream(Direction::Incoming).unwrap();
    let handles = [Handle::Callback(callback), Handle::Stream(sender), Handle::Stream(back)];
    pair.a.open_call(pair.now, &echo, b"handles"[..].into(), &handles, plain).unwrap();
    pair.a.send_item(sender, b"").unwrap();
    pair.a.send_item(sender, b"item").unwrap();
    pair.drive();
    pair.a.send_arguments(bits, b" by bit", &[], true).unwrap();
    pair.a.send_item_with(sender, vec![7; 5000], &[]).unwrap();
    pair.drive();
    pair.a.finish(sender);
    pair.a.stop(back, Code::DROPPED);
    pair.a.ping(pair.now);
    let large = pair.a.open_call(pair.now, &echo, vec![9; 3000].into(), &[], plain).unwrap();
    pair.drive();
    pair.a.cancel(large, Code::CANCELLED);
    pair.drive();
    pair.a.close(pair.now, None);
    pair.drive();
    pair.a_to_b
}

/// What is handed over directly, as the events that it stands for.
struct Log<'a>(&'a mut Vec<String>);

impl Direct for Log<'_> {
    fn call(&mut self, call: IncomingId, procedure: u32, payload: &[u8]) {
        let event = Event::Call {
            call,
            called: Called::Procedure(procedure),
            payload: payload.to_vec(),
            handles: Vec::new(),
            deadline: None,
            priority: Priority::Normal,
        };
        self.0.push(format!("{event:?}"));
    }

    fn answer(&mut self, call: CallId, payload: &[u8]) {
        let event = Event::Answer { call, payload: payload.to_vec(), handles: Vec::new() };
        self.0.push(format!("{event:?}"));
    }
}

/// Everything that a side that hears `pieces` learns and says: the same by events alone, and with
/// small calls and answers handed over.
fn heard<'a>(pieces: impl Iterator<Item = &'a [u8]> + Clone) -> (Vec<String>, Vec<u8>) {
    let by_events = heard_by(pieces.clone(), false);
    assert_eq!(heard_by(pieces, true), by_events);
    by_events
}

fn heard_by<'a>(pieces: impl Iterator<Item = &'a [u8]>, direct: bool) -> (Vec<String>, Vec<u8>) {
    let mut side = Connection::new(Config::default(), now());
    let mut log = Vec::new();
    let mut receivers = Vec::new();
    for piece in pieces {
        // An error is in the last event, too.
        let _ = if direct {
            side.receive_with(now(), piece, &mut Log(&mut log))
        } else {
            side.receive(now(), piece)
        };
        while let Some(event) = side.poll_event() {
            // How often there is something to read depends on the cuts.
            let quiet = matches!(event, Event::Readable(_));
            if let Event::Call { handles, .. } = &event {
                receivers.extend(handles.iter().filter_map(|handle| match handle {
                    Received::Receiver(stream) => Some(*stream),
                    _ => None,
                }));
            }
            if !quiet {
                log.push(format!("{event:?}"));
            }
        }
    }
    for stream in receivers {
        while let Read::Items(mut items) = side.read(stream) {
            while let Some(item) = items.next() {
                log.push(format!("item {item:?}"));
            }
        }
    }
    let mut sent = vec![0; 1 << 16];
    let n = side.poll_transmit(now(), &mut sent);
    sent.truncate(n);
    (log, sent)
}

#[test]
fn random_cuts_of_a_long_conversation() {
    let bytes = recorded();
    let whole = heard([&bytes[..]].into_iter());
    assert!(
        whole.0.len() > 10
            && whole.0.iter().all(|line| !line.starts_with("Closed { cause: Protocol")),
        "{whole:#?}"
    );
    assert_eq!(heard(bytes.chunks(1)), whole, "one byte at a time");
    let seed = seed();
    println!("IPFI_SEED={seed}");
    let mut random = Random::new(seed);
    for _ in 0..3000 {
        let mut rest = &bytes[..];
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + random.size(rest.len() - 1));
            pieces.push(piece);
            rest = after;
        }
        assert_eq!(heard(pieces.iter().copied()), whole);
    }
}

#[test]
fn all_cuts_of_short_conversations() {
    const HELLO: &[u8] = &[0x1f, 0xf1, 1, 1, 0, 0, 0, 0];
    let frames: [&[u8]; 6] = [
        // A call of a procedure without a number, and an empty frame.
        b"\x05\x00\x00abc\x00\x02\x01\x00",
        // A call with a callback, in its long form.
        b"\x08\xc0\x00\x02\x00\x01\x00hi\x03\xcd\x05",
        // A name and a call of it.
        b"\x0b\xcb\x00\x08\x07\x06\x05\x04\x03\x02\x01f\x02\x00\x00",
        // Arguments in two parts.
        b"\x05\xc0\x00\x01\x00a\x04\xc1\x00\x00b",
        // An unknown frame, and one that breaks the protocol.
        b"\x04\xff\x01\x02\x03\x02\xc4\x00\x05",
        // A length that cannot be.
        b"\x02\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ];
    for frames in frames {
        let bytes = [HELLO, frames].concat();
        let whole = heard([&bytes[..]].into_iter());
        // The hello in all its cuts is in the others; here its end and all that follows.
        let first = 7;
        let places = bytes.len() - first - 1;
        for mask in 0u32..1 << places {
            let mut pieces = Vec::new();
            let mut from = 0;
            for place in 0..places {
                if mask >> place & 1 == 1 {
                    pieces.push(&bytes[from..=first + place]);
                    from = first + place + 1;
                }
            }
            pieces.push(&bytes[from..]);
            assert_eq!(heard(pieces.iter().copied()), whole, "{mask:b} of {bytes:x?}");
        }
    }
}

#[test]
fn a_buffer_of_one_byte_sends_the_same() {
    let send = |size| {
        let mut pair = Pair::new(Config::default(), Config::default());
        pair.buffer = size;
        let target = pair.a.bind("x", 1);
        for n in 0..20 {
            let payload = vec![n; 40];
            pair.a
                .open_call(pair.now, &target, payload.into(), &[], CallOptions::default())
                .unwrap();
        }
        pair.drive();
        events(&mut pair.a);
        pair.a_to_b
    };
    assert_eq!(send(1), send(4096));
}

#[test]
fn a_recording_works_under_the_smallest_limits() {
    let config = Config::default().with_limits(Limits::smallest());
    let mut pair = Pair::ready(config.clone(), config);
    pair.buffer = 3;
    let target = pair.a.bind("x", 1);
    let id = pair.a.open_call(pair.now, &target, vec![5; 4096].into(), &[], CallOptions::default());
    pair.drive();
    let got = events(&mut pair.b);
    assert!(matches!(&got[1], Event::Call { payload, .. } if *payload == [5; 4096]), "{got:?}");
    assert!(id.is_ok());
}
