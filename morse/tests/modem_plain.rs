//! Packets in plain Morse, as others read them.
#![allow(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    reason = "a test: small numbers, and helpers that may panic"
)]

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use ipfi_morse::decoder;
use ipfi_morse::modem::{Config, Mode, Modulator, Note, Plain};

/// A packet's sound, and its letters.
fn packet(rate: u32, wpm: f64) -> (Vec<f32>, String) {
    let mut config = Config::new(rate);
    config.plain = Plain { wpm, ..Plain::default() };
    let mut modulator = Modulator::new(&config).unwrap();
    modulator.send(b"call me", Mode::Plain, Note::default()).unwrap();
    let mut sound = vec![0.0; rate as usize];
    let start = sound.len();
    sound.resize(start + 100 * rate as usize, 0.0);
    let count = modulator.poll_samples(&mut sound[start..]);
    sound.truncate(start + count + rate as usize);
    let letters = std::iter::from_fn(|| modulator.poll_letter()).map(|letter| letter.letter);
    (sound, letters.filter(|letter| letter.is_alphanumeric()).collect())
}

fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[test]
fn our_own_decoder_reads_it() {
    for wpm in [20.0, 40.0] {
        let (sound, sent) = packet(8000, wpm);
        let read = decoder::text(&decoder::decode(&sound, 8000).unwrap());
        println!("{wpm} WPM: {read}");
        assert!(read.starts_with("<KA>") || read.starts_with("<CT>"), "{read}");
        let read = read.split_once('>').map_or("", |(_, rest)| rest);
        assert_eq!(letters(read), sent, "{wpm} WPM: {read}");
    }
}

#[test]
#[ignore = "needs multimon-ng"]
fn multimon_ng_reads_it() {
    let (sound, sent) = packet(22_050, 20.0);
    let mut multimon = Command::new("multimon-ng")
        .args(["-q", "-a", "MORSE_CW", "-t", "raw", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("multimon-ng is installed (Debian: apt-get install multimon-ng)");
    let mut input = multimon.stdin.take().unwrap();
    let writing = std::thread::spawn(move || {
        let samples = sound.iter().flat_map(|v| ((v * 32_000.0) as i16).to_le_bytes());
        input.write_all(&samples.collect::<Vec<u8>>()).unwrap();
    });
    let mut read = String::new();
    multimon.stdout.take().unwrap().read_to_string(&mut read).unwrap();
    writing.join().unwrap();
    multimon.wait().unwrap();
    println!("{read}");
    assert!(letters(&read).ends_with(&sent), "{read} is not {sent}");
}
