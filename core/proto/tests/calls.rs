//! Calls: their cost, their order, their ends.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::large_stack_arrays,
    reason = "helpers of tests"
)]

mod common;

use common::{Pair, events};
use ipfi_proto::{
    CallError, CallId, CallOptions, Called, Code, Config, Event, Failure, IncomingId, Limits,
    Priority, Started, Target,
};
use std::time::Duration;

fn incoming(events: Vec<Event>) -> Vec<(IncomingId, Vec<u8>)> {
    let calls = events.into_iter().filter_map(|event| match event {
        Event::Call { call, payload, .. } => Some((call, payload)),
        _ => None,
    });
    calls.collect()
}

fn call(pair: &mut Pair, target: &Target, payload: &[u8]) -> CallId {
    pair.a.open_call(pair.now, target, payload.into(), &[], CallOptions::default()).unwrap()
}

#[test]
fn a_small_call_costs_three_bytes_and_its_answer_two() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    let greet = pair.a.bind("greet", 7);
    pair.drive();
    pair.a_to_b.clear();
    events(&mut pair.b);
    let id = call(&mut pair, &greet, b"\x08John Doe");
    pair.drive();
    assert_eq!(pair.a_to_b.len(), 12);
    let (incoming, payload) = incoming(events(&mut pair.b)).remove(0);
    assert_eq!(payload, b"\x08John Doe");
    pair.b.answer(pair.now, incoming, b"\x10Hello, John Doe!"[..].into(), &[]).unwrap();
    pair.drive();
    assert_eq!(pair.b_to_a.len(), 19);
    let expected =
        Event::Answer { call: id, payload: b"\x10Hello, John Doe!".into(), handles: vec![] };
    assert_eq!(events(&mut pair.a), [expected]);
    assert!(pair.a.is_idle() && pair.b.is_idle());
}

#[test]
fn numbers_stay_small_and_the_cost_constant() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    let target = pair.a.bind("x", 0);
    pair.drive();
    for _ in 0..if cfg!(miri) { 5 } else { 500 } {
        pair.a_to_b.clear();
        pair.b_to_a.clear();
        for _ in 0..60 {
            call(&mut pair, &target, b"12345");
        }
        pair.drive();
        for (id, payload) in incoming(events(&mut pair.b)).into_iter().rev() {
            pair.b.answer(pair.now, id, payload.into(), &[]).unwrap();
        }
        pair.drive();
        assert_eq!((pair.a_to_b.len(), pair.b_to_a.len()), (60 * 8, 60 * 7));
        assert_eq!(events(&mut pair.a).len(), 60);
    }
}

#[test]
fn a_call_is_in_the_first_bytes() {
    let mut pair = Pair::new(Config::default(), Config::default());
    let target = pair.a.bind("x", 0);
    call(&mut pair, &target, b"1");
    pair.step_a_to_b().unwrap();
    assert_eq!(incoming(events(&mut pair.b)).len(), 1);
}

#[test]
fn more_calls_than_the_peer_takes_wait() {
    let limits = Limits { max_calls: 16, ..Limits::default() };
    let mut pair = Pair::new(Config::default(), Config::default().with_limits(limits));
    let target = pair.a.bind("x", 0);
    for n in 0..200u8 {
        call(&mut pair, &target, &[n]);
    }
    let mut answered = 0;
    while answered < 200 {
        pair.drive();
        let calls = incoming(events(&mut pair.b));
        assert!(!calls.is_empty() && calls.len() <= 16, "{}", calls.len());
        for (id, payload) in calls {
            assert_eq!(usize::from(payload[0]), answered);
            answered += 1;
            pair.b.answer(pair.now, id, payload.into(), &[]).unwrap();
        }
    }
    pair.drive();
    let answers = events(&mut pair.a).len();
    assert_eq!((answers, pair.a.stats().calls), (201, 0));
}

