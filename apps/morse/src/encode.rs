//! `morse encode`: text to sound.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ipfi_morse::text::{self, Token};
use ipfi_morse::wav::SampleFormat;

use crate::sending::Sending;
use crate::sink::Sink;

/// Sends text as Morse: to the loudspeaker, to a WAV file, or as dots and dashes.
///
/// Letters, digits, punctuation of ITU-R M.1677-1, accented letters, and prosigns as `<AR>`.
#[derive(Debug, Args)]
pub(crate) struct Encode {
    /// The text; `-` reads standard input, line by line
    #[arg(required = true, value_name = "TEXT")]
    text: Vec<String>,

    /// Writes a WAV file; `-` writes to standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "play")]
    output: Option<PathBuf>,

    /// Plays on a loudspeaker
    #[arg(short, long)]
    play: bool,

    /// The sound device to play on; `morse devices` lists them
    #[arg(long, value_name = "NAME", requires = "play")]
    device: Option<String>,

    /// Silence before and after, in seconds
    #[arg(long, default_value_t = 0.25, value_name = "SECONDS",
          value_parser = seconds, allow_negative_numbers = true)]
    pad: f64,

    /// How samples are written
    #[arg(long, value_enum, default_value_t, value_name = "KIND", requires = "output")]
    bits: Bits,

    #[command(flatten)]
    sending: Sending,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Bits {
    #[value(name = "8")]
    Eight,
    #[default]
    #[value(name = "16")]
    Sixteen,
    #[value(name = "24")]
    TwentyFour,
    #[value(name = "32")]
    ThirtyTwo,
    Float,
}

impl From<Bits> for SampleFormat {
    fn from(bits: Bits) -> Self {
        match bits {
            Bits::Eight => Self::U8,
            Bits::Sixteen => Self::I16,
            Bits::TwentyFour => Self::I24,
            Bits::ThirtyTwo => Self::I32,
            Bits::Float => Self::F32,
        }
    }
}

/// Reads a length of time of up to an hour.
fn seconds(text: &str) -> Result<f64, String> {
    let range = || "choose from 0 to 3600 seconds".to_owned();
    let value: f64 = text.parse().map_err(|_| range())?;
    if (0.0..=3600.0).contains(&value) { Ok(value) } else { Err(range()) }
}

impl Encode {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut station = self.sending.station()?; // also checks options that only sound has
        let live = self.text == ["-"];
        // All is looked at before the first sound.
        let tokens = if live { Vec::new() } else { text::parse(&self.text.join(" "))? };
        let rate = self.sending.rate;
        let mut sink = match &self.output {
            Some(path) => Sink::file(path, rate, self.bits.into())?,
            None if self.play => Sink::loudspeaker(self.device.as_deref(), rate)?,
            None => return print(live, &tokens),
        };
        station.wait(self.pad, |block| sink.write(block))?;
        if live {
            let word_gap = station.timing().word_gap();
            for line in lines() {
                station.send(&line?, |block| sink.write(block))?;
                station.wait(word_gap, |block| sink.write(block))?;
                sink.flush()?;
            }
        } else {
            station.send(&tokens, |block| sink.write(block))?;
        }
        station.wait(self.pad, |block| sink.write(block))?;
        sink.finish()
    }
}

/// The lines of standard input as what is sent for them. What has no code is named and left out.
fn lines() -> impl Iterator<Item = anyhow::Result<Vec<Token>>> {
    io::stdin().lock().split(b'\n').map(|line| {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if let Err(error) = text::parse(&line) {
            eprintln!("morse: {error}; it is left out");
        }
        Ok(text::parse_lossy(&line))
    })
}

/// Prints dots and dashes: a space between letters, a slash between words.
fn print(live: bool, tokens: &[Token]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if live {
        for line in lines() {
            writeln!(out, "{}", dots_and_dashes(&line?))?;
        }
    } else {
        writeln!(out, "{}", dots_and_dashes(tokens))?;
    }
    Ok(())
}

pub(crate) fn dots_and_dashes(tokens: &[Token]) -> String {
    let words = tokens.split(|token| *token == Token::Space).map(|word| {
        let letters = word.iter().filter_map(|token| match token {
            Token::Code(code) => Some(code.to_string()),
            Token::Space => None,
        });
        letters.collect::<Vec<_>>().join(" ")
    });
    words.collect::<Vec<_>>().join(" / ")
}
