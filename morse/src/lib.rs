//! International Morse by sound, for people and for programs.
//!
//! Text becomes keying, keying becomes sound; and back. Everything but
//! files and the sound card is *sans-IO*: samples in, events out, no clock, no thread, so that a
//! test needs neither time nor hardware.
//!
//! | module | what is in it |
//! |---|---|
//! | [`alphabet`] | ITU-R M.1677-1 letters, digits, punctuation, prosigns; accented letters |
//! | [`text`] | text to [`Symbol`](alphabet::Symbol)s and spaces, with prosigns as `<AR>` |
//! | [`timing`] | words per minute (PARIS), Farnsworth spacing, weight |
//! | [`keyer`] | symbols to key down and key up, by machine or by a human fist |
//! | [`synth`] | keying to sound without clicks |
//! | [`decoder`] | sound to text, blind to tone and speed: a whole recording, or live |
//! | [`channel`] | a simulated air: noise, fading, echoes, other stations |
//! | [`resample`] | sample-rate conversion by any ratio |
//! | [`packing`] | bytes as letters and digits |
//! | [`modem`] | packets of bytes to sound, and back |
//! | [`noise`] | seeded randomness |
//! | `transport` | `morse:`, a reliable stream of bytes, with the feature `transport` |
//! | `audio` | the sound card, with the feature `audio` |
//! | [`wav`] | WAV files, streaming, however broken |
//!
//! ```
//! use ipfi_morse::{alphabet::Code, timing::Timing};
//!
//! let v = Code::of('V').unwrap();
//! assert_eq!(v.to_string(), "...-");
//! let timing = Timing::new(20.0)?;
//! assert!((timing.dot() - 0.060).abs() < 1e-12);
//! # Ok::<(), ipfi_morse::timing::TimingError>(())
//! ```

#![allow(
    clippy::cast_precision_loss,
    reason = "counts of samples, bins and steps stay far below 2^52"
)]

pub mod alphabet;
#[cfg(feature = "audio")]
pub mod audio;
pub mod channel;
pub mod decoder;
mod detector;
pub mod keyer;
pub mod modem;
pub mod noise;
pub mod packing;
pub mod resample;
pub mod synth;
pub mod text;
pub mod timing;
#[cfg(all(feature = "transport", unix))]
pub mod transport;
pub mod wav;
