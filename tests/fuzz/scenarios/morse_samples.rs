//! A hostile air: any sound, packets damaged in any way. No panic, bounded memory, and no packet
//! that nobody sent.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "small numbers of a scenario"
)]

use ipfi_morse::modem::{Band, Config, Demodulator, Event, Mode, Modulator, Note};

const MODES: [Mode; 3] = [Mode::Brisk, Mode::Fast, Mode::Cable];
/// Samples of one input, so that it ends soon.
const MOST: usize = 6 * 48_000;

/// Does what `script` says; panics when something is wrong.
pub fn run(script: &[u8]) {
    let mut config = Config::new(48_000);
    // Some keep to a band.
    let band = Band { low: 800.0, high: 8800.0 };
    config.band = script.len().is_multiple_of(3).then_some(band);
    let mut modulator = Modulator::new(&config).expect("a good rate");
    let mut demodulator = Demodulator::new(&config).expect("a good rate");
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let mut last = Vec::new();
    let mut script = script.iter().copied();
    let mut taken = 0;
    while let Some(operation) = script.next() {
        let mut next = || usize::from(script.next().unwrap_or(0));
        let mut sound = match operation % 8 {
            // Any bits as samples
            0 => (0..next() * 8)
                .map(|_| {
                    let bits = [next() as u8, next() as u8, next() as u8, next() as u8];
                    f32::from_le_bytes(bits)
                })
                .collect(),
            1 => vec![0.0; next() * 64],
            2 => {
                demodulator.reset();
                continue;
            }
            // The same once more
            3 => last.clone(),
            _ => {
                let (mode, length) = (MODES[next() % 3], next() % 64);
                let packet: Vec<u8> = (0..length).map(|_| next() as u8).collect();
                let note = Note { wish: None, tag: operation >> 6 };
                modulator.send(&packet, mode, note).expect("it is short");
                sent.push(packet);
                let mut sound = vec![0.0; 4 * 48_000];
                let count = modulator.poll_samples(&mut sound);
                sound.truncate(count);
                last.clone_from(&sound);
                sound
            }
        };
        // Damage: a piece is silent, another louder, the rest is cut off.
        if operation & 8 != 0 && !sound.is_empty() {
            let (from, length) = (next() * sound.len() / 256, next() * 16);
            let factor = next() as f32 / 64.0;
            sound.iter_mut().skip(from).take(length).for_each(|sample| *sample *= factor);
        }
        if operation & 16 != 0 {
            sound.truncate(next() * sound.len() / 256);
        }
        taken += sound.len();
        if taken > MOST {
            break;
        }
        for piece in sound.chunks(1 + next() * 16) {
            demodulator.receive(piece);
        }
        while let Some(event) = demodulator.poll_event() {
            if let Event::Packet(packet) = event {
                assert!(sent.contains(&packet.bytes), "nobody sent {:?}", packet.bytes);
            }
        }
    }
}
