//! A simulated air: what happens to sound between a key and a receiver.
//!
//! An [`Air`] says what the air is like; a [`Channel`] is one pass through it, repeatable by its
//! seed. SNR is the power of the tone with the key down over the power of the noise in 2500 Hz, in
//! dB, here and everywhere in this crate.
//!
//! ```
//! use ipfi_morse::channel::{Air, Channel};
//!
//! let air: Air = "snr=-3,fade=12/5,carrier=900/-3".parse()?;
//! let mut channel = Channel::new(&air, 8000, 1)?;
//! let mut heard = Vec::new();
//! channel.process(&[0.0; 8000], &mut heard); // one second of silence becomes noise
//! assert_eq!(heard.len(), 8000);
//! # Ok::<(), ipfi_morse::channel::AirError>(())
//! ```
//!
//! The order is that of the world: the transmitter (chirp, drift), the way (fading, room), what
//! others add (stations, noise, clicks, hum, voices), the receiver (level, clipping, clock,
//! drop-outs).

use thiserror::Error;

use crate::noise::Noise;

mod air;
mod receiver;
mod sources;
mod way;

pub use air::{Air, Disturbance, Dropouts, Fading, NoiseColour, Room};

/// Why there is no such [`Air`].
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum AirError {
    /// A number out of its range.
    #[error("{name} {value} is out of range: choose from {min} to {max}")]
    Range {
        /// What the number is for.
        name: &'static str,
        /// The number.
        value: f64,
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
    /// Not a number where one is wanted.
    #[error("`{value}` in `{item}` is not a number")]
    Number {
        /// The part that is no number.
        value: String,
        /// The whole item.
        item: String,
    },
    /// A key that there is not.
    #[error("there is no `{key}` in the air: choose from {}", Air::KEYS)]
    Key {
        /// The key.
        key: String,
    },
    /// Too few or too many numbers.
    #[error("`{item}` is not complete: write {usage}")]
    Usage {
        /// The item.
        item: String,
        /// How it is written.
        usage: &'static str,
    },
}

/// One pass through an [`Air`].
#[derive(Debug)]
pub struct Channel {
    way: way::Way,
    sources: Vec<sources::Source>,
    receiver: receiver::Receiver,
    /// What comes out of the air before the receiver, kept to save allocations.
    block: Vec<f32>,
}

impl Channel {
    /// A pass through the air at this sample rate. The same seed gives the same.
    pub fn new(air: &Air, rate: u32, seed: u64) -> Result<Self, AirError> {
        air.check(rate)?;
        let rate = f64::from(rate);
        // Each part has a source of its own, so that more fading does not change the noise.
        let mut seeds = fastrand::Rng::with_seed(seed);
        let mut noise = || Noise::new(seeds.u64(..));
        Ok(Self {
            way: way::Way::new(air, rate, &mut noise),
            sources: sources::Source::all(air, rate, &mut noise),
            receiver: receiver::Receiver::new(air, rate, noise()),
            block: Vec::new(),
        })
    }

    /// Takes sound and appends what is heard of it. As much comes out as goes in, but for a wrong
    /// clock and for drop-outs that lose samples.
    pub fn process(&mut self, sound: &[f32], heard: &mut Vec<f32>) {
        for part in sound.chunks(4096) {
            self.block.clear();
            for &sample in part {
                let mut value = self.way.pass(f64::from(sample));
                for source in &mut self.sources {
                    value += source.next();
                }
                #[expect(clippy::cast_possible_truncation, reason = "sound is f32")]
                self.block.push(value as f32);
            }
            self.receiver.hear(&mut self.block, heard);
        }
    }

    /// Appends what is still on its way in the receiver. Feed silence before to hear echoes end.
    pub fn finish(mut self, heard: &mut Vec<f32>) {
        self.receiver.finish(heard);
    }
}
