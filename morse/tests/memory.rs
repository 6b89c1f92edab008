//! Two hours of sound take no more memory than two minutes.

use ipfi_morse::decoder::{Decoder, Event, Latency};
use ipfi_morse::keyer::Keyer;
use ipfi_morse::synth::{Tone, render};
use ipfi_morse::text::parse;
use ipfi_morse::timing::Timing;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const RATE: u32 = 2000;
/// Somebody calls every so many minutes.
const EVERY: usize = 4;

/// One test alone: what others allocate at the same time would count.
#[test]
fn two_hours_take_the_memory_of_two_minutes() {
    let timing = Timing::new(20.0).unwrap();
    let keying = Keyer::new(parse("VVV DE OE1XYZ").unwrap(), timing);
    let tone = Tone { hz: 500.0, ..Tone::default() };
    let mut keyed = render(keying, &tone, timing.dot(), RATE).unwrap();
    keyed.resize(60 * RATE as usize, 0.0);
    let silent = vec![0.0; keyed.len()];
    for (latency, minutes) in [(Latency::Recording, 120), (Latency::Live, 4)] {
        let mut decoder = Decoder::new(RATE, latency).unwrap();
        let mut characters = 0;
        let mut early = 0;
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        for number in 1..=minutes {
            let minute = if number % EVERY == 1 { &keyed } else { &silent };
            for block in minute.chunks(1000) {
                decoder.push(block);
                while let Some(event) = decoder.poll_event() {
                    characters += usize::from(matches!(event, Event::Character(_)));
                }
            }
            let peak = MEMORY.peak_usage().saturating_sub(before);
            if number == 2 {
                early = peak;
            }
            assert!(early == 0 || peak <= early + early / 4, "{peak} after {number} minutes");
        }
        decoder.finish();
        while let Some(event) = decoder.poll_event() {
            characters += usize::from(matches!(event, Event::Character(_)));
        }
        assert_eq!(characters, 11 * minutes.div_ceil(EVERY), "{latency:?}");
        assert!(early < 160 << 20, "{latency:?}: {early} bytes");
    }
}
