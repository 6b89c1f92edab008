use std::io::Read;

use super::WavError;
use super::header::{self, Format};

/// Which of the channels of a file to hear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Channel {
    /// The mean of all.
    #[default]
    Mix,
    /// One of them, counted from 1.
    One(u16),
}

/// Bytes read at once. A frame is at most 1024 channels of 8 bytes.
const BLOCK: usize = 32 * 1024;

/// Reads a WAV file as one channel of `f32`, full scale being −1 to 1.
///
/// Needs nothing of the reader but bytes in order, so a pipe will do; buffers by itself.
pub struct WavReader<R> {
    reader: R,
    format: Format,
    channel: Channel,
    /// Bytes of samples still to come by the header, if it says.
    left: Option<u64>,
    frames: Option<u64>,
    missing: u64,
    block: Box<[u8]>,
    /// The part of `block` that is read but not converted.
    ready: std::ops::Range<usize>,
}

impl<R> std::fmt::Debug for WavReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { format, channel, left, .. } = self;
        f.debug_struct("WavReader")
            .field("format", format)
            .field("channel", channel)
            .field("left", left)
            .finish_non_exhaustive()
    }
}

impl<R: Read> WavReader<R> {
    /// Reads the header.
    pub fn new(mut reader: R) -> Result<Self, WavError> {
        let (format, left) = header::read(&mut reader)?;
        Ok(Self {
            reader,
            format,
            channel: Channel::Mix,
            left,
            frames: left.map(|bytes| bytes / format.frame() as u64),
            missing: 0,
            block: vec![0; BLOCK].into(),
            ready: 0..0,
        })
    }

    /// Chooses what to hear of a file with several channels.
    pub fn select(&mut self, channel: Channel) -> Result<(), WavError> {
        let channels = self.format.channels;
        if let Channel::One(wanted) = channel
            && !(1..=channels).contains(&wanted)
        {
            return Err(WavError::Channel { wanted, channels });
        }
        self.channel = channel;
        Ok(())
    }

    /// What the samples of the file are.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// How many samples a channel there should be by the header, if it says.
    #[must_use]
    pub fn frames(&self) -> Option<u64> {
        self.frames
    }

    /// How many samples a channel the file lacks of what its header promises: known at its end.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Fills `out` from the front and says how many samples that were. Zero means the end, which
    /// a cut-off file reaches early and without an error: see [`WavReader::missing`].
    ///
    /// Numbers that are none (NaN, infinite) are read as silence.
    pub fn read(&mut self, out: &mut [f32]) -> Result<usize, WavError> {
        let frame = self.format.frame();
        let mut done = 0;
        while done < out.len() {
            if self.ready.len() < frame && !self.refill()? {
                break;
            }
            let bytes = &self.block[self.ready.clone()];
            let mut used = 0;
            for (sample, bytes) in out.iter_mut().skip(done).zip(bytes.chunks_exact(frame)) {
                *sample = mono(self.format, self.channel, bytes);
                used += 1;
            }
            self.ready.start += used * frame;
            done += used;
        }
        Ok(done)
    }

    /// Reads a block behind what is left of the last one; false at the end.
    fn refill(&mut self) -> Result<bool, WavError> {
        let kept = self.ready.len();
        self.block.copy_within(self.ready.clone(), 0);
        let room = (self.block.len() - kept) as u64;
        let wanted = usize::try_from(self.left.unwrap_or(room).min(room)).unwrap_or_default();
        let got = header::fill(&mut self.reader, &mut self.block[kept..kept + wanted])?;
        self.ready = 0..kept + got;
        if let Some(left) = &mut self.left {
            *left -= got as u64;
            if got < wanted {
                self.missing = left.div_ceil(self.format.frame() as u64);
                *left = 0;
            }
        }
        Ok(self.ready.len() >= self.format.frame())
    }
}

/// One sample of what is heard of a frame.
fn mono(format: Format, channel: Channel, frame: &[u8]) -> f32 {
    let width = usize::from(format.bits / 8);
    let mut samples = frame.chunks_exact(width).map(|bytes| sample(format.float, bytes));
    match channel {
        Channel::One(n) => samples.nth(usize::from(n.saturating_sub(1))).unwrap_or(0.0),
        Channel::Mix if format.channels == 1 => samples.next().unwrap_or(0.0),
        Channel::Mix => samples.sum::<f32>() / f32::from(format.channels),
    }
}

fn sample(float: bool, bytes: &[u8]) -> f32 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "sound is f32"
    )]
    let value = match (float, bytes.len()) {
        (false, 1) => (f32::from(bytes[0]) - 128.0) / 128.0,
        (false, n) => {
            // Whole numbers of any width, moved up to fill 32 bits
            let mut wide = [0; 4];
            wide[4 - n..].copy_from_slice(bytes);
            i32::from_le_bytes(wide) as f32 / 2_147_483_648.0
        }
        (true, 4) => f32::from_le_bytes(bytes.try_into().unwrap_or_default()),
        (true, _) => f64::from_le_bytes(bytes.try_into().unwrap_or_default()) as f32,
    };
    // A level a thousand times full scale is a fault of the file, and its square must not overflow.
    if value.is_finite() { value.clamp(-1000.0, 1000.0) } else { 0.0 }
}
