//! Arguments that the application takes as they come.
#![cfg(feature = "partial")]
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "helpers of tests")]

mod common;

use common::{Pair, events};
use ipfi_proto::{
    Arguments, CallId, CallOptions, Called, Cause, Code, Config, Connection, Direction, Event,
    Failure, Handle, IncomingId, Instant, Limits, Read, Received, Started,
};
use std::time::Duration;

const OPEN: CallOptions =
    CallOptions { deadline: None, priority: ipfi_proto::Priority::Normal, more: true };

fn partial() -> Config {
    Config::default().with_partial_arguments()
}

/// With windows of 4 KiB and messages of 16.
fn small() -> Config {
    let limits = Limits { max_message: 16 << 10, message_window: 4 << 10, ..Limits::default() };
    partial().with_limits(limits)
}

/// A call of `a` whose arguments `b` takes as they come.
fn taken(pair: &mut Pair) -> (CallId, IncomingId) {
    let target = pair.a.bind("f", 0);
    let call = pair.a.open_call(pair.now, &target, b""[..].into(), &[], OPEN).unwrap();
    pair.drive();
    let opened = events(&mut pair.b).into_iter().find_map(|event| match event {
        Event::Opened { call, called: Called::Procedure(_), .. } => Some(call),
        _ => None,
    });
    assert!(pair.b.take_arguments(opened.unwrap()));
    (call, opened.unwrap())
}

/// What there is now.
fn read(connection: &mut Connection, call: IncomingId) -> (Vec<u8>, Arguments) {
    let mut all = Vec::new();
    loop {
        match connection.read_arguments(call) {
            Arguments::Part(bytes) => {
                connection.consume_arguments(call, bytes.len());
                all.extend(bytes);
            }
            other => return (all, other),
        }
    }
}

/// How much there is now, read and not used.
fn hold(connection: &mut Connection, call: IncomingId) -> usize {
    let mut held = 0;
    while let Arguments::Part(bytes) = connection.read_arguments(call) {
        held += bytes.len();
    }
    held
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 + n / 256).to_le_bytes()[0]).collect()
}

#[test]
fn arguments_longer_than_a_message_pass_through_a_small_window() {
    let mut pair = Pair::ready(Config::default(), small());
    let (call, incoming) = taken(&mut pair);
    let all = pattern(1_000_003);
    let (mut sent, mut got, mut most) = (0, Vec::new(), 0);
    let mut rounds = 0;
    while got.len() < all.len() {
        if sent < all.len() && pair.a.unsent_arguments(call) < 10_000 {
            let n = (all.len() - sent).min(1 + sent % 5000);
            pair.a.send_arguments(call, &all[sent..sent + n], &[], false).unwrap();
            sent += n;
        }
        pair.drive();
        most = most.max(pair.b.stats().buffered);
        got.extend(read(&mut pair.b, incoming).0);
        rounds += 1;
        assert!(rounds < 10_000, "{sent} {}", got.len());
    }
    assert_eq!(got, all);
    // The window, and what the last part has grown ahead.
    assert!(most <= 6 << 10, "{most}");
    pair.a.send_arguments(call, b"", &[], true).unwrap();
    pair.drive();
    let (rest, end) = read(&mut pair.b, incoming);
    assert_eq!((rest, end), (vec![], Arguments::End { handles: vec![] }));
    pair.b.answer(pair.now, incoming, b"done"[..].into(), &[]).unwrap();
    pair.drive();
    let answered = Event::Answer { call, payload: b"done".to_vec(), handles: vec![] };
    assert_eq!(events(&mut pair.a), [answered]);
    assert_eq!(pair.b.stats().buffered, 0);
}

#[test]
fn a_slow_consumer_stops_its_caller_and_nothing_else() {
    let mut pair = Pair::ready(Config::default(), small());
    let (call, incoming) = taken(&mut pair);
    pair.a.send_arguments(call, &pattern(100_000), &[], true).unwrap();
    pair.drive();
    assert_eq!(pair.a.unsent_arguments(call), 100_000 - 4096);
    let target = pair.a.bind("g", 0);
    let other = CallOptions::default();
    pair.a.open_call(pair.now, &target, b"other"[..].into(), &[], other).unwrap();
    pair.drive();
    let came = events(&mut pair.b);
    assert!(came.iter().any(|event| matches!(event, Event::Call { .. })), "{came:?}");
    // No time is too long.
    pair.advance(Duration::from_secs(100_000));
    pair.drive();
    assert_eq!(events(&mut pair.b), []);
    let mut got = Vec::new();
    loop {
        match pair.b.read_arguments(incoming) {
            Arguments::Part(bytes) => {
                // In two pieces.
                pair.b.consume_arguments(incoming, bytes.len() / 2);
                pair.b.consume_arguments(incoming, bytes.len() - bytes.len() / 2);
                got.extend(bytes);
            }
            Arguments::Pending => pair.drive(),
            end => break assert_eq!(end, Arguments::End { handles: vec![] }),
        }
        assert!(pair.b.stats().buffered <= 6 << 10, "{}", pair.b.stats().buffered);
    }
    assert_eq!(got, pattern(100_000));
}

