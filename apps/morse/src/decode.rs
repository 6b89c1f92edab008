//! `morse decode`: a recording to text.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use ipfi_morse::decoder::{Decoder, Event, Latency};

use crate::events::Accents;
use crate::source::Recording;

/// Reads the Morse in a recording, whatever its pitch and speed.
///
/// The text is printed as it is found; a recording of any length takes the same memory. Silence
/// and noise give an empty line.
#[derive(Debug, Args)]
pub(crate) struct Decode {
    /// The WAV file, 8, 16, 24, 32 bits or floating point; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// One JSON object for each character and space, on a line of its own
    #[arg(long)]
    json: bool,

    /// The language whose accented letters are read
    #[arg(long, value_enum, default_value_t, value_name = "LANGUAGE")]
    accents: Accents,

    /// Hears one channel, counted from 1, not the mean of all
    #[arg(long, value_name = "N")]
    channel: Option<u16>,
}

impl Decode {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut recording = Recording::open(&self.file, self.channel)?;
        let mut decoder = Decoder::new(recording.rate(), Latency::Recording)?;
        let mut out = io::stdout().lock();
        let mut block = [0.0; 4096];
        loop {
            let read = recording.read(&mut block)?;
            decoder.push(&block[..read]);
            let last = read < block.len();
            if last {
                decoder.finish();
            }
            self.print(&mut decoder, &mut out)?;
            if last {
                break;
            }
        }
        if !self.json {
            writeln!(out)?;
        }
        Ok(())
    }

    fn print(&self, decoder: &mut Decoder, out: &mut impl Write) -> io::Result<()> {
        let mut some = false;
        while let Some(event) = decoder.poll_event() {
            some = true;
            match &event {
                event if self.json => writeln!(out, "{}", self.accents.json(event))?,
                Event::Character(character) => write!(out, "{}", self.accents.text(character))?,
                Event::WordGap { .. } => write!(out, " ")?,
                _ => {}
            }
        }
        if some { out.flush() } else { Ok(()) }
    }
}
