//! A peer that means harm: whatever it sends, it cannot make the engine hold more than
//! `Limits::worst_case()`, nor keep it busy for long.
#![allow(
    clippy::large_stack_arrays,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests"
)]

mod bytes;
#[path = "../common/mod.rs"]
mod common;

use bytes::{HELLO, frame, plausible, varint};
use common::random::{Random, seed};
use ipfi_proto::{
    Arguments, Cause, Code, Config, Connection, Event, FREE_ALLOWANCE, Failure, Instant, Limits,
    ProtocolError, Read, Received, SharedBudget, Started, StreamId,
};
use peak_alloc::PeakAlloc;
use std::sync::{Mutex, MutexGuard};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The allocator counts for the whole process, so the tests take turns.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// An application that holds on to what it gets.
#[derive(Clone, Copy, PartialEq)]
enum Application {
    /// Takes everything and does nothing.
    Holds,
    /// Answers everything at once.
    Answers,
    /// Reads streams and gives credit back, too.
    Consumes,
    /// Takes arguments as they come, and looks at a part now and then.
    Takes,
}

struct Victim {
    conn: Connection,
    application: Application,
    /// Does the peer take what is sent to it?
    reads: bool,
    held: Vec<Event>,
    items: Vec<ipfi_proto::Items>,
    receivers: Vec<StreamId>,
    senders: Vec<StreamId>,
    now: u64,
}

impl Victim {
    fn new(config: Config, application: Application, reads: bool) -> Self {
        Self {
            conn: Connection::new(config, Instant::from_micros(0)),
            application,
            reads,
            held: Vec::new(),
            items: Vec::new(),
            receivers: Vec::new(),
            senders: Vec::new(),
            now: 0,
        }
    }

    fn suffer(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        self.now += 1000;
        let now = Instant::from_micros(self.now);
        // As drivers do: a buffer of limited size at a time.
        for piece in bytes.chunks(16 * 1024) {
            self.conn.receive(now, piece)?;
            self.react(now);
        }
        if self.reads {
            let mut buffer = [0; 4096];
            while self.conn.poll_transmit(now, &mut buffer) > 0 {}
        }
        Ok(())
    }

    fn react(&mut self, now: Instant) {
        while let Some(event) = self.conn.poll_event() {
            match &event {
                Event::Call { call, handles, .. } => {
                    for handle in handles {
                        match handle {
                            Received::Receiver(stream) => self.receivers.push(*stream),
                            Received::Sender(stream) => self.senders.push(*stream),
                            _ => {}
                        }
                    }
                    if self.application == Application::Holds {
                        self.held.push(event);
                        assert!(self.held.len() < 100_000, "more events than there can be");
                    } else {
                        self.conn.answer(now, *call, b"answer"[..].into(), &[]).unwrap();
                    }
                }
                Event::Opened { call, .. } => {
                    self.conn.take_arguments(*call);
                }
                Event::Arguments(call) if self.now.is_multiple_of(3) => {
                    if let Arguments::Part(bytes) = self.conn.read_arguments(*call) {
                        self.conn.consume_arguments(*call, bytes.len());
                    }
                }
                Event::Cancelled { call, code } => {
                    self.conn.fail(*call, &Failure::new(*code, Started::Yes));
                    let call = *call;
                    self.held
                        .retain(|held| !matches!(held, Event::Call { call: c, .. } if *c == call));
                }
                Event::Stopped { stream, .. } => self.senders.retain(|other| other != stream),
                _ => {}
            }
        }
        for stream in self.receivers.clone() {
            loop {
                match self.conn.read(stream) {
                    Read::Items(mut items) => {
                        for handle in items.take_handles() {
                            self.conn.dispose(handle, Code::DROPPED);
                        }
                        if self.application == Application::Consumes {
                            self.conn.consume(stream, items.cost());
                        } else {
                            self.items.push(items);
                        }
                    }
                    Read::End { .. } => {
                        self.receivers.retain(|other| *other != stream);
                        // What it holds of the stream, it lets go of.
                        break;
                    }
                    _ => break,
                }
            }
        }
        for stream in &self.senders {
            let _ = self.conn.send_item(*stream, b"item");
        }
    }
}