#[test]
fn large_messages_survive_both_ways_at_any_buffer() {
    for buffer in [1, 7, 1000, 65536] {
        let mut pair = Pair::ready(Config::default(), Config::default());
        pair.buffer = buffer;
        let target = pair.a.bind("x", 0);
        let size = if buffer == 1 { 300_000 } else { 3_000_000 };
        let size = if cfg!(miri) { size / 100 } else { size };
        let payload: Vec<u8> = (0..size).map(|i: u32| (i * 7 % 251).to_le_bytes()[0]).collect();
        let id = pair.a.open_call(
            pair.now,
            &target,
            payload.clone().into(),
            &[],
            CallOptions::default(),
        );
        pair.drive();
        let (incoming, got) = incoming(events(&mut pair.b)).remove(0);
        assert!(got == payload);
        pair.b.answer(pair.now, incoming, got.into(), &[]).unwrap();
        pair.drive();
        let Some(Event::Answer { call, payload: got, .. }) = pair.a.poll_event() else { panic!() };
        assert!(got == payload && Ok(call) == id);
        assert_eq!((pair.a.stats().buffered, pair.b.stats().buffered), (0, 0));
    }
}

#[test]
fn a_small_call_overtakes_a_large_one() {
    let mut pair = Pair::ready(Config::default().with_speed(100_000), Config::default());
    let target = pair.a.bind("x", 0);
    call(&mut pair, &target, &[0; 100_000]);
    pair.buffer = 100;
    for _ in 0..5 {
        pair.step_a_to_b().unwrap();
    }
    call(&mut pair, &target, b"small");
    let before = pair.a_to_b.len();
    while incoming(events(&mut pair.b)).is_empty() {
        pair.step_a_to_b().unwrap();
    }
    // At 100,000 bytes a second a frame is 1,000 bytes.
    assert!(pair.a_to_b.len() - before < 1100, "{}", pair.a_to_b.len() - before);
}

#[test]
fn arguments_bit_by_bit() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    let target = pair.a.bind("x", 0);
    let options = CallOptions { more: true, ..CallOptions::default() };
    let id = pair.a.open_call(pair.now, &target, b"a"[..].into(), &[], options).unwrap();
    for _ in 0..1000 {
        pair.a.send_arguments(id, b"bc", &[], false).unwrap();
        pair.drive();
    }
    assert!(incoming(events(&mut pair.b)).is_empty());
    pair.a.send_arguments(id, b"", &[], true).unwrap();
    assert_eq!(pair.a.send_arguments(id, b"", &[], true), Err(CallError::Finished));
    pair.drive();
    assert_eq!(incoming(events(&mut pair.b)).remove(0).1.len(), 2001);
}

#[test]
fn failures_say_whether_the_procedure_began() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    let target = pair.a.bind("x", 0);
    let first = call(&mut pair, &target, b"1");
    let unbound = call(&mut pair, &Target::Procedure(9), b"2");
    pair.drive();
    let (incoming, _) = incoming(events(&mut pair.b)).remove(0);
    pair.b.fail(incoming, &Failure::new(Code::PANICKED, Started::Yes).with_text("boom"));
    pair.drive();
    let failures: Vec<_> = events(&mut pair.a);
    let no = Failure::new(Code::NO_SUCH_PROCEDURE, Started::No);
    let yes = Failure::new(Code::PANICKED, Started::Yes).with_text("boom");
    assert_eq!(
        failures,
        [Event::Failed { call: unbound, failure: no }, Event::Failed { call: first, failure: yes },]
    );
}

#[test]
fn cancelling_frees_everything_at_every_stage() {
    for size in [3, 100_000] {
        for steps in [0, 1, 2, 40] {
            let mut pair = Pair::ready(Config::default(), Config::default());
            pair.buffer = 64;
            let target = pair.a.bind("x", 0);
            let id = call(&mut pair, &target, &vec![1; size]);
            for _ in 0..steps {
                pair.step_a_to_b().unwrap();
            }
            pair.a.cancel(id, Code::CANCELLED);
            pair.drive();
            for event in events(&mut pair.b) {
                if let Event::Cancelled { call, code } = event {
                    assert_eq!(code, Code::CANCELLED);
                    pair.b.fail(call, &Failure::new(code, Started::Yes));
                }
            }
            pair.drive();
            assert!(pair.a.is_idle() && pair.b.is_idle(), "{size} {steps}");
            assert_eq!(events(&mut pair.a), []);
            assert_eq!(pair.b.stats().buffered, 0);
        }
    }
}