/// What a side that takes what it can learns of a conversation that comes in pieces, and its last word.
fn heard<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, usize, Vec<u8>) {
    let now = Instant::from_micros(1_000_000);
    let mut side = Connection::new(small(), now);
    let (mut got, mut ends, mut calls) = (Vec::new(), 0, Vec::new());
    for piece in pieces {
        side.receive(now, piece).unwrap();
        for event in events(&mut side) {
            match event {
                Event::Opened { call, .. } => {
                    assert!(side.take_arguments(call) || calls.is_empty());
                    calls.push(call);
                }
                // All of it came at once.
                Event::Call { call, payload, handles, .. } => {
                    got.extend(payload);
                    ends += handles.len();
                    side.answer(now, call, b"!"[..].into(), &[]).unwrap();
                }
                _ => {}
            }
        }
        for &call in &calls {
            let (bytes, end) = read(&mut side, call);
            got.extend(bytes);
            if let Arguments::End { handles } = end {
                ends += handles.len();
                side.answer(now, call, b"!"[..].into(), &[]).unwrap();
            }
        }
    }
    let mut sent = vec![0; 4096];
    let n = side.poll_transmit(now, &mut sent);
    sent.truncate(n);
    (got, ends, sent)
}

#[test]
fn every_split_gives_the_same_arguments() {
    // Fewer bytes than a window, so that what is said does not depend on when it is read.
    let mut pair = Pair::new(Config::default().with_codec(1), small());
    let target = pair.a.bind("f", 7);
    let call = pair.a.open_call(pair.now, &target, b"ab"[..].into(), &[], OPEN).unwrap();
    pair.drive();
    pair.a.send_arguments(call, b"c", &[], false).unwrap();
    pair.drive();
    let stream = Handle::Stream(pair.a.open_stream(Direction::Outgoing).unwrap());
    pair.a.send_arguments(call, b"de", &[stream], false).unwrap();
    pair.drive();
    let callback = Handle::Callback(pair.a.export_callback().unwrap());
    pair.a.send_arguments(call, b"", &[callback], true).unwrap();
    pair.drive();
    let bytes = pair.a_to_b;
    let whole = heard([&bytes[..]].into_iter());
    assert_eq!((&whole.0[..], whole.1), (&b"abcde"[..], 2));
    for size in 1..bytes.len() {
        assert_eq!(heard(bytes.chunks(size)), whole, "in pieces of {size}");
    }
    for first in 1..bytes.len() {
        for second in first..bytes.len() {
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            assert_eq!(heard(pieces.into_iter()), whole, "cut at {first} and {second}");
        }
    }
}

#[test]
fn streams_in_the_arguments_come_with_their_end() {
    let mut pair = Pair::ready(Config::default(), partial());
    let (call, incoming) = taken(&mut pair);
    let stream = pair.a.open_stream(Direction::Outgoing).unwrap();
    pair.a.send_item(stream, b"item").unwrap();
    pair.a.send_arguments(call, b"x", &[Handle::Stream(stream)], false).unwrap();
    pair.drive();
    assert_eq!(read(&mut pair.b, incoming), (b"x".to_vec(), Arguments::Pending));
    pair.a.send_arguments(call, b"y", &[], true).unwrap();
    pair.drive();
    let (rest, end) = read(&mut pair.b, incoming);
    assert_eq!(rest, b"y");
    let Arguments::End { handles } = end else { panic!("{end:?}") };
    let [Received::Receiver(receiver)] = handles[..] else { panic!("{handles:?}") };
    let Read::Items(mut items) = pair.b.read(receiver) else { panic!() };
    assert_eq!(items.next(), Some(&b"item"[..]));
    // It runs on without them.
    assert_eq!(pair.b.read_arguments(incoming), Arguments::Over { code: Code::CANCELLED });
    pair.b.answer(pair.now, incoming, b""[..].into(), &[]).unwrap();
}