/// Feeds what `attack` writes until the wire ends, or for so many rounds. The memory that the engine
/// takes must stay below its worst case. Says how the wire ended.
fn attacked(
    what: &str,
    limits: &Limits,
    application: Application,
    reads: bool,
    rounds: usize,
    mut attack: impl FnMut(usize, &mut Vec<u8>),
) -> Option<Cause> {
    let worst = limits.worst_case();
    let mut config = Config::default().with_limits(limits.clone());
    config.partial_arguments = application == Application::Takes;
    let mut victim = Victim::new(config, application, reads);
    let mut bytes = HELLO.to_vec();
    let mut peak = 0;
    for round in 0..rounds {
        attack(round, &mut bytes);
        // Room for what the test itself holds.
        victim.held.reserve(4096);
        let before = ALLOCATOR.current_usage();
        let engine = victim_bytes(&victim);
        ALLOCATOR.reset_peak_usage();
        let result = victim.suffer(&bytes);
        peak = peak.max(engine + ALLOCATOR.peak_usage().saturating_sub(before));
        bytes.clear();
        if result.is_err() || victim.conn.is_closed() {
            break;
        }
    }
    println!("{what}: {peak} of {worst} bytes");
    assert!(peak <= worst, "{what}: {peak} bytes, at most {worst} were promised");
    // It can be told, and says nothing more afterwards.
    if victim.conn.is_closed() {
        let mut buffer = [0; 4096];
        while victim.conn.poll_transmit(Instant::from_micros(0), &mut buffer) > 0 {}
        while let Some(event) = victim.conn.poll_event() {
            if let Event::Call { handles, .. } | Event::Answer { handles, .. } = event {
                for handle in handles {
                    victim.conn.dispose(handle, Code::DROPPED);
                }
            }
        }
        for stream in std::mem::take(&mut victim.receivers) {
            victim.conn.stop(stream, Code::DROPPED);
        }
        assert!(victim.conn.receive(Instant::from_micros(0), &[1, 2, 3]).is_ok());
        assert_eq!(victim.conn.poll_event(), None);
        assert_eq!(victim.conn.stats().buffered, 0, "{what}");
    }
    victim.conn.cause().cloned()
}

/// What the engine of a victim takes now: by taking it away.
fn victim_bytes(victim: &Victim) -> usize {
    // Measured from outside: everything allocated since it was made is its own or held for it.
    BASE.with(|base| ALLOCATOR.current_usage().saturating_sub(base.get()))
        .saturating_sub(victim.held.capacity() * size_of::<Event>())
}

thread_local! {
    static BASE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

fn start() -> MutexGuard<'static, ()> {
    let guard = turn();
    BASE.with(|base| base.set(ALLOCATOR.current_usage()));
    guard
}

fn all_limits() -> [Limits; 2] {
    let small = Limits { max_buffered: 100 << 10, ..Limits::smallest() };
    [Limits::default(), small.rounded()]
}

const EVERY: [(Application, bool); 6] = [
    (Application::Holds, true),
    (Application::Answers, false),
    (Application::Answers, true),
    (Application::Consumes, false),
    (Application::Takes, true),
    (Application::Takes, false),
];

/// The same attack on all kinds of victims.
fn everywhere(what: &str, rounds: usize, attack: impl Fn(&Limits, usize, &mut Vec<u8>)) {
    for limits in all_limits() {
        for (application, reads) in EVERY {
            attacked(what, &limits, application, reads, rounds, |round, out| {
                attack(&limits, round, out);
            });
        }
    }
}

fn ends_with(what: &str, expected: ProtocolError, attack: &[u8]) {
    let bytes = attack.to_vec();
    let cause = attacked(what, &Limits::default(), Application::Holds, true, 10_000, |_, out| {
        out.extend_from_slice(&bytes);
    });
    assert_eq!(cause, Some(Cause::Protocol(expected)), "{what}");
}

const BIND: &[u8] = &[0x0b, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'f'];

