//! What the fuzzers keep, replayed without a fuzzer.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![allow(unreachable_pub, reason = "the scenarios are shared with the fuzz targets")]

use std::path::Path;

use ipfi_morse::text::parse;
use ipfi_morse::wav::{Channel, WavReader};

#[path = "../../tests/fuzz/scenarios/morse_decode.rs"]
mod decode;
#[path = "../../tests/fuzz/scenarios/morse_samples.rs"]
mod samples;

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
    replay("morse_decode", decode::run);
}

#[test]
fn no_sound_makes_a_packet_that_nobody_sent() {
    replay("morse_samples", samples::run);
}

#[test]
fn texts_are_parsed() {
    replay("morse_text", |bytes| {
        let _ = parse(&String::from_utf8_lossy(bytes));
    });
}
