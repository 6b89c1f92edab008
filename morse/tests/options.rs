//! What `morse:` says to options that cannot be, and what it writes into files.
#![cfg(feature = "transport")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;
use std::fs::File;

use ipfi_morse::modem::{Config, Demodulator, Event};
use ipfi_morse::transport::Morse;
use ipfi_morse::wav::{SampleFormat, WavReader, WavWriter};
use ipfi_transport::Registry;

async fn refused(options: &str) -> String {
    let registry = Registry::new().with(Morse::new());
    let address = format!("morse:{options}").parse().unwrap();
    match registry.check(&address).await {
        Err(error) => error.to_string(),
        Ok(_) => registry.dial(&address).await.err().unwrap().to_string(),
    }
}

#[tokio::test]
async fn one_clear_line_each() {
    let mut table = String::new();
    for options in [
        "room",
        ",mode=quick",
        ",wpm=3",
        ",wpm=fast",
        ",tone=20000",
        ",level=6",
        ",ptt=/dev/ttyUSB0",
        ",ptt=rts:/dev/ttyUSB0,air=x",
        ",air=a/b",
        ",air=x,capture=USB",
        ",in=/none/there,out=y.wav",
        ",weather=rain",
        ",speed=20",
        ",band=1000",
        ",band=9000-1000",
        ",band=1000-30000",
        ",mode=cable,band=1000-4000",
        ",band=300-2700",
        ",mode=rescue,band=1000-2500",
        ",mode=plain,band=300-3400",
        ",duplex=both",
        ",duplex=full,mode=plain",
        ",duplex=full,band=1000-9000",
        ",duplex=low,ptt=rts:/dev/ttyUSB0",
        ",mode=cable,connect=1s,out=/dev/null",
        ",duplex=full,connect=1s,out=/dev/null",
        ",mode=plain,wpm=60,connect=1s,out=/dev/null",
    ] {
        writeln!(table, "morse:{options}\n    {}", refused(options).await).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn a_file_of_too_few_samples_for_a_band_is_told() {
    let path = std::env::temp_dir().join(format!("ipfi-slow-{}.wav", std::process::id()));
    let mut writer = WavWriter::new(File::create(&path).unwrap(), 8000, SampleFormat::I16).unwrap();
    writer.write(&[0.0; 800]).unwrap();
    writer.finish_seekable().unwrap();
    let options = format!(",mode=fast,band=1000-9000,in={}", path.display());
    let error = refused(&options).await;
    std::fs::remove_file(&path).unwrap();
    let told =
        "has 8000 samples a second, which carry up to 3600 Hz: choose a band that ends below";
    assert!(error.contains(told), "{error}");
}

#[tokio::test]
async fn a_greeting_stands_in_the_file() {
    let path = std::env::temp_dir().join(format!("ipfi-greeting-{}.wav", std::process::id()));
    let options = format!(",mode=cable,connect=1s,out={}", path.display());
    let error = refused(&options).await;
    assert!(error.contains("nobody"), "{error}");
    // The station finishes its file after the link has gone.
    let greeting = loop {
        let mut reader = WavReader::new(File::open(&path).unwrap()).unwrap();
        if reader.frames().is_some_and(|frames| frames > 0) {
            let mut sound = vec![0.0; 48_000 * 3];
            let count = reader.read(&mut sound).unwrap();
            sound.truncate(count);
            break sound;
        }
        tokio::task::yield_now().await;
    };
    std::fs::remove_file(&path).unwrap();
    let mut demodulator = Demodulator::new(&Config::new(48_000)).unwrap();
    demodulator.receive(&greeting);
    let packets = std::iter::from_fn(|| demodulator.poll_event())
        .filter(|event| matches!(event, Event::Packet(_)));
    assert!(packets.count() > 0);
}
