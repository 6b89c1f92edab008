//! How streams begin and end: greetings, restarts, half-close, aborts, silence.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small numbers of a simulation"
)]

mod simulator;

use std::time::Duration;

use ipfi_arq::{Config, Ended, EscapeMap, Instant, Link, Profile, State, WriteError};
use simulator::{End, Faults, Line, Pattern, Random, World, seed};

const RATE: f64 = 11_520.0;
const MS: Duration = Duration::from_millis(1);

fn config() -> Config {
    Config::serial(Some(RATE as u32))
}

fn lines(faults: Faults, seed: u64) -> [Line; 2] {
    [0, 1].map(|side| Line::new(RATE, MS * 5, faults, seed * 2 + side))
}

fn clean_pair(seed: u64) -> World {
    World::pair(&config(), lines(Faults::default(), seed), seed)
}

#[test]
fn an_idle_line_answers_in_time() {
    let lines = [0, 1].map(|side| Line::new(RATE, Duration::ZERO, Faults::default(), side));
    let mut world = World::pair(&config(), lines, 1);
    world.run_for(MS * 500);
    for round in 1..=20 {
        let start = world.now;
        world.end(0).to_write += 64;
        world.run_until(MS * 100, "the question", |world| world.end(1).read == 64 * round);
        world.end(1).to_write += 64;
        world.run_until(MS * 100, "the answer", |world| world.end(0).read == 64 * round);
        assert!(world.now - start <= MS * 20, "round {round} took {:?}", world.now - start);
        world.run_for(MS * 137);
    }
}

#[test]
fn the_systems_queue_stays_short() {
    let mut world = clean_pair(1);
    world.end(0).to_write = 100_000;
    world.run_until(MS * 20_000, "all is read", |world| world.end(1).read == 100_000);
    let longest = world.lines[0].longest_queue;
    assert!(longest <= 1024 + 20 + 116, "{longest} bytes: more than a frame and 10 ms");
}

#[test]
fn what_waits_for_a_line_is_little_and_told() {
    let mut world = clean_pair(1);
    world.end(0).to_write = 100_000;
    let mut longest = 0;
    while world.end(1).read < 100_000 {
        world.run_for(MS);
        let now = world.now;
        longest = longest.max(world.end(0).link.queued(now));
    }
    // A frame and 50 ms that were never sent, and a frame and 10 ms on their way.
    assert!(longest <= 1024 + 576 + 1024 + 20 + 116, "{longest} bytes");
    assert!(longest > 2000, "the line would fall idle with {longest} bytes");
    assert!(world.now.as_micros() < 9_200_000, "it fell idle: {:?}", world.now);
    let now = world.now;
    assert_eq!(world.end(0).link.queued(now), 0);
}

#[test]
fn each_side_finishes_for_itself() {
    let mut world = clean_pair(2);
    world.end(0).to_write = 3000;
    world.end(0).finish_when_written = true;
    world.run_until(MS * 2000, "the end", |world| world.end(1).saw_fin);
    assert_eq!(world.end(1).read, 3000);
    assert_eq!(world.end(0).link.write(b"more"), Err(WriteError::Finished));
    world.end(1).to_write = 5000;
    world.end(1).finish_when_written = true;
    world.run_until(MS * 5000, "both are closed", |world| {
        [0, 1].into_iter().all(|side| world.end(side).link.state() == State::Closed)
    });
    assert_eq!(world.end(0).read, 5000);
    assert!([0, 1].into_iter().all(|side| world.end(side).link.is_done()));
}

#[test]
fn finishing_survives_noise() {
    for seed in 0..200 {
        let noise = Faults { flip: 1e-3, drop: 1e-3, insert: 1e-3, burst: 1e-4 };
        let mut world = World::pair(&config(), lines(noise, seed), seed);
        for side in 0..2 {
            world.end(side).to_write = 500;
            world.end(side).finish_when_written = true;
        }
        world.run_until(MS * 60_000, "both are closed", |world| {
            [0, 1].into_iter().all(|side| world.end(side).link.is_done())
        });
        for side in 0..2 {
            assert!(world.end(side).saw_fin, "seed {seed}: {:?}", world.end(side).link.state());
        }
    }
}

#[test]
fn an_abort_is_told_with_its_reason() {
    let mut world = clean_pair(3);
    world.run_for(MS * 300);
    let now = world.now;
    world.end(0).link.abort(now, 7, "the paper is out");
    world.run_until(MS * 200, "the abort", |world| world.end(1).error.is_some());
    let reason = "the paper is out".into();
    assert_eq!(world.end(1).error, Some(Ended::Reset { code: 7, reason }));
    assert_eq!(world.end(0).link.write(b"x"), Err(WriteError::Ended(Ended::Aborted)));
    world.run_until(MS * 2000, "rest", |world| world.end(0).link.is_done());
}

