//! `morse plot`: a picture of a recording, for people who would rather look.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use ipfi_morse::decoder::{self, Event};

use crate::exit::Usage;
use crate::source::Recording;

pub(crate) mod canvas;
mod packets;
mod picture;
mod scale;

/// The longest piece in one picture, seconds.
const LONGEST: f64 = 600.0;

/// Draws a recording: spectrogram, envelope of the tone, and the text that was read in it.
#[derive(Debug, Args)]
pub(crate) struct Plot {
    /// The WAV file; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The picture to write, a PNG
    #[arg(short, long, value_name = "PNG")]
    output: PathBuf,

    /// Begins here, in seconds
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS", allow_negative_numbers = true)]
    from: f64,

    /// Ends here; at most ten minutes later
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    to: Option<f64>,

    /// Hears one channel, counted from 1, not the mean of all
    #[arg(long, value_name = "N")]
    channel: Option<u16>,

    /// Width of the picture in pixels
    #[arg(long, default_value_t = 1600, value_name = "PIXELS",
          value_parser = clap::value_parser!(u16).range(400..=8000))]
    width: u16,

    /// Frequencies to show, such as 300-1200; else what lies around the tone
    #[arg(long, value_name = "HZ-HZ", value_parser = band)]
    band: Option<(f64, f64)>,

    /// Reads packets of the transport `morse:`, in whatever mode, not text
    #[arg(long)]
    packets: bool,
}

/// Reads two frequencies.
fn band(text: &str) -> Result<(f64, f64), String> {
    let range = || "write two frequencies, such as 300-1200".to_owned();
    let (low, high) = text.split_once('-').ok_or_else(range)?;
    let number = |text: &str| text.trim().parse::<f64>().map_err(|_| range());
    let (low, high) = (number(low)?, number(high)?);
    if low >= 0.0 && high >= low + 10.0 && high < 1e6 { Ok((low, high)) } else { Err(range()) }
}

impl Plot {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut recording = Recording::open(&self.file, self.channel)?;
        let rate = recording.rate();
        let to = self.to.unwrap_or(f64::INFINITY);
        if !(self.from >= 0.0 && to > self.from) {
            return Err(Usage("--from must be at least 0, and --to after it").into());
        }
        if recording.seconds().is_some_and(|seconds| self.from >= seconds) {
            return Err(Usage("--from lies behind the end of the recording").into());
        }
        let (samples, more) = piece(&mut recording, self.from, to)?;
        if more && self.to.is_none_or(|to| to - self.from > LONGEST) {
            eprintln!(
                "morse: {} is longer than the picture, which ends at {:.0} s: choose a piece \
                 with --from and --to",
                recording.name(),
                self.from + LONGEST
            );
        }
        let named = || format!("cannot write {}", self.output.display());
        let mut title = scale::Title {
            name: recording.name().to_owned(),
            from: self.from,
            text: String::new(),
        };
        let width = usize::from(self.width);
        if self.packets {
            let canvas = packets::draw((&samples, rate), &title, width)?;
            let file = File::create(&self.output).with_context(named)?;
            return canvas.write_png(BufWriter::new(file)).with_context(named);
        }
        let events = decoder::decode(&samples, rate)?;
        title.text = decoder::text(&events);
        let characters: Vec<_> = events
            .into_iter()
            .filter_map(|event| match event {
                Event::Character(character) => Some(character),
                Event::WordGap { .. } | _ => None,
            })
            .collect();
        let picture = picture::Picture::new(&samples, rate, &characters, self.band);
        let canvas = picture.draw(&title, width);
        let file = File::create(&self.output).with_context(named)?;
        canvas.write_png(BufWriter::new(file)).with_context(named)
    }
}

/// A PNG of sound in which the transport `morse:` talks: spectrogram, and the letters under it.
///
/// ```
/// let silence = vec![0.0; 48_000];
/// let png = ipfi_morse_app::picture_of_packets((&silence, 48_000), "silence", 800)?;
/// assert!(png.starts_with(b"\x89PNG"));
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub fn picture_of_packets(sound: (&[f32], u32), name: &str, width: u16) -> anyhow::Result<Vec<u8>> {
    let title = scale::Title { name: name.into(), from: 0.0, text: String::new() };
    let mut png = Vec::new();
    packets::draw(sound, &title, usize::from(width.clamp(400, 8000)))?.write_png(&mut png)?;
    Ok(png)
}

/// The samples from one time to another, ten minutes of them at most; and whether there are more.
fn piece(recording: &mut Recording, from: f64, to: f64) -> anyhow::Result<(Vec<f32>, bool)> {
    let rate = f64::from(recording.rate());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive")]
    let count = |seconds: f64| (seconds * rate) as u64;
    let (mut skip, mut wanted) = (count(from), count((to - from).min(LONGEST)));
    let mut samples = Vec::new();
    let mut block = [0.0; 4096];
    loop {
        let read = recording.read(&mut block)?;
        let skipped = usize::try_from(skip).unwrap_or(read).min(read);
        let taken = usize::try_from(wanted).unwrap_or(read).min(read - skipped);
        samples.extend_from_slice(&block[skipped..skipped + taken]);
        skip -= skipped as u64;
        wanted -= taken as u64;
        if skipped + taken < read {
            return Ok((samples, true));
        }
        if read < block.len() {
            return Ok((samples, false));
        }
    }
}
