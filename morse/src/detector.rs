//! Finding keyed tones in sound: candidates, their frequency over time, the noise around them.
//!
//! | file | what it does |
//! |---|---|
//! | `spectrum` | short-time power spectra, Hann window, scaled to noise density |
//! | `candidates` | tones whose level changes: peaks of the deviation of the logarithm of power |
//! | `baseband` | a tone mixed to zero frequency in short frames, and the noise beside it |
//! | `neighbours` | other tones that come through where the wanted one is silent |
//! | `afc` | automatic frequency control: a drifting tone, by the turn of its phase |
//! | `walk` | smoothing of what wanders: Kalman filter and smoother of a random walk |
//!
//! The smoother is that of Rauch, Tung and Striebel (AIAA Journal 3, 1965); how fast the walk is,
//! is chosen by likelihood, so that a steady oscillator is left alone.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "bins, samples and seconds are far below 2^52 and never negative"
)]

mod afc;
mod baseband;
mod candidates;
mod neighbours;
mod spectrum;
pub(crate) mod walk;

pub(crate) use afc::{follow, purity};
pub(crate) use baseband::{Baseband, Skirt, Track, mix, noise_near};
pub(crate) use candidates::candidates;
pub(crate) use neighbours::without_neighbours;
pub(crate) use spectrum::{Spectrum, median};
