//! Sound of any kind: reading it ends, and its characters come in order of time.
//!
//! Two bytes of rate, one whose lowest bit is the latency and whose upper four say how often the
//! sound is repeated (few bytes make seconds), then samples of 16 bits.

use ipfi_morse::decoder::{Decoder, Event, Latency};

/// Reads the sound that `data` is; panics when something is wrong.
pub fn run(data: &[u8]) {
    let Some((head, samples)) = data.split_at_checked(3) else { return };
    let rate = u32::from(u16::from_le_bytes([head[0], head[1]]));
    let latency = if head[2] & 1 == 0 { Latency::Live } else { Latency::Recording };
    let Ok(mut decoder) = Decoder::new(rate, latency) else { return };
    let samples: Vec<f32> = samples
        .chunks_exact(2)
        .map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32768.0)
        .collect();
    for _ in 0..=head[2] >> 4 {
        decoder.push(&samples);
    }
    decoder.finish();
    let mut last = 0.0;
    while let Some(event) = decoder.poll_event() {
        if let Event::Character(c) = event {
            assert!(c.start >= last && c.end > c.start, "{c:?} before {last}");
            assert!((0.0..=1.0).contains(&c.confidence), "{c:?}");
            assert!(c.wpm > 0.0 && c.tone_hz > 0.0, "{c:?}");
            last = c.start;
        }
    }
}
