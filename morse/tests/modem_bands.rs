//! Modems that keep to a band: beside another one that is louder, and where there is little room.
#![allow(clippy::unwrap_used, reason = "a test: helpers may panic")]

mod air;

use ipfi_morse::channel::{Air, Channel};
use ipfi_morse::modem::{Band, Config, Demodulator, Event, Mode, Modulator, Note};

const BOTH: Band = Band { low: 800.0, high: 17_800.0 };

fn config(band: Band, level_db: f64) -> Config {
    let mut config = Config::new(48_000);
    (config.band, config.level_db) = (Some(band), level_db);
    config
}

fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| random.u8(..)).collect()
}

/// The sound of packets one after the other, and a little silence.
fn sound(config: &Config, mode: Mode, packets: &[Vec<u8>]) -> Vec<f32> {
    let mut modulator = Modulator::new(config).unwrap();
    for packet in packets {
        modulator.send(packet, mode, Note::default()).unwrap();
    }
    let mut sound = vec![0.0; 60 * 48_000];
    let count = modulator.poll_samples(&mut sound);
    sound.truncate(count + 4800);
    sound
}

fn heard(config: &Config, sound: &[f32]) -> Vec<Vec<u8>> {
    let mut demodulator = Demodulator::new(config).unwrap();
    demodulator.receive(sound);
    std::iter::from_fn(|| demodulator.poll_event())
        .filter_map(
            |event| if let Event::Packet(packet) = event { Some(packet.bytes) } else { None },
        )
        .collect()
}

#[test]
fn the_other_side_is_heard_below_ones_own_sound() {
    let (low, high) = BOTH.halves();
    for mode in [Mode::Cable, Mode::Fast, Mode::Room] {
        for (own, other) in [(low, high), (high, low)] {
            // 20 dB more than is wanted, as where a cable ends openly.
            let (own, other) = (config(own, -3.0), config(other, -23.0));
            let length = other.parameters(mode).packet;
            let wanted: Vec<_> = (0..2).map(|seed| bytes(length, seed)).collect();
            let mut sum = sound(&other, mode, &wanted);
            let echo = sound(&own, mode, &[bytes(length, 8), bytes(length, 9)]);
            // Not at the same moment.
            for (place, echo) in sum[700..].iter_mut().zip(echo) {
                *place += echo;
            }
            assert!(heard(&other, &sum) == wanted, "{mode}");
        }
    }
}

#[test]
fn two_bands_are_as_good_as_one_in_noise() {
    let (low, high) = BOTH.halves();
    for (mode, snr) in
        [(Mode::Cable, 25.0), (Mode::Fast, 15.0), (Mode::Brisk, 8.0), (Mode::Rescue, 0.0)]
    {
        for band in [low, high] {
            let config = config(band, -3.0);
            let length = config.parameters(mode).packet.min(150);
            let packets: Vec<_> = (0..2).map(|seed| bytes(length, seed)).collect();
            let level_db = air::mean_level_db(&config, mode);
            let air = Air { level_db, snr_db: Some(snr), ..Air::default() };
            let mut channel = Channel::new(&air, 48_000, 1).unwrap();
            let mut noisy = Vec::new();
            channel.process(&sound(&config, mode, &packets), &mut noisy);
            assert!(heard(&config, &noisy) == packets, "{mode} at {snr} dB");
        }
    }
}

#[test]
fn a_mode_makes_do_with_little_room() {
    for mode in &Mode::ALL[1..] {
        let low = 400.0;
        let needed = Config::new(48_000).needs_hertz(*mode);
        for width in [needed, needed * 1.4, needed * 3.0] {
            let config = config(Band { low, high: low + width }, -10.0);
            assert!(config.has_room(*mode));
            let packets = [bytes(config.parameters(*mode).packet.min(60), 3)];
            assert!(
                heard(&config, &sound(&config, *mode, &packets)) == packets,
                "{mode}, {width} Hz"
            );
        }
    }
}

#[test]
fn what_has_no_room_is_refused() {
    let narrow = config(Band { low: 300.0, high: 2700.0 }, -3.0);
    let mut modulator = Modulator::new(&narrow).unwrap();
    let error = modulator.send(b"x", Mode::Cable, Note::default()).unwrap_err();
    assert_eq!(error.to_string(), "cable does not fit into this band: it needs 4000 Hz");
    assert_eq!(modulator.send(b"x", Mode::Fast, Note::default()), Ok(()));
    let mut slow = Modulator::new(&Config::new(8000)).unwrap();
    assert!(slow.send(b"x", Mode::Room, Note::default()).is_err());
    assert_eq!(slow.send(b"x", Mode::Plain, Note::default()), Ok(()));
    for (low, high) in [(100.0, 5000.0), (5000.0, 1000.0), (1000.0, 30_000.0), (f64::NAN, 9000.0)] {
        let error = Modulator::new(&config(Band { low, high }, -3.0)).unwrap_err().to_string();
        assert!(error.contains("between 200 and 21600 Hz"), "{error}");
    }
}
