//! Somebody in the room who only listens: reads the letters along, and remembers the sound.

use std::io::{self, Write};

use ipfi_morse::modem::{Config, ConfigError, Demodulator, Event};
use ipfi_morse::transport::Bystander;

/// Samples a second.
pub(crate) const RATE: u32 = Bystander::RATE;
/// More than this is not remembered, samples: five minutes.
const MOST: usize = 300 * RATE as usize;
/// Letters in a line.
const WIDTH: usize = 64;

/// Where there is something to be heard.
#[derive(Debug)]
pub(crate) enum Ear {
    Air(Bystander),
    #[cfg(feature = "audio")]
    Card(tokio::sync::mpsc::Receiver<Vec<f32>>),
}

impl Ear {
    /// Listens by the sound card, as the programs do.
    #[cfg(feature = "audio")]
    pub(crate) fn by_card() -> Self {
        use ipfi_morse::{audio::Capture, wav::Channel};
        let (sender, receiver) = tokio::sync::mpsc::channel(64);
        let listen = move || -> Result<(), ipfi_morse::audio::AudioError> {
            let mut capture = Capture::open(None, RATE, Channel::Mix)?;
            loop {
                let mut sound = Vec::new();
                capture.read(&mut sound)?;
                if sender.blocking_send(sound).is_err() {
                    return Ok(());
                }
            }
        };
        std::thread::spawn(move || {
            if let Err(error) = listen() {
                eprintln!("demo-morse: {error}");
            }
        });
        Self::Card(receiver)
    }

    /// The next piece of sound; nothing is the end.
    pub(crate) async fn hear(&mut self) -> io::Result<Vec<f32>> {
        match self {
            Self::Air(bystander) => bystander.hear().await,
            #[cfg(feature = "audio")]
            Self::Card(receiver) => Ok(receiver.recv().await.unwrap_or_default()),
        }
    }
}

/// Writes what was heard, as it is heard, between the lines of others.
#[derive(Debug)]
pub(crate) struct Reader {
    demodulator: Demodulator,
    hiss: fastrand::Rng,
    /// Letters in the line that is being written.
    column: Option<usize>,
    pub(crate) sound: Vec<f32>,
}

impl Reader {
    pub(crate) fn new() -> Result<Self, ConfigError> {
        Ok(Self {
            demodulator: Demodulator::new(&Config::new(RATE))?,
            hiss: fastrand::Rng::with_seed(1),
            column: None,
            sound: Vec::new(),
        })
    }

    pub(crate) fn read(&mut self, sound: &[f32]) {
        let room = MOST - self.sound.len();
        self.sound.extend(sound.iter().take(room));
        // In the perfect silence of a simulation the faintest leakage would look like a tone.
        let noisy: Vec<f32> = sound.iter().map(|s| s + 3e-4 * (self.hiss.f32() - 0.5)).collect();
        self.demodulator.receive(&noisy);
        while let Some(event) = self.demodulator.poll_event() {
            match event {
                Event::Begin { mode, seconds, .. } => {
                    self.line("air", &format!("({mode}, {seconds:.1} s)"));
                }
                Event::Letters { text, .. } => self.letters(&text),
                Event::BadPacket { .. } => self.letters(" (damaged)"),
                Event::Packet(_) | Event::Carrier(_) | _ => {}
            }
        }
    }

    /// Writes a line of somebody.
    pub(crate) fn line(&mut self, who: &str, text: &str) {
        if self.column.take().is_some() {
            println!();
        }
        println!("{who:>6} | {text}");
    }

    fn letters(&mut self, text: &str) {
        for letter in text.chars() {
            let column = match self.column {
                Some(column) if column < WIDTH => column,
                Some(_) => {
                    print!("\n       | ");
                    0
                }
                None => {
                    print!("       | ");
                    0
                }
            };
            print!("{letter}");
            self.column = Some(column + 1);
        }
        // Nobody minds if the terminal has gone; the next line will tell.
        let _ = io::stdout().flush();
    }
}
