//! How fast two links pass a stream to one another, without a line between them.
//!
//! A line of 3 Mbaud carries 0.3 MB/s.
#![allow(missing_docs, reason = "divan's macros make undocumented items")]

use std::time::Duration;

use divan::Bencher;
use divan::counter::BytesCount;
use ipfi_arq::{Config, Fec, Instant, Link, State};

const VOLUME: usize = 1 << 20;

fn main() {
    divan::main();
}

/// Turns over one bit in so many bytes of what goes through.
fn carry(fec: Fec, flip_every: usize) {
    let mut config = Config::serial(None);
    config.fec = fec;
    let mut now = Instant::from_micros(0);
    let mut from = Link::new(config.clone(), 1, now);
    let mut to = Link::new(config, 2, now);
    let (mut wire, mut read) = (vec![0; 4096], vec![0; 65_536]);
    let (mut written, mut arrived, mut until_flip) = (0, 0, flip_every);
    let bytes = vec![0xa5; 65_536];
    while arrived < VOLUME {
        let rest = bytes.get(..bytes.len().min(VOLUME - written)).unwrap_or_default();
        written += from.write(rest).expect("it is open");
        let count = from.poll_transmit(now, &mut wire);
        let mut at = until_flip;
        while at < count {
            wire[at] ^= 0x10;
            at += flip_every;
        }
        until_flip = at - count;
        to.receive(now, &wire[..count]);
        while let Ok(Some(count @ 1..)) = to.read(&mut read) {
            arrived += count;
        }
        let count = to.poll_transmit(now, &mut wire);
        from.receive(now, &wire[..count]);
        now = now + Duration::from_millis(1);
        from.handle_timeout(now);
        to.handle_timeout(now);
    }
    assert_eq!(from.state(), State::Open);
}

#[divan::bench]
fn clean(bencher: Bencher<'_, '_>) {
    bencher.counter(BytesCount::new(VOLUME)).bench(|| carry(Fec::Off, usize::MAX / 2));
}

#[divan::bench]
fn one_byte_in_a_thousand_wrong(bencher: Bencher<'_, '_>) {
    bencher.counter(BytesCount::new(VOLUME)).bench(|| carry(Fec::Off, 1000));
}

#[divan::bench]
fn light_correction(bencher: Bencher<'_, '_>) {
    bencher.counter(BytesCount::new(VOLUME)).bench(|| carry(Fec::Light, 200));
}

#[divan::bench]
fn strong_correction(bencher: Bencher<'_, '_>) {
    bencher.counter(BytesCount::new(VOLUME)).bench(|| carry(Fec::Strong, 50));
}