#[test]
fn the_last_word_may_come_before_the_arguments_are_complete() {
    for answered in [true, false] {
        let mut pair = Pair::ready(Config::default(), small());
        let (call, incoming) = taken(&mut pair);
        let stream = pair.a.open_stream(Direction::Outgoing).unwrap();
        pair.a.send_arguments(call, b"abc", &[Handle::Stream(stream)], false).unwrap();
        pair.drive();
        pair.a.send_arguments(call, &[0; 10_000], &[], false).unwrap();
        if answered {
            pair.b.answer(pair.now, incoming, b"enough"[..].into(), &[]).unwrap();
        } else {
            pair.b.fail(incoming, &Failure::new(Code(300), Started::Yes));
        }
        pair.drive();
        let seen = events(&mut pair.a);
        assert!(
            seen.iter().any(|event| match event {
                Event::Answer { call: of, .. } => answered && *of == call,
                Event::Failed { call: of, failure } =>
                    !answered && *of == call && failure.code == Code(300),
                _ => false,
            }),
            "{seen:?}"
        );
        assert!(seen.contains(&Event::Stopped { stream, code: Code::CANCELLED }), "{seen:?}");
        assert_eq!((pair.a.stats().calls, pair.b.stats().incoming_calls), (0, 0));
        assert_eq!((pair.a.stats().streams, pair.b.stats().streams), (0, 0));
        assert_eq!(pair.b.stats().buffered, 0);
        assert_eq!(pair.b.read_arguments(incoming), Arguments::Over { code: Code::CANCELLED });
        // The number is free.
        taken(&mut pair);
    }
}

#[test]
fn a_caller_that_gives_up_is_noticed_at_once() {
    let mut pair = Pair::ready(Config::default(), small());
    let (call, incoming) = taken(&mut pair);
    let stream = pair.a.open_stream(Direction::Outgoing).unwrap();
    pair.a.send_arguments(call, &[1; 3000], &[Handle::Stream(stream)], false).unwrap();
    pair.drive();
    assert_eq!(events(&mut pair.b), [Event::Arguments(incoming)]);
    let Arguments::Part(part) = pair.b.read_arguments(incoming) else { panic!() };
    pair.a.cancel(call, Code::DEADLINE);
    pair.drive();
    let cancelled = Event::Cancelled { call: incoming, code: Code::DEADLINE };
    assert!(events(&mut pair.b).contains(&cancelled));
    assert_eq!(pair.b.read_arguments(incoming), Arguments::Over { code: Code::DEADLINE });
    // Only what was read is still held.
    assert!(pair.b.stats().buffered < 2 * part.len(), "{:?}", pair.b.stats());
    pair.b.consume_arguments(incoming, part.len());
    pair.b.fail(incoming, &Failure::new(Code::DEADLINE, Started::Yes));
    pair.drive();
    assert_eq!((pair.b.stats().incoming_calls, pair.b.stats().streams), (0, 0));
    assert_eq!((pair.a.stats().calls, pair.b.stats().buffered), (0, 0));
}

#[test]
fn the_end_of_the_wire_ends_them() {
    let mut pair = Pair::ready(Config::default(), small());
    let (call, incoming) = taken(&mut pair);
    pair.a.send_arguments(call, &[1; 3000], &[], false).unwrap();
    pair.drive();
    pair.b.receive_end();
    assert_eq!(pair.b.read_arguments(incoming), Arguments::Over { code: Code::WIRE_LOST });
    assert_eq!(pair.b.stats().buffered, 0);
    let closed = Event::Closed { cause: Cause::Lost };
    assert_eq!(events(&mut pair.b), [Event::Arguments(incoming), closed]);
}

#[test]
fn who_is_too_late_gets_the_whole() {
    let mut pair = Pair::ready(Config::default(), partial());
    let target = pair.a.bind("f", 0);
    let call = pair.a.open_call(pair.now, &target, b"a"[..].into(), &[], OPEN).unwrap();
    pair.drive();
    pair.a.send_arguments(call, b"b", &[], true).unwrap();
    pair.drive();
    let came = events(&mut pair.b);
    let [_, Event::Opened { call, .. }, Event::Call { payload, .. }] = &came[..] else {
        panic!("{came:?}")
    };
    assert!(!pair.b.take_arguments(*call));
    assert_eq!(payload, b"ab");
}

