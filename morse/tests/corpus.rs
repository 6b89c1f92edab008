//! What the fuzzers keep, replayed without a fuzzer.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use ipfi_morse::decoder::{Decoder, Event, Latency};
use ipfi_morse::text::parse;
use ipfi_morse::wav::{Channel, WavReader};

/// Gives each file of a corpus to a check.
fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(target);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        check(&std::fs::read(entry.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files > 0, "{} is empty", folder.display());
}

#[test]
fn wav_files_end() {
    replay("morse_wav", |bytes| {
        let Ok(mut reader) = WavReader::new(bytes) else { return };
        reader.select(Channel::Mix).unwrap();
        let mut block = [0.0; 256];
        let mut samples = 0;
        loop {
            match reader.read(&mut block).unwrap() {
                0 => break,
                n => samples += n,
            }
        }
        assert!(samples <= bytes.len());
    });
}

#[test]
fn samples_of_any_kind_are_read() {
    replay("morse_decode", |bytes| {
        let Some((head, samples)) = bytes.split_at_checked(3) else { return };
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
                last = c.start;
            }
        }
    });
}

#[test]
fn texts_are_parsed() {
    replay("morse_text", |bytes| {
        let _ = parse(&String::from_utf8_lossy(bytes));
    });
}
