//! Packets in plain Morse, as others read them.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a test: small numbers, and helpers that may panic"
)]

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use ipfi_morse::alphabet::Code;
use ipfi_morse::channel::{Air, Channel};
use ipfi_morse::decoder;
use ipfi_morse::modem::{Config, Mode, Modulator, Note, Plain};
use ipfi_morse::resample::Resampler;

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

/// The power of a tone in a piece of sound, by Goertzel's algorithm.
fn power(sound: &[f32], hertz: f64, rate: f64) -> f64 {
    let twice = 2.0 * (std::f64::consts::TAU * hertz / rate).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for &sample in sound {
        (last, before) = (f64::from(sample) + twice * last - before, last);
    }
    last * last + before * before - twice * last * before
}

/// Marks and pauses, in samples of the envelope.
fn runs(keying: impl Iterator<Item = bool>) -> Vec<(bool, f64)> {
    let mut runs: Vec<(bool, f64)> = Vec::new();
    for down in keying {
        match runs.last_mut() {
            Some((was, length)) if *was == down => *length += 1.0,
            _ => runs.push((down, 1.0)),
        }
    }
    // What comes before the first mark and after the last one is no pause.
    let is_down = |run: &(bool, f64)| run.0;
    let first = runs.iter().position(is_down).unwrap_or(runs.len());
    let last = runs.iter().rposition(is_down).map_or(first, |last| last + 1);
    runs[first..last].to_vec()
}

/// Reads as ggmorse does (github.com/ggerganov/ggmorse): 4 kHz, the strongest pitch between 200 and 1200 Hz, the
/// envelope of it, and hard decisions; of all speeds and thresholds those with which marks are
/// nearest to 1 and 3 dots and pauses to 1, 3 and 7. Knows neither tone nor speed.
fn as_ggmorse_does(sound: &[f32], rate: u32) -> String {
    const HOP: usize = 16; // 4 ms
    let mut slow = Vec::new();
    Resampler::new(f64::from(rate), 4000.0).process(sound, &mut slow);
    let pitches = (20..=120).map(|ten| f64::from(ten) * 10.0);
    let strength =
        |hertz: f64| slow.chunks(256).map(|piece| power(piece, hertz, 4000.0)).sum::<f64>();
    let pitch = pitches.max_by(|a, b| strength(*a).total_cmp(&strength(*b))).unwrap();
    let envelope: Vec<f64> = slow
        .windows(6 * HOP)
        .step_by(HOP)
        .map(|piece| power(piece, pitch, 4000.0).sqrt())
        .collect();
    let most = envelope.iter().copied().fold(0.0, f64::max);
    let mut best = (f64::MAX, 0.0, Vec::new());
    for level in 1..10 {
        let runs = runs(envelope.iter().map(|&v| v > most * f64::from(level) / 10.0));
        for wpm in 5..=55 {
            let dot = 1.2 / f64::from(wpm) * 4000.0 / HOP as f64;
            let off = |(down, length): &(bool, f64)| {
                let units = length / dot;
                let nearest: &[f64] = if *down { &[1.0, 3.0] } else { &[1.0, 3.0, 7.0] };
                nearest.iter().map(|unit| (units - unit).powi(2)).fold(f64::MAX, f64::min)
            };
            let cost = runs.iter().map(off).sum::<f64>() / runs.len() as f64;
            if cost < best.0 {
                best = (cost, dot, runs.clone());
            }
        }
    }
    let (_, dot, runs) = best;
    let (mut text, mut marks) = (String::new(), String::new());
    for (down, length) in runs.into_iter().chain([(false, 7.0 * dot)]) {
        let units = length / dot;
        if down {
            marks.push(if units > 2.0 { '-' } else { '.' });
        } else if units > 2.0 {
            let letter =
                ('A'..='Z').chain('0'..='9').find(|&c| Code::of(c).unwrap().to_string() == marks);
            text.extend(letter.or(Some('?')));
            text.push_str(if units > 5.0 { " " } else { "" });
            marks.clear();
        }
    }
    text
}

#[test]
fn a_decoder_of_hard_decisions_reads_it() {
    let (sound, sent) = packet(8000, 20.0);
    for air in ["", "snr=12"] {
        let mut channel = Channel::new(&air.parse::<Air>().unwrap(), 8000, 1).unwrap();
        let mut heard = Vec::new();
        channel.process(&sound, &mut heard);
        let read = as_ggmorse_does(&heard, 8000);
        println!("{air}: {read}");
        // The beginning is no letter.
        assert!(read.starts_with('?') && letters(&read) == sent, "{read} is not {sent}");
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
