//! The modes, from the most patient to the fastest.

use super::{Band, Config};
use crate::packing::{BLOCK_BYTES, Packing};

/// Samples a second inside the modem; and inside one that has only `Plain`.
pub(crate) const RATE: u32 = 48_000;
pub(crate) const PLAIN_RATE: u32 = 8_000;

/// With fewer tones each of them would be used again before its echoes have died away.
const LEAST_TONES: usize = 8;

/// The most bytes of a packet in any mode.
pub const MAX_PACKET: usize = 1200;

/// How bytes are sent.
///
/// | mode | streams × tones, dot | band, kHz | net B/s | for |
/// |---|---|---|---|---|
/// | `Plain` | 1 × 1, 60 ms at 20 WPM | one tone | 0.8 | people, radio amateurs, any decoder |
/// | `Rescue` | 1 × 32, 4 ms | 1 to 9 | 9 | halls, noise |
/// | `Room` | 1 × 16, 2 ms | 1 to 9 | 24 | rooms |
/// | `Brisk` | 4 × 32, 4 ms | 1 to 9 | 50 | rooms, close by |
/// | `Fast` | 8 × 32, 4 ms | 1 to 9 | 104 | little echo, little noise |
/// | `Cable` | 32 × 32, 2 ms | 1 to 17 | 880 | cables |
///
/// Each stream is Morse of letters and digits with dots, dashes and gaps of 1-3-1-3; but for
/// `Plain` its tone changes with every dot length, so that an echo falls on a tone which
/// nobody listens to at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "those who step the mode step through all of them")]
pub enum Mode {
    /// One tone at the speed of the hand.
    Plain,
    /// One stream that hops over 32 tones.
    Rescue,
    /// One stream that hops over 16 tones.
    Room,
    /// Four streams over 32 tones.
    Brisk,
    /// Eight streams over 32 tones.
    Fast,
    /// A stream for each of 32 tones.
    Cable,
}

/// What a mode is like: see [`Mode::parameters`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Parameters {
    /// Streams of Morse at the same time.
    pub streams: usize,
    /// Tones over which they hop.
    pub tones: usize,
    /// The lowest tone, hertz.
    pub lowest: f64,
    /// From tone to tone, hertz.
    pub spacing: f64,
    /// A dot, seconds.
    pub dot: f64,
    /// What goes before the first letter, seconds.
    pub preamble: f64,
    /// Bytes a second of a long packet, but for its `overhead`.
    pub rate: f64,
    /// Bytes that would take as long as what a packet takes besides its own: preamble, header, check.
    pub overhead: f64,
    /// The largest packet worth sending, bytes: it takes some seconds.
    pub packet: usize,
    /// The pause between one station's packets and the other's, seconds: for echoes to die away, and
    /// for the sound to pass through two sound cards and be noticed.
    pub guard: f64,
}

impl Parameters {
    /// The largest packet worth sending where a burst is of so many, bytes. One that goes alone tries
    /// a mode that is new ([`Ladder::burst`](super::Ladder::burst)): it is short, so that a mode that
    /// is too slow, or too fast, is left soon.
    #[must_use]
    pub fn packet_in(&self, burst: u32) -> usize {
        if burst > 1 { self.packet } else { self.packet / TRIAL }
    }
}

/// What of a packet is enough to try a mode.
const TRIAL: usize = 4;

/// The part of a mode that the signal processing needs, in samples at `rate`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    pub(crate) mode: Mode,
    pub(crate) rate: u32,
    /// If it keeps to a band.
    pub(crate) band: Option<Band>,
    pub(crate) streams: usize,
    pub(crate) tones: usize,
    pub(crate) lowest: f64,
    pub(crate) spacing: f64,
    /// Samples of a dot.
    pub(crate) dot: usize,
    /// Tones from one dot to the next.
    pub(crate) stride: usize,
    /// The share of a packet that is data and not for correction, of 100.
    pub(crate) share: usize,
    /// Dot lengths of nothing after each block: a gap between words, for people.
    pub(crate) pause: usize,
}

impl Mode {
    /// All modes, the slowest first.
    pub const ALL: [Self; 6] =
        [Self::Plain, Self::Rescue, Self::Room, Self::Brisk, Self::Fast, Self::Cable];

