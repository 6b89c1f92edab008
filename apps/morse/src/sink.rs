//! Where sound goes: a file, a pipe, a loudspeaker.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Stdout};
use std::path::{Path, PathBuf};

use anyhow::Context;
use ipfi_morse::wav::{SampleFormat, WavWriter};

use crate::exit::Usage;

#[derive(Debug)]
pub(crate) enum Sink {
    File {
        path: PathBuf,
        writer: WavWriter<BufWriter<File>>,
    },
    Pipe(WavWriter<BufWriter<Stdout>>),
    #[cfg(feature = "audio")]
    Loudspeaker(Box<ipfi_morse::audio::Playback>),
}

impl Sink {
    /// A WAV file, or standard output for `-`.
    pub(crate) fn file(path: &Path, rate: u32, format: SampleFormat) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            if io::stdout().is_terminal() {
                return Err(Usage(
                    "sound would be written to the terminal: say `-o FILE`, `--play`, or send \
                     standard output to a program",
                )
                .into());
            }
            return Ok(Self::Pipe(WavWriter::new(BufWriter::new(io::stdout()), rate, format)?));
        }
        let named = || format!("cannot write {}", path.display());
        let file = File::create(path).with_context(named)?;
        let writer = WavWriter::new(BufWriter::new(file), rate, format).with_context(named)?;
        Ok(Self::File { path: path.to_owned(), writer })
    }

    /// A sound device, or the default one.
    #[cfg(feature = "audio")]
    pub(crate) fn loudspeaker(device: Option<&str>, rate: u32) -> anyhow::Result<Self> {
        let playback = ipfi_morse::audio::Playback::open(device, rate)?;
        Ok(Self::Loudspeaker(Box::new(playback)))
    }

    /// Says that this program was built without sound.
    #[cfg(not(feature = "audio"))]
    pub(crate) fn loudspeaker(_: Option<&str>, _: u32) -> anyhow::Result<Self> {
        Err(Usage("this `morse` was built without sound cards: use `-o FILE`").into())
    }

    pub(crate) fn write(&mut self, samples: &[f32]) -> anyhow::Result<()> {
        match self {
            Self::File { path, writer } => {
                writer.write(samples).with_context(|| format!("cannot write {}", path.display()))
            }
            Self::Pipe(writer) => Ok(writer.write(samples)?),
            #[cfg(feature = "audio")]
            Self::Loudspeaker(playback) => Ok(playback.write(samples)?),
        }
    }

    /// What was written is to be heard soon, though more may follow.
    #[cfg_attr(
        not(feature = "audio"),
        expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "files do not wait")
    )]
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        #[cfg(feature = "audio")]
        if let Self::Loudspeaker(playback) = self {
            playback.start()?;
        }
        Ok(())
    }

    /// Ends the file, or waits until all has been heard.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::File { path, writer } => {
                writer.finish_seekable().with_context(|| format!("cannot write {}", path.display()))
            }
            Self::Pipe(writer) => Ok(writer.finish()?),
            #[cfg(feature = "audio")]
            Self::Loudspeaker(playback) => Ok(playback.finish()?),
        }
    }
}
