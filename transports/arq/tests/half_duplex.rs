//! Two stations that share the air: bursts, turns, collisions, lost tokens.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small numbers of a simulation"
)]

mod simulator;

use std::fmt::Write;
use std::time::Duration;

use ipfi_arq::{Config, Ended, HalfDuplex, State};
use simulator::air::{Air, Medium};
use simulator::{End, Pattern, Random};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const SENSING: Option<Duration> = Some(Duration::from_millis(40));

fn config(medium: Medium) -> Config {
    let guard = MS * 150;
    let shared = HalfDuplex { guard, burst: MS * 10_000, preamble: medium.preamble };
    Config::half_duplex(medium.bytes_per_second as u32, 240, shared)
}

fn air(medium: Medium, seed: u64) -> Air {
    let mut air = Air::new(medium, seed);
    let mut random = Random::new(seed ^ 0xa1);
    for side in 0..2 {
        let end = End::new(config(medium), random.next() as u32, air.now, Pattern(random.next()));
        air.put(side, end);
    }
    air
}

fn medium(bytes_per_second: f64, byte_errors: f64) -> Medium {
    Medium { bytes_per_second, preamble: 4, byte_errors, sensing: SENSING }
}

/// One way, from the first byte of the stream on.
fn goodput(medium: Medium, bytes: u64, seed: u64) -> f64 {
    let mut air = air(medium, seed);
    air.run_until(HOUR, "open", |air| (0..2).all(|side| air.end(side).link.state() == State::Open));
    let start = air.now;
    air.end(0).to_write = bytes;
    air.run_until(HOUR * 100, "all is read", |air| air.end(1).read == bytes);
    bytes as f64 / (air.now - start).as_secs_f64() / medium.bytes_per_second
}

#[test]
fn goodput_of_shared_media() {
    let mut table = String::from("bytes/s  errors 0      1e-3   1e-2\n");
    for rate in [8.0, 32.0, 100.0, 1000.0] {
        write!(table, "{rate:<8}       ").unwrap();
        for byte_errors in [0.0, 1e-3, 1e-2] {
            let runs = (1..=5).map(|seed| goodput(medium(rate, byte_errors), 8000, seed));
            let mut runs: Vec<_> = runs.collect();
            runs.sort_by(f64::total_cmp);
            write!(table, " {:.3} ", runs[2]).unwrap();
        }
        table.push('\n');
    }
    insta::assert_snapshot!(table);
}

#[test]
fn questions_and_answers_take_a_turn_each() {
    for sensing in [SENSING, None] {
        let medium = Medium { sensing, ..medium(100.0, 0.0) };
        let mut air = air(medium, 1);
        air.run_until(HOUR, "open", |air| {
            (0..2).all(|side| air.end(side).link.state() == State::Open)
        });
        air.run_for(MS * 10_000);
        for round in 1..=10 {
            let start = air.now;
            air.end(0).to_write += 64;
            air.run_until(HOUR, "the question", |air| air.end(1).read == 64 * round);
            air.end(1).to_write += 64;
            air.run_until(HOUR, "the answer", |air| air.end(0).read == 64 * round);
            // Twice 64 + 21 bytes at 100 a second, and two pauses.
            assert!(air.now - start < MS * 2500, "{:?}", air.now - start);
            air.run_for(MS * 3000);
        }
        assert_eq!(air.collisions, 0);
    }
}

#[test]
fn both_talk_at_length() {
    for seed in 0..10 {
        for sensing in [SENSING, None] {
            let medium = Medium { sensing, ..medium(100.0, 2e-3) };
            let mut air = air(medium, seed);
            for side in 0..2 {
                air.end(side).to_write = 5000;
                air.end(side).finish_when_written = true;
            }
            air.run_until(HOUR, "both have ended", |air| {
                (0..2).all(|side| air.end(side).link.is_done())
            });
            for side in 0..2 {
                assert_eq!(air.end(side).read, 5000, "seed {seed}");
                assert!(air.end(side).saw_fin, "seed {seed}: {:?}", air.end(side).link.state());
            }
        }
    }
}

#[test]
fn silence_after_an_exchange() {
    let mut air = air(medium(100.0, 0.0), 3);
    air.end(0).to_write = 100;
    air.run_until(HOUR, "arrival", |air| air.end(1).read == 100);
    air.run_for(MS * 20_000);
    let sent = |air: &mut Air| {
        (0..2).map(|side| air.end(side).link.statistics().wire_bytes_sent).sum::<u64>()
    };
    let before = sent(&mut air);
    air.run_for(HOUR);
    assert_eq!(sent(&mut air), before, "nothing is said when there is nothing to say");
}