    /// The name in options and meters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Rescue => "rescue",
            Self::Room => "room",
            Self::Brisk => "brisk",
            Self::Fast => "fast",
            Self::Cable => "cable",
        }
    }

    /// Its place in [`ALL`](Self::ALL), and on the air.
    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|&mode| mode == self).unwrap_or(0)
    }

    /// The mode of so many streams and tones, for `Plain` of this tone and speed.
    fn shape(self, plain: &super::Plain, rate: u32) -> Shape {
        let hopping = Shape {
            mode: self,
            rate,
            band: None,
            streams: 1,
            tones: 32,
            lowest: 1000.0,
            spacing: 250.0,
            dot: 192,
            stride: 13,
            share: 80,
            pause: 0,
        };
        match self {
            Self::Plain => Shape {
                tones: 1,
                lowest: plain.tone,
                spacing: 0.0,
                dot: (1.2 / plain.wpm * f64::from(rate) / 16.0).round() as usize * 16,
                stride: 0,
                pause: 4,
                ..hopping
            },
            Self::Rescue => Shape { share: 62, ..hopping },
            Self::Room => Shape { tones: 16, spacing: 500.0, dot: 96, stride: 7, ..hopping },
            Self::Brisk => Shape { streams: 4, share: 82, ..hopping },
            Self::Fast => Shape { streams: 8, share: 85, ..hopping },
            Self::Cable => {
                Shape { streams: 32, spacing: 500.0, dot: 96, stride: 7, share: 91, ..hopping }
            }
        }
    }

    /// What the mode is like where it has its tones by default. Tone and speed count for
    /// [`Mode::Plain`] only.
    #[must_use]
    pub fn parameters(self, plain: &super::Plain) -> Parameters {
        Config { plain: *plain, ..Config::new(RATE) }.parameters(self)
    }
}

impl Config {
    pub(crate) fn shape(&self, mode: Mode) -> Shape {
        let shape = mode.shape(&self.plain, self.inner_rate());
        let Some(band) = self.band.filter(|_| mode != Mode::Plain) else { return shape };
        let room = (band.width() / shape.spacing) as usize;
        // A power of two, so that the stride visits every tone.
        let tones = room.max(LEAST_TONES).ilog2().min(shape.tones.ilog2());
        let tones = 1 << tones;
        Shape {
            band: self.band,
            streams: (shape.streams * tones / shape.tones).max(1),
            tones,
            lowest: band.low + shape.spacing / 2.0,
            ..shape
        }
    }

    /// The narrowest [`band`](Self::band) that a mode fits into, hertz.
    #[must_use]
    pub fn needs_hertz(&self, mode: Mode) -> f64 {
        mode.shape(&self.plain, RATE).spacing * LEAST_TONES as f64
    }

    /// Whether there is room for a mode.
    #[must_use]
    pub fn has_room(&self, mode: Mode) -> bool {
        let is_plain = mode == Mode::Plain;
        let is_wide = self.band.is_none_or(|band| band.width() >= self.needs_hertz(mode));
        is_plain || self.inner_rate() == RATE && is_wide
    }

    /// What a mode is like in this modem.
    #[must_use]
    pub fn parameters(&self, mode: Mode) -> Parameters {
        let shape = self.shape(mode);
        let rate = f64::from(shape.rate);
        let dot = shape.dot as f64 / rate;
        let block = shape.block_units() as f64 * dot;
        let gross = BLOCK_BYTES as f64 * shape.streams as f64 / block;
        let preamble = super::preamble::Preamble::of(&shape).samples() as f64 / rate;
        let rate = gross * shape.share as f64 / 100.0;
        Parameters {
            streams: shape.streams,
            tones: shape.tones,
            lowest: shape.lowest,
            spacing: shape.spacing,
            dot,
            preamble,
            rate,
            overhead: preamble * rate + (BLOCK_BYTES * shape.share) as f64 / 100.0 + 4.0,
            guard: if mode == Mode::Cable { 0.1 } else { 0.2 },
            packet: super::coding::Layout::packet(
                &shape,
                match mode {
                    Mode::Plain => 12,
                    Mode::Rescue => 24,
                    Mode::Room => 33,
                    Mode::Brisk => 14,
                    Mode::Fast => 9,
                    // Half of the streams are for both directions at once: few seconds to wait.
                    Mode::Cable if shape.streams < 32 => 6,
                    Mode::Cable => 4,
                },
            ),
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl Shape {
    /// The tone of a stream in a dot length.
    pub(crate) fn tone(&self, unit: usize, stream: usize) -> usize {
        (unit % self.tones * self.stride + stream * (self.tones / self.streams)) % self.tones
    }

    pub(crate) fn hertz(&self, tone: usize) -> f64 {
        self.lowest + self.spacing * tone as f64
    }

    /// Dot lengths of a block and the pause after it.
    pub(crate) fn block_units(&self) -> usize {
        Packing::letters().units(BLOCK_BYTES) + self.pause
    }

    /// Bytes of a row: a block of each stream.
    pub(crate) fn row_bytes(&self) -> usize {
        BLOCK_BYTES * self.streams
    }

    /// The amplitude of one of several tones, so that their sum rarely leaves full scale.
    pub(crate) fn amplitude(&self) -> f64 {
        (0.7 / (self.streams as f64).sqrt()).min(if self.streams == 1 { 1.0 } else { 0.5 })
    }
}