#[test]
fn a_peer_that_dies_is_missed() {
    for busy in [false, true] {
        let mut world = clean_pair(4);
        world.run_for(MS * 300);
        world.end(0).to_write = if busy { 100_000 } else { 0 };
        world.run_for(MS * 100);
        world.ends[1] = None;
        world.lines[1].flush();
        world.run_until(MS * 12_000, "the time-out", |world| world.end(0).error.is_some());
        assert_eq!(world.end(0).error, Some(Ended::TimedOut));
    }
}

#[test]
fn an_idle_link_stays_open_and_nearly_silent() {
    let mut world = clean_pair(5);
    world.run_for(MS * 60_000);
    for side in 0..2 {
        let end = world.end(side);
        assert_eq!(end.link.state(), State::Open);
        let sent = end.link.statistics().wire_bytes_sent;
        assert!(sent < 2000, "{sent} bytes in a minute of silence");
    }
}

#[test]
fn nobody_there() {
    let mut config = config();
    config.connect_timeout = Some(MS * 3000);
    let mut world = World::new(lines(Faults::default(), 6));
    world.ends[0] = Some(End::new(config, 1, world.now, Pattern(1)));
    world.run_until(MS * 3001, "the time-out", |world| world.end(0).error.is_some());
    assert_eq!(world.end(0).error, Some(Ended::ConnectTimedOut));
}

#[test]
fn an_echo_is_no_peer() {
    let mut link = Link::new(config(), 9, Instant::from_micros(0));
    let mut buf = [0; 64];
    for ms in 0..3000 {
        let now = Instant::from_micros(ms * 1000);
        link.handle_timeout(now);
        let count = link.poll_transmit(now, &mut buf);
        link.receive(now, &buf[..count]);
    }
    assert_eq!(link.state(), State::Failed(Ended::LoopedBack));
}

#[test]
fn other_profiles_do_not_match() {
    let mut other = config();
    other.profile = Profile::HalfDuplex;
    let (now, mut buf) = (Instant::from_micros(0), [0; 64]);
    let (mut left, mut right) = (Link::new(config(), 1, now), Link::new(other, 2, now));
    let count = right.poll_transmit(now, &mut buf);
    let mut framed = Vec::new();
    framed.extend([0, count as u8 + 1]);
    // A frame of a modem has no zeros cut out; this stands for a line that carries it.
    framed.clear();
    let mut encoded = vec![0; cobs::max_encoding_length(count)];
    let length = cobs::encode(&buf[..count], &mut encoded);
    framed.extend_from_slice(&encoded[..length]);
    framed.push(0);
    left.receive(now, &framed);
    let expected = Ended::Incompatible { version: 1, profile: 1, ours: 0 };
    assert_eq!(left.state(), State::Failed(expected));
    assert!(left.poll_transmit(now, &mut buf) > 0, "the other side is to learn of it as well");
    assert!(left.is_done());
}

#[test]
fn a_slow_reader_stops_the_sender() {
    let mut world = clean_pair(7);
    world.end(1).may_read = 0;
    world.end(0).to_write = 200_000;
    world.run_for(MS * 10_000);
    let sent = world.end(0).link.statistics().bytes_sent;
    assert!((32_000..33_000).contains(&sent), "{sent} bytes for a window of 32,640");
    let idle = world.lines[0].carried;
    world.run_for(MS * 60_000);
    assert!(world.lines[0].carried - idle < 2000, "asks too often");
    assert_eq!(world.end(0).link.state(), State::Open);
    for read in (0..=200_000).step_by(1000) {
        world.end(1).may_read = read;
        world.run_for(MS * 100);
    }
    world.run_until(MS * 1000, "the rest", |world| world.end(1).read == 200_000);
}

