//! Streams and callbacks: credit, ends, ownership.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::large_stack_arrays,
    reason = "helpers of tests"
)]

mod common;

use common::{Pair, events};
use ipfi_proto::{
    CallError, CallOptions, Called, Code, Config, Direction, Event, Failure, Handle, HandleError,
    IncomingId, Limits, Read, Received, SendError, Started, StreamId, Target,
};

/// A call with handles; gives the callee's view of it.
fn give(pair: &mut Pair, target: &Target, handles: &[Handle]) -> (IncomingId, Vec<Received>) {
    pair.a.open_call(pair.now, target, b"x"[..].into(), handles, CallOptions::default()).unwrap();
    pair.drive();
    let call = events(&mut pair.b).into_iter().find_map(|event| match event {
        Event::Call { call, handles, .. } => Some((call, handles)),
        _ => None,
    });
    call.unwrap()
}

/// A stream from a to b whose ends are both known.
fn stream(pair: &mut Pair) -> (StreamId, StreamId) {
    let target = pair.a.bind("s", 0);
    let sender = pair.a.open_stream(Direction::Outgoing).unwrap();
    let (call, handles) = give(pair, &target, &[Handle::Stream(sender)]);
    let Received::Receiver(receiver) = handles[0] else { panic!() };
    pair.b.answer(pair.now, call, b""[..].into(), &[]).unwrap();
    pair.drive();
    events(&mut pair.a);
    (sender, receiver)
}

/// All items there are now, given back at once.
fn drain(
    connection: &mut ipfi_proto::Connection,
    stream: StreamId,
) -> (Vec<Vec<u8>>, Option<Code>) {
    let mut got = Vec::new();
    loop {
        match connection.read(stream) {
            Read::Items(mut items) => {
                while let Some(item) = items.next() {
                    got.push(item.to_vec());
                }
                connection.consume(stream, items.cost());
            }
            Read::End { code, .. } => return (got, Some(code)),
            _ => return (got, None),
        }
    }
}

#[test]
fn items_arrive_in_order_and_the_end_is_known_to_both() {
    let items = if cfg!(miri) { 1000 } else { 100_000 };
    let mut pair = Pair::ready(Config::default(), Config::default());
    let (sender, receiver) = stream(&mut pair);
    let mut sent = 0u32;
    let mut got = 0u32;
    while got < items {
        while sent < items && pair.a.send_item(sender, &sent.to_le_bytes()).is_ok() {
            sent += 1;
        }
        if sent == items {
            pair.a.finish(sender);
        }
        pair.drive();
        for item in drain(&mut pair.b, receiver).0 {
            assert_eq!(item, got.to_le_bytes());
            got += 1;
        }
        pair.drive();
        let known = events(&mut pair.a);
        assert!(sent == items || known == [Event::Writable(sender)], "{sent} {known:?}");
    }
    assert!(pair.a.is_idle() && pair.b.is_idle());
    assert_eq!(pair.a.send_item(sender, b"x"), Err(SendError::Finished));
    // 5 bytes an item, and next to nothing for the frames.
    assert!(pair.a_to_b.len() < items as usize * 506 / 100, "{}", pair.a_to_b.len());
}

#[test]
fn a_slow_consumer_stops_its_producer_and_nothing_else() {
    let limits = Limits { stream_window: 4096, ..Limits::default() };
    let mut pair = Pair::ready(
        Config::default().with_limits(limits.clone()),
        Config::default().with_limits(limits),
    );
    let (slow, slow_end) = stream(&mut pair);
    let (fast, fast_end) = stream(&mut pair);
    let mut taken = 0;
    for _ in 0..if cfg!(miri) { 5 } else { 1000 } {
        while pair.a.send_item(slow, b"").is_ok() {
            taken += 1;
        }
        while pair.a.send_item(fast, &[1; 100]).is_ok() {}
        pair.drive();
        assert!(!drain(&mut pair.b, fast_end).0.is_empty());
        pair.drive();
    }
    // Items of no size cost a byte.
    assert_eq!(taken, 4096);
    drain(&mut pair.b, fast_end);
    assert_eq!(pair.b.stats().buffered, 4096);
    assert_eq!(drain(&mut pair.b, slow_end).0.len(), 4096);
    pair.drive();
    assert!(events(&mut pair.a).contains(&Event::Writable(slow)));
}