#[test]
fn a_station_that_dies_is_given_up() {
    let mut air = air(medium(100.0, 0.0), 4);
    air.end(0).to_write = 100;
    air.run_until(HOUR, "arrival", |air| air.end(1).read == 100);
    air.stations[1] = None;
    air.end(0).to_write = 10;
    air.run_until(HOUR, "the error", |air| air.end(0).error.is_some());
    assert_eq!(air.end(0).error, Some(Ended::TimedOut));
}

#[test]
fn a_fade_is_survived_or_an_error() {
    for seed in 0..20 {
        let mut air = air(medium(100.0, 0.0), seed);
        air.end(0).to_write = 3000;
        air.run_for(MS * 9000);
        air.silent = true;
        air.run_for(MS * 400);
        air.silent = false;
        air.run_until(HOUR, "the rest", |air| air.end(1).read == 3000);
    }
}

#[test]
fn restarts_never_splice() {
    let mut air = air(medium(1000.0, 1e-3), 6);
    let mut random = Random::new(6);
    for round in 0..200 {
        for side in 0..2 {
            air.end(side).to_write = 200;
        }
        air.run_until(HOUR, "both talk", |air| (0..2).all(|side| air.end(side).read >= 200));
        for side in 0..2 {
            let theirs = air.end(1 - side).outbound;
            assert_eq!(air.end(side).inbound, Some(theirs), "round {round}");
        }
        air.run_for(Duration::from_micros(random.below(2_000_000)));
        let victim = random.below(2) as usize;
        for side in [victim, 1 - victim] {
            let (id, pattern) = (random.next() as u32, Pattern(random.next()));
            let end = End::new(config(medium(1000.0, 1e-3)), id, air.now, pattern);
            air.put(side, end);
            if side == victim {
                air.run_until(HOUR, "the survivor's error", |air| {
                    air.end(1 - victim).error.is_some()
                });
                assert_eq!(air.end(1 - victim).error, Some(Ended::PeerRestarted));
            }
        }
    }
}

#[test]
fn a_modem_may_change_its_mode() {
    let mut air = air(medium(100.0, 0.0), 8);
    air.run_until(HOUR, "open", |air| (0..2).all(|side| air.end(side).link.state() == State::Open));
    let guard = MS * 150;
    let mut sent = 0;
    for (packet, payload) in [(240, 219), (620, 599), (60, 39), (1045, 1024)] {
        let shared = HalfDuplex { guard, burst: MS * 20_000, preamble: 4 };
        air.end(0).link.set_medium(100, packet, shared);
        let size = air.end(0).link.statistics().payload_size;
        assert!(size > payload / 2 && size <= payload, "{size} of {payload}");
        sent += 3000;
        air.end(0).to_write = 3000;
        air.run_until(HOUR, "arrival", |air| air.end(1).read == sent);
    }
}

#[test]
fn an_outlook_comes_true() {
    for (rate, bytes) in [(1000.0, 100), (1000.0, 30_000), (100.0, 50), (24.0, 60), (24.0, 1000)] {
        let mut air = air(medium(rate, 0.0), 9);
        air.run_until(HOUR, "open", |air| {
            (0..2).all(|side| air.end(side).link.state() == State::Open)
        });
        air.run_for(MS * 3000);
        let start = air.now;
        assert_eq!(air.end(0).link.outlook(start), None);
        // More than the link holds would not be in its outlook.
        let bytes = bytes.min(air.end(0).link.writable() as u64);
        air.end(0).to_write = bytes;
        air.run_for(MS);
        let now = air.now;
        let outlook = air.end(0).link.outlook(now).expect("there is something to send");
        assert_eq!(outlook.to_send, bytes);
        air.run_until(HOUR, "arrival", |air| air.end(1).read == bytes);
        let sent_in = (air.now - start).as_secs_f64();
        air.end(1).to_write = 64;
        air.run_until(HOUR, "the answer", |air| air.end(0).read == 64);
        let answered_in = (air.now - start).as_secs_f64();
        println!("{rate} B/s, {bytes} bytes: {sent_in:.1} s, {answered_in:.1} s; {outlook:?}");
        for (real, told) in [(sent_in, outlook.sent_in), (answered_in, outlook.answered_in)] {
            let error = (told.as_secs_f64() - real).abs();
            assert!(error < 0.25 * real + 0.5, "{told:?} was {real} s");
        }
    }
}
