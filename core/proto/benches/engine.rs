//! What the engine itself costs: both ends in one thread, bytes copied from one to the other.
#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::missing_docs_in_private_items,
    reason = "a bench"
)]

use divan::counter::{BytesCount, ItemsCount};
use ipfi_proto::{
    CallOptions, Config, Connection, Direction, Event, Handle, Instant, Read, Received, StreamId,
    Target,
};

fn main() {
    divan::main();
}

struct Pair {
    a: Connection,
    b: Connection,
    buffer: Vec<u8>,
    micros: u64,
}

impl Pair {
    fn new() -> (Self, Target) {
        let now = Instant::from_micros(0);
        let (a, b) =
            (Connection::new(Config::default(), now), Connection::new(Config::default(), now));
        let mut pair = Self { a, b, buffer: vec![0; 1 << 18], micros: 0 };
        let target = pair.a.bind("echo", 0);
        // So that the wire is known to be fast.
        for _ in 0..10 {
            pair.calls(&target, &vec![0; 1 << 17], 1);
        }
        (pair, target)
    }

    fn now(&mut self) -> Instant {
        self.micros += 1;
        Instant::from_micros(self.micros)
    }

    fn step(&mut self) -> usize {
        let now = self.now();
        let n = self.a.poll_transmit(now, &mut self.buffer);
        self.b.receive(now, &self.buffer[..n]).unwrap();
        let m = self.b.poll_transmit(now, &mut self.buffer);
        self.a.receive(now, &self.buffer[..m]).unwrap();
        n + m
    }

    fn calls(&mut self, target: &Target, payload: &[u8], at_once: usize) {
        let now = self.now();
        for _ in 0..at_once {
            self.a.open_call(now, target, payload.into(), &[], CallOptions::default()).unwrap();
        }
        let mut answered = 0;
        while answered < at_once {
            self.step();
            while let Some(event) = self.b.poll_event() {
                if let Event::Call { call, payload, .. } = event {
                    self.b.answer(now, call, payload.into(), &[]).unwrap();
                }
            }
            while let Some(event) = self.a.poll_event() {
                answered += usize::from(matches!(event, Event::Answer { .. }));
            }
        }
    }

    fn stream(&mut self, target: &Target) -> (StreamId, StreamId) {
        let now = self.now();
        let sender = self.a.open_stream(Direction::Outgoing).unwrap();
        let handles = [Handle::Stream(sender)];
        self.a.open_call(now, target, b""[..].into(), &handles, CallOptions::default()).unwrap();
        self.step();
        while let Some(event) = self.b.poll_event() {
            if let Event::Call { handles, .. } = event {
                let Received::Receiver(receiver) = handles[0] else { panic!() };
                return (sender, receiver);
            }
        }
        panic!()
    }
}

/// One call after another, or so many at once; per call, both ends.
#[divan::bench(args = [1, 16, 64, 256])]
fn calls(bencher: divan::Bencher<'_, '_>, at_once: usize) {
    let (mut pair, target) = Pair::new();
    bencher.counter(ItemsCount::new(at_once)).bench_local(|| {
        pair.calls(&target, b"\x08John Doe", at_once);
    });
}

#[divan::bench(args = [1, 16])]
fn echo_64_kib(bencher: divan::Bencher<'_, '_>, at_once: usize) {
    let (mut pair, target) = Pair::new();
    let payload = vec![7; 1 << 16];
    bencher.counter(BytesCount::new(at_once << 17)).bench_local(|| {
        pair.calls(&target, &payload, at_once);
    });
}

#[divan::bench]
fn stream_of_u64(bencher: divan::Bencher<'_, '_>) {
    const ITEMS: u64 = 10_000;
    let (mut pair, target) = Pair::new();
    let (sender, receiver) = pair.stream(&target);
    bencher.counter(ItemsCount::new(ITEMS)).bench_local(|| {
        let (mut sent, mut got) = (0, 0);
        while got < ITEMS {
            while sent < ITEMS && pair.a.send_item(sender, &sent.to_le_bytes()).is_ok() {
                sent += 1;
            }
            pair.step();
            while let Read::Items(mut items) = pair.b.read(receiver) {
                while items.next().is_some() {
                    got += 1;
                }
                pair.b.consume(receiver, items.cost());
            }
            while pair.a.poll_event().is_some() {}
            while pair.b.poll_event().is_some() {}
        }
    });
}