#[test]
fn items_larger_than_the_window_get_through_one_at_a_time() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    let (sender, receiver) = stream(&mut pair);
    let len = if cfg!(miri) { 100_000 } else { 1_000_000 };
    let big: Vec<u8> = (0..len).map(|i: u32| (i % 253).to_le_bytes()[0]).collect();
    let mut sent = 0;
    let mut got = 0;
    for _ in 0..if cfg!(miri) { 50 } else { 2000 } {
        if sent < 5 && pair.a.send_item_with(sender, big.clone(), &[]).is_ok() {
            sent += 1;
        }
        pair.drive();
        assert!(pair.b.stats().buffered < 1_200_000);
        if sent > got + 1 || sent == 5 {
            for item in drain(&mut pair.b, receiver).0 {
                assert!(item == big);
                got += 1;
            }
        }
    }
    assert_eq!((sent, got), (5, 5));
    assert_eq!(pair.b.stats().buffered, 0);
    // No credit was lost or made up.
    while pair.a.send_item(sender, b"").is_ok() {
        if !cfg!(miri) {
            pair.drive();
        }
    }
    pair.drive();
    let held = drain(&mut pair.b, receiver).0.len();
    assert!((49_152..=65_536).contains(&held), "{held}");
}

#[test]
fn streams_end_at_either_end() {
    for early in [false, true] {
        let mut pair = Pair::ready(Config::default(), Config::default());
        let (sender, receiver) = stream(&mut pair);
        for _ in 0..10 {
            pair.a.send_item(sender, b"item").unwrap();
        }
        if !early {
            pair.drive();
        }
        pair.a.reset(sender, Code::FAILED, "no more");
        pair.drive();
        let (items, end) = drain(&mut pair.b, receiver);
        assert_eq!((items.len(), end), (if early { 0 } else { 10 }, Some(Code::FAILED)));
        pair.drive();
        assert_eq!(events(&mut pair.a), [Event::Stopped { stream: sender, code: Code::OK }]);

        let (sender, receiver) = stream(&mut pair);
        pair.a.send_item(sender, b"item").unwrap();
        if !early {
            pair.drive();
        }
        pair.b.stop(receiver, Code::DROPPED);
        pair.drive();
        assert_eq!(pair.a.send_item(sender, b"item"), Err(SendError::Finished));
        let stopped = Event::Stopped { stream: sender, code: Code::DROPPED };
        assert!(events(&mut pair.a).contains(&stopped));
        assert!(pair.a.is_idle() && pair.b.is_idle());
        assert_eq!((pair.a.stats().buffered, pair.b.stats().buffered), (0, 0));
    }
}

#[test]
fn a_stream_in_an_answer_outlives_the_call() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    let target = pair.a.bind("x", 0);
    let (call, _) = give(&mut pair, &target, &[]);
    let sender = pair.b.open_stream(Direction::Outgoing).unwrap();
    // Before the answer that carries it.
    pair.b.send_item(sender, b"early").unwrap();
    pair.b.answer(pair.now, call, b"r"[..].into(), &[Handle::Stream(sender)]).unwrap();
    pair.b.finish(sender);
    pair.drive();
    let got = events(&mut pair.a);
    let Event::Answer { handles, .. } = &got[0] else { panic!("{got:?}") };
    let Received::Receiver(receiver) = handles[0] else { panic!() };
    assert_eq!(drain(&mut pair.a, receiver), (vec![b"early".to_vec()], Some(Code::OK)));
    pair.drive();
    assert_eq!(events(&mut pair.b), [Event::Stopped { stream: sender, code: Code::OK }]);
    assert!(pair.a.is_idle() && pair.b.is_idle());
}

