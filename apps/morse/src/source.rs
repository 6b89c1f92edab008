//! Where sound comes from: a file, a pipe.

use std::fs::File;
use std::io::{self, Read, Stdin};
use std::path::Path;

use anyhow::Context;
use ipfi_morse::wav::{Channel, WavReader};

/// A recording that is read from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Recording {
    name: String,
    reader: WavReader<Input>,
}

#[derive(Debug)]
enum Input {
    File(File),
    Pipe(Stdin),
}

impl Read for Input {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buf),
            Self::Pipe(stdin) => stdin.read(buf),
        }
    }
}

impl Recording {
    /// A WAV file, or standard input for `-`. `channel` is counted from 1; none is the mean of
    /// all.
    pub(crate) fn open(path: &Path, channel: Option<u16>) -> anyhow::Result<Self> {
        let (input, name) = if path == Path::new("-") {
            (Input::Pipe(io::stdin()), "standard input".to_owned())
        } else {
            let name = path.display().to_string();
            let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
            (Input::File(file), name)
        };
        let mut reader = WavReader::new(input).with_context(|| format!("cannot read {name}"))?;
        if let Some(channel) = channel {
            let chosen = reader.select(Channel::One(channel));
            chosen.with_context(|| format!("cannot read {name}"))?;
        }
        Ok(Self { name, reader })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn rate(&self) -> u32 {
        self.reader.format().rate
    }

    /// Seconds that the header promises.
    pub(crate) fn seconds(&self) -> Option<f64> {
        self.reader.frames().map(|frames| frames as f64 / f64::from(self.rate()))
    }

    /// Fills a block from the front; fewer samples than it has room for is the end.
    pub(crate) fn read(&mut self, block: &mut [f32]) -> anyhow::Result<usize> {
        let read = self.reader.read(block).with_context(|| format!("cannot read {}", self.name))?;
        if read < block.len() && self.reader.missing() > 0 {
            let missing = self.reader.missing() as f64 / f64::from(self.rate());
            eprintln!("morse: {} is cut off: {missing:.3} s of it are missing", self.name);
        }
        Ok(read)
    }
}
