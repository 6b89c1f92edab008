//! Finding keyed tones in sound: candidates, their frequency over time, the noise around them.

mod afc;
mod baseband;
mod candidates;
mod spectrum;
pub(crate) mod walk;

pub(crate) use afc::follow;
pub(crate) use baseband::{Baseband, Skirt, Track, mix, noise_near};
pub(crate) use candidates::{Candidate, candidates};
pub(crate) use spectrum::{Spectrum, median, quantile};