#[test]
fn handles_travel_in_items() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    let (sender, receiver) = stream(&mut pair);
    let callback = pair.a.export_callback().unwrap();
    let inner = pair.a.open_stream(Direction::Incoming).unwrap();
    let handles = [Handle::Callback(callback), Handle::Stream(inner)];
    pair.a.send_item(sender, b"before").unwrap();
    pair.a.send_item_with(sender, b"item".to_vec(), &handles).unwrap();
    pair.a.send_item(sender, b"after").unwrap_err();
    pair.drive();
    assert_eq!(drain_one(&mut pair.b, receiver), (b"before".to_vec(), vec![]));
    let (item, handles) = drain_one(&mut pair.b, receiver);
    assert_eq!(item, b"item");
    let [Received::Callback(remote), Received::Sender(back)] = handles[..] else { panic!() };
    pair.b.send_item(back, b"thanks").unwrap();
    let target = Target::Callback(remote);
    let call = pair.b.open_call(pair.now, &target, b"hi"[..].into(), &[], CallOptions::default());
    // Let go at once: the call is still made.
    pair.b.release_callback(remote);
    assert!(call.is_ok());
    pair.drive();
    let got = events(&mut pair.a);
    let called = got.iter().any(
        |event| matches!(event, Event::Call { called: Called::Callback(id), .. } if *id == callback),
    );
    assert!(called, "{got:?}");
    assert!(got.contains(&Event::Released(callback)));
    assert!(got.contains(&Event::Readable(inner)));
}

fn drain_one(
    connection: &mut ipfi_proto::Connection,
    stream: StreamId,
) -> (Vec<u8>, Vec<Received>) {
    let Read::Items(mut items) = connection.read(stream) else { panic!() };
    connection.consume(stream, items.cost());
    let handles = items.take_handles();
    (items.next().unwrap().to_vec(), handles)
}

#[test]
fn a_revoked_callback_refuses() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    let target = pair.a.bind("x", 0);
    let callback = pair.a.export_callback().unwrap();
    let (_, handles) = give(&mut pair, &target, &[Handle::Callback(callback)]);
    let Received::Callback(remote) = handles[0] else { panic!() };
    pair.a.revoke_callback(callback);
    let target = Target::Callback(remote);
    let id = pair.b.open_call(pair.now, &target, b""[..].into(), &[], CallOptions::default());
    pair.drive();
    let failure = Failure::new(Code::NO_SUCH_CALLBACK, Started::No);
    assert_eq!(events(&mut pair.b), [Event::Failed { call: id.unwrap(), failure }]);
    pair.b.release_callback(remote);
    pair.drive();
    assert_eq!(events(&mut pair.a), [Event::Released(callback)]);
}

#[test]
fn handles_of_a_message_that_is_never_sent_come_back() {
    let limits = Limits { max_calls: 8, ..Limits::default() };
    let mut pair = Pair::ready(Config::default(), Config::default().with_limits(limits));
    let target = pair.a.bind("x", 0);
    for _ in 0..8 {
        give(&mut pair, &target, &[]);
    }
    let callback = pair.a.export_callback().unwrap();
    let sender = pair.a.open_stream(Direction::Outgoing).unwrap();
    let receiver = pair.a.open_stream(Direction::Incoming).unwrap();
    let handles = [Handle::Callback(callback), Handle::Stream(sender), Handle::Stream(receiver)];
    let waiting = pair
        .a
        .open_call(pair.now, &target, b"x"[..].into(), &handles, CallOptions::default())
        .unwrap();
    pair.drive();
    events(&mut pair.a);
    pair.a.cancel(waiting, Code::CANCELLED);
    assert_eq!(
        events(&mut pair.a),
        [
            Event::Released(callback),
            Event::Stopped { stream: sender, code: Code::DROPPED },
            Event::Readable(receiver),
        ]
    );
    assert_eq!(drain(&mut pair.a, receiver), (vec![], Some(Code::DROPPED)));
    assert_eq!(pair.a.stats().streams + pair.a.stats().exported_callbacks, 0);
}

#[test]
fn handles_of_a_refused_message_are_let_go() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    let callback = pair.a.export_callback().unwrap();
    let sender = pair.a.open_stream(Direction::Outgoing).unwrap();
    let receiver = pair.a.open_stream(Direction::Incoming).unwrap();
    let handles = [Handle::Callback(callback), Handle::Stream(sender), Handle::Stream(receiver)];
    let target = Target::Procedure(77);
    pair.a.open_call(pair.now, &target, b"x"[..].into(), &handles, CallOptions::default()).unwrap();
    pair.drive();
    let got = events(&mut pair.a);
    assert!(got.contains(&Event::Released(callback)), "{got:?}");
    assert!(got.contains(&Event::Stopped { stream: sender, code: Code::NO_SUCH_PROCEDURE }));
    assert_eq!(drain(&mut pair.a, receiver), (vec![], Some(Code::NO_SUCH_PROCEDURE)));
    pair.drive();
    assert!(pair.a.is_idle() && pair.b.is_idle());
    events(&mut pair.b);
}

