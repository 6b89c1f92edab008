//! How many seconds of sound a second of one core reads, beside other decoders.
//!
//! `cargo bench -p ipfi-morse --bench decode`. What counts is the time of the processor, not that of
//! the clock, so that others who use the machine do not. multimon-ng is measured too where it is
//! installed, in turns with ours, so that both see the same machine: the middle of the rounds is
//! shown, and the ratio of the two. The figure of ggmorse is the published one of a machine like
//! this: it is built from source and not measured here.
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
use std::time::Duration;

use ipfi_morse::channel::{Air, Channel};
use ipfi_morse::decoder::{Decoder, Latency};
use ipfi_morse::keyer::Keyer;
use ipfi_morse::resample::Resampler;
use ipfi_morse::synth::{Tone, render};
use ipfi_morse::text::parse;
use ipfi_morse::timing::Timing;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

const ROUNDS: usize = 7;
/// How much is sent, seconds.
const LENGTH: f64 = 30.0;
/// Seconds of sound for each second of CPU.
const GGMORSE: f64 = 107.0;

/// A recording: what it is called, its rate, the speed at which somebody sends in it if anybody does,
/// and the air.
type Recording = (&'static str, u32, Option<f64>, &'static str);

const RECORDINGS: [Recording; 8] = [
    ("12 WPM, 0 dB", 8000, Some(12.0), "snr=0"),
    ("20 WPM, 12 dB", 8000, Some(20.0), "snr=12"),
    ("35 WPM, -6 dB", 8000, Some(35.0), "snr=-6"),
    ("20 WPM, fading", 8000, Some(20.0), "snr=15,fade=20/2"),
    ("22 WPM, a room", 8000, Some(22.0), "snr=20,room=0.5/3"),
    ("22 WPM, a hall", 8000, Some(22.0), "snr=20,room=0.8/0"),
    ("1200 WPM, 48 kHz", 48_000, Some(1200.0), "snr=25"),
    ("somebody speaks", 8000, None, "voice=0"),
];

fn main() {
    println!("seconds of sound for each second of one core's time, the middle of {ROUNDS} rounds");
    println!(
        "{:<18}{:>10}{:>10}{:>14}{:>10}{:>10}",
        "", "recording", "live", "multimon-ng", "ratio", "ggmorse"
    );
    for (name, rate, wpm, air) in RECORDINGS {
        let sound = sound(rate, wpm, air);
        let seconds = sound.len() as f64 / f64::from(rate);
        let raw = for_multimon(&sound, rate);
        let (mut recording, mut live, mut multimon) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            recording.push(time(|| read(&sound, rate, Latency::Recording, wpm.is_some())));
            live.push(time(|| read(&sound, rate, Latency::Live, wpm.is_some())));
            multimon.extend(run_multimon(&raw));
        }
        let [recording, live, multimon] = [recording, live, multimon].map(middle);
        let speed = |time: Option<Duration>| {
            time.map_or_else(|| "-".into(), |t| format!("{:.0}", seconds / t.as_secs_f64()))
        };
        let ratio = recording.zip(multimon).map_or_else(
            || "-".into(),
            |(ours, theirs)| format!("{:.2}", theirs.as_secs_f64() / ours.as_secs_f64()),
        );
        println!(
            "{name:<18}{:>10}{:>10}{:>14}{ratio:>10}{GGMORSE:>10}",
            speed(recording),
            speed(live),
            speed(multimon)
        );
    }
    println!("ratio: of a recording, how many times as fast as multimon-ng");
    println!("live: 100 divided by its figure is the share of a core that `morse listen` takes, %");
}

fn middle(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort();
    times.get(times.len() / 2).copied()
}

fn sound(rate: u32, wpm: Option<f64>, air: &str) -> Vec<f32> {
    let dry = wpm.map_or_else(
        || vec![0.0; (LENGTH * f64::from(rate)) as usize],
        |wpm| {
            let timing = Timing::new(wpm).unwrap();
            let words = (LENGTH * wpm / 60.0 / 8.0).ceil() as usize;
            let text = "VVV CQ CQ CQ DE OE1XYZ OE1XYZ PSE K ".repeat(words);
            let keying = Keyer::new(parse(&text).unwrap(), timing);
            // A dot is six periods at least.
            let hz = Tone::default().hz.max(5.0 * wpm);
            let tone = Tone { hz, ..Tone::default() };
            render(keying, &tone, timing.dot(), rate).unwrap()
        },
    );
    let air: Air = air.parse().unwrap();
    let mut heard = Vec::new();
    let mut channel = Channel::new(&air, rate, 1).unwrap();
    channel.process(&dry, &mut heard);
    channel.finish(&mut heard);
    heard
}

fn read(sound: &[f32], rate: u32, latency: Latency, keyed: bool) {
    let mut decoder = Decoder::new(rate, latency).unwrap();
    for block in sound.chunks(400) {
        decoder.push(block);
    }
    decoder.finish();
    let events = std::iter::from_fn(|| decoder.poll_event()).count();
    assert!(events > 10 || !keyed, "{events} events");
}

/// What the processor did for this process, or for its children that have ended.
fn spent(who: UsageWho) -> Duration {
    let usage = getrusage(who).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros as u64)
}

fn time(work: impl FnOnce()) -> Duration {
    let before = spent(UsageWho::RUSAGE_SELF);
    work();
    spent(UsageWho::RUSAGE_SELF).saturating_sub(before)
}

/// What multimon-ng wants: 22050 Hz, 16 bits, raw.
fn for_multimon(sound: &[f32], rate: u32) -> Vec<u8> {
    let mut resampler = Resampler::new(f64::from(rate), 22_050.0);
    let mut out = Vec::new();
    resampler.process(sound, &mut out);
    resampler.finish(&mut out);
    out.iter().flat_map(|s| ((s.clamp(-1.0, 1.0) * 32767.0) as i16).to_le_bytes()).collect()
}

/// `None` where it is not installed.
fn run_multimon(raw: &[u8]) -> Option<Duration> {
    let before = spent(UsageWho::RUSAGE_CHILDREN);
    let mut child = Command::new("multimon-ng")
        .args(["-q", "-t", "raw", "-a", "MORSE_CW", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let written = child.stdin.take()?.write_all(raw);
    child.wait().ok()?;
    written.ok().map(|()| spent(UsageWho::RUSAGE_CHILDREN).saturating_sub(before))
}
