//! The simulated air does what it says: each part is measured.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::cast_precision_loss, reason = "small counts")]

use std::f64::consts::TAU;

use ipfi_morse::channel::{Air, Channel};
use ipfi_morse::keyer::Interval;
use ipfi_morse::synth::{Tone, render};

const RATE: u32 = 8000;

fn heard(air: &str, sound: &[f32], seed: u64) -> Vec<f32> {
    let mut channel = Channel::new(&air.parse::<Air>().unwrap(), RATE, seed).unwrap();
    let mut heard = Vec::new();
    for block in sound.chunks(777) {
        channel.process(block, &mut heard);
    }
    channel.finish(&mut heard);
    heard
}

fn tone(hz: f64, seconds: f64) -> Vec<f32> {
    let tone = Tone { hz, ..Tone::default() };
    render([Interval::down(seconds)], &tone, 1.0, RATE).unwrap()
}

fn silence(seconds: usize) -> Vec<f32> {
    vec![0.0; seconds * RATE as usize]
}

fn power(sound: &[f32]) -> f64 {
    sound.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / sound.len() as f64
}

fn db(ratio: f64) -> f64 {
    10.0 * ratio.log10()
}

/// The amplitude of one frequency (Goertzel's sum with a Hann window).
fn amplitude(sound: &[f32], hz: f64) -> f64 {
    let n = sound.len() as f64;
    let (mut re, mut im) = (0.0, 0.0);
    for (i, &s) in sound.iter().enumerate() {
        let window = 1.0 - (TAU * i as f64 / n).cos();
        let (sin, cos) = (TAU * hz * i as f64 / f64::from(RATE)).sin_cos();
        re += f64::from(s) * window * cos;
        im += f64::from(s) * window * sin;
    }
    2.0 * re.hypot(im) / n
}

/// The power between two frequencies, by the amplitudes of a second at a time.
fn band(sound: &[f32], low: u32, high: u32) -> f64 {
    let seconds = sound.chunks_exact(RATE as usize);
    let n = seconds.len() as f64;
    // A bin of the Hann window is 1.5 Hz wide.
    seconds
        .map(|s| (low..high).map(|hz| amplitude(s, f64::from(hz)).powi(2) / 2.0 / 1.5).sum::<f64>())
        .sum::<f64>()
        / n
}

#[test]
fn nothing_is_added_to_a_perfect_air() {
    let sound = tone(600.0, 1.0);
    assert_eq!(heard("", &sound, 1), sound);
}

#[test]
fn noise_in_2500_hz_is_as_strong_as_the_snr_says() {
    let signal = power(&tone(700.0, 2.0));
    for (air, expected) in [("snr=0", 0.0), ("snr=-12", -12.0), ("snr=20", 20.0)] {
        let noise = heard(air, &silence(10), 3);
        let snr = db(signal / (power(&noise) * 2500.0 / 4000.0));
        assert!((snr - expected).abs() < 0.2, "{air}: {snr:.2} dB");
    }
}

#[test]
fn pink_noise_is_as_strong_between_300_and_2800_hz_and_falls_by_3_db_an_octave() {
    let white = band(&heard("snr=0", &silence(3), 5), 300, 2800);
    let noise = heard("snr=0,pink", &silence(3), 5);
    let pink = band(&noise, 300, 2800);
    assert!(db(pink / white).abs() < 0.4, "{:.2} dB", db(pink / white));
    let (low, high) = (band(&noise, 400, 500) / 100.0, band(&noise, 1600, 2000) / 400.0);
    assert!((db(low / high) - 6.0).abs() < 1.0, "{:.1} dB in two octaves", db(low / high));
}

#[test]
fn fading_goes_down_as_deep_as_it_says() {
    let sound = heard("fade=20/2", &tone(600.0, 4.0), 1);
    let level = |at: usize| db(power(&sound[at..at + 80]));
    assert!((level(8000 - 40) - level(16000 - 40) + 20.0).abs() < 0.5);
}

#[test]
fn rayleigh_fading_has_the_statistics_of_rayleigh() {
    let sound = heard("rayleigh=10", &tone(800.0, 120.0), 4);
    let full = power(&tone(800.0, 2.0));
    let levels: Vec<f64> = sound.chunks_exact(80).map(|c| power(c) / full).collect();
    let n = levels.len() as f64;
    let mean = levels.iter().sum::<f64>() / n;
    assert!((mean - 1.0).abs() < 0.15, "{mean}");
    // The power is exponential: below a tenth of the mean for 9.5 % of the time.
    let deep = levels.iter().filter(|&&l| l < 0.1).count() as f64 / n;
    assert!((deep - 0.095).abs() < 0.03, "{deep}");
}

#[test]
fn pitch_drifts_and_chirps() {
    let sound = heard("drift=4", &tone(600.0, 11.0), 1);
    let peak = |s: &[f32], around: i32| {
        let hz = (around * 4..(around + 60) * 4).map(|quarter| f64::from(quarter) / 4.0);
        hz.max_by(|&a, &b| amplitude(s, a).total_cmp(&amplitude(s, b))).unwrap()
    };
    let late = peak(&sound[80_000..84_000], 601);
    assert!((late - 641.0).abs() < 0.6, "{late}");
    let mark = render([Interval::down(0.3)], &Tone::default(), 0.3, RATE).unwrap();
    let mut marks = silence(1);
    marks.extend(&mark);
    let sound = heard("chirp=60", &marks, 1);
    let (first, last) = (peak(&sound[8060..8220], 600), peak(&sound[9400..10_200], 570));
    assert!(first > 635.0 && (last - 600.0).abs() < 1.0, "{first} {last}");
}

