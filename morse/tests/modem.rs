//! Packets through a simulated air.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a test: small numbers, and helpers that may panic"
)]

use ipfi_morse::channel::{Air, Channel};
use ipfi_morse::modem::{Config, Demodulator, Event, Mode, Modulator, Note, Packet};

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
        for length in [0, 1, 7, 60, mode.parameters(&config.plain).packet] {
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

#[test]
#[ignore = "minutes"]
fn sweep() {
    let config = Config::new(48_000);
    let only = std::env::var("MODES").unwrap_or_default();
    let airs = std::env::var("AIRS").unwrap_or_else(|_| "snr=30 snr=15 snr=8 snr=3 snr=0 snr=25,room=0.3/6 snr=25,room=0.5/3 snr=25,room=0.8/0 snr=25,room=0.8/-6".into());
    let n: u64 = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    for mode in Mode::ALL {
        if !only.is_empty() && !only.contains(mode.name()) {
            continue;
        }
        let len = mode.parameters(&config.plain).packet;
        for air in airs.split(' ') {
            let (mut ok, mut begun, mut strain, mut margin, mut snr, mut corr) =
                (0, 0, 0, 0.0, 0.0, 0);
            for seed in 0..n {
                let sent = bytes(len, seed);
                let s = sound(&config, std::slice::from_ref(&sent), mode);
                let events = heard(&config, &s, air, seed);
                begun += events.iter().any(|e| matches!(e, Event::Begin { mode: m, length, .. } if *m == mode && *length == len)) as u32;
                for p in packets(&events) {
                    assert_eq!(p.bytes, sent);
                    ok += 1;
                    strain += p.strain;
                    margin += p.margin_db;
                    snr += p.snr_db;
                    corr += p.corrected;
                }
            }
            let k = ok.max(1) as f32;
            println!(
                "{mode:8} {air:20} ok {ok}/{n} begun {begun} strain {:.0} margin {:.1} snr {:.1} corrected {:.1}",
                strain as f32 / k,
                margin / k,
                snr / k,
                corr as f32 / k
            );
        }
    }
}
