//! Packets through a simulated air.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a test: small numbers, and helpers that may panic"
)]

use std::fmt::Write;

use ipfi_morse::channel::{Air, Channel};
use ipfi_morse::modem::{Config, Demodulator, Event, Mode, Modulator, Note, Packet};
use ipfi_morse::resample::Resampler;

fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| random.u8(..)).collect()
}

/// The sound of packets with some silence around, and its mean power while it sounds.
fn sound(config: &Config, packets: &[Vec<u8>], mode: Mode) -> (Vec<f32>, f64) {
    let mut modulator = Modulator::new(config).unwrap();
    let mut sound = vec![0.0; config.rate as usize / 5];
    let lead = sound.len();
    for packet in packets {
        modulator.send(packet, mode, Note::default()).unwrap();
    }
    let mut block = [0.0; 1000];
    loop {
        let count = modulator.poll_samples(&mut block);
        sound.extend_from_slice(&block[..count]);
        if count < block.len() {
            break;
        }
    }
    let sum: f64 = sound.iter().map(|&v| f64::from(v).powi(2)).sum();
    let power = sum / (sound.len() - lead) as f64;
    sound.extend(vec![0.0; config.rate as usize / 2]);
    (sound, power)
}

/// What arrives through an air whose signal-to-noise ratio refers to the mean power.
fn heard(config: &Config, sent: &(Vec<f32>, f64), air: &str, seed: u64) -> Vec<Event> {
    let mut air: Air = air.parse().unwrap();
    air.level_db = 10.0 * (2.0 * sent.1).log10();
    let mut channel = Channel::new(&air, config.rate, seed).unwrap();
    let mut heard = Vec::new();
    channel.process(&sent.0, &mut heard);
    let mut demodulator = Demodulator::new(config).unwrap();
    let mut events = Vec::new();
    for piece in heard.chunks(999) {
        demodulator.receive(piece);
        events.extend(std::iter::from_fn(|| demodulator.poll_event()));
    }
    events
}

fn packets(events: &[Event]) -> Vec<&Packet> {
    let mut packets = Vec::new();
    for event in events {
        if let Event::Packet(packet) = event {
            packets.push(packet);
        }
    }
    packets
}

#[test]
fn every_mode_carries_packets_of_every_length() {
    let config = Config::new(48_000);
    for mode in Mode::ALL {
        let slow = mode <= Mode::Rescue;
        let most = if slow { 30 } else { mode.parameters(&config.plain).packet };
        for length in [0, 1, 7, most] {
            let sent = bytes(length, length as u64);
            let sent_sound = sound(&config, std::slice::from_ref(&sent), mode);
            let events = heard(&config, &sent_sound, "", 1);
            let found = packets(&events);
            assert_eq!(found.len(), 1, "{mode} {length}: {events:?}");
            assert_eq!(found[0].bytes, sent, "{mode} {length}");
            assert_eq!((found[0].mode, found[0].corrected), (mode, 0), "{length}");
        }
    }
}

/// A packet through an air, at another sample rate, as loud as `level_db`.
fn comes_through(mode: Mode, air: &str, rate: u32, level_db: f64) {
    let mut config = Config::new(rate);
    config.level_db = level_db;
    let length = if mode <= Mode::Rescue { 30 } else { 120 };
    let sent = bytes(length, 7);
    let sound = sound(&config, std::slice::from_ref(&sent), mode);
    let events = heard(&config, &sound, air, 1);
    let found = packets(&events);
    assert_eq!(found.len(), 1, "{mode} through `{air}` at {rate} Hz, {level_db} dB: {events:?}");
    assert_eq!(found[0].bytes, sent);
}

const TRAITS: [&str; 10] = [
    "snr=25,ppm=200",
    "snr=25,ppm=-200",
    "snr=25,dc=0.4",
    "snr=25,hum=50/-6",
    "snr=25,clip=-1",
    "snr=25,gain=-37",
    "snr=25,carrier=2500/-15",
    "snr=25,clicks=0.5/0",
    "snr=25,pink",
    "snr=25,drift=2",
];

#[test]
fn packets_survive_what_receivers_do() {
    for mode in [Mode::Room, Mode::Fast] {
        for air in TRAITS {
            comes_through(mode, air, 48_000, -3.0);
        }
    }
    for air in ["snr=30,ppm=200", "snr=30,ppm=-200", "snr=30,dc=0.4", "snr=30,gain=-37"] {
        comes_through(Mode::Cable, air, 48_000, -3.0);
    }
    for air in ["snr=10,ppm=200", "snr=10,ppm=-200"] {
        comes_through(Mode::Rescue, air, 48_000, -3.0);
        comes_through(Mode::Plain, air, 48_000, -3.0);
    }
}

#[test]
fn levels_and_sample_rates_do_not_matter() {
    for mode in [Mode::Room, Mode::Fast, Mode::Cable] {
        comes_through(mode, "snr=30", 48_000, 0.0);
        comes_through(mode, "snr=30", 48_000, -40.0);
        comes_through(mode, "snr=30", 44_100, -3.0);
        comes_through(mode, "snr=30", 96_000, -3.0);
    }
    comes_through(Mode::Plain, "snr=10", 8_000, -20.0);
}

