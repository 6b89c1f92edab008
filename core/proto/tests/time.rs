//! Time-outs, signs of life, speed and fairness, on a simulated clock.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "helpers of tests")]

mod common;

use common::{Pair, events};
use ipfi_proto::{
    CallOptions, Cause, Code, Config, Connection, Event, Failure, Instant, Limits, Priority,
    Started, Target,
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn cause(connection: &mut Connection) -> Option<Cause> {
    events(connection).into_iter().find_map(|event| match event {
        Event::Closed { cause } => Some(cause),
        _ => None,
    })
}

#[test]
fn a_silent_stranger_is_given_up() {
    let start = Instant::from_micros(0);
    let mut side = Connection::new(Config::default(), start);
    let mut buffer = [0; 64];
    side.poll_transmit(start, &mut buffer);
    // A byte every nine seconds is a sign of life, but there are only eight.
    let mut now = start;
    for byte in [0x1f, 0xf1, 1, 1, 0x75, 0xa6, 0x56] {
        now = now + 9 * SECOND;
        side.handle_timeout(now);
        side.receive(now, &[byte]).unwrap();
    }
    assert_eq!(side.poll_timeout(), Some(now + 10 * SECOND));
    side.handle_timeout(now + 10 * SECOND);
    assert_eq!(cause(&mut side), Some(Cause::HandshakeTimeout));
    assert!(side.poll_transmit(now, &mut buffer) > 0, "it is told");
    assert_eq!(side.poll_timeout(), None);
}

#[test]
fn slow_wires_have_more_time() {
    // Two bytes a second: Morse. The hello alone takes four seconds, 64 byte times are 32.
    let config = Config::default().with_speed(2).with_keepalive(SECOND);
    let start = Instant::from_micros(0);
    let mut side = Connection::new(config, start);
    let mut buffer = [0; 64];
    side.poll_transmit(start, &mut buffer);
    side.handle_timeout(start + 31 * SECOND);
    assert!(!side.is_closed());
    side.handle_timeout(start + 32 * SECOND);
    assert!(side.is_closed());
}

#[test]
fn wires_with_turns_have_more_time() {
    // Four round trips of 20 s, and 64 bytes of half a second each.
    let config = Config::default().with_speed(2).with_round_trip(20 * SECOND);
    let start = Instant::from_micros(0);
    let mut side = Connection::new(config, start);
    side.poll_transmit(start, &mut [0; 64]);
    side.handle_timeout(start + 111 * SECOND);
    assert!(!side.is_closed());
    side.handle_timeout(start + 112 * SECOND);
    assert!(side.is_closed());
}

#[test]
fn keepalive_asks_before_it_gives_up() {
    let config = Config::default().with_keepalive(5 * SECOND);
    let mut pair = Pair::ready(config, Config::default());
    for _ in 0..10 {
        pair.advance(5 * SECOND);
        pair.drive();
        assert_eq!(events(&mut pair.a), []);
    }
    // The peer is gone: a question after 5 s, the end after 10.
    pair.advance(5 * SECOND);
    assert!(pair.step_a_to_b().unwrap() > 0);
    pair.advance(4 * SECOND);
    assert!(!pair.a.is_closed());
    pair.advance(SECOND + Duration::from_millis(1));
    assert_eq!(cause(&mut pair.a), Some(Cause::KeepaliveTimeout));
}

#[test]
fn a_wire_without_work_closes_in_peace() {
    let config = Config::default().with_idle_timeout(30 * SECOND);
    let mut pair = Pair::ready(config, Config::default());
    let target = pair.a.bind("x", 0);
    pair.a.open_call(pair.now, &target, b""[..].into(), &[], CallOptions::default()).unwrap();
    pair.drive();
    for _ in 0..10 {
        // The call runs, so it is not idle.
        pair.advance(20 * SECOND);
        pair.drive();
    }
    assert!(!pair.a.is_closed());
    for event in events(&mut pair.b) {
        if let Event::Call { call, .. } = event {
            pair.b.answer(pair.now, call, b""[..].into(), &[]).unwrap();
        }
    }
    pair.drive();
    events(&mut pair.a);
    pair.advance(29 * SECOND);
    pair.drive();
    assert!(!pair.a.is_closed());
    pair.advance(2 * SECOND);
    pair.drive();
    assert_eq!(cause(&mut pair.a), Some(Cause::Idle));
    assert_eq!(cause(&mut pair.b), Some(Cause::Graceful));
}

#[test]
fn a_close_does_not_wait_for_ever() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    let target = pair.a.bind("x", 0);
    let id =
        pair.a.open_call(pair.now, &target, b""[..].into(), &[], CallOptions::default()).unwrap();
    pair.drive();
    pair.b.close(pair.now, Some(10 * SECOND));
    pair.drive();
    pair.advance(10 * SECOND);
    pair.drive();
    assert_eq!(cause(&mut pair.b), Some(Cause::CloseTimeout));
    let failure = Failure::new(Code::WIRE_LOST, Started::Maybe);
    assert!(events(&mut pair.a).contains(&Event::Failed { call: id, failure }));
}