#[test]
fn a_shifted_tone_has_no_mirror() {
    let sound = heard("drift=0.001", &tone(600.0, 4.0), 1);
    assert!((db(power(&sound) / power(&tone(600.0, 4.0)))).abs() < 0.1);
    let sound = heard("drift=10", &tone(1000.0, 8.0), 1);
    let end = &sound[60_000..60_800]; // 1075 Hz; a mirror would lie at 925
    assert!(db((amplitude(end, 925.0) / amplitude(end, 1075.0)).powi(2)) < -50.0);
}

#[test]
fn a_room_has_its_reverberation_time_and_ratio() {
    let mut click = vec![0.0; 8000];
    click[0] = 1.0;
    for (rt60, drr) in [(0.3, 6.0), (0.5, 3.0), (0.8, -6.0)] {
        let sound = heard(&format!("room={rt60}/{drr}"), &click, 2);
        let tail = sound[1..].iter().map(|&s| f64::from(s).powi(2)).sum::<f64>();
        assert!((db(1.0 / tail) - drr).abs() < 0.1, "{}", db(1.0 / tail));
        // Schroeder's integral: from -5 to -25 dB takes a third of the time for 60 dB.
        let mut left = tail;
        let mut times = Vec::new();
        for (i, &s) in sound[1..].iter().enumerate() {
            left -= f64::from(s).powi(2);
            if times.len() < 2 && db(left / tail) < [-5.0, -25.0][times.len()] {
                times.push(i as f64 / f64::from(RATE));
            }
        }
        let measured = 3.0 * (times[1] - times[0]);
        assert!((measured / rt60 - 1.0).abs() < 0.15, "{measured} for {rt60}");
    }
}

#[test]
fn what_others_add_has_its_level() {
    let signal = power(&tone(600.0, 2.0));
    let level = |air: &str| db(power(&heard(air, &silence(20), 6)) / signal);
    assert!((level("carrier=900/-3") + 3.0).abs() < 0.1);
    assert!((level("hum=50/0")).abs() < 0.1, "{}", level("hum=50/0"));
    // Morse sounds for half of the time.
    assert!((level("morse=900/26/-3") + 6.3).abs() < 1.0, "{}", level("morse=900/26/-3"));
    // Speech has pauses.
    assert!((-12.0..0.0).contains(&level("voice=0")), "{}", level("voice=0"));
    let clicks = heard("clicks=5/20", &silence(20), 6);
    let loud = clicks.iter().filter(|s| s.abs() > 1.0).count();
    assert!(loud > 50 && db(power(&clicks)) < -20.0, "{loud}");
}

#[test]
fn the_receiver_clips_loses_and_has_a_clock() {
    let sound = tone(611.3, 60.0); // whose samples are seldom zero
    let peak = |s: &[f32]| s.iter().fold(0.0f32, |m, s| m.max(s.abs()));
    assert!((peak(&heard("clip=-6", &sound, 1)) / peak(&sound) - 0.501).abs() < 0.01);
    assert!((peak(&heard("gain=-20,clip=-6", &sound, 1)) / peak(&sound) - 0.0501).abs() < 0.001);
    let fast = heard("ppm=200", &sound, 1).len() as f64 / sound.len() as f64;
    assert!((fast - 1.0002).abs() < 1e-5, "{fast}");
    let silent = heard("drop=60/0.1/0.3", &sound, 1);
    let zeros = silent.iter().filter(|&&s| s == 0.0).count() as f64 / f64::from(RATE);
    assert!((6.0..20.0).contains(&zeros), "{zeros} s silent");
    assert_eq!(silent.len(), sound.len());
    let lost = heard("lose=60/0.1/0.3", &sound, 1);
    assert!(((sound.len() - lost.len()) as f64 / f64::from(RATE) - zeros).abs() < 0.1);
    assert!((power(&heard("dc=0.1", &silence(1), 1)) - 0.01).abs() < 1e-6);
}

#[test]
fn a_seed_repeats_and_parts_do_not_disturb_each_other() {
    let sound = tone(600.0, 1.0);
    let all = "snr=3,rayleigh=1,drift=1,chirp=20,room=0.3/3,carrier=900/-3,morse=500/20/-3,\
               clicks=3/0,hum=50/-6,voice=-10,clip=3,ppm=50,drop=20/0.01/0.1";
    assert_eq!(heard(all, &sound, 9), heard(all, &sound, 9));
    assert_ne!(heard(all, &sound, 9), heard(all, &sound, 10));
    let noise = heard("snr=3", &silence(1), 9);
    let with_carrier = heard("snr=3,carrier=900/-100", &silence(1), 9);
    let worst = noise.iter().zip(&with_carrier).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-4);
}
