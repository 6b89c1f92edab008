//! How much is misread, condition by condition: one table, so that a change of the decoder shows
//! where it helps and where it hurts.
//!
//! The recordings are made here, with fixed seeds and a channel of our own; they are few and short,
//! so that the table guards against mistakes and does not rank decoders.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;

use ipfi_morse::channel::{Air, Channel};
use ipfi_morse::decoder::{Decoder, Latency, decode, text};
use ipfi_morse::keyer::{Fist, Keyer};
use ipfi_morse::synth::{Tone, render};
use ipfi_morse::text::parse;
use ipfi_morse::timing::Timing;

const RATE: u32 = 8000;
const TEXTS: [&str; 2] = ["CQ CQ DE OE3XKZ PSE K", "WX RAIN 7C = QRU? 73 <SK>"];

/// A condition: its name, speed, effective speed, deviation of lengths, and air.
type Condition = (&'static str, f64, Option<f64>, f64, &'static str);

const CONDITIONS: [Condition; 21] = [
    ("clean, 8 WPM", 8.0, None, 0.0, ""),
    ("clean, 20 WPM", 20.0, None, 0.0, ""),
    ("clean, 50 WPM", 50.0, None, 0.0, ""),
    ("white noise, 12 WPM, -9 dB", 12.0, None, 0.0, "snr=-9"),
    ("white noise, 20 WPM, -6 dB", 20.0, None, 0.0, "snr=-6"),
    ("white noise, 20 WPM, -11 dB", 20.0, None, 0.0, "snr=-11"),
    ("white noise, 35 WPM, -6 dB", 35.0, None, 0.0, "snr=-6"),
    ("lengths vary by 15 %", 20.0, None, 0.15, "snr=12"),
    ("lengths vary by 25 %", 20.0, None, 0.25, "snr=12"),
    ("Farnsworth, 20 at 8 WPM", 20.0, Some(8.0), 0.0, "snr=12"),
    ("another station, 200 Hz, -3 dB", 21.0, None, 0.0, "snr=12,morse=800/26/-3"),
    ("another station, 400 Hz, 0 dB", 21.0, None, 0.0, "snr=12,morse=1000/26/0"),
    ("a carrier, +3 dB", 21.0, None, 0.0, "snr=12,carrier=900/3"),
    ("fading by 12 dB in 5 s", 20.0, None, 0.0, "snr=12,fade=12/5"),
    ("Rayleigh fading, 0.3 Hz", 20.0, None, 0.0, "snr=15,rayleigh=0.3"),
    ("clicks, 12 a second", 20.0, None, 0.0, "snr=10,clicks=12/12"),
    ("drift, 3 Hz/s", 20.0, None, 0.0, "snr=10,drift=3"),
    ("chirp, 60 Hz", 20.0, None, 0.0, "snr=10,chirp=60"),
    ("room, 0.5 s", 22.0, None, 0.0, "snr=15,room=0.5/3"),
    ("room, 0.8 s", 22.0, None, 0.0, "snr=15,room=0.8/0"),
    ("fading by 20 dB in 2 s", 20.0, None, 0.0, "snr=12,fade=20/2"),
];

fn sound(words: &str, condition: &Condition, seed: u64) -> Vec<f32> {
    let (_, wpm, effective, deviation, air) = condition;
    let mut timing = Timing::new(*wpm).unwrap();
    if let Some(effective) = effective {
        timing = timing.farnsworth(*effective).unwrap();
    }
    let keying =
        Keyer::new(parse(words).unwrap(), timing).with_fist(Fist::jitter(*deviation), seed);
    let mut padded = vec![0.0; RATE as usize / 2];
    padded.extend(render(keying, &Tone::default(), timing.dot(), RATE).unwrap());
    padded.extend(vec![0.0; RATE as usize / 2]);
    let air: Air = if air.is_empty() { Air::default() } else { air.parse().unwrap() };
    let mut heard = Vec::new();
    let mut channel = Channel::new(&air, RATE, seed).unwrap();
    channel.process(&padded, &mut heard);
    channel.finish(&mut heard);
    heard
}

/// How many characters to change, add and leave out (Levenshtein).
fn errors(sent: &str, read: &str) -> usize {
    let read: Vec<char> = read.chars().collect();
    let mut row: Vec<usize> = (0..=read.len()).collect();
    for (i, a) in sent.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in read.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[read.len()]
}

fn live(sound: &[f32]) -> String {
    let mut decoder = Decoder::new(RATE, Latency::Live).unwrap();
    decoder.push(sound);
    decoder.finish();
    text(&std::iter::from_fn(|| decoder.poll_event()).collect::<Vec<_>>())
}

/// A line for each condition: of how many characters how many are misread.
fn table(conditions: &[Condition], texts: &[&str], read: impl Fn(&[f32]) -> String) -> String {
    let mut table = String::new();
    for (condition, index) in conditions.iter().zip(0_u64..) {
        let (mut characters, mut wrong) = (0, 0);
        for (words, seed) in texts.iter().zip(1_u64..) {
            let heard = sound(words, condition, 100 * seed + index);
            characters += words.chars().count();
            wrong += errors(words, &read(&heard));
        }
        writeln!(table, "{:<34}{wrong:>4} of {characters}", condition.0).unwrap();
    }
    table
}

#[test]
fn what_is_misread_of_recordings() {
    insta::assert_snapshot!(table(&CONDITIONS, &TEXTS, |heard| text(
        &decode(heard, RATE).unwrap()
    )));
}

#[test]
fn what_is_misread_live() {
    let some: Vec<Condition> = CONDITIONS.iter().copied().skip(1).step_by(4).collect();
    insta::assert_snapshot!(table(&some, &TEXTS[..1], live));
}