#[test]
fn breaches_end_the_wire_with_their_cause() {
    let _guard = start();
    let max = Limits::default().max_frame as u64;
    let mut long = Vec::new();
    varint((1 << 62) - 1, &mut long);
    let error = ProtocolError::FrameTooLong { len: (1 << 62) - 1, max };
    ends_with("a huge frame", error, &long);
    ends_with("a longer integer", ProtocolError::Malformed("frame length"), &[0xff; 12]);
    let error = ProtocolError::BadNumber("answer to a call that is not open");
    ends_with("an answer nobody asked for", error, &[2, 0x40, 0]);
    ends_with("a result nobody asked for", error, &[4, 0xc2, 0, 0, 0]);
    ends_with("an error nobody asked for", error, &[4, 0xc3, 0, 0, 1]);
    let error = ProtocolError::BadNumber("stream that is not open");
    ends_with("items on no stream", error, &[2, 0x80, 0]);
    ends_with("credit for no stream", error, &[3, 0xc8, 0, 9]);
    ends_with("the end of no stream", error, &[3, 0xc6, 0, 0]);
    ends_with("a stop of no stream", error, &[3, 0xc7, 0, 0]);
    let error = ProtocolError::BadNumber("release of a callback that does not exist");
    ends_with("a release of no callback", error, &[2, 0xcc, 0]);
    let error = ProtocolError::BadNumber("arguments of a call that is not open");
    ends_with("arguments of no call", error, &[4, 0xc1, 9, 0, 0]);
    ends_with("a second binding", ProtocolError::BadNumber("binding"), &[BIND, BIND].concat());
    let error = ProtocolError::BadNumber("call over the limit");
    let mut call = Vec::new();
    frame(0x3f, &[256 - 63, 0], b"", &mut call);
    ends_with("a call over the limit", error, &call);
    let error = ProtocolError::BadNumber("call that is open");
    ends_with("a call twice", error, &[BIND, &[2, 0, 0], &[2, 0, 0]].concat());
    ends_with("flags from the future", ProtocolError::Malformed("flags"), &[3, 0xc1, 0, 0x40]);
    ends_with("a bad handle", ProtocolError::Malformed("handle"), &[6, 0xc0, 0, 2, 0, 1, 3]);
    let error = ProtocolError::Malformed("list of handles");
    ends_with("many handles", error, &[7, 0xc0, 0, 2, 0, 0xff, 0x7f, 0]);
    ends_with("too many empty frames", ProtocolError::TooManyEmptyFrames, &[0; 64]);
    ends_with("too many pings", ProtocolError::TooManyEmptyFrames, &[2, 0xcd, 1].repeat(64));
    let storm = [BIND, &[2, 0, 0][..], &[3, 0xc4, 0, 1].repeat(20_000)].concat();
    ends_with("a storm of resets", ProtocolError::TooManyResets, &storm);
    let stream = [BIND, &[6, 0xc0, 0, 2, 0, 1, 1]].concat();
    let mut items = stream.clone();
    frame(0x80, &[], &[0; 65_537], &mut items);
    ends_with("more items than credit", ProtocolError::CreditExceeded, &items);
    let mut items = stream;
    frame(0x80, &[], &[5, 0], &mut items);
    ends_with("items that are cut", ProtocolError::Malformed("batch of items"), &items);
    let mut endless = [BIND, &[5, 0xc0, 0, 1, 0, 0]].concat();
    // Up to the longest message it is admitted.
    for _ in 0..43 {
        frame(0xc1, &[0, 1], &[0; 100_000], &mut endless);
    }
    ends_with("endless arguments", ProtocolError::CreditExceeded, &endless);
}

#[test]
fn a_nine_byte_message_costs_nine_bytes() {
    let _guard = start();
    let mut bytes = [&HELLO[..], BIND].concat();
    // As a string in bincode it is 64 TiB long. The engine does not decode.
    frame(0, &[0], &[0xfd, 0, 0, 0, 0, 0, 0x40, 0, 0], &mut bytes);
    let mut victim = Victim::new(Config::default(), Application::Holds, true);
    victim.suffer(&bytes).unwrap();
    assert!(matches!(&victim.held[0], Event::Call { payload, .. } if payload.len() == 9));
    assert_eq!(victim.conn.stats().buffered, 9);
}

#[test]
fn windows_that_are_filled_everywhere() {
    let _guard = start();
    // Every call gets all that may come before it is admitted, and none is ever completed.
    everywhere("filled windows", 200, |limits, round, out| {
        if round == 0 {
            out.extend_from_slice(BIND);
            for call in 0..limits.max_calls {
                frame(0xc0, &[call.into(), 1, 0], b"", out);
            }
            return;
        }
        let part = vec![1; (limits.message_window / 64).min(limits.max_frame - 16)];
        for call in 0..limits.max_calls {
            if round <= limits.message_window / part.len() {
                frame(0xc1, &[call.into(), 1], &part, out);
            }
        }
    });
}

#[test]
fn ten_thousand_calls_at_once() {
    let _guard = start();
    everywhere("calls", 40, |limits, round, out| {
        if round == 0 {
            out.extend_from_slice(BIND);
        }
        for call in 0..limits.max_calls {
            frame(0xc0, &[call.into(), 0, 0], &[7; 500], out);
        }
    });
}

