//! Two links under arbitrary operations: whatever happens in between, what is read is a prefix of
//! what was written, and what was acknowledged has been received.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small numbers of a simulation"
)]

use std::time::Duration;

use ipfi_arq::{Config, Instant, Link, State};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Write(bool, Vec<u8>),
    Read(bool, usize),
    Finish(bool),
    /// Moves up to so many bytes, in pieces of the given size.
    Carry(bool, usize, usize),
    Damage(bool, usize, u8),
    Drop(bool, usize),
    Insert(bool, usize, u8),
    Wait(u16),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => (any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(s, b)| Op::Write(s, b)),
        3 => (any::<bool>(), 0usize..400).prop_map(|(s, n)| Op::Read(s, n)),
        1 => any::<bool>().prop_map(Op::Finish),
        8 => (any::<bool>(), 0usize..2000, 1usize..50).prop_map(|(s, n, p)| Op::Carry(s, n, p)),
        1 => (any::<bool>(), 0usize..200, 1u8..).prop_map(|(s, at, x)| Op::Damage(s, at, x)),
        1 => (any::<bool>(), 0usize..200).prop_map(|(s, at)| Op::Drop(s, at)),
        1 => (any::<bool>(), 0usize..200, any::<u8>()).prop_map(|(s, at, b)| Op::Insert(s, at, b)),
        4 => any::<u16>().prop_map(Op::Wait),
    ];
    prop::collection::vec(op, 0..120)
}

struct Side {
    link: Link,
    /// What it has sent and the other has not received.
    wire: Vec<u8>,
    written: Vec<u8>,
    read: Vec<u8>,
    finished: bool,
    saw_fin: bool,
}

struct Pair {
    now: Instant,
    sides: [Side; 2],
}

impl Pair {
    fn new(rates: [Option<u32>; 2]) -> Self {
        let now = Instant::from_micros(0);
        let side = |index: usize| Side {
            link: Link::new(Config::serial(rates[index]), 7 + index as u32, now),
            wire: Vec::new(),
            written: Vec::new(),
            read: Vec::new(),
            finished: false,
            saw_fin: false,
        };
        Self { now, sides: [side(0), side(1)] }
    }

    fn carry(&mut self, from: usize, count: usize, piece: usize) {
        let mut buf = vec![0; piece];
        while self.sides[from].wire.len() < count {
            let sent = self.sides[from].link.poll_transmit(self.now, &mut buf);
            if sent == 0 {
                break;
            }
            self.sides[from].wire.extend_from_slice(&buf[..sent]);
        }
        let count = count.min(self.sides[from].wire.len());
        for bytes in self.sides[from].wire.drain(..count).collect::<Vec<_>>().chunks(piece) {
            self.sides[1 - from].link.receive(self.now, bytes);
        }
    }

    fn read(&mut self, side: usize, count: usize) {
        let mut buf = vec![0; count];
        let this = &mut self.sides[side];
        match this.link.read(&mut buf) {
            Ok(Some(0)) if count > 0 => this.saw_fin = true,
            Ok(Some(count)) => this.read.extend_from_slice(&buf[..count]),
            Ok(None) | Err(_) => {}
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        for side in &mut self.sides {
            if side.link.poll_timeout().is_some_and(|at| at <= self.now) {
                side.link.handle_timeout(self.now);
            }
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Write(side, bytes) => {
                let this = &mut self.sides[usize::from(side)];
                if let Ok(count) = this.link.write(&bytes) {
                    this.written.extend_from_slice(&bytes[..count]);
                }
            }
            Op::Read(side, count) => self.read(side.into(), count),
            Op::Finish(side) => {
                let this = &mut self.sides[usize::from(side)];
                this.link.finish();
                this.finished = true;
            }
            Op::Carry(side, count, piece) => self.carry(side.into(), count, piece),
            Op::Damage(side, at, flip) => {
                if let Some(byte) = self.sides[usize::from(side)].wire.get_mut(at) {
                    *byte ^= flip;
                }
            }
            Op::Drop(side, at) => {
                let wire = &mut self.sides[usize::from(side)].wire;
                if at < wire.len() {
                    wire.remove(at);
                }
            }
            Op::Insert(side, at, byte) => {
                let wire = &mut self.sides[usize::from(side)].wire;
                if at <= wire.len() {
                    wire.insert(at, byte);
                }
            }
            Op::Wait(micros) => self.wait(Duration::from_micros(micros.into())),
        }
    }

    fn check(&self) {
        for (this, other) in [(0, 1), (1, 0)] {
            let (this, other) = (&self.sides[this], &self.sides[other]);
            assert!(other.written.starts_with(&this.read), "read what was not written");
            if this.saw_fin {
                assert!(other.finished && this.read.len() == other.written.len());
            }
            if this.link.is_flushed() {
                let arrived = other.read.len() + other.link.readable();
                assert_eq!(arrived, this.written.len(), "acknowledged and not received");
            }
        }
    }

    /// On a good line everything is delivered in the end.
    fn settle(&mut self) {
        for _ in 0..4000 {
            for side in 0..2 {
                self.carry(side, 4000, 500);
                self.read(side, 1000);
                if !self.sides[side].finished {
                    self.sides[side].link.finish();
                    self.sides[side].finished = true;
                }
            }
            self.wait(Duration::from_millis(10));
        }
        self.check();
        for side in &self.sides {
            assert!(side.saw_fin, "{:?} {:?}", side.link, side.link.statistics());
            assert_eq!(side.link.state(), State::Closed);
            assert!(side.link.is_done());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_was_written(ops in ops(), rates in prop::array::uniform2(prop::option::of(1000u32..2_000_000))) {
        let mut pair = Pair::new(rates);
        for op in ops {
            pair.apply(op);
            pair.check();
        }
        pair.settle();
    }
}

/// The sizes of the pieces in which bytes travel make no difference to what is sent.
#[test]
fn pieces_do_not_matter() {
    let transcript = |out: usize, into: usize| {
        let mut pair = Pair::new([None, None]);
        let mut sent = Vec::new();
        for round in 0..200u32 {
            for side in 0..2 {
                let this = &mut pair.sides[side];
                this.link.write(&round.to_le_bytes().repeat(side * 60 + 1)).unwrap();
                let (mut wire, mut buf) = (Vec::new(), vec![0; out]);
                loop {
                    let count = this.link.poll_transmit(pair.now, &mut buf);
                    if count == 0 {
                        break;
                    }
                    wire.extend_from_slice(&buf[..count]);
                }
                for piece in wire.chunks(into) {
                    pair.sides[1 - side].link.receive(pair.now, piece);
                }
                sent.push(wire);
                pair.read(1 - side, 1000);
            }
            pair.wait(Duration::from_millis(3));
        }
        sent
    };
    let whole = transcript(5000, 5000);
    for (out, into) in [(1, 1), (1, 5000), (7, 3), (5000, 1), (64, 17)] {
        assert!(transcript(out, into) == whole, "pieces of {out} and {into}");
    }
}
