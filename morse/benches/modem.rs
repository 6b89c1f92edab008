//! How much faster than sound the modem is: items are seconds of sound, so items a second are times
//! real time.
#![allow(missing_docs, reason = "divan's macros make undocumented items")]
#![allow(clippy::unwrap_used, reason = "a bench: nothing may fail")]

use divan::Bencher;
use divan::counter::ItemsCount;
use ipfi_morse::modem::{Config, Demodulator, Mode, Modulator, Note};
use ipfi_morse::noise::Noise;

const SECONDS: usize = 10;

fn main() {
    divan::main();
}

/// Ten seconds of packets without a pause.
fn sound(mode: Mode) -> Vec<f32> {
    let config = Config::new(48_000);
    let mut modulator = Modulator::new(&config).unwrap();
    let mut sound = vec![0.0; SECONDS * 48_000];
    let mut filled = 0;
    while filled < sound.len() {
        let length = mode.parameters(&config.plain).packet.min(150);
        modulator.send(&vec![0x5a; length], mode, Note::default()).unwrap();
        filled += modulator.poll_samples(&mut sound[filled..]);
    }
    sound
}

fn listen(bencher: Bencher<'_, '_>, sound: &[f32]) {
    let config = Config::new(48_000);
    bencher.counter(ItemsCount::new(SECONDS)).bench(|| {
        let mut demodulator = Demodulator::new(&config).unwrap();
        for piece in sound.chunks(480) {
            demodulator.receive(piece);
            while demodulator.poll_event().is_some() {}
        }
    });
}

#[divan::bench(args = Mode::ALL)]
fn demodulate(bencher: Bencher<'_, '_>, mode: Mode) {
    listen(bencher, &sound(mode));
}

#[divan::bench]
fn demodulate_noise(bencher: Bencher<'_, '_>) {
    let mut noise = Noise::new(1);
    #[expect(clippy::cast_possible_truncation, reason = "sound is f32")]
    let sound: Vec<f32> = (0..SECONDS * 48_000).map(|_| noise.gaussian() as f32 * 0.1).collect();
    listen(bencher, &sound);
}

#[divan::bench(args = Mode::ALL)]
fn modulate(bencher: Bencher<'_, '_>, mode: Mode) {
    bencher.counter(ItemsCount::new(SECONDS)).bench(|| sound(mode));
}