#[test]
fn calls_of_what_does_not_exist() {
    let _guard = start();
    everywhere("no such callback", 1000, |limits, round, out| {
        for call in 0..limits.max_calls {
            frame(0xc0, &[call.into(), 0x08, round as u64], b"x", out);
        }
    });
    everywhere("long names", 100, |limits, _, out| {
        for call in 0..limits.max_calls {
            let name = [&[9; 8][..], &[255], &[b'n'; 255]].concat();
            let mut rest = vec![0x10];
            rest.extend(name);
            frame(0xc0, &[call.into()], &rest, out);
        }
    });
    everywhere("bindings", 2, |limits, round, out| {
        if round == 0 {
            for number in 0..limits.max_bindings {
                let rest = [&[9; 8][..], &[b'n'; 255]].concat();
                frame(0xcb, &[number.into()], &rest, out);
            }
        }
    });
}

#[test]
fn items_of_every_shape_up_to_the_credit() {
    let _guard = start();
    let window = |limits: &Limits| limits.stream_window as u64;
    let open = |limits: &Limits, out: &mut Vec<u8>| {
        out.extend_from_slice(BIND);
        for stream in 0..u64::from(limits.max_streams).min(u64::from(limits.max_calls)) {
            frame(0xc0, &[stream, 2, 0, 1, stream * 4 + 1], b"", out);
        }
    };
    everywhere("empty items", 2, |limits, round, out| {
        if round == 0 {
            return open(limits, out);
        }
        for _ in 0..window(limits) {
            for stream in 0..8 {
                frame(0x80 | (stream * 2), &[], &[0], out);
            }
        }
    });
    everywhere("one empty item in a frame", 2, |limits, round, out| {
        if round == 0 {
            return open(limits, out);
        }
        for _ in 0..window(limits) {
            for stream in 0..8 {
                frame(0xc5, &[stream * 2, 0], b"", out);
            }
        }
    });
    everywhere("items with streams", 2, |limits, round, out| {
        if round == 0 {
            return open(limits, out);
        }
        for n in 0..window(limits) / 129 {
            frame(0xc5, &[0, 2, 1, (n % 200 + 8) * 4], b"", out);
        }
    });
    everywhere("all streams full", 2, |limits, round, out| {
        if round == 0 {
            return open(limits, out);
        }
        for stream in 0..u64::from(limits.max_streams).min(u64::from(limits.max_calls)) {
            for _ in 0..window(limits) / 512 {
                frame(0xc5, &[stream * 2, 0], &[3; 511], out);
            }
        }
    });
    everywhere("an item without end", 500, |limits, round, out| {
        if round == 0 {
            return open(limits, out);
        }
        frame(0xc5, &[0, 1], &[3; 400], out);
    });
}

#[test]
fn streams_made_and_ended_for_ever() {
    let _guard = start();
    everywhere("made and ended", 2000, |limits, round, out| {
        if round == 0 {
            out.extend_from_slice(BIND);
        }
        let n = round as u64 % u64::from(limits.max_calls.min(limits.max_streams));
        frame(0xc0, &[n, 2, 0, 2, n * 4 + 1, n * 4], b"", out);
        frame(0x80 | (n * 2 % 63).to_le_bytes()[0], &[], &[0, 0, 0], out);
        frame(0xc6, &[n * 2, 0], b"", out);
    });
    everywhere("stopped at once", 2000, |limits, round, out| {
        if round == 0 {
            out.extend_from_slice(BIND);
        }
        let n = round as u64 % u64::from(limits.max_calls.min(limits.max_streams));
        frame(0xc0, &[n, 2, 0, 1, n * 4 + 2], b"", out);
        frame(0xc7, &[n * 2, 1], b"", out);
    });
}

#[test]
fn plausible_nonsense() {
    let _guard = start();
    let seed = seed();
    for limits in all_limits() {
        for (application, reads) in EVERY {
            for seed in seed..seed + 300 {
                println!("IPFI_SEED={seed}");
                let mut random = Random::new(seed);
                attacked("nonsense", &limits, application, reads, 300, |round, out| {
                    if round == 0 {
                        out.extend_from_slice(BIND);
                    }
                    plausible(&mut random, out);
                });
            }
        }
    }
}

#[test]
fn streams_in_streams_do_not_use_up_the_stack() {
    let _guard = start();
    let limits = Limits { max_streams: 65_536, ..Limits::default() };
    let deep = std::thread::Builder::new().stack_size(128 << 10).spawn(move || {
        let config = Config::default().with_limits(limits);
        let mut victim = Victim::new(config, Application::Holds, true);
        let mut bytes = [&HELLO[..], BIND].concat();
        frame(0xc0, &[0, 3, 0, 1, 1], b"", &mut bytes);
        for stream in 0..50_000 {
            frame(0xc5, &[stream * 2, 2, 1, (stream + 1) * 4 + 1], b"", &mut bytes);
        }
        victim.suffer(&bytes).unwrap();
        assert_eq!(victim.conn.stats().streams, 50_001);
        victim.suffer(&[3, 0xc4, 0, 1]).unwrap();
        assert_eq!(victim.conn.stats().buffered, 0);
    });
    deep.unwrap().join().unwrap();
}