#[test]
fn sound_of_one_rate_is_read_at_another() {
    let (mut sender, receiver) = (Config::new(44_100), Config::new(48_000));
    sender.level_db = -10.0;
    for mode in [Mode::Room, Mode::Cable] {
        for (sender, receiver) in [(sender, receiver), (receiver, sender)] {
            let sent = bytes(200, 3);
            let made = sound(&sender, std::slice::from_ref(&sent), mode);
            let mut resampler = Resampler::new(f64::from(sender.rate), f64::from(receiver.rate));
            let mut other = Vec::new();
            resampler.process(&made.0, &mut other);
            let events = heard(&receiver, &(other, made.1), "snr=30", 3);
            assert_eq!(packets(&events)[0].bytes, sent, "{mode} from {}", sender.rate);
        }
    }
}

#[test]
fn the_size_of_blocks_does_not_matter() {
    let config = Config::new(48_000);
    let sound = sound(&config, &[bytes(60, 1), bytes(30, 2)], Mode::Fast);
    let whole = |block: usize| {
        let mut demodulator = Demodulator::new(&config).unwrap();
        let mut events = Vec::new();
        for piece in sound.0.chunks(block) {
            demodulator.receive(piece);
            events.extend(std::iter::from_fn(|| demodulator.poll_event()));
        }
        packets(&events).into_iter().cloned().collect::<Vec<_>>()
    };
    let once = whole(usize::MAX);
    assert_eq!(once.len(), 2);
    for block in [37, 480, 5000] {
        assert_eq!(whole(block), once, "{block}");
    }
}

#[test]
fn letters_are_shown_as_they_go() {
    let config = Config::new(48_000);
    let mut modulator = Modulator::new(&config).unwrap();
    modulator.send(b"CALL", Mode::Room, Note::default()).unwrap();
    let mut sound = vec![0.0; 4 * 48_000];
    modulator.poll_samples(&mut sound);
    let sent: String = std::iter::from_fn(|| modulator.poll_letter()).map(|l| l.letter).collect();
    let mut demodulator = Demodulator::new(&config).unwrap();
    demodulator.receive(&sound);
    let mut read = String::from("=");
    while let Some(event) = demodulator.poll_event() {
        if let Event::Letters { text, .. } = event {
            read.push_str(&text);
        }
    }
    assert_eq!(sent, read);
}

/// Airs for which modes are made: all packets arrive.
const MEANT: [(Mode, &str); 7] = [
    (Mode::Rescue, "snr=0"),
    (Mode::Rescue, "snr=25,room=0.8/-6"),
    (Mode::Room, "snr=3"),
    (Mode::Room, "snr=25,room=0.8/0"),
    (Mode::Brisk, "snr=25,room=0.5/3"),
    (Mode::Fast, "snr=25,room=0.3/6"),
    (Mode::Cable, "snr=30"),
];

/// How many packets of a mode arrive, as long as they may be, and the sum of their strains.
fn arrived(mode: Mode, air: &str, seeds: u64) -> (usize, usize) {
    let config = Config::new(48_000);
    let length = mode.parameters(&config.plain).packet;
    let (mut arrived, mut strain) = (0, 0);
    for seed in 0..seeds {
        let sent = bytes(length, seed);
        let sound = sound(&config, std::slice::from_ref(&sent), mode);
        for packet in packets(&heard(&config, &sound, air, seed)) {
            assert_eq!(packet.bytes, sent, "{mode} {air} {seed}");
            (arrived, strain) = (arrived + 1, strain + packet.strain);
        }
    }
    (arrived, strain)
}

#[test]
fn each_mode_gets_through_the_airs_that_it_is_made_for() {
    for (mode, air) in MEANT {
        assert_eq!(arrived(mode, air, 2).0, 2, "{mode} {air}");
    }
}

/// How many of 8 packets arrive, and how much of what can be corrected they need, percent, as a table:
///
/// ```sh
/// cargo test --release -p ipfi-morse --test modem -- --ignored --nocapture
/// ```
#[test]
#[ignore = "minutes"]
fn packets_of_each_mode_in_each_air() {
    const AIRS: [&str; 9] = [
        "snr=30",
        "snr=15",
        "snr=8",
        "snr=3",
        "snr=0",
        "snr=25,room=0.3/6",
        "snr=25,room=0.5/3",
        "snr=25,room=0.8/0",
        "snr=25,room=0.8/-6",
    ];
    let mut table = format!("{:<20}", "air");
    let modes = &Mode::ALL[1..];
    for mode in modes {
        write!(table, " {mode:<8}").unwrap();
    }
    for air in AIRS {
        write!(table, "\n{air:<20}").unwrap();
        for &mode in modes {
            let (arrived, strain) = arrived(mode, air, 8);
            assert!(arrived == 8 || !MEANT.contains(&(mode, air)), "{mode} {air}: {arrived}");
            let cell = format!("{arrived} {}%", strain / arrived.max(1));
            write!(table, " {:<8}", if arrived > 0 { &cell } else { "-" }).unwrap();
        }
    }
    println!("{table}");
}
