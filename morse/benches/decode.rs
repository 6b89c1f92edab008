//! How many seconds of sound a second of one core reads, beside other decoders.
//!
//! `cargo bench -p ipfi-morse --bench decode`. multimon-ng is measured too where it is installed,
//! in turns with ours, so that both see the same machine. The figure of ggmorse is the published
//! one of a machine like this: it is built from source and not measured here.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::missing_docs_in_private_items,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a bench"
)]

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ipfi_morse::channel::{Air, Channel};
use ipfi_morse::decoder::{Decoder, Latency};
use ipfi_morse::keyer::Keyer;
use ipfi_morse::resample::Resampler;
use ipfi_morse::synth::{Tone, render};
use ipfi_morse::text::parse;
use ipfi_morse::timing::Timing;

const RATE: u32 = 8000;
const ROUNDS: usize = 5;
/// Seconds of sound for each second of CPU.
const GGMORSE: f64 = 107.0;

fn main() {
    let texts = [
        ("12 WPM, 0 dB", 12.0, "snr=0"),
        ("20 WPM, 12 dB", 20.0, "snr=12"),
        ("35 WPM, -6 dB", 35.0, "snr=-6"),
    ];
    println!("seconds of sound for each second of one core");
    println!("{:<16}{:>10}{:>10}{:>14}{:>10}", "", "recording", "live", "multimon-ng", "ggmorse");
    for (name, wpm, air) in texts {
        let sound = sound(wpm, air);
        let seconds = sound.len() as f64 / f64::from(RATE);
        let raw = for_multimon(&sound);
        let (mut recording, mut live, mut multimon) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            recording.push(time(|| read(&sound, Latency::Recording)));
            live.push(time(|| read(&sound, Latency::Live)));
            multimon.extend(run_multimon(&raw));
        }
        let speed = |times: &mut Vec<Duration>| -> String {
            times.sort();
            times.get(times.len() / 2).map_or_else(
                || "-".to_owned(),
                |middle| format!("{:.0}", seconds / middle.as_secs_f64()),
            )
        };
        println!(
            "{name:<16}{:>10}{:>10}{:>14}{GGMORSE:>10}",
            speed(&mut recording),
            speed(&mut live),
            speed(&mut multimon)
        );
    }
    println!("live: 100 divided by its figure is the share of a core that `morse listen` takes, %");
}

fn sound(wpm: f64, air: &str) -> Vec<f32> {
    let timing = Timing::new(wpm).unwrap();
    let text = "VVV CQ CQ CQ DE OE1XYZ OE1XYZ PSE K ".repeat((wpm / 12.0).ceil() as usize * 2);
    let dry =
        render(Keyer::new(parse(&text).unwrap(), timing), &Tone::default(), timing.dot(), RATE)
            .unwrap();
    let air: Air = air.parse().unwrap();
    let mut heard = Vec::new();
    let mut channel = Channel::new(&air, RATE, 1).unwrap();
    channel.process(&dry, &mut heard);
    channel.finish(&mut heard);
    heard
}

fn read(sound: &[f32], latency: Latency) {
    let mut decoder = Decoder::new(RATE, latency).unwrap();
    for block in sound.chunks(400) {
        decoder.push(block);
    }
    decoder.finish();
    assert!(std::iter::from_fn(|| decoder.poll_event()).count() > 10);
}

fn time(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

/// What multimon-ng wants: 22050 Hz, 16 bits, raw.
fn for_multimon(sound: &[f32]) -> Vec<u8> {
    let mut resampler = Resampler::new(f64::from(RATE), 22_050.0);
    let mut out = Vec::new();
    resampler.process(sound, &mut out);
    resampler.finish(&mut out);
    out.iter().flat_map(|s| ((s.clamp(-1.0, 1.0) * 32767.0) as i16).to_le_bytes()).collect()
}

/// `None` where it is not installed.
fn run_multimon(raw: &[u8]) -> Option<Duration> {
    let begin = Instant::now();
    let mut child = Command::new("multimon-ng")
        .args(["-q", "-t", "raw", "-a", "MORSE_CW", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let written = child.stdin.take()?.write_all(raw);
    child.wait().ok()?;
    written.ok().map(|()| begin.elapsed())
}
