//! WAV files: sound from and to disks and pipes.
//!
//! [`WavReader`] reads what recorders write, not only what the standard allows: cut-off files,
//! lengths of zero or 4 GiB as pipes have them, RF64, odd chunks. It holds one block, however
//! long the file is. It has a header parser of its own because `hound`, which makes the headers of
//! [`WavWriter`], refuses such files.
//!
//! ```
//! use std::io::Cursor;
//! use ipfi_morse::wav::{SampleFormat, WavReader, WavWriter};
//!
//! let mut file = Cursor::new(Vec::new());
//! let mut writer = WavWriter::new(&mut file, 8000, SampleFormat::I16)?;
//! writer.write(&[0.0, 0.5, -0.5])?;
//! writer.finish_seekable()?;
//!
//! let mut reader = WavReader::new(file.get_ref().as_slice())?;
//! assert_eq!(reader.format().rate, 8000);
//! let mut block = [0.0; 16];
//! assert_eq!(reader.read(&mut block)?, 3);
//! assert!((block[1] - 0.5).abs() < 1e-4);
//! # Ok::<(), ipfi_morse::wav::WavError>(())
//! ```

use std::io;

use thiserror::Error;

mod header;
mod reader;
mod writer;

pub use header::Format;
pub use reader::{Channel, WavReader};
pub use writer::{SampleFormat, WavWriter};

/// Why a WAV file cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WavError {
    /// The file or pipe failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is some other kind of file.
    #[error("not a WAV file but {0}: convert it first, for example with `ffmpeg -i FILE out.wav`")]
    Other(&'static str),
    /// It has not the marks of a WAV file, nor of another kind that is known.
    #[error("not a WAV file: it does not begin with RIFF and WAVE")]
    NotWav,
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// It ends before the sound begins.
    #[error("the WAV file is cut off in its header: record or copy it again")]
    CutOff,
    /// The sound comes before the description of its format, or there is none.
    #[error("the WAV file does not say its format before its sound")]
    NoFormat,
    /// It is compressed.
    #[error(
        "the WAV file holds {name} (format {tag:#06x}), not plain samples: convert it first, for \
         example with `ffmpeg -i FILE -c:a pcm_s16le out.wav`"
    )]
    Compressed {
        /// The name of the format, if known.
        name: &'static str,
        /// Its number in the header.
        tag: u16,
    },
    /// The numbers in the header make no sense.
    #[error("the WAV header is wrong: {0}")]
    Header(String),
    /// There is no such channel.
    #[error("there is no channel {wanted}: the file has {channels}")]
    Channel {
        /// The channel asked for, from 1.
        wanted: u16,
        /// How many the file has.
        channels: u16,
    },
}
