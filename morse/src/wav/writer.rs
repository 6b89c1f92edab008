use std::io::{Seek, SeekFrom, Write};

use super::WavError;

/// How samples are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SampleFormat {
    /// 8 bits without sign.
    U8,
    /// 16 bits: what every program reads.
    #[default]
    I16,
    /// 24 bits.
    I24,
    /// 32 bits.
    I32,
    /// 32-bit floating point.
    F32,
}

impl SampleFormat {
    fn spec(self, sample_rate: u32) -> hound::WavSpec {
        let (bits_per_sample, sample_format) = match self {
            Self::U8 => (8, hound::SampleFormat::Int),
            Self::I16 => (16, hound::SampleFormat::Int),
            Self::I24 => (24, hound::SampleFormat::Int),
            Self::I32 => (32, hound::SampleFormat::Int),
            Self::F32 => (32, hound::SampleFormat::Float),
        };
        hound::WavSpec { channels: 1, sample_rate, bits_per_sample, sample_format }
    }
}

/// Writes a WAV file of one channel, to a pipe too.
///
/// Until [`WavWriter::finish_seekable`], and in a pipe for ever, the header says "of unknown
/// length" as ffmpeg does, so that a recording cut short is still read to its end.
#[derive(Debug)]
pub struct WavWriter<W> {
    writer: W,
    format: SampleFormat,
    header: u64,
    data: u64,
    buffer: Vec<u8>,
}

impl<W: Write> WavWriter<W> {
    /// Writes the header. `rate` is in samples a second.
    pub fn new(mut writer: W, rate: u32, format: SampleFormat) -> Result<Self, WavError> {
        if !(1_000..=768_000).contains(&rate) {
            let what = format!("{rate} samples a second; 1000 to 768000 can be written");
            return Err(WavError::Header(what));
        }
        let header = format.spec(rate).into_header_for_infinite_file();
        writer.write_all(&header)?;
        Ok(Self { writer, format, header: header.len() as u64, data: 0, buffer: Vec::new() })
    }

    /// Writes samples; what is beyond full scale is clipped.
    pub fn write(&mut self, samples: &[f32]) -> Result<(), WavError> {
        for block in samples.chunks(4096) {
            self.buffer.clear();
            for &sample in block {
                push(&mut self.buffer, self.format, sample.clamp(-1.0, 1.0));
            }
            self.writer.write_all(&self.buffer)?;
            self.data += self.buffer.len() as u64;
        }
        Ok(())
    }

    /// Ends a file of unknown length, as it is for a pipe.
    pub fn finish(mut self) -> Result<(), WavError> {
        Ok(self.writer.flush()?)
    }
}

impl<W: Write + Seek> WavWriter<W> {
    /// Ends the file and writes its length into the header.
    pub fn finish_seekable(mut self) -> Result<(), WavError> {
        if self.data % 2 == 1 {
            self.writer.write_all(&[0])?; // chunks are padded to even lengths
        }
        let riff = u32::try_from(self.header - 8 + self.data + self.data % 2);
        let data = u32::try_from(self.data);
        // Beyond 4 GiB the length stays unknown.
        if let (Ok(riff), Ok(data)) = (riff, data) {
            self.writer.seek(SeekFrom::Start(4))?;
            self.writer.write_all(&riff.to_le_bytes())?;
            self.writer.seek(SeekFrom::Start(self.header - 4))?;
            self.writer.write_all(&data.to_le_bytes())?;
            self.writer.seek(SeekFrom::End(0))?;
        }
        self.finish()
    }
}

fn push(buffer: &mut Vec<u8>, format: SampleFormat, sample: f32) {
    let sample = f64::from(sample); // NaN becomes 0 below
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clipped before")]
    match format {
        SampleFormat::U8 => buffer.push((sample * 127.0 + 128.0).round() as u8),
        SampleFormat::I16 => {
            buffer.extend_from_slice(&((sample * 32767.0).round() as i16).to_le_bytes());
        }
        SampleFormat::I24 => {
            let [low, middle, high, _] = ((sample * 8_388_607.0).round() as i32).to_le_bytes();
            buffer.extend_from_slice(&[low, middle, high]);
        }
        SampleFormat::I32 => {
            buffer.extend_from_slice(&((sample * 2_147_483_647.0).round() as i32).to_le_bytes());
        }
        SampleFormat::F32 => {
            let finite = if sample.is_nan() { 0.0 } else { sample as f32 };
            buffer.extend_from_slice(&finite.to_le_bytes());
        }
    }
}