#[test]
fn the_peers_limits_are_known_here() {
    let mut pair = Pair::new(Config::default(), Config::default());
    for max in [8, 256] {
        while pair.a.open_stream(Direction::Outgoing).is_ok() {}
        assert_eq!(pair.a.open_stream(Direction::Outgoing), Err(HandleError::Limit { max }));
        assert_eq!(pair.a.stats().streams, max as usize);
        pair.drive();
    }
}

#[cfg(feature = "speed")]
#[test]
fn a_stream_may_stand_back() {
    let mut pair = Pair::ready(Config::default().with_speed(50_000), Config::default());
    let (urgent, urgent_end) = stream(&mut pair);
    let (patient, patient_end) = stream(&mut pair);
    pair.a.prioritize(patient, ipfi_proto::Priority::Low);
    for _ in 0..10 {
        pair.a.send_item(patient, &[1; 100]).unwrap();
        pair.a.send_item(urgent, &[2; 100]).unwrap();
    }
    pair.buffer = 300;
    while drain(&mut pair.b, urgent_end).0.is_empty() {
        assert!(pair.step_a_to_b().unwrap() > 0);
        assert!(drain(&mut pair.b, patient_end).0.is_empty());
    }
    pair.drive();
    assert!(!drain(&mut pair.b, patient_end).0.is_empty());
}

#[test]
fn what_came_is_read_before_the_loss_of_the_wire() {
    for complete in [false, true] {
        let mut pair = Pair::ready(Config::default(), Config::default());
        let (sender, receiver) = stream(&mut pair);
        for item in [&b"one"[..], b"two"] {
            pair.a.send_item(sender, item).unwrap();
        }
        if complete {
            pair.a.finish(sender);
        }
        pair.drive();
        pair.b.receive_end();
        assert!(matches!(events(&mut pair.b).last(), Some(Event::Closed { .. })));
        assert!(pair.b.stats().buffered > 0);
        let Read::Items(mut items) = pair.b.read(receiver) else { panic!("no items") };
        assert_eq!(items.next(), Some(&b"one"[..]));
        assert_eq!(items.next(), Some(&b"two"[..]));
        pair.b.consume(receiver, items.cost());
        let end = if complete { Code::OK } else { Code::WIRE_LOST };
        assert!(matches!(pair.b.read(receiver), Read::End { code, .. } if code == end));
        assert!(matches!(pair.b.read(receiver), Read::End { code: Code::WIRE_LOST, .. }));
        assert_eq!((pair.b.stats().buffered, pair.b.stats().streams), (0, 0));
        assert!(events(&mut pair.b).is_empty());
    }
}

/// Batches that are written already: as many items as there is credit and room for.
#[test]
fn batches_of_items_stop_at_the_credit_and_go_on() {
    let limits = Limits { stream_window: 1024, ..Limits::default() };
    let config = Config::default().with_limits(limits);
    let mut pair = Pair::ready(Config::default(), config);
    let (sender, receiver) = stream(&mut pair);
    let mut batch = Vec::new();
    let items: Vec<Vec<u8>> = (0..200u8).map(|n| vec![n; usize::from(n) % 40]).collect();
    for item in &items {
        batch.push(u8::try_from(item.len()).unwrap());
        batch.extend_from_slice(item);
    }
    let (mut at, mut got, mut blocked) = (0, Vec::new(), 0);
    while got.len() < items.len() {
        match pair.a.send_items(sender, &batch[at..]) {
            Ok(n) => at += n,
            Err(SendError::Blocked) => {
                blocked += 1;
                pair.drive();
            }
            Err(error) => panic!("{error}"),
        }
        if at == batch.len() {
            pair.drive();
        }
        while let Read::Items(mut items) = pair.b.read(receiver) {
            while let Some(item) = items.next() {
                got.push(item.to_vec());
            }
            pair.b.consume(receiver, items.cost());
        }
        pair.drive();
    }
    assert_eq!(got, items);
    assert!(blocked > 1, "{blocked}");
    // What is no batch is not sent, and a stream that is over takes none.
    assert_eq!(pair.a.send_items(sender, &[5, 1, 2]), Ok(0));
    assert_eq!(pair.a.send_items(sender, &[1, 7, 5, 1]), Ok(2));
    pair.a.finish(sender);
    assert_eq!(pair.a.send_items(sender, &batch), Err(SendError::Finished));
}

