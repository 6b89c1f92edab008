//! A whole procedure call in Morse that people read, in virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use demo_morse::{Office, Telegraph, TelegraphClient, options};
use ipfi::Interface;
use ipfi_morse::decoder;
use ipfi_morse::modem::{Config, Demodulator, Event, Modulator, Note};
use ipfi_morse::transport::{Air, Bystander, Morse};
use ipfi_transport::Registry;
use tokio::time::Instant;

const RATE: u32 = Bystander::RATE;

/// What somebody heard who was there from the beginning to the end.
async fn record(mut bystander: Bystander, end: tokio::sync::oneshot::Receiver<()>) -> Vec<f32> {
    let mut sound = Vec::new();
    let listen = async {
        loop {
            sound.extend(bystander.hear().await.unwrap());
        }
    };
    tokio::select! {
        () = listen => {}
        _ = end => {}
    }
    sound
}

/// The letters of each packet that arrived whole, as they were sent.
fn packets(sound: &[f32]) -> Vec<String> {
    let config = Config::new(RATE);
    let mut demodulator = Demodulator::new(&config).unwrap();
    let mut modulator = Modulator::new(&config).unwrap();
    let mut block = vec![0.0; RATE as usize];
    let mut packets = Vec::new();
    for second in sound.chunks(RATE as usize) {
        demodulator.receive(second);
        while let Some(event) = demodulator.poll_event() {
            if let Event::Packet(packet) = event {
                let note = Note { wish: packet.wish, tag: packet.tag };
                modulator.send(&packet.bytes, packet.mode, note).unwrap();
                while modulator.poll_samples(&mut block) > 0 {}
                let letters = std::iter::from_fn(|| modulator.poll_letter());
                let letters = letters.map(|letter| letter.letter);
                packets.push(letters.filter(char::is_ascii_alphanumeric).collect());
            }
        }
    }
    packets
}

/// Letters as a person writes them down: without the signs before each packet.
fn letters(text: &str) -> String {
    let signs = text.replace("<KA>", "").replace("<CT>", "");
    signs.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[tokio::test(start_paused = true)]
#[ignore = "simulates minutes of sound"]
async fn a_call_in_plain_morse_is_read_as_letters() {
    let air = Air::new();
    let registry = Registry::new().with(Morse::on(air.clone()));
    let (stop, end) = tokio::sync::oneshot::channel();
    let recording = tokio::spawn(record(Bystander::enter(&air).unwrap(), end));

    let begun = Instant::now();
    let listen = "morse-listen:,mode=plain,wpm=20".parse().unwrap();
    let mut listener = registry.listen(&listen).await.unwrap();
    let dial = "morse:,mode=plain,wpm=20".parse().unwrap();
    let (here, there) = tokio::join!(registry.dial(&dial), listener.accept());
    let connected = begun.elapsed();
    let _office = options().spawn(there.unwrap(), Office.into_interface());
    let office = TelegraphClient::new(options().spawn(here.unwrap(), Interface::new()));
    let mut answered = Vec::new();
    for text in ["cq", "sos"] {
        assert_eq!(office.telegram(text.into()).await, Ok(text.to_uppercase()));
        answered.push(begun.elapsed().as_secs());
    }
    // The last letters are on their way to the recorder.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    stop.send(()).unwrap();
    let sound = recording.await.unwrap();

    let read = letters(&decoder::text(&decoder::decode(&sound, RATE).unwrap()));
    let sent = packets(&sound);
    let count: usize = sent.iter().map(String::len).sum();
    println!(
        "plain Morse, 20 WPM: connected after {} s, calls answered after {answered:?} s; {count} letters",
        connected.as_secs(),
    );
    println!("{read}");
    assert!(answered[0] < 450 && answered[1] < 600 && (200..1500).contains(&count), "{count}");
    // Others may stand between them: of packets that met, and of one that had not ended.
    let mut rest = read.as_str();
    for packet in &sent {
        let found = rest.find(packet);
        let at = found.unwrap_or_else(|| panic!("{packet} is not in {rest}"));
        rest = &rest[at + packet.len()..];
    }
}
