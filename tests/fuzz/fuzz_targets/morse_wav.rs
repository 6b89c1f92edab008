//! A WAV file of a stranger: any bytes end, in bounded memory, without more sound than bytes.

#![no_main]

use ipfi_morse::wav::{Channel, WavReader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reader) = WavReader::new(bytes) else { return };
    let channels = reader.format().channels;
    assert!(reader.select(Channel::One(channels)).is_ok());
    assert!(reader.select(Channel::One(channels + 1)).is_err());
    if channels > 1 {
        reader.select(Channel::Mix).expect("always there");
    }
    let mut block = [0.0; 256];
    let mut samples = 0;
    loop {
        match reader.read(&mut block).expect("memory does not fail") {
            0 => break,
            n => {
                samples += n;
                assert!(block[..n].iter().all(|s| s.is_finite()));
            }
        }
    }
    assert!(samples <= bytes.len());
    assert_eq!(reader.read(&mut block).expect("nor after the end"), 0);
});
