//! A modem: packets of bytes to Morse by sound, and back.
//!
//! Sans-IO: a [`Modulator`] takes packets and gives samples, a [`Demodulator`] takes samples and gives
//! [`Event`]s; time is counted in samples. A packet arrives whole and right or not at all (CRC-32
//! besides the error correction), so that a link that repeats what is lost can stand on it.
//!
//! A packet is a preamble, by which the receiver finds the beginning and knows the
//! [`Mode`]; a header with a code of its own; and blocks of letters, one for each stream at a time.
//! Hence stations may change the mode with every packet: [`Ladder`] chooses it by what arrives.
//!
//! # On the air
//!
//! - *Preamble*: a linear sweep and 4 ms of nothing. `Rescue` 0.9 to 9.1 kHz in 80 ms, `Room` 9.1 to
//!   0.9 kHz in 64 ms, `Brisk` up in 48 ms, `Fast` down in 40 ms, `Cable` 0.9 to 16.9 kHz in 24 ms. `Plain`
//!   has `-.-.-` and a gap of 7 dot lengths.
//! - *Hopping*: of K tones and P streams, stream s is on tone (h·u + s·K/P) mod K in dot length u, counted
//!   from the header's first; h is 13 for dots of 4 ms and 7 for those of 2 ms.
//! - *Band*, if both stations say one: K is the largest power of two, from 8 to the mode's, for which the tones have room
//!   (250 Hz each, 500 in `Room` and `Cable`), P less in proportion and at least 1. The lowest tone is half
//!   of that above the band's lower limit, and sweeps go from limit to limit.
//! - *Blocks* of 8 bytes are 130 dot lengths of letters and digits (see [`packing`](crate::packing)). They
//!   are dealt out to the streams in turn, row after row; `Plain` makes a pause of 4 dot lengths after each.
//! - *Header*, the first block: 11 bits of length, 3 of the wished mode (7 is none), 2 for the user, from the
//!   lowest; two bytes, the higher first, and 6 of Reed-Solomon parity, XOR `5a3c96e10fb478d2`.
//! - *Packet*: its bytes and their CRC-32 (IEEE, low byte first), XOR the high bytes of a xorshift32 generator
//!   (13, 17, 5) begun with `1d872b41`; n rows, the fewest of which the packet with its check is no more than the
//!   mode's share (80 %; `Rescue` 62, `Brisk` 82, `Fast` 85, `Cable` 91), are filled with it and parity.
//!   The fewest codewords of at most 255 bytes that hold all of it take a byte each in turn, of data and of the whole.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "samples, dot lengths and bytes of a packet are far below 2^52 and never negative"
)]

mod band;
mod coding;
mod demodulator;
mod header;
mod ladder;
mod levels;
mod mode;
mod modulator;
mod preamble;
mod reception;
mod reed_solomon;
mod search;
mod signal;
mod trellis;

use thiserror::Error;

pub use band::Band;
pub use demodulator::{Demodulator, Event, Packet};
pub use ladder::Ladder;
pub use mode::{MAX_PACKET, Mode, Parameters};
pub use modulator::{Letter, Modulator, Note};

/// Tone and speed of [`Mode::Plain`], which both stations have to agree on.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "made by hand, with ..Plain::default()")]
pub struct Plain {
    /// Words per minute (PARIS), 5 to 60.
    pub wpm: f64,
    /// The tone in hertz, 300 to 3000.
    pub tone: f64,
}

impl Default for Plain {
    /// 20 WPM at 700 Hz.
    fn default() -> Self {
        Self { wpm: 20.0, tone: 700.0 }
    }
}

/// What a modem is told about its sound.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Samples a second on the outside, 8,000 to 192,000. Hopping modes need 32,000, `Cable` 44,100;
    /// below 16,000 there is only `Plain`, for a sixth of the work.
    pub rate: u32,
    /// The peak level of what is sent, in dB below full scale, −60 to 0.
    pub level_db: f64,
    /// How [`Mode::Plain`] sounds.
    pub plain: Plain,
    /// Where the tones lie, if not where each mode has them; both stations have to agree on it. A mode has
    /// as many of its tones as there is room for, at least 8, and streams in proportion; see
    /// [`needs_hertz`](Self::needs_hertz). `Plain` stays on its tone.
    pub band: Option<Band>,
}

impl Config {
    /// Sound at this sample rate, at −3 dB.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self { rate, level_db: -3.0, plain: Plain::default(), band: None }
    }

    /// Samples a second inside.
    fn inner_rate(&self) -> u32 {
        if self.rate < 16_000 { mode::PLAIN_RATE } else { mode::RATE }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !(8_000..=192_000).contains(&self.rate) {
            return Err(ConfigError::Rate(self.rate));
        }
        if !(-60.0..=0.0).contains(&self.level_db) {
            return Err(ConfigError::Level(self.level_db));
        }
        if !(5.0..=60.0).contains(&self.plain.wpm) {
            return Err(ConfigError::Speed(self.plain.wpm));
        }
        if !(300.0..=3000.0).contains(&self.plain.tone) {
            return Err(ConfigError::Tone(self.plain.tone));
        }
        if let Some(Band { low, high }) = self.band {
            let highest = f64::from(self.rate.min(mode::RATE)) * 0.45;
            if !(low >= 200.0 && low < high && high <= highest) {
                return Err(ConfigError::Band { low, high, rate: self.rate, highest });
            }
        }
        Ok(())
    }
}

/// Why there is no such modem.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The sample rate is out of range.
    #[error("a sample rate of {0} Hz is out of range: choose from 8000 to 192000, such as 48000")]
    Rate(u32),
    /// The level is out of range.
    #[error("a level of {0} dB is out of range: choose from -60 to 0, where 0 is full scale")]
    Level(f64),
    /// The speed of plain Morse is out of range.
    #[error("{0} WPM is out of range: choose a speed from 5 to 60 words per minute")]
    Speed(f64),
    /// The tone of plain Morse is out of range.
    #[error("a tone of {0} Hz is out of range: choose from 300 to 3000")]
    Tone(f64),
    /// The band is none, or there is no such sound.
    #[error(
        "a band from {low} to {high} Hz cannot be: at {rate} samples a second it has to lie between \
         200 and {highest} Hz"
    )]
    Band {
        /// Its lower limit.
        low: f64,
        /// Its upper limit.
        high: f64,
        /// Samples a second.
        rate: u32,
        /// The highest upper limit: 0.45 of the rate, which sound cards let through.
        highest: f64,
    },
}

/// Why a packet cannot be sent.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// More than [`MAX_PACKET`].
    #[error("a packet of {0} bytes is too long: send at most {MAX_PACKET} at once")]
    TooLong(usize),
    /// The sound has too few samples a second for the mode, or its band is too narrow.
    #[error("{mode} does not fit into this band: it needs {hertz} Hz")]
    Mode {
        /// The mode.
        mode: Mode,
        /// What it needs, hertz.
        hertz: f64,
    },
}
