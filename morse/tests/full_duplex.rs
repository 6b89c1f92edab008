//! How fast bytes get through a cable in turns, and where both sides send at once.
#![cfg(feature = "transport")]
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small numbers of a simulation"
)]

mod air;

use std::fmt::Write;
use std::time::Duration;

use air::{Choice, RATE, World};
use ipfi_arq::{Config as LinkConfig, Instant, Link, State};
use ipfi_morse::channel::{Air as Weather, Channel};
use ipfi_morse::modem::{Band, Config, Demodulator, Event, Mode, Modulator, Note};
use ipfi_morse::transport::{Air, Morse};
use ipfi_transport::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const KIB_4: usize = 4096;
/// Samples of a step: 10 ms.
const STEP: usize = 480;
/// Samples before the end of what it sends at which a modem is given more: 100 ms.
const AHEAD: usize = 4800;

/// One end of a cable whose two sides send at once.
struct End {
    link: Link,
    modulator: Modulator,
    demodulator: Demodulator,
    way: Channel,
    /// Samples that are still to be sent.
    left: usize,
    sound: Vec<f32>,
    sent: Vec<u8>,
    written: usize,
    read: Vec<u8>,
}

impl End {
    fn new(own: Band, other: Band, weather: &str, seed: u64) -> Self {
        let config = |band| {
            let mut config = Config::new(RATE);
            config.band = Some(band);
            config
        };
        let (sends, hears) = (config(own), config(other));
        let mode = sends.parameters(Mode::Cable);
        let link = LinkConfig::full_duplex(
            (mode.rate * 1.03).round() as u32,
            mode.packet as u16,
            mode.overhead.round() as u16,
        );
        let mut weather: Weather = weather.parse().unwrap();
        weather.level_db = air::mean_level_db(&hears, Mode::Cable);
        Self {
            link: Link::new(link, seed as u32, Instant::from_micros(0)),
            modulator: Modulator::new(&sends).unwrap(),
            demodulator: Demodulator::new(&hears).unwrap(),
            way: Channel::new(&weather, RATE, seed).unwrap(),
            left: 0,
            sound: vec![0.0; STEP],
            sent: Vec::new(),
            written: 0,
            read: Vec::new(),
        }
    }

    fn step(&mut self, now: Instant, sound: &[f32]) {
        let mut heard = Vec::new();
        self.way.process(sound, &mut heard);
        self.demodulator.receive(&heard);
        while let Some(event) = self.demodulator.poll_event() {
            if let Event::Packet(packet) = event {
                self.link.receive(now, &packet.bytes);
            }
        }
        if self.link.poll_timeout().is_some_and(|at| at <= now) {
            self.link.handle_timeout(now);
        }
        self.written += self.link.write(&self.sent[self.written..]).unwrap();
        let mut piece = [0; 1024];
        while let Some(count @ 1..) = self.link.read(&mut piece).unwrap() {
            self.read.extend_from_slice(&piece[..count]);
        }
        let mut packet = [0; 1500];
        while self.left <= AHEAD {
            let count = self.link.poll_transmit(now, &mut packet);
            if count == 0 {
                break;
            }
            self.modulator.send(&packet[..count], Mode::Cable, Note::default()).unwrap();
            let seconds = self.modulator.duration(count, Mode::Cable);
            self.left += (seconds * f64::from(RATE)) as usize;
        }
        let count = self.modulator.poll_samples(&mut self.sound);
        self.sound[count..].fill(0.0);
        self.left = self.left.saturating_sub(count);
    }
}

/// Seconds until both ends have what the other one sends.
fn at_once(bytes: [usize; 2]) -> f64 {
    let (low, high) = Band { low: 800.0, high: 17_800.0 }.halves();
    let mut ends = [End::new(low, high, "snr=30", 1), End::new(high, low, "snr=30", 2)];
    let (mut steps, mut since) = (0, None);
    loop {
        steps += 1;
        let now = Instant::from_micros(steps * 10_000);
        let sounds = [ends[1].sound.clone(), ends[0].sound.clone()];
        for (end, sound) in ends.iter_mut().zip(&sounds) {
            end.step(now, sound);
        }
        if since.is_none() && ends.iter().all(|end| end.link.state() == State::Open) {
            since = Some(steps);
            for (seed, (end, bytes)) in ends.iter_mut().zip(bytes).enumerate() {
                let mut random = fastrand::Rng::with_seed(seed as u64);
                end.sent.extend((0..bytes).map(|_| random.u8(..)));
            }
        }
        let is_there = |from: usize| ends[from].sent.len() == ends[1 - from].read.len();
        if let Some(since) = since.filter(|_| is_there(0) && is_there(1)) {
            assert!(ends[0].read == ends[1].sent && ends[1].read == ends[0].sent, "wrong bytes");
            return (steps - since) as f64 / 100.0;
        }
        assert!(steps < 100_000, "it takes too long");
    }
}

/// The same where they take turns.
fn in_turns(bytes: [usize; 2]) -> f64 {
    let air = "snr=30".parse().unwrap();
    let mut world = World::new(&air, Mode::Cable, Choice::Fixed(Mode::Cable), 1);
    assert!(world.run_until(100.0, World::is_open));
    let since = world.seconds();
    for (side, bytes) in bytes.into_iter().enumerate() {
        world.say(side, bytes);
    }
    let all = |world: &World| (0..2).all(|side| world.stations[1 - side].read.len() == bytes[side]);
    assert!(world.run_until(1000.0, all));
    world.check();
    world.seconds() - since
}

#[test]
fn four_kib_each_way_through_a_cable() {
    let mut table = String::from("snr=30, cable  one way  both ways, each  B/s\n");
    let mut found = Vec::new();
    for (name, seconds) in [("half", in_turns as fn([usize; 2]) -> f64), ("full", at_once)] {
        let one = KIB_4 as f64 / seconds([KIB_4, 0]);
        let both = KIB_4 as f64 / seconds([KIB_4, KIB_4]);
        writeln!(table, "duplex={name}    {one:>7.0}  {both:>15.0}").unwrap();
        found.push(both);
    }
    assert!(found[1] > found[0], "{table}");
    insta::assert_snapshot!(table);
}

/// A question of 64 bytes while the other side sends for seconds.
#[tokio::test(start_paused = true)]
async fn a_question_does_not_wait_for_a_turn() {
    let mut took = Vec::new();
    for duplex in ["half", "full"] {
        let options = format!(",mode=cable,duplex={duplex},weather=snr=36");
        let registry = Registry::new().with(Morse::on(Air::new()));
        let listen = format!("morse-listen:{options}").parse().unwrap();
        let mut listener = registry.listen(&listen).await.unwrap();
        let dial = format!("morse:{options}").parse().unwrap();
        let (here, there) = tokio::join!(registry.dial(&dial), listener.accept());
        let (mut here, mut there) = (here.unwrap(), there.unwrap());
        there.write_all(&vec![7; 8192]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let since = tokio::time::Instant::now();
        here.write_all(&[1; 64]).await.unwrap();
        let mut nowhere = tokio::io::sink();
        let mut question = [0; 64];
        tokio::select! {
            read = there.read_exact(&mut question) => { read.unwrap(); }
            _ = tokio::io::copy(&mut here, &mut nowhere) => panic!("it ended"),
        }
        took.push(since.elapsed().as_secs_f64());
    }
    println!("half {:.2} s, full {:.2} s", took[0], took[1]);
    assert!(took[1] < 1.0 && took[1] < took[0], "{took:?}");
}