#[test]
fn messages_that_starve_together_do_not_use_up_the_stack() {
    let _guard = start();
    let deep = std::thread::Builder::new().stack_size(128 << 10).spawn(move || {
        const SIZE: usize = 4 << 20;
        let budget = SharedBudget::new(16 << 20);
        let limits = Limits { max_calls: 1024, max_buffered: 16 << 20, ..Limits::default() };
        let config = Config::default().with_limits(limits).with_budget(budget.clone());
        let mut victim = Victim::new(config.clone(), Application::Holds, true);
        let mut bytes = [&HELLO[..], BIND].concat();
        for call in 0..1000 {
            // More, and how much in all.
            let mut rest = vec![0x81, 0];
            varint(SIZE as u64, &mut rest);
            rest.extend([1; 4000]);
            frame(0xc0, &[call], &rest, &mut bytes);
        }
        // Two are admitted, the others wait.
        victim.suffer(&bytes).unwrap();
        assert_eq!(victim.conn.stats().incoming_calls, 1000);
        // Another wire takes what is left for all.
        let mut other = Victim::new(config, Application::Holds, true);
        let mut bytes = [&HELLO[..], BIND].concat();
        for call in 0..200 {
            frame(0xc0, &[call, 1, 0], &[1; 60_000], &mut bytes);
        }
        other.suffer(&bytes).unwrap();
        // The first is complete: its place is free, but there is no room. All others are refused.
        let mut bytes = Vec::new();
        for _ in 0..41 {
            frame(0xc1, &[0, 1], &[1; 102_000], &mut bytes);
        }
        frame(0xc1, &[0, 0], &vec![1; SIZE - 4000 - 41 * 102_000], &mut bytes);
        victim.suffer(&bytes).unwrap();
        assert_eq!(victim.conn.stats().incoming_calls, 2);
    });
    deep.unwrap().join().unwrap();
}

#[cfg(feature = "speed")] // that of a program, which may have thousands
#[test]
fn an_idle_wire_is_small() {
    const WIRES: usize = 1000;
    let _guard = start();
    let mut victims = Vec::with_capacity(WIRES);
    let bytes = [&HELLO[..], BIND, b"\x0b\x00\x00\x08John Doe"].concat();
    let before = ALLOCATOR.current_usage();
    for _ in 0..WIRES {
        let mut conn = Connection::new(Config::default(), Instant::from_micros(0));
        conn.receive(Instant::from_micros(1), &bytes).unwrap();
        while let Some(event) = conn.poll_event() {
            if let Event::Call { call, payload, .. } = event {
                conn.answer(Instant::from_micros(2), call, payload.into(), &[]).unwrap();
            }
        }
        let mut buffer = [0; 100];
        assert!(conn.poll_transmit(Instant::from_micros(3), &mut buffer) > 0);
        victims.push(conn);
    }
    let each = (ALLOCATOR.current_usage() - before) / WIRES + size_of::<Connection>();
    println!("{each} bytes for an idle wire that has served a call");
    assert!(each < 2048, "{each}");
}

#[test]
fn all_peers_together_are_bounded() {
    let _guard = start();
    let budget = SharedBudget::new(1 << 20);
    let mut victims: Vec<_> = (0..50)
        .map(|_| {
            let config = Config::default().with_budget(budget.clone());
            Victim::new(config, Application::Holds, true)
        })
        .collect();
    let before = ALLOCATOR.current_usage();
    for victim in &mut victims {
        let mut bytes = [&HELLO[..], BIND].concat();
        for call in 0..20 {
            frame(0xc0, &[call, 1, 0], &[1; 50_000], &mut bytes);
        }
        victim.suffer(&bytes).unwrap();
    }
    let used = ALLOCATOR.current_usage() - before;
    let payloads = (1 << 20) + 50 * FREE_ALLOWANCE;
    // What the tables and buffers of 50 wires with 20 calls take.
    assert!(used < payloads + 50 * 40_000, "{used}");
    assert!(budget.used() <= 1 << 20 && budget.used() > 900_000, "{}", budget.used());
    // Small calls still get through, on all wires.
    for victim in &mut victims {
        let mut call = Vec::new();
        frame(30, &[0], b"small", &mut call);
        victim.suffer(&call).unwrap();
        assert!(victim.held.iter().any(|event| matches!(event, Event::Call { .. })));
    }
    drop(victims);
    assert_eq!(budget.used(), 0);
}
