//! Two stations that send and hear at the same time: packets that arrive whole or not at all.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "small numbers of a simulation"
)]

mod simulator;

use std::fmt::Write;
use std::time::Duration;

use ipfi_arq::{Config, Ended, Instant, State};
use simulator::{End, Pattern, Random};

const RATE: u32 = 440;
const PACKET: u16 = 400;
const OVERHEAD: u16 = 24;
/// From the end of a packet until the other side has read it.
const DELAY: Duration = Duration::from_millis(150);

/// Two ends, the packet that each of them sends, and those that are about to be read.
struct Cable {
    now: Instant,
    ends: [End; 2],
    sends: [Option<(Instant, Vec<u8>)>; 2],
    arriving: Vec<(Instant, usize, Vec<u8>)>,
    /// Of so many packets one is lost.
    lost_of: u64,
    silent: bool,
    random: Random,
}

impl Cable {
    fn new(lost_of: u64, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let now = Instant::from_micros(0);
        let mut end = || {
            let config = Config::full_duplex(RATE, PACKET, OVERHEAD);
            End::new(config, random.next() as u32, now, Pattern(random.next()))
        };
        let ends = [end(), end()];
        let (sends, arriving) = ([None, None], Vec::new());
        Self { now, ends, sends, arriving, lost_of, silent: false, random }
    }

    fn step(&mut self) {
        self.now = self.now + Duration::from_millis(10);
        let now = self.now;
        let due;
        (due, self.arriving) = self.arriving.drain(..).partition(|(at, ..)| *at <= now);
        for (_, side, bytes) in due {
            let is_lost = self.lost_of > 0 && self.random.next().is_multiple_of(self.lost_of);
            if !is_lost && !self.silent {
                self.ends[side].link.receive(now, &bytes);
            }
        }
        for side in 0..2 {
            let end = &mut self.ends[side];
            end.work();
            if end.link.poll_timeout().is_some_and(|at| at <= now) {
                end.link.handle_timeout(now);
            }
            if let Some((at, bytes)) = self.sends[side].take_if(|(at, _)| *at <= now) {
                self.arriving.push((at + DELAY, 1 - side, bytes));
            }
            let mut packet = [0; 1500];
            if self.sends[side].is_none() {
                let count = end.link.poll_transmit(now, &mut packet);
                if count > 0 {
                    let bytes = f64::from(u16::try_from(count).expect("a packet") + OVERHEAD);
                    let time = Duration::from_secs_f64(bytes / f64::from(RATE));
                    self.sends[side] = Some((now + time, packet[..count].to_vec()));
                }
            }
        }
    }

    fn run_until(&mut self, limit: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + Duration::from_secs(limit);
        while !done(self) && self.now < end {
            self.step();
        }
        done(self)
    }

    fn is_open(&self) -> bool {
        self.ends.iter().all(|end| end.link.state() == State::Open)
    }
}

/// Bytes a second of each direction that carries some, as a share of the rate.
fn goodput(lost_of: u64, bytes: [u64; 2], seed: u64) -> f64 {
    let mut cable = Cable::new(lost_of, seed);
    assert!(cable.run_until(60, Cable::is_open), "seed {seed}");
    let start = cable.now;
    for (end, bytes) in cable.ends.iter_mut().zip(bytes) {
        end.to_write = bytes;
    }
    let all = |cable: &Cable| (0..2).all(|side| cable.ends[1 - side].read == bytes[side]);
    assert!(cable.run_until(3000, all), "seed {seed}");
    let seconds = (cable.now - start).as_secs_f64();
    bytes[0] as f64 / seconds / f64::from(RATE)
}

#[test]
fn both_directions_at_once_are_as_fast_as_one() {
    let mut table = String::from("lost     one way  both ways\n");
    for lost_of in [0, 100, 10, 3] {
        let share = 100_u64.checked_div(lost_of).unwrap_or(0);
        let one = goodput(lost_of, [20_000, 0], 1);
        let both = goodput(lost_of, [20_000, 20_000], 1);
        writeln!(table, "{share:>2} %     {one:.2}     {both:.2}").expect("into a string");
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_question_is_answered_while_the_other_side_talks() {
    let mut cable = Cable::new(0, 2);
    assert!(cable.run_until(60, Cable::is_open));
    cable.ends[1].to_write = 20_000;
    cable.run_until(10, |_| false);
    let start = cable.now;
    cable.ends[0].to_write = 64;
    assert!(cable.run_until(10, |cable| cable.ends[1].read == 64));
    let took = cable.now - start;
    assert!(took < Duration::from_millis(700), "{took:?}");
}

#[test]
fn a_side_that_falls_silent_is_given_up() {
    let mut cable = Cable::new(0, 3);
    assert!(cable.run_until(60, Cable::is_open));
    cable.run_until(5, |_| false);
    cable.silent = true;
    // Nobody waits for anything.
    assert!(!cable.run_until(300, |cable| cable.ends[0].link.state() != State::Open));
    cable.ends[0].to_write = 100;
    assert!(cable.run_until(120, |cable| cable.ends[0].link.state() != State::Open));
    assert_eq!(cable.ends[0].link.state(), State::Failed(Ended::TimedOut));
}