/// Whoever wants the whole says so when it becomes too long, and not when it just fits.
#[test]
fn whole_arguments_may_just_fit() {
    for (config, len, fits) in [
        (Config::default(), 16 << 10, true),
        (partial(), 16 << 10, true),
        (Config::default(), (16 << 10) + 1, false),
        (partial(), (16 << 10) + 1, false),
    ] {
        for window in [4 << 10, 16 << 10] {
            let limits =
                Limits { max_message: 16 << 10, message_window: window, ..Limits::default() };
            let mut pair = Pair::ready(Config::default(), config.clone().with_limits(limits));
            let target = pair.a.bind("f", 0);
            let call = pair.a.open_call(pair.now, &target, b""[..].into(), &[], OPEN).unwrap();
            pair.drive();
            pair.a.send_arguments(call, &vec![1; len], &[], false).unwrap();
            pair.drive();
            let came = events(&mut pair.b);
            pair.drive();
            let failure = Failure::new(Code::TOO_LARGE, Started::No);
            if fits {
                assert_eq!(pair.a.unsent_arguments(call), 1);
                pair.a.send_arguments(call, b"", &[], true).unwrap();
                pair.drive();
                let came = events(&mut pair.b);
                assert!(
                    matches!(&came[..], [Event::Call { payload, .. }] if payload.len() == len),
                    "{came:?}"
                );
            } else {
                assert_eq!(events(&mut pair.a), [Event::Failed { call, failure }], "{came:?}");
            }
        }
    }
}

/// What was admitted as a whole may be taken as it comes all the same.
#[test]
fn arguments_that_were_admitted_can_be_taken() {
    let mut pair = Pair::ready(Config::default(), small());
    let target = pair.a.bind("f", 0);
    let call = pair.a.open_call(pair.now, &target, b""[..].into(), &[], OPEN).unwrap();
    pair.a.send_arguments(call, &pattern(4000), &[], false).unwrap();
    while pair.step_a_to_b().unwrap() > 0 {}
    // More than half of the window came, so all of a message was admitted.
    assert!(pair.b.stats().buffered >= 16 << 10);
    let opened = events(&mut pair.b).into_iter().find_map(|event| match event {
        Event::Opened { call, .. } => Some(call),
        _ => None,
    });
    let incoming = opened.unwrap();
    assert!(pair.b.take_arguments(incoming));
    let all = pattern(60_000);
    pair.a.send_arguments(call, &all[4000..], &[], true).unwrap();
    let mut got = Vec::new();
    loop {
        pair.drive();
        let (bytes, end) = read(&mut pair.b, incoming);
        got.extend(bytes);
        if let Arguments::End { .. } = end {
            break;
        }
    }
    assert_eq!(got, all);
    assert_eq!(pair.b.stats().buffered, 0);
}

#[test]
fn without_room_the_call_ends_and_not_the_wire() {
    let limits = Limits {
        max_message: 16 << 10,
        message_window: 16 << 10,
        max_buffered: 32 << 10,
        ..Limits::default()
    };
    let mut pair = Pair::ready(Config::default(), partial().with_limits(limits));
    let calls: Vec<_> = (0..4).map(|_| taken(&mut pair)).collect();
    for (call, _) in &calls {
        pair.a.send_arguments(*call, &[1; 10_000], &[], false).unwrap();
    }
    pair.drive();
    let over: Vec<_> = events(&mut pair.b)
        .into_iter()
        .filter_map(|event| match event {
            Event::Cancelled { call, code: Code::OVERLOADED } => Some(call),
            _ => None,
        })
        .collect();
    assert!(!over.is_empty() && over.len() < 4, "{over:?}");
    assert!(pair.b.stats().buffered <= 32 << 10);
    for (_, incoming) in calls {
        if over.contains(&incoming) {
            let code = Code::OVERLOADED;
            assert_eq!(pair.b.read_arguments(incoming), Arguments::Over { code });
            pair.b.answer(pair.now, incoming, b"late"[..].into(), &[]).unwrap();
        } else {
            assert_eq!(read(&mut pair.b, incoming).0.len(), 10_000);
        }
    }
    pair.drive();
    let failed = events(&mut pair.a).into_iter().filter(
        |event| matches!(event, Event::Failed { failure, .. } if failure.code == Code::OVERLOADED),
    );
    assert_eq!(failed.count(), over.len());
    assert_eq!(pair.b.stats().incoming_calls, 4 - over.len());
}

/// Credit for a single byte is not kept back from a caller that has none left.
#[test]
fn a_whole_window_can_always_be_held() {
    let mut pair = Pair::ready(Config::default(), small());
    let (call, incoming) = taken(&mut pair);
    pair.a.send_arguments(call, &[1; 10_000], &[], false).unwrap();
    pair.drive();
    assert_eq!(hold(&mut pair.b, incoming), 4096);
    pair.b.consume_arguments(incoming, 1);
    pair.drive();
    assert_eq!(hold(&mut pair.b, incoming), 1);
    // The same when the byte was used first.
    let (call, incoming) = taken(&mut pair);
    pair.a.send_arguments(call, &[1], &[], false).unwrap();
    pair.drive();
    assert_eq!(read(&mut pair.b, incoming).0.len(), 1);
    pair.a.send_arguments(call, &[1; 10_000], &[], false).unwrap();
    pair.drive();
    assert_eq!(hold(&mut pair.b, incoming), 4096);
}
