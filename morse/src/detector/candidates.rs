//! Which tones may be keyed: peaks of fluctuation, not of power.
//!
//! A steady carrier has much power that never changes; noise changes little about its mean. A
//! keyed tone changes between both, so its deviation over time stands out.

use super::spectrum::{Spectrum, median};

/// A tone that may carry Morse.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Its frequency.
    pub hz: f64,
    /// How much its level changes, against the same measure of the noise around: 1 is noise.
    pub contrast: f32,
}

/// The lowest tone looked for, Hz.
const LOWEST_HZ: f64 = 120.0;
/// Below this part of the strongest tone's power there is nothing but its own imperfections.
const FAINTEST: f32 = 1e-6;
/// Peaks nearer than this to a higher one are its own side bands, bins.
const APART: f64 = 2.9;

/// The likeliest tones, the one that stands out most first; at most `limit`.
pub(crate) fn candidates(spectrum: &Spectrum, limit: usize) -> Vec<Candidate> {
    let (bins, frames) = (spectrum.bins, spectrum.frames());
    let lowest = ((LOWEST_HZ / spectrum.bin_hz).ceil() as usize).max(2);
    if bins < lowest + 8 {
        return Vec::new();
    }
    let floor = noise_shape(spectrum);
    let mut sum = vec![0.0_f32; bins];
    let mut square = vec![0.0_f32; bins];
    let mut scratch = vec![0.0_f32; bins];
    for frame in 0..frames {
        let power = spectrum.frame(frame);
        for ((s, p), f) in scratch.iter_mut().zip(power).zip(&floor) {
            *s = p / f;
        }
        // A click lifts all bins of its frame; measured against itself it is no event.
        let burst = (median(&mut scratch[lowest..]) / std::f32::consts::LN_2).max(1.0);
        for bin in 0..bins {
            let level = (1.0 + 0.5 * power[bin] / (floor[bin] * burst)).ln();
            sum[bin] += level;
            square[bin] += level * level;
        }
    }
    let n = frames as f32;
    let deviation: Vec<f32> =
        sum.iter().zip(&square).map(|(s, q)| (q / n - (s / n) * (s / n)).max(0.0).sqrt()).collect();
    let usual = median(&mut deviation[lowest..].to_vec()).max(1e-6);
    let mut found: Vec<Candidate> = Vec::new();
    let mean = |bin: usize| (0..frames).map(|t| spectrum.at(t, bin)).sum::<f32>();
    let least = (lowest..bins).map(mean).fold(0.0, f32::max) * FAINTEST;
    for bin in lowest..bins - 1 {
        let here = deviation[bin];
        if here < deviation[bin - 1] || here < deviation[bin + 1] || mean(bin) < least {
            continue;
        }
        found.push(Candidate { hz: peak_hz(spectrum, bin), contrast: here / usual });
    }
    found.sort_by(|a, b| b.contrast.total_cmp(&a.contrast));
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in found {
        if kept.len() < limit
            && kept.iter().all(|k| (k.hz - candidate.hz).abs() > APART * spectrum.bin_hz)
        {
            kept.push(candidate);
        }
    }
    kept
}

/// The usual power of each bin, taken over its neighbours so that a carrier does not count.
fn noise_shape(spectrum: &Spectrum) -> Vec<f32> {
    let (bins, frames) = (spectrum.bins, spectrum.frames());
    let step = frames.div_ceil(200);
    let mut column = Vec::with_capacity(frames / step + 1);
    let mut usual = Vec::with_capacity(bins);
    let mut top = 0.0_f32;
    for bin in 0..bins {
        column.clear();
        column.extend((0..frames).step_by(step).map(|t| spectrum.at(t, bin)));
        top = column.iter().copied().fold(top, f32::max);
        usual.push(median(&mut column));
    }
    let reach = 10;
    let least = (top * 1e-6).max(f32::MIN_POSITIVE);
    (0..bins)
        .map(|bin| {
            let mut around = usual[bin.saturating_sub(reach)..(bin + reach + 1).min(bins)].to_vec();
            (median(&mut around) / std::f32::consts::LN_2).max(least)
        })
        .collect()
}

/// The frequency of a peak between bins, from the mean power of its neighbours.
fn peak_hz(spectrum: &Spectrum, bin: usize) -> f64 {
    let mean = |b: usize| -> f64 {
        (0..spectrum.frames()).map(|t| f64::from(spectrum.at(t, b))).sum::<f64>().max(1e-30).ln()
    };
    let (left, here, right) = (mean(bin - 1), mean(bin), mean(bin + 1));
    let bend = left - 2.0 * here + right;
    let shift = if bend < 0.0 { (0.5 * (left - right) / bend).clamp(-1.0, 1.0) } else { 0.0 };
    (bin as f64 + shift) * spectrum.bin_hz
}
