//! Morse in rooms: what each of two kinds of sender says is read through its echoes.
//!
//! A transmitter keys one oscillator; many programs begin each mark anew. In a room where as much is
//! heard by its walls as directly, echoes fill gaps, cut dashes in two, and cancel the very tone.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "seconds of sound"
)]

use std::f64::consts::{PI, TAU};

use ipfi_morse::channel::{Air, Channel};
use ipfi_morse::decoder::{decode, text};
use ipfi_morse::keyer::Keyer;
use ipfi_morse::text::parse;
use ipfi_morse::timing::Timing;

const RATE: u32 = 8000;
/// How long a mark takes to begin and to end, seconds.
const EDGE: f64 = 0.005;
const TEXTS: [&str; 4] = [
    "QRZ? DE OE3XKZ UR 5NN 1579",
    "8QV3N L0GHC 5RTZ2 WJ4PD",
    "THE HOUSE IS NOT FAR AWAY NOW",
    "TEST VK7FT VK7FT TEST 73 <SK>",
];

/// Sound of a text in a room.
fn sound(words: &str, wpm: f64, hz: f64, anew: bool, (air, seed): (&Air, u64)) -> Vec<f32> {
    let rate = f64::from(RATE);
    let mut dry = vec![0.0; RATE as usize / 2];
    for part in Keyer::new(parse(words).unwrap(), Timing::new(wpm).unwrap()) {
        let first = dry.len();
        let wave = |i: usize| {
            let now = i as f64 / rate;
            let from_end = now.min(part.seconds - now).min(EDGE);
            let level = 0.5 - 0.5 * (PI * from_end / EDGE).cos();
            let phase = if anew { now } else { (first + i) as f64 / rate };
            (0.5 * level * (TAU * hz * phase).sin()) as f32
        };
        let count = (part.seconds * rate).round() as usize;
        dry.extend((0..count).map(|i| if part.down { wave(i) } else { 0.0 }));
    }
    dry.extend(vec![0.0; RATE as usize / 2]);
    let mut heard = Vec::new();
    let mut channel = Channel::new(air, RATE, seed).unwrap();
    channel.process(&dry, &mut heard);
    channel.finish(&mut heard);
    heard
}

/// What is misread, each text in a room of its own at its own speed and pitch.
fn read_in_rooms(air: &str, anew: bool) -> Vec<(u64, String)> {
    let air: Air = air.parse().unwrap();
    let words = TEXTS.into_iter().cycle().zip(0_u64..8);
    words
        .filter_map(|(words, seed)| {
            let (wpm, hz) = (13.0 + 2.7 * seed as f64, 520.0 + 43.0 * seed as f64);
            let read = text(&decode(&sound(words, wpm, hz, anew, (&air, seed)), RATE).unwrap());
            (read != words).then_some((seed, read))
        })
        .collect()
}

#[test]
fn one_oscillator_is_read_through_echoes() {
    let misread = read_in_rooms("snr=15,room=0.8/0", false);
    assert!(misread.is_empty(), "{misread:?}");
}

#[test]
fn marks_that_begin_anew_are_read_through_echoes() {
    let misread = read_in_rooms("snr=15,room=0.8/0", true);
    assert!(misread.is_empty(), "{misread:?}");
}
