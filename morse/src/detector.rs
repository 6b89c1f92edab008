//! Finding keyed tones in sound: candidates, their frequency over time, the noise around them.

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
mod spectrum;
pub(crate) mod walk;

pub(crate) use afc::{follow, purity};
pub(crate) use baseband::{Baseband, Skirt, Track, mix, noise_near};
pub(crate) use candidates::candidates;
pub(crate) use spectrum::{Spectrum, median};