#[test]
fn deadlines_end_calls_on_both_sides() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    let target = pair.a.bind("x", 0);
    let options = CallOptions {
        deadline: Some(Duration::from_millis(50)),
        priority: Priority::High,
        more: false,
    };
    let id = pair.a.open_call(pair.now, &target, b"1"[..].into(), &[], options).unwrap();
    pair.drive();
    let calls = events(&mut pair.b);
    let Event::Call { call, deadline, priority, called: Called::Procedure(0), .. } = calls[1]
    else {
        panic!("{calls:?}")
    };
    assert_eq!((deadline, priority), (Some(pair.now + Duration::from_millis(50)), Priority::High));
    assert_eq!(pair.a.poll_timeout(), deadline);
    pair.advance(Duration::from_millis(50));
    let failure = Failure::new(Code::DEADLINE, Started::Maybe);
    assert_eq!(events(&mut pair.a), [Event::Failed { call: id, failure }]);
    assert_eq!(events(&mut pair.b), [Event::Cancelled { call, code: Code::DEADLINE }]);
    assert!(!pair.a.is_idle());
    pair.b.answer(pair.now, call, b"late"[..].into(), &[]).unwrap();
    pair.drive();
    assert_eq!(events(&mut pair.a), []);
    assert!(pair.a.is_idle() && pair.b.is_idle());
}

#[test]
fn a_graceful_close_finishes_what_runs() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    let target = pair.a.bind("x", 0);
    let id = call(&mut pair, &target, b"1");
    pair.drive();
    let (running, _) = incoming(events(&mut pair.b)).remove(0);
    pair.b.close(pair.now, None);
    // This one crosses with the go-away.
    let crossing = call(&mut pair, &target, b"2");
    pair.drive();
    let refused = Failure::new(Code::GOING_AWAY, Started::No);
    let got = events(&mut pair.a);
    assert!(got.contains(&Event::Failed { call: crossing, failure: refused }), "{got:?}");
    assert_eq!(
        pair.a.open_call(pair.now, &target, b""[..].into(), &[], CallOptions::default()),
        Err(CallError::GoingAway)
    );
    pair.b.answer(pair.now, running, b"done"[..].into(), &[]).unwrap();
    pair.drive();
    let got = events(&mut pair.a);
    assert!(matches!(&got[0], Event::Answer { call, .. } if *call == id), "{got:?}");
    assert!(pair.a.is_closed() && pair.b.is_closed());
    assert_eq!(pair.a.cause(), Some(&ipfi_proto::Cause::Graceful));
    assert_eq!(pair.b.cause(), Some(&ipfi_proto::Cause::Graceful));
}

#[test]
fn a_broken_wire_says_which_calls_may_have_begun() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    let target = pair.a.bind("x", 0);
    let sent = call(&mut pair, &target, b"1");
    pair.drive();
    let unsent = call(&mut pair, &target, b"2");
    pair.a.receive_end();
    let failed =
        |call, started| Event::Failed { call, failure: Failure::new(Code::WIRE_LOST, started) };
    let closed = Event::Closed { cause: ipfi_proto::Cause::Lost };
    let expected = [failed(sent, Started::Maybe), failed(unsent, Started::No), closed];
    assert_eq!(events(&mut pair.a), expected);
}

#[test]
fn a_call_that_was_not_sent_to_its_last_byte_cannot_have_begun() {
    for size in [5, 100_000] {
        let mut pair = Pair::ready(Config::default(), Config::default());
        let target = pair.a.bind("x", 0);
        pair.drive();
        let id = call(&mut pair, &target, &vec![0; size]);
        let mut buffer = [0; 7];
        assert_eq!(pair.a.poll_transmit(pair.now, &mut buffer), 7);
        pair.a.receive_end();
        let failure = Failure::new(Code::WIRE_LOST, Started::No);
        assert_eq!(events(&mut pair.a)[0], Event::Failed { call: id, failure }, "{size}");
    }
}

#[test]
fn a_wire_may_go_to_another_thread() {
    fn check<T: Send + Sync + 'static>() {}
    check::<ipfi_proto::Connection>();
    check::<Event>();
}
