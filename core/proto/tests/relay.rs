//! A relay joins two wires at the level of calls without knowing the codec: calls, streams and
//! callbacks get new numbers, payloads stay as they are.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "helpers of a test")]

mod common;

use common::events;
use ipfi_proto::{
    CallId, CallOptions, CallbackId, Called, Code, Config, Connection, Direction, Event, Failure,
    Handle, IncomingId, Instant, Items, Limits, Read, Received, RemoteCallbackId, SendError,
    Started, StreamId, Target,
};
use std::collections::{BTreeMap, VecDeque};

/// One of the two wires of a relay, and what of it belongs to what on the other.
struct Port {
    conn: Connection,
    targets: BTreeMap<u32, Target>,
    calls: BTreeMap<CallId, IncomingId>,
    incoming: BTreeMap<IncomingId, CallId>,
    streams: BTreeMap<StreamId, StreamId>,
    callbacks: BTreeMap<CallbackId, RemoteCallbackId>,
    /// Items that were read and cannot be sent on yet.
    held: BTreeMap<StreamId, VecDeque<Items>>,
}

impl Port {
    fn new(config: Config, now: Instant) -> Self {
        Self {
            conn: Connection::new(config, now),
            targets: BTreeMap::new(),
            calls: BTreeMap::new(),
            incoming: BTreeMap::new(),
            streams: BTreeMap::new(),
            callbacks: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }
}

/// What came in a message here, made anew there.
fn translate(from: &mut Port, to: &mut Port, received: Vec<Received>) -> Vec<Handle> {
    let stream = |from: &mut Port, to: &mut Port, id, direction| {
        let other = to.conn.open_stream(direction).unwrap();
        from.streams.insert(id, other);
        to.streams.insert(other, id);
        Handle::Stream(other)
    };
    received
        .into_iter()
        .map(|handle| match handle {
            Received::Receiver(id) => stream(from, to, id, Direction::Outgoing),
            Received::Sender(id) => stream(from, to, id, Direction::Incoming),
            Received::Callback(id) => {
                let other = to.conn.export_callback().unwrap();
                to.callbacks.insert(other, id);
                Handle::Callback(other)
            }
            _ => unreachable!(),
        })
        .collect()
}

/// Moves items as far as credit goes on the other wire; only then is credit given back on this.
fn pump(from: &mut Port, to: &mut Port, stream: StreamId) {
    let Some(&other) = from.streams.get(&stream) else { return };
    loop {
        let mut items = match from.held.get_mut(&stream).and_then(VecDeque::pop_front) {
            Some(items) => items,
            None => match from.conn.read(stream) {
                Read::Items(items) => items,
                Read::End { code, text } => {
                    from.streams.remove(&stream);
                    if code == Code::OK {
                        to.conn.finish(other);
                    } else {
                        to.conn.reset(other, code, &text);
                    }
                    return;
                }
                _ => return,
            },
        };
        let cost = items.cost();
        let received = items.take_handles();
        let handles = translate(from, to, received);
        while let Some(item) = items.peek().map(<[u8]>::to_vec) {
            match to.conn.send_item_with(other, item, &handles) {
                Ok(()) => drop(items.take()),
                Err((SendError::Blocked, _)) => {
                    assert!(handles.is_empty(), "this test blocks only without handles");
                    from.held.entry(stream).or_default().push_front(items);
                    return;
                }
                Err(_) => break,
            }
        }
        from.conn.consume(stream, cost);
    }
}

/// Takes what one wire learned to the other.
fn relay(from: &mut Port, to: &mut Port, now: Instant) {
    while let Some(event) = from.conn.poll_event() {
        match event {
            Event::Bound { number, name, fingerprint } => {
                from.targets.insert(number, to.conn.bind(&name, fingerprint));
            }
            Event::Call { call, called, payload, handles, deadline, priority } => {
                let target = match called {
                    Called::Procedure(number) => from.targets[&number].clone(),
                    Called::Named { name, fingerprint } => Target::Named { name, fingerprint },
                    Called::Callback(id) => Target::Callback(from.callbacks[&id]),
                    _ => unreachable!(),
                };
                let options =
                    CallOptions { deadline: deadline.map(|at| at - now), priority, more: false };
                let handles = translate(from, to, handles);
                match to.conn.open_call(now, &target, payload.into(), &handles, options) {
                    Ok(id) => {
                        from.incoming.insert(call, id);
                        to.calls.insert(id, call);
                    }
                    Err(_) => from.conn.fail(call, &Failure::new(Code::REFUSED, Started::No)),
                }
            }
            Event::Cancelled { call, code } => {
                if let Some(id) = from.incoming.remove(&call) {
                    to.calls.remove(&id);
                    to.conn.cancel(id, code);
                    from.conn.fail(call, &Failure::new(code, Started::Maybe));
                }
            }
            Event::Answer { call, payload, handles } => {
                let handles = translate(from, to, handles);
                if let Some(id) = from.calls.remove(&call) {
                    to.incoming.remove(&id);
                    to.conn.answer(now, id, payload.into(), &handles).unwrap();
                }
            }
            Event::Failed { call, failure } => {
                if let Some(id) = from.calls.remove(&call) {
                    to.incoming.remove(&id);
                    to.conn.fail(id, &failure);
                }
            }
            Event::Readable(stream) => pump(from, to, stream),
            Event::Writable(stream) => {
                if let Some(&other) = from.streams.get(&stream) {
                    pump(to, from, other);
                }
            }
            Event::Stopped { stream, code } => {
                if let Some(other) = from.streams.remove(&stream)
                    && to.streams.remove(&other).is_some()
                {
                    to.conn.stop(other, code);
                }
            }
            Event::Released(id) => {
                if let Some(other) = from.callbacks.remove(&id) {
                    to.conn.release_callback(other);
                }
            }
            Event::Hello { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

struct Chain {
    client: Connection,
    left: Port,
    right: Port,
    device: Connection,
    now: Instant,
}

impl Chain {
    fn new() -> Self {
        let now = Instant::from_micros(0);
        let small = Limits { stream_window: 1024, ..Limits::default() };
        Self {
            client: Connection::new(Config::default(), now),
            left: Port::new(Config::default(), now),
            right: Port::new(Config::default(), now),
            device: Connection::new(Config::default().with_limits(small), now),
            now,
        }
    }

    fn drive(&mut self) {
        let mut buffer = [0; 700];
        loop {
            let mut moved = 0;
            for (from, to) in
                [(&mut self.client, &mut self.left.conn), (&mut self.device, &mut self.right.conn)]
            {
                let n = from.poll_transmit(self.now, &mut buffer);
                to.receive(self.now, &buffer[..n]).unwrap();
                let m = to.poll_transmit(self.now, &mut buffer);
                from.receive(self.now, &buffer[..m]).unwrap();
                moved += n + m;
            }
            relay(&mut self.left, &mut self.right, self.now);
            relay(&mut self.right, &mut self.left, self.now);
            if moved == 0 && !self.left.conn.wants_transmit() && !self.right.conn.wants_transmit() {
                return;
            }
        }
    }
}

#[test]
fn calls_streams_and_callbacks_pass() {
    let mut chain = Chain::new();
    let target = chain.client.bind("work", 7);
    let progress = chain.client.export_callback().unwrap();
    let numbers = chain.client.open_stream(Direction::Outgoing).unwrap();
    let results = chain.client.open_stream(Direction::Incoming).unwrap();
    let handles = [Handle::Callback(progress), Handle::Stream(numbers), Handle::Stream(results)];
    let now = chain.now;
    let call = chain
        .client
        .open_call(now, &target, b"arguments"[..].into(), &handles, CallOptions::default())
        .unwrap();
    chain.drive();

    let got = events(&mut chain.device);
    let Event::Call { call: work, payload, handles, .. } = &got[2] else { panic!("{got:?}") };
    assert_eq!(payload, b"arguments");
    let [Received::Callback(report), Received::Receiver(input), Received::Sender(output)] =
        handles[..]
    else {
        panic!("{handles:?}")
    };

    // The device reports, and the client hears it.
    let target = Target::Callback(report);
    let said =
        chain.device.open_call(now, &target, b"half"[..].into(), &[], CallOptions::default());
    chain.device.release_callback(report);
    chain.drive();
    let got = events(&mut chain.client);
    let heard = got.iter().find_map(|event| match event {
        Event::Call { call, called: Called::Callback(id), .. } if *id == progress => Some(*call),
        _ => None,
    });
    chain.client.answer(now, heard.unwrap(), b"thanks"[..].into(), &[]).unwrap();
    assert!(got.contains(&Event::Released(progress)), "{got:?}");
    chain.drive();
    let got = events(&mut chain.device);
    assert!(
        matches!(&got[..], [Event::Answer { call, payload, .. }] if Ok(*call) == said && payload == b"thanks")
    );

    // A thousand items there, with the credit of the narrow end, and each comes back.
    let (mut sent, mut got, mut back) = (0u32, 0u32, 0u32);
    for _ in 0..10_000 {
        while sent < 1000 && chain.client.send_item(numbers, &sent.to_le_bytes()).is_ok() {
            sent += 1;
        }
        if sent == 1000 {
            chain.client.finish(numbers);
        }
        chain.drive();
        while let Read::Items(mut items) = chain.device.read(input) {
            while let Some(item) = items.next() {
                assert_eq!(item, got.to_le_bytes());
                chain.device.send_item(output, item).unwrap();
                got += 1;
            }
            chain.device.consume(input, items.cost());
        }
        chain.drive();
        while let Read::Items(mut items) = chain.client.read(results) {
            while items.next().is_some() {
                back += 1;
            }
            chain.client.consume(results, items.cost());
        }
        events(&mut chain.client);
        events(&mut chain.device);
        if back == 1000 {
            break;
        }
    }
    assert_eq!((sent, got, back), (1000, 1000, 1000));
    chain.device.finish(output);
    chain.device.answer(now, *work, vec![5; 100_000].into(), &[]).unwrap();
    chain.drive();
    assert!(matches!(chain.client.read(results), Read::End { code: Code::OK, .. }));
    chain.drive();
    let got = events(&mut chain.client);
    assert!(
        got.iter().any(|event| matches!(event, Event::Answer { call: id, payload, .. } if *id == call && payload.len() == 100_000)),
        "{got:?}"
    );
    for conn in [&chain.client, &chain.left.conn, &chain.right.conn, &chain.device] {
        assert!(conn.is_idle(), "{:?}", conn.stats());
        assert_eq!(conn.stats().buffered + conn.stats().exported_callbacks, 0);
    }
    assert!(chain.left.streams.is_empty() && chain.right.streams.is_empty());
}

#[test]
fn a_cancel_passes() {
    let mut chain = Chain::new();
    let target = chain.client.bind("slow", 7);
    let now = chain.now;
    let call =
        chain.client.open_call(now, &target, b""[..].into(), &[], CallOptions::default()).unwrap();
    chain.drive();
    let got = events(&mut chain.device);
    let Event::Call { call: slow, .. } = got[2] else { panic!("{got:?}") };
    chain.client.cancel(call, Code::CANCELLED);
    chain.drive();
    let cancelled = Event::Cancelled { call: slow, code: Code::CANCELLED };
    assert_eq!(events(&mut chain.device), [cancelled]);
    chain.device.fail(slow, &Failure::new(Code::CANCELLED, Started::Yes));
    chain.drive();
    for conn in [&chain.client, &chain.left.conn, &chain.right.conn, &chain.device] {
        assert!(conn.is_idle(), "{:?}", conn.stats());
    }
}
