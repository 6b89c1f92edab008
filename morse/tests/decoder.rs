//! Sound to text: how samples are cut makes no difference, and no sound makes it stumble.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::cast_precision_loss, reason = "small counts")]

use ipfi_morse::channel::{Air, Channel};
use ipfi_morse::decoder::{Decoder, DecoderError, Event, Latency, decode, text};
use ipfi_morse::keyer::Keyer;
use ipfi_morse::synth::{Tone, render};
use ipfi_morse::text::parse;
use ipfi_morse::timing::Timing;
use proptest::prelude::*;

const RATE: u32 = 8000;

/// Sound of a text through an air.
fn sound(words: &str, wpm: f64, air: &Air, seed: u64) -> Vec<f32> {
    let tokens = parse(words).unwrap();
    let timing = Timing::new(wpm).unwrap();
    let keying = Keyer::new(tokens, timing);
    let dry = render(keying, &Tone::default(), timing.dot(), RATE).unwrap();
    let mut padded = vec![0.0; RATE as usize / 2];
    padded.extend(dry);
    padded.extend(vec![0.0; RATE as usize / 2]);
    let mut heard = Vec::new();
    let mut channel = Channel::new(air, RATE, seed).unwrap();
    channel.process(&padded, &mut heard);
    channel.finish(&mut heard);
    heard
}

fn drain(decoder: &mut Decoder) -> Vec<Event> {
    std::iter::from_fn(|| decoder.poll_event()).collect()
}

