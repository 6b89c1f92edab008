//! Our sound is clean: no harmonics, no key clicks. The spectrum is measured, not computed.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::cast_precision_loss, reason = "small counts")]

use std::f64::consts::TAU;
use std::io::Cursor;

use ipfi_morse::keyer::Keyer;
use ipfi_morse::synth::{Tone, render};
use ipfi_morse::text::parse;
use ipfi_morse::timing::Timing;
use ipfi_morse::wav::{SampleFormat, WavReader, WavWriter};

const RATE: u32 = 16_000;

/// Text as it comes out of a WAV file of this format.
fn sound(text: &str, wpm: f64, hz: f64, edge: Option<f64>, format: SampleFormat) -> Vec<f32> {
    let timing = Timing::new(wpm).unwrap();
    let tone = Tone { hz, edge, ..Tone::default() };
    let keyed = Keyer::new(parse(text).unwrap(), timing);
    let rendered = render(keyed, &tone, timing.dot(), RATE).unwrap();
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, RATE, format).unwrap();
    writer.write(&rendered).unwrap();
    writer.finish_seekable().unwrap();
    let mut read = vec![0.0; rendered.len()];
    assert_eq!(
        WavReader::new(file.get_ref().as_slice()).unwrap().read(&mut read).unwrap(),
        read.len()
    );
    read
}

/// The strongest line within a range of frequencies and all of the time, dB above the strongest
/// of all: spectra of 50 ms (20 Hz apart) with a Blackman-Harris window, whose own side lobes are
/// 92 dB down, every 12.5 ms, as a listener or a spectrum analyser would see.
fn peaks(sound: &[f32], ranges: &[(f64, f64)]) -> Vec<f64> {
    const SPAN: usize = RATE as usize / 20;
    let window: Vec<f64> = (0..SPAN)
        .map(|i| {
            let x = TAU * i as f64 / SPAN as f64;
            0.35875 - 0.48829 * x.cos() + 0.14128 * (2.0 * x).cos() - 0.01168 * (3.0 * x).cos()
        })
        .collect();
    let strongest = |low: f64, high: f64| {
        let mut best = 0.0f64;
        for span in sound.windows(SPAN).step_by(SPAN / 4) {
            let mut hz = low;
            while hz < high {
                // Goertzel's recursion
                let turn = 2.0 * (TAU * hz / f64::from(RATE)).cos();
                let (mut a, mut b) = (0.0, 0.0);
                for (&s, w) in span.iter().zip(&window) {
                    (a, b) = (f64::from(s) * w + turn * a - b, a);
                }
                best = best.max(a * a + b * b - turn * a * b);
                hz += 20.0;
            }
        }
        best
    };
    let all = strongest(20.0, 2000.0);
    ranges.iter().map(|&(low, high)| 10.0 * (strongest(low, high) / all).log10()).collect()
}

#[test]
fn clicks_and_harmonics_are_50_db_down_500_hz_away_at_25_wpm() {
    for format in [SampleFormat::I16, SampleFormat::F32] {
        let sound = sound("5E TH", 25.0, 700.0, None, format);
        let found = peaks(&sound, &[(20.0, 200.0), (1200.0, 7800.0)]);
        println!("{format:?}: below {:.1} dB, above {:.1} dB", found[0], found[1]);
        assert!(found.iter().all(|&db| db < -50.0), "{format:?}: {found:.1?}");
    }
}

#[test]
fn the_measurement_would_see_clicks() {
    let hard = sound("5E TH", 25.0, 700.0, Some(0.0), SampleFormat::F32);
    let found = peaks(&hard, &[(1200.0, 7800.0)]);
    println!("hard keying: {:.1} dB", found[0]);
    assert!(found[0] > -40.0, "{found:.1?}");
}
