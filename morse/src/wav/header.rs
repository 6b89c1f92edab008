//! The head of a WAV file, up to the first sample.

use std::io::{self, Read};

use super::WavError;

/// What the samples of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Format {
    /// Samples a second, 1000 to 768 000.
    pub rate: u32,
    /// Channels, 1 to 1024.
    pub channels: u16,
    /// Bits of a sample as it is stored: 8, 16, 24, 32 or 64.
    pub bits: u16,
    /// Whether the samples are floating point.
    pub float: bool,
}

impl Format {
    /// Bytes of one sample of every channel.
    pub(super) fn frame(self) -> usize {
        usize::from(self.channels) * usize::from(self.bits / 8)
    }
}

/// Lengths from here on are what programs write that do not know the length: 2 GiB less a little
/// (arecord, sox) to 4 GiB less one byte (ffmpeg).
const UNKNOWN: u64 = 0x7fff_0000;

/// The longest chunk before the sound that is passed over.
const LONGEST_SKIP: u64 = 64 << 20;

/// Reads up to the first sample. Also says how many bytes of samples there should be, if it is
/// known.
pub(super) fn read(reader: &mut impl Read) -> Result<(Format, Option<u64>), WavError> {
    let mut head = [0; 12];
    let got = fill(reader, &mut head)?;
    if got == 0 {
        return Err(WavError::Empty);
    }
    let known = [b"RIFF", b"RF64", b"BW64"].iter().any(|mark| head.starts_with(*mark));
    if !(known && head.ends_with(b"WAVE")) {
        return Err(if known && got < head.len() {
            WavError::CutOff
        } else {
            other_kind(&head[..got]).map_or(WavError::NotWav, WavError::Other)
        });
    }
    let riff_length = u64::from(little(&head[4..8]));
    let mut position = 4; // within what `riff_length` counts
    let mut format = None;
    let mut long_length = None;
    loop {
        let mut chunk = [0; 8];
        exactly(reader, &mut chunk)?;
        position += 8;
        let length = u64::from(little(&chunk[4..]));
        let mut left = length + length % 2; // chunks are padded to even lengths
        match &chunk[..4] {
            b"data" => {
                let format = format.ok_or(WavError::NoFormat)?;
                let bytes = match (length, long_length) {
                    (0xffff_ffff, Some(long)) => Some(long),
                    // A recorder that was killed leaves zero behind, in one way or another.
                    (0, _) if riff_length <= position || riff_length >= UNKNOWN => None,
                    (length, _) if length >= UNKNOWN => None,
                    (length, _) => Some(length),
                };
                return Ok((format, bytes));
            }
            b"fmt " => {
                let mut body = [0; 40];
                let wanted = usize::try_from(length).unwrap_or(40).min(40);
                exactly(reader, &mut body[..wanted])?;
                left -= wanted as u64;
                format = Some(parse_format(&body[..wanted])?);
            }
            b"ds64" if length >= 16 => {
                let mut body = [0; 16];
                exactly(reader, &mut body)?;
                left -= 16;
                long_length =
                    Some(u64::from(little(&body[8..12])) | u64::from(little(&body[12..])) << 32);
            }
            _ => {}
        }
        if left > LONGEST_SKIP {
            let what = format!("a chunk of {length} bytes comes before the sound");
            return Err(WavError::Header(what));
        }
        skip(reader, left)?;
        position += length + length % 2;
    }
}

fn parse_format(body: &[u8]) -> Result<Format, WavError> {
    if body.len() < 16 {
        return Err(WavError::Header("the description of the format is too short".into()));
    }
    let word = |at: usize| u16::from_le_bytes([body[at], body[at + 1]]);
    let (tag, channels, rate) = (word(0), word(2), little(&body[4..8]));
    let (align, bits) = (word(12), word(14));
    // WAVE_FORMAT_EXTENSIBLE: the true tag begins the GUID
    let tag = if tag == 0xfffe && body.len() >= 26 { word(24) } else { tag };
    let float = match tag {
        1 => false,
        3 => true,
        tag => return Err(WavError::Compressed { name: compression(tag), tag }),
    };
    let wrong = |what: String| Err(WavError::Header(what));
    if !(1..=1024).contains(&channels) {
        return wrong(format!("{channels} channels; 1 to 1024 can be read"));
    }
    if !(1_000..=768_000).contains(&rate) {
        return wrong(format!("{rate} samples a second; 1000 to 768000 can be read"));
    }
    // Samples of 12 or 20 bits are stored in whole bytes, and 24 sometimes in four.
    let bytes =
        if align > 0 && align % channels == 0 { align / channels } else { bits.div_ceil(8) };
    let wrong_bits = |readable| {
        let kind = if float { "floating point" } else { "whole numbers" };
        wrong(format!("{kind} of {bits} bits in {bytes} bytes; {readable} can be read"))
    };
    match (float, bytes) {
        (false, 1..=4) | (true, 4 | 8) if bits <= bytes * 8 => {
            Ok(Format { rate, channels, bits: bytes * 8, float })
        }
        (false, _) => wrong_bits("8, 16, 24 and 32 bits"),
        (true, _) => wrong_bits("32 and 64 bits"),
    }
}

/// Up to four bytes, the lowest first.
fn little(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte))
}

fn compression(tag: u16) -> &'static str {
    match tag {
        0x0002 | 0x0011 => "ADPCM",
        0x0006 => "A-law",
        0x0007 => "mu-law",
        0x0031 => "GSM",
        0x0050 | 0x0055 => "MPEG audio",
        0x00ff | 0x1610 => "AAC",
        _ => "an unknown compression",
    }
}

/// What a file is whose extension lies, by its first bytes.
fn other_kind(head: &[u8]) -> Option<&'static str> {
    let magic: &[(&[u8], &str)] = &[
        (b"fLaC", "FLAC"),
        (b"OggS", "Ogg"),
        (b"ID3", "MP3"),
        (b"\xff\xfb", "MP3"),
        (b"\xff\xf3", "MP3"),
        (b"FORM", "AIFF"),
        (b"RIFX", "a big-endian WAV file"),
        (b".snd", "a Sun audio file"),
        (b"caff", "a Core Audio file"),
        (b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
        (b"RIFF", "another file of the RIFF family"),
    ];
    let named = magic.iter().find(|(magic, _)| head.starts_with(magic)).map(|&(_, name)| name);
    named.or_else(|| (head.get(4..8) == Some(b"ftyp")).then_some("MP4"))
}

/// Reads as many bytes as there are, up to the length of `buf`.
pub(super) fn fill(reader: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match reader.read(&mut buf[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

fn exactly(reader: &mut impl Read, buf: &mut [u8]) -> Result<(), WavError> {
    if fill(reader, buf)? < buf.len() { Err(WavError::CutOff) } else { Ok(()) }
}

fn skip(reader: &mut impl Read, mut bytes: u64) -> Result<(), WavError> {
    let mut scratch = [0; 4096];
    while bytes > 0 {
        let part = usize::try_from(bytes).map_or(scratch.len(), |n| n.min(scratch.len()));
        exactly(reader, &mut scratch[..part])?;
        bytes -= part as u64;
    }
    Ok(())
}