/// Reads sound in blocks of the given lengths, again and again.
fn in_blocks(sound: &[f32], blocks: &[usize], latency: Latency) -> Vec<Event> {
    let mut decoder = Decoder::new(RATE, latency).unwrap();
    let mut events = Vec::new();
    let mut rest = sound;
    for length in blocks.iter().cycle() {
        let (now, later) = rest.split_at(rest.len().min(*length));
        decoder.push(now);
        events.extend(drain(&mut decoder));
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    decoder.finish();
    events.extend(drain(&mut decoder));
    events
}

#[test]
fn a_call_is_read_clean_and_at_the_edge_of_hearing() {
    let words = "CQ DE OE1XYZ 599 <SK>";
    for (wpm, snr) in
        [(8.0, None), (20.0, None), (60.0, None), (12.0, Some(-8.0)), (30.0, Some(-3.0))]
    {
        let heard = sound(words, wpm, &Air { snr_db: snr, ..Air::default() }, 1);
        assert_eq!(text(&decode(&heard, RATE).unwrap()), words, "{wpm} WPM at {snr:?} dB");
    }
}

/// A strong clean signal has side bands far above the noise of the silence around it.
#[test]
fn long_silence_around_a_strong_call_changes_nothing() {
    let mut dry = sound("CQ CQ DE OE1XYZ", 22.0, &Air::default(), 1);
    dry.resize(dry.len() + 20 * RATE as usize, 0.0);
    dry.extend(sound("DL1ABC DE OE1XYZ", 30.0, &Air::default(), 1));
    dry.resize(dry.len() + 10 * RATE as usize, 0.0);
    let mut heard = Vec::new();
    let air = Air { snr_db: Some(40.0), ..Air::default() };
    Channel::new(&air, RATE, 7).unwrap().process(&dry, &mut heard);
    for latency in [Latency::Recording, Latency::Live] {
        let events = in_blocks(&heard, &[400], latency);
        assert_eq!(text(&events), "CQ CQ DE OE1XYZ DL1ABC DE OE1XYZ", "{latency:?}");
    }
}

/// Short frames, for fast keying, let through what is hundreds of hertz away.
#[test]
fn who_answers_on_another_pitch_is_no_fast_keying() {
    let call = "CQ CQ DE OE1XYZ K";
    for away in [100.0, 150.0, 250.0, 300.0] {
        let timing = Timing::new(30.0).unwrap();
        let keying = Keyer::new(parse("OE1XYZ DE DL1ABC KN").unwrap(), timing);
        let tone = Tone { hz: Tone::default().hz + away, ..Tone::default() };
        let mut dry = sound(call, 22.0, &Air::default(), 1);
        dry.extend(render(keying, &tone, timing.dot(), RATE).unwrap());
        let mut heard = Vec::new();
        let air = Air { snr_db: Some(15.0), ..Air::default() };
        Channel::new(&air, RATE, 3).unwrap().process(&dry, &mut heard);
        assert_eq!(text(&decode(&heard, RATE).unwrap()), call, "{away} Hz away");
    }
}

#[test]
fn events_say_when_how_fast_how_high_and_how_loud() {
    let heard = sound("PARIS", 20.0, &Air { snr_db: Some(6.0), ..Air::default() }, 2);
    let events = decode(&heard, RATE).unwrap();
    let Some(Event::Character(first)) = events.first() else { panic!("{events:?}") };
    assert_eq!(first.code.to_string(), ".--.");
    assert_eq!(first.marks.len(), 4);
    assert!((first.start - 0.5).abs() < 0.02, "{first:?}");
    assert!((first.end - 0.5 - 11.0 * 0.06).abs() < 0.02, "{first:?}");
    assert!((first.wpm - 20.0).abs() < 1.5, "{first:?}");
    assert!((first.tone_hz - 600.0).abs() < 2.0, "{first:?}");
    assert!((first.snr_db - 6.0).abs() < 2.0, "{first:?}");
    assert!(first.confidence > 0.9, "{first:?}");
}

#[test]
fn live_text_is_two_seconds_behind_at_most() {
    let words = "THE QUICK BROWN FOX";
    let heard = sound(words, 18.0, &Air { snr_db: Some(3.0), ..Air::default() }, 3);
    let mut decoder = Decoder::new(RATE, Latency::Live).unwrap();
    let mut events = Vec::new();
    for (index, block) in heard.chunks(400).enumerate() {
        decoder.push(block);
        let now = (index * 400 + block.len()) as f64 / f64::from(RATE);
        for event in drain(&mut decoder) {
            if let Event::Character(c) = &event {
                assert!(now - c.end <= 2.0, "{} came {} s late", c.symbol, now - c.end);
            }
            events.push(event);
        }
    }
    decoder.finish();
    events.extend(drain(&mut decoder));
    assert_eq!(text(&events), words);
}

#[test]
fn noise_alone_says_nothing() {
    for seed in 0..3 {
        let silence = vec![0.0; 20 * RATE as usize];
        let mut heard = Vec::new();
        let air = Air { snr_db: Some(0.0), ..Air::default() };
        let mut channel = Channel::new(&air, RATE, seed).unwrap();
        channel.process(&silence, &mut heard);
        channel.finish(&mut heard);
        for latency in [Latency::Live, Latency::Recording] {
            assert_eq!(text(&in_blocks(&heard, &[4000], latency)), "", "seed {seed}, {latency:?}");
        }
    }
}

#[test]
fn odd_sound_is_no_trouble() {
    let second = RATE as usize;
    let wave =
        |hz: f32| move |i: usize| (i as f32 * hz * std::f32::consts::TAU / RATE as f32).sin();
    let cases: Vec<(&str, Vec<f32>)> = vec![
        ("nothing", vec![]),
        ("one sample", vec![1.0]),
        ("silence", vec![0.0; 3 * second]),
        ("no numbers", vec![f32::NAN; 3 * second]),
        ("infinities", vec![f32::INFINITY; 3 * second]),
        ("huge", (0..3 * second).map(|i| if i % 7 == 0 { f32::MAX } else { f32::MIN }).collect()),
        ("clipped for good", vec![1.0; 3 * second]),
        ("a steady tone", (0..5 * second).map(wave(700.0)).collect()),
        ("half the rate", (0..3 * second).map(|i| if i % 2 == 0 { 0.9 } else { -0.9 }).collect()),
        ("tiny", vec![f32::MIN_POSITIVE; 3 * second]),
    ];
    for (name, samples) in cases {
        for latency in [Latency::Live, Latency::Recording] {
            let events = in_blocks(&samples, &[1000], latency);
            assert_eq!(text(&events), "", "{name}, {latency:?}");
        }
    }
}

#[test]
fn rates_out_of_range_are_refused() {
    for rate in [0, 1, 1999, 1_000_000] {
        let error = Decoder::new(rate, Latency::Live).unwrap_err();
        assert_eq!(error, DecoderError::Rate(rate));
        assert!(error.to_string().starts_with(&rate.to_string()), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn blocks_of_any_length_give_the_same_events(
        blocks in prop::collection::vec(1_usize..5000, 1..8),
        seed in 0_u64..1000,
    ) {
        let heard = sound("TEST", 25.0, &Air { snr_db: Some(0.0), ..Air::default() }, seed);
        for latency in [Latency::Live, Latency::Recording] {
            let whole = in_blocks(&heard, &[heard.len()], latency);
            prop_assert_eq!(&in_blocks(&heard, &blocks, latency), &whole);
        }
    }
}
