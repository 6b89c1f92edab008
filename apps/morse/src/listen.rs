//! `morse listen`: what the microphone hears, as text, while it is sent.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::Args;
use ipfi_morse::decoder::{Decoder, Event, Latency};
use ipfi_morse::wav::{SampleFormat, WavWriter};

use crate::events::Accents;

mod panel;
mod screen;
mod stream;

use screen::Screen;
use stream::{Piece, Stream};

/// Reads Morse while it is sent, from a microphone or a radio, whatever its pitch and speed.
///
/// On a terminal it shows a waterfall with the tone that is followed, the keying and the letters
/// under it. Ctrl-C ends it.
#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// The sound device to listen with; `morse devices` lists them
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    device: Option<String>,

    /// Listens to a WAV file as fast as it was recorded
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Hears one channel, counted from 1, not the mean of all
    #[arg(long, value_name = "N")]
    channel: Option<u16>,

    /// Text only, without the waterfall
    #[arg(long, conflicts_with = "json")]
    plain: bool,

    /// One JSON object for each character, space and gap, on a line of its own
    #[arg(long)]
    json: bool,

    /// Also writes what is heard to a WAV file
    #[arg(short, long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Ends after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,

    /// The language whose accented letters are read
    #[arg(long, value_enum, default_value_t, value_name = "LANGUAGE")]
    accents: Accents,
}

/// Where the text goes.
enum View {
    Plain,
    Json,
    Screen(Box<Screen>),
}

/// A gap between words that begins a new line of plain text, in seconds.
const NEW_LINE: f64 = 4.0;

impl Listen {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&interrupted);
        ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
            .context("cannot watch for Ctrl-C")?;
        let mut stream = match &self.file {
            Some(path) => Stream::file(path, self.channel)?,
            None => Stream::device(self.device.as_deref(), self.channel)?,
        };
        let rate = stream.rate();
        let mut decoder = Decoder::new(rate, Latency::Live)?;
        let mut recorder = match &self.record {
            Some(path) => {
                let named = || format!("cannot write {}", path.display());
                let file = std::fs::File::create(path).with_context(named)?;
                let file = io::BufWriter::new(file);
                Some(WavWriter::new(file, rate, SampleFormat::I16).with_context(named)?)
            }
            None => None,
        };
        let mut view = if self.json {
            View::Json
        } else if self.plain || !io::stdout().is_terminal() {
            View::Plain
        } else {
            View::Screen(Box::new(Screen::open(rate, stream.name())?))
        };
        if self.json {
            let (name, rate) = (stream.name(), stream.rate());
            let line = serde_json::json!({ "type": "listening", "source": name, "rate": rate });
            writeln!(io::stdout(), "{line}")?;
        }
        let limit = self.seconds.map_or(u64::MAX, |seconds| u64::from(seconds) * u64::from(rate));
        let mut heard = 0;
        let mut samples = Vec::new();
        while heard < limit && !interrupted.load(Ordering::Relaxed) {
            samples.clear();
            match stream.read(&mut samples)? {
                Piece::Samples => {}
                Piece::End => break,
                Piece::Gap(missing) => {
                    report_gap(&mut view, missing as f64 / f64::from(rate));
                    // Silence in its place keeps the time right; a long one says nothing more.
                    samples
                        .resize(usize::try_from(missing).unwrap_or(0).min(10 * rate as usize), 0.0);
                }
            }
            heard += samples.len() as u64;
            if let Some(recorder) = &mut recorder {
                recorder.write(&samples)?;
            }
            decoder.push(&samples);
            if let View::Screen(screen) = &mut view {
                screen.hear(&samples, decoder.tone_hz());
            }
            self.show(&mut view, &mut decoder)?;
        }
        decoder.finish();
        self.show(&mut view, &mut decoder)?;
        if let Some(recorder) = recorder {
            recorder.finish_seekable()?;
        }
        match view {
            View::Plain => writeln!(io::stdout())?,
            View::Json => {} // each line has ended
            View::Screen(screen) => screen.close()?,
        }
        Ok(())
    }

    fn show(&self, view: &mut View, decoder: &mut Decoder) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let mut some = false;
        while let Some(event) = decoder.poll_event() {
            some = true;
            match view {
                View::Json => writeln!(out, "{}", self.accents.json(&event))?,
                View::Plain => match &event {
                    Event::Character(character) => {
                        write!(out, "{}", self.accents.text(character))?;
                    }
                    Event::WordGap { start, end } if end - start > NEW_LINE => writeln!(out)?,
                    Event::WordGap { .. } | _ => write!(out, " ")?,
                },
                View::Screen(screen) => match event {
                    Event::Character(character) => {
                        let text = self.accents.text(&character);
                        screen.read(character, text);
                    }
                    Event::WordGap { .. } | _ => screen.space(),
                },
            }
        }
        match view {
            View::Screen(screen) => screen.draw(),
            View::Plain | View::Json if some => out.flush(),
            View::Plain | View::Json => Ok(()),
        }
    }
}

fn report_gap(view: &mut View, seconds: f64) {
    match view {
        View::Json => println!("{}", serde_json::json!({ "type": "gap", "seconds": seconds })),
        View::Plain => eprintln!("morse: the sound has a gap of at least {seconds:.2} s"),
        View::Screen(screen) => screen.gap(),
    }
}