/// A stream that ended before it was in a message has no number any more, and one that the peer knows has
/// one that is in use: neither may go out.
#[test]
fn what_is_over_or_away_is_not_given_away() {
    let mut pair = Pair::ready(Config::default(), Config::default());
    let target = pair.a.bind("f", 0);
    let over = |pair: &mut Pair, how: usize| {
        let direction = if how == 2 { Direction::Incoming } else { Direction::Outgoing };
        let stream = pair.a.open_stream(direction).unwrap();
        match how {
            0 => pair.a.finish(stream),
            1 => pair.a.reset(stream, Code::DROPPED, ""),
            _ => pair.a.stop(stream, Code::DROPPED),
        }
        Handle::Stream(stream)
    };
    let plain = CallOptions::default();
    let mut gone: Vec<Handle> = (0..3).map(|how| over(&mut pair, how)).collect();
    let callback = pair.a.export_callback().unwrap();
    pair.a.discard_callback(callback);
    gone.push(Handle::Callback(callback));
    let (known, _) = stream(&mut pair);
    gone.push(Handle::Stream(known));
    for handle in gone {
        // The good one beside it goes with it.
        let good = pair.a.open_stream(Direction::Outgoing).unwrap();
        let handles = [Handle::Stream(good), handle];
        let called = pair.a.open_call(pair.now, &target, b""[..].into(), &handles, plain);
        assert_eq!(called, Err(CallError::HandleGone), "{handle:?}");
        assert_eq!(pair.a.send_item(good, b""), Err(SendError::Finished));
        let more = CallOptions { more: true, ..plain };
        let call = pair.a.open_call(pair.now, &target, b""[..].into(), &[], more).unwrap();
        let sent = pair.a.send_arguments(call, b"x", &[handle], true);
        assert_eq!(sent, Err(CallError::HandleGone), "{handle:?}");
        pair.a.cancel(call, Code::CANCELLED);
        let (sender, _) = stream(&mut pair);
        let sent = pair.a.send_item_with(sender, vec![1], &[handle]).map_err(|(error, _)| error);
        assert_eq!(sent, Err(SendError::HandleGone), "{handle:?}");
    }
    let twice = [Handle::Stream(pair.a.open_stream(Direction::Outgoing).unwrap()); 2];
    let called = pair.a.open_call(pair.now, &target, b""[..].into(), &twice, plain);
    assert_eq!(called, Err(CallError::HandleGone));
    // In an answer, too; the caller is told.
    let target = pair.b.bind("g", 0);
    pair.b.open_call(pair.now, &target, b""[..].into(), &[], plain).unwrap();
    pair.drive();
    let call = events(&mut pair.a).into_iter().find_map(|event| match event {
        Event::Call { call, .. } => Some(call),
        _ => None,
    });
    let gone = over(&mut pair, 0);
    let answered = pair.a.answer(pair.now, call.unwrap(), b""[..].into(), &[gone]);
    assert_eq!(answered, Err(CallError::HandleGone));
    pair.drive();
    let failed = events(&mut pair.b).into_iter().any(
        |event| matches!(event, Event::Failed { failure, .. } if failure.code == Code::BAD_RESULT),
    );
    assert!(failed);
    // One that is announced may end before it goes.
    let stream = pair.a.open_stream(Direction::Outgoing).unwrap();
    pair.a.carry(&[Handle::Stream(stream)]);
    pair.a.finish(stream);
    let target = pair.a.bind("h", 0);
    let (_, handles) = give(&mut pair, &target, &[Handle::Stream(stream)]);
    let Received::Receiver(receiver) = handles[0] else { panic!() };
    assert_eq!(drain(&mut pair.b, receiver), (vec![], Some(Code::OK)));
}