#[test]
fn lines_that_eat_flow_control() {
    let mut config = config();
    for escape in [EscapeMap::XONXOFF, EscapeMap::CONTROLS] {
        config.escape = escape;
        let now = Instant::from_micros(0);
        let mut links =
            [Link::new(config.clone(), 0x1113_1113, now), Link::new(self::config(), 2, now)];
        let text: Vec<u8> = (0..=255).cycle().take(20_000).collect();
        let (mut got, mut written, mut buf) = (Vec::new(), 0, [0; 4096]);
        for ms in 0..10_000 {
            let now = Instant::from_micros(ms * 1000);
            written += links[1].write(&text[written..]).unwrap();
            for side in 0..2 {
                links[side].handle_timeout(now);
                let count = links[side].poll_transmit(now, &mut buf);
                let eaten = |byte: &u8| ![0x11, 0x13].contains(byte);
                let mut wire: Vec<u8> = buf[..count].iter().copied().filter(eaten).collect();
                // And the line adds flow control of its own.
                wire.insert(wire.len() / 2, if ms % 2 == 0 { 0x11 } else { 0x13 });
                links[1 - side].receive(now, &wire);
            }
            while let Some(count) = links[0].read(&mut buf).unwrap() {
                got.extend_from_slice(&buf[..count]);
            }
        }
        assert!(got == text, "{} of {} bytes", got.len(), text.len());
    }
}

/// Kills and restarts ends at random moments, in the middle of everything.
struct Chaos {
    world: World,
    random: Random,
    /// Every stream that was ever begun on each side, and when its program died.
    lives: [Vec<(Pattern, Option<Instant>)>; 2],
    born: [Instant; 2],
    errors: u32,
}

impl Chaos {
    fn start(&mut self, side: usize) {
        let (id, pattern) = (self.random.next() as u32, Pattern(self.random.next()));
        let mut end = End::new(config(), id, self.world.now, pattern);
        end.to_write = u64::MAX / 2;
        self.world.ends[side] = Some(end);
        self.lives[side].push((pattern, None));
        self.born[side] = self.world.now;
    }

    fn kill(&mut self, side: usize) {
        self.check(side);
        self.world.ends[side] = None;
        self.lives[side].last_mut().expect("it lived").1 = Some(self.world.now);
        if self.random.below(2) == 0 {
            self.world.lines[side].flush();
        }
    }

    /// What this end has read must be from one program that lived at the same time.
    fn check(&mut self, side: usize) {
        let Some(inbound) = self.world.end(side).inbound else { return };
        let (_, died) = self.lives[1 - side]
            .iter()
            .find(|(pattern, _)| *pattern == inbound)
            .expect("a stream that nobody sent");
        assert!(died.is_none_or(|died| died >= self.born[side]), "an old stream was spliced on");
    }

    fn pause(&mut self, max_ms: u64) {
        let time = Duration::from_micros(self.random.below(max_ms * 1000 + 1));
        self.world.run_for(time);
    }

    /// As a bridge does: an end whose stream broke begins a new one.
    fn run_until_both_talk(&mut self) {
        let deadline = self.world.now + MS * 4000;
        while !(0..2).all(|side| {
            let peer = self.world.end(1 - side).outbound;
            self.world.end(side).inbound == Some(peer)
        }) {
            assert!(self.world.step(deadline), "the ends do not find each other");
            for side in 0..2 {
                if self.world.end(side).error.is_some() {
                    self.kill(side);
                    self.pause(30);
                    self.start(side);
                }
            }
        }
    }
}

fn kill_and_restart(rounds: u32, faults: Faults, seed: u64) {
    let mut chaos = Chaos {
        world: World::new(lines(faults, seed)),
        random: Random::new(seed),
        lives: [Vec::new(), Vec::new()],
        born: [Instant::from_micros(0); 2],
        errors: 0,
    };
    (0..2).for_each(|side| chaos.start(side));
    for _ in 0..rounds {
        if chaos.random.below(8) > 0 {
            chaos.run_until_both_talk();
            chaos.pause(400);
        } else {
            chaos.pause(30);
        }
        let victim = chaos.random.below(2) as usize;
        let survivor = 1 - victim;
        chaos.kill(victim);
        chaos.pause(300);
        let was_open = chaos.world.end(survivor).link.state() == State::Open;
        chaos.start(victim);
        if was_open && faults.flip == 0.0 {
            chaos.world.run_until(MS * 1000, "the survivor's error", |world| {
                world.end(survivor).error.is_some()
            });
            assert_eq!(chaos.world.end(survivor).error, Some(Ended::PeerRestarted));
            chaos.errors += 1;
        }
    }
    chaos.run_until_both_talk();
    assert!(chaos.errors > rounds / 2 || faults.flip > 0.0);
}

#[test]
fn restarts_never_splice() {
    kill_and_restart(1000, Faults::default(), seed(1));
}

#[test]
fn restarts_on_a_noisy_line_never_splice() {
    let noise = Faults { flip: 3e-4, drop: 1e-4, insert: 1e-4, burst: 1e-4 };
    kill_and_restart(300, noise, seed(2));
}
