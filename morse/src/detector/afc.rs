//! Following a tone that drifts.

use rustfft::num_complex::{Complex32, Complex64};

use super::baseband::Track;
use super::walk::{self, Sample};

/// Length of a block that is measured at once, seconds.
const BLOCK: f64 = 0.5;
/// A wander of less than this is none, Hz: the reading does not mind it.
const NEGLIGIBLE_HZ: f64 = 2.5;

/// Where the tone is that was mixed down along `track`; `None` if it is there.
///
/// The turn of the phase from frame to frame, weighted by power, is the distance of the tone from
/// zero. It is smoothed as a random walk that is as fast as the measurements ask for.
pub(crate) fn follow(
    frames: &[Complex32],
    frame_seconds: f64,
    track: &Track,
    stretch: f64,
) -> Option<Track> {
    let block = ((BLOCK / frame_seconds).round() as usize).max(4);
    let to_hz = 1.0 / (std::f64::consts::TAU * frame_seconds);
    let mut blocks = Vec::new();
    for (index, part) in frames.chunks(block).enumerate() {
        let mut turn = Complex64::default();
        let mut power = 0.0;
        for pair in part.windows(2) {
            let product = pair[1] * pair[0].conj();
            turn += Complex64::new(f64::from(product.re), f64::from(product.im));
            power += f64::from(pair[0].norm_sqr() + pair[1].norm_sqr()) * 0.5;
        }
        let at = (index as f64 * block as f64 + part.len() as f64 / 2.0) * frame_seconds;
        blocks.push((at, turn, power, part.len()));
    }
    let usual = blocks.iter().map(|b| b.2).sum::<f64>() / blocks.len().max(1) as f64;
    let samples: Vec<Sample> = blocks
        .iter()
        .filter(|b| b.2 > 0.05 * usual)
        .map(|&(at, turn, power, length)| {
            let coherence = (turn.norm() / power).clamp(0.01, 0.999);
            // Few of the frames hold most of the power: count them for a quarter.
            let count = length as f64 / 4.0;
            let spread = (1.0 - coherence * coherence) / (2.0 * coherence * coherence * count);
            // A block without marks tells of something else than the tone.
            let weak = (usual / power).max(1.0).powi(2);
            let variance = (spread * to_hz * to_hz + 0.05) * weak * weak;
            Sample { at, value: turn.arg() * to_hz, variance }
        })
        .collect();
    if samples.len() < 3 {
        return None;
    }
    let (smooth, rate) = walk::smooth(&samples, &[0.0, 0.3, 3.0, 20.0], 8.0);
    let low = smooth.iter().copied().fold(f64::INFINITY, f64::min);
    let high = smooth.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if rate == 0.0 || high - low < NEGLIGIBLE_HZ / stretch {
        return None;
    }
    let step = 0.25;
    let count = (frames.len() as f64 * frame_seconds / step).ceil() as usize + 1;
    let mut hint = 0;
    let knots = (0..count)
        .map(|i| {
            let now = i as f64 * step;
            track.hz(now) + walk::between(&samples, &smooth, now, &mut hint)
        })
        .collect();
    Some(Track { step, knots })
}

/// How steady the phase of the marks is over `lag` frames: 1 for a pure tone, less with chirp.
///
/// Only pairs of frames near the level of the marks count; `None` if there are few of them.
pub(crate) fn purity(
    frames: &[Complex32],
    level: &[f32],
    frame_seconds: f64,
    lag: usize,
) -> Option<f32> {
    let block = ((BLOCK / frame_seconds).round() as usize).max(lag + 1);
    let (mut turns, mut sizes, mut count) = (0.0_f32, 0.0_f32, 0_usize);
    for (part, level) in frames.chunks(block).zip(level.chunks(block)) {
        let mut turn = Complex32::default();
        for i in lag..part.len() {
            let least = 0.5 * level[i];
            let (before, here) = (part[i - lag], part[i]);
            if before.norm() > least && here.norm() > least {
                turn += here * before.conj();
                sizes += here.norm() * before.norm();
                count += 1;
            }
        }
        turns += turn.norm();
    }
    (count >= 20 && sizes > 0.0).then(|| turns / sizes)
}