#[test]
fn arguments_that_never_end_are_refused() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    let target = pair.a.bind("x", 0);
    let options = CallOptions { more: true, ..CallOptions::default() };
    let id = pair.a.open_call(pair.now, &target, b"a"[..].into(), &[], options).unwrap();
    for _ in 0..61 {
        pair.drive();
        pair.advance(SECOND);
        let _ = pair.a.send_arguments(id, b"b", &[], false);
    }
    pair.drive();
    let failure = Failure::new(Code::ARGUMENTS_TIMEOUT, Started::No);
    assert!(events(&mut pair.a).contains(&Event::Failed { call: id, failure }));
    assert!(pair.a.is_idle() && pair.b.is_idle());
}

#[test]
fn a_round_trip_is_measured() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    pair.a.ping(pair.now);
    pair.step_a_to_b().unwrap();
    pair.now = pair.now + Duration::from_millis(120);
    pair.drive();
    let round_trip = Duration::from_millis(120);
    assert_eq!(events(&mut pair.a), [Event::Pong { round_trip }]);
}

/// Opens a call of so many bytes; the first byte tells which.
fn open(pair: &mut Pair, target: &Target, tag: u8, size: usize, priority: Priority) {
    let options = CallOptions { priority, ..CallOptions::default() };
    pair.a.open_call(pair.now, target, vec![tag; size].into(), &[], options).unwrap();
}

/// In which order the calls are complete at the other side.
fn order(pair: &mut Pair) -> Vec<u8> {
    pair.buffer = 512;
    pair.drive();
    let calls = events(&mut pair.b).into_iter().filter_map(|event| match event {
        Event::Call { payload, .. } => Some(payload[0]),
        _ => None,
    });
    calls.collect()
}

#[test]
fn large_messages_take_turns() {
    let mut pair = Pair::ready(Config::default().with_speed(50_000), Config::default());
    let target = pair.a.bind("x", 0);
    open(&mut pair, &target, 1, 100_000, Priority::Normal);
    open(&mut pair, &target, 2, 20_000, Priority::Normal);
    open(&mut pair, &target, 3, 3_000, Priority::Normal);
    open(&mut pair, &target, 4, 10, Priority::Normal);
    assert_eq!(order(&mut pair), [4, 3, 2, 1]);
}

#[cfg(feature = "speed")]
#[test]
fn higher_classes_go_first_and_lower_ones_do_not_starve() {
    let mut pair = Pair::ready(Config::default().with_speed(50_000), Config::default());
    let target = pair.a.bind("x", 0);
    open(&mut pair, &target, 1, 30_000, Priority::Low);
    open(&mut pair, &target, 2, 30_000, Priority::Normal);
    open(&mut pair, &target, 3, 30_000, Priority::High);
    assert_eq!(order(&mut pair), [3, 2, 1]);
    open(&mut pair, &target, 1, 2_000, Priority::Low);
    open(&mut pair, &target, 3, 100_000, Priority::High);
    assert_eq!(order(&mut pair), [1, 3]);
}

#[test]
fn messages_wait_for_room_instead_of_failing() {
    // Sixteen messages of a megabyte, and room for four. Their windows take half of that.
    let limits = Limits {
        max_message: 1 << 20,
        max_buffered: 4 << 20,
        message_window: 128 << 10,
        max_calls: 16,
        ..Limits::default()
    };
    let mut pair = Pair::ready(Config::default(), Config::default().with_limits(limits));
    let target = pair.a.bind("x", 0);
    for tag in 0..16 {
        open(&mut pair, &target, tag, 1 << 20, Priority::Normal);
    }
    let mut served = 0;
    pair.buffer = 1 << 16;
    while pair.step_a_to_b().unwrap() + pair.step_b_to_a().unwrap() > 0 {
        for event in events(&mut pair.b) {
            if let Event::Call { call, payload, .. } = event {
                assert_eq!(payload.len(), 1 << 20);
                assert!(pair.b.stats().buffered <= 4 << 20);
                drop(payload);
                pair.b.release_arguments(call);
                pair.b.answer(pair.now, call, b"ok"[..].into(), &[]).unwrap();
                served += 1;
            }
        }
    }
    let failed = |event: &Event| matches!(event, Event::Failed { .. });
    assert_eq!((served, events(&mut pair.a).iter().filter(|e| failed(e)).count()), (16, 0));
    assert!(pair.a.is_idle() && pair.b.is_idle());
}

#[cfg(feature = "speed")]
#[test]
fn calls_that_wait_for_a_number_go_by_class() {
    let limits = Limits { max_calls: 8, ..Limits::default() };
    let mut pair = Pair::ready(Config::default(), Config::default().with_limits(limits));
    let target = pair.a.bind("x", 0);
    for tag in 0..8 {
        open(&mut pair, &target, tag, 1, Priority::Normal);
    }
    open(&mut pair, &target, 20, 1, Priority::Low);
    open(&mut pair, &target, 30, 1, Priority::Normal);
    open(&mut pair, &target, 40, 1, Priority::High);
    let mut order = Vec::new();
    for _ in 0..11 {
        pair.drive();
        for event in events(&mut pair.b) {
            if let Event::Call { call, payload, .. } = event {
                order.push(payload[0]);
                pair.b.answer(pair.now, call, b""[..].into(), &[]).unwrap();
                pair.drive();
            }
        }
    }
    assert_eq!(order, [0, 1, 2, 3, 4, 5, 6, 7, 40, 30, 20]);
}
