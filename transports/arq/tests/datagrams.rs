//! The link over datagrams: losses, doubles and overtaking, and a fair share of the path.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small numbers of a simulation"
)]

mod simulator;

use std::fmt::Write;
use std::time::Duration;

use ipfi_arq::{Config, Ended, Instant, Link, State};
use simulator::network::{Network, Path};
use simulator::{End, Pattern, Random};

const MS: Duration = Duration::from_millis(1);
const PAYLOAD: u16 = 1200 - Config::DATAGRAM_OVERHEAD;

const PATH: Path = Path {
    bytes_per_second: 12_500_000.0,
    delay: Duration::from_millis(10),
    queue: 250_000.0,
    loss: 0.0,
    double: 0.0,
    held_up: 0.0,
    hold: Duration::from_millis(3),
};

fn network(path: Path, seed: u64) -> Network {
    let mut random = Random::new(seed ^ 0xda7a);
    let now = Instant::from_micros(0);
    let ends = [0, 1].map(|_| {
        let (id, pattern) = (random.next() as u32, Pattern(random.next()));
        End::new(Config::datagrams(PAYLOAD), id, now, pattern)
    });
    Network::new(path, ends, seed)
}

/// Bytes a second, one way.
fn goodput(path: Path, bytes: u64, seed: u64) -> f64 {
    let mut network = network(path, seed);
    network.ends[0].to_write = bytes;
    network.run_until(MS * 4_000_000, "all is read", |network| network.ends[1].read == bytes);
    bytes as f64 / (network.now.as_micros() as f64 / 1e6)
}

/// What TCP gets on such a path (Padhye et al. 1998, as in RFC 5348, section 3.1), with segments of
/// 1,460 bytes, an acknowledgement for each segment and a timeout of four round trips; never more than
/// the path carries.
fn tcp(path: Path) -> f64 {
    let (p, round_trip) = (path.loss, 2.0 * path.delay.as_secs_f64());
    let timeouts = 4.0 * round_trip * (3.0 * (3.0 * p / 8.0).sqrt()) * p * (1.0 + 32.0 * p * p);
    let formula = 1460.0 / (round_trip * (2.0 * p / 3.0).sqrt() + timeouts);
    formula.min(path.bytes_per_second * 1460.0 / 1538.0)
}

#[test]
fn a_fair_share_of_the_path() {
    let mut table = String::from("loss      bytes/s  of TCP\n");
    for loss in [0.0, 1e-3, 1e-2, 5e-2] {
        let path = Path { loss, ..PATH };
        let mut runs: Vec<_> = (1..=5).map(|seed| goodput(path, 25_000_000, seed)).collect();
        runs.sort_by(f64::total_cmp);
        let share = runs[2] / tcp(path);
        writeln!(table, "{loss:<9} {:>7.0}  {share:.2}", runs[2]).unwrap();
        assert!(share > if loss > 0.01 { 0.8 } else { 0.9 }, "less than TCP:\n{table}");
        assert!(share < 2.0, "unfair to TCP:\n{table}");
    }
    insta::assert_snapshot!(table);
}

#[test]
fn overtaking_and_doubles_cost_little() {
    let path = Path { double: 0.02, held_up: 0.02, ..PATH };
    let calm = goodput(PATH, 8_000_000, 1);
    let restless = goodput(Path { hold: MS, ..path }, 8_000_000, 1);
    assert!(restless > calm * 0.9, "{restless} of {calm}");
}

#[test]
fn every_byte_arrives_once() {
    for seed in 0..30 {
        let path = Path { loss: 0.05, double: 0.05, held_up: 0.1, hold: MS * 30, ..PATH };
        let mut network = network(path, seed);
        for end in &mut network.ends {
            end.to_write = 300_000;
            end.finish_when_written = true;
        }
        network.run_until(MS * 600_000, "both have ended", |network| {
            network.ends.iter().all(|end| end.link.is_done())
        });
        for end in &network.ends {
            assert_eq!(end.read, 300_000, "seed {seed}");
            assert!(end.saw_fin, "seed {seed}: {:?}", end.link.state());
        }
    }
}

#[test]
fn two_streams_share_alike() {
    // Not a proof of fairness; but a window that ran away from another would show.
    let path = Path { bytes_per_second: 1_250_000.0, queue: 25_000.0, ..PATH };
    let goodput = goodput(path, 4_000_000, 1);
    assert!(goodput > 1_000_000.0, "{goodput} of a path of 1,250,000");
}

/// Carries what one has to say to the other, at a time.
fn exchange(now: Instant, from: &mut Link, to: &mut Link) {
    let mut buf = [0; 1500];
    loop {
        let count = from.poll_transmit(now, &mut buf);
        if count == 0 {
            break;
        }
        to.receive(now, &buf[..count]);
    }
}

#[test]
fn a_forged_greeting_ends_nothing() {
    let now = Instant::from_micros(0);
    let config = Config::datagrams(PAYLOAD);
    let mut links = [1, 2].map(|id| Link::new(config.clone(), id, now));
    let [left, right] = &mut links;
    for _ in 0..4 {
        exchange(now, left, right);
        exchange(now, right, left);
    }
    assert_eq!(left.state(), State::Open);

    // A stranger who sees nothing of the stream.
    let mut stranger = Link::new(config.clone(), 3, now);
    exchange(now, &mut stranger, left);
    assert_eq!(left.state(), State::Open);
    // Its answer is no longer than the question, and goes to the peer.
    exchange(now, left, right);
    exchange(now, right, left);
    assert_eq!((left.state(), right.state()), (State::Open, State::Open));

    // The program at the other end, started anew, has heard of this side.
    let mut anew = Link::new(config, 4, now);
    exchange(now, &mut anew, left);
    exchange(now, left, &mut anew);
    exchange(now, &mut anew, left);
    assert_eq!(left.state(), State::Failed(Ended::PeerRestarted));
}
