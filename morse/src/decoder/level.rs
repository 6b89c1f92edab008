//! How strong the marks are, over time.

use rustfft::num_complex::Complex32;

use super::search::Glyph;
use crate::detector::Baseband;
use crate::detector::walk::{self, Sample};

/// So many times more power than there is beside the tone is the tone's, and what is beside it are
/// the side bands of its keying: no burst, however quiet it is otherwise.
const PURE: f32 = 100.0;

/// A first estimate from the moments of the power, which needs no knowledge of keying.
///
/// With the key down a fraction `d` of the time, mean excess power is `d·a²` and mean excess of its
/// square `d·a⁴`, so that `a²` is their ratio whatever `d` is.
pub(crate) fn from_moments(base: &Baseband, scale: f64, box_seconds: f64) -> Vec<f32> {
    let Baseband { frame_seconds, frames, noise } = base;
    let count = frames.len();
    let width = ((box_seconds * scale / frame_seconds).round() as usize).clamp(1, count.max(1));
    let step = ((0.1 * scale / frame_seconds).round() as usize).max(1);
    let reach = ((1.5 * scale.sqrt() / frame_seconds).round() as usize).max(1);
    let usual = {
        let mut n = noise.clone();
        crate::detector::median(&mut n)
    };
    // Power of short means and what noise adds to it; none where a burst covers the band.
    let mut power = Vec::new();
    let mut at = 0;
    while at + width <= count {
        let sum: Complex32 = frames[at..at + width].iter().sum();
        let mean_noise = noise[at..at + width].iter().sum::<f32>() / width as f32;
        let (heard, noise) = ((sum / width as f32).norm_sqr(), mean_noise / width as f32);
        let calm = mean_noise < 4.0 * usual || usual <= 0.0 || heard > PURE * noise;
        power.push((heard, noise, calm));
        at += width.div_ceil(2);
    }
    let half = width.div_ceil(2);
    let square = |range: &[(f32, f32, bool)]| -> f32 {
        let (mut n, mut m1, mut m2, mut v) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
        for &(p, noise, calm) in range {
            if calm {
                n += 1.0;
                m1 += f64::from(p);
                m2 += f64::from(p) * f64::from(p);
                v += f64::from(noise);
            }
        }
        if n < 1.0 {
            return 0.0;
        }
        let (m1, m2, v) = (m1 / n, m2 / n, v / n);
        let x = m1 - v;
        if x <= 0.0 {
            return 0.0;
        }
        ((m2 - 2.0 * v * v - 4.0 * x * v) / x).max(0.0) as f32
    };
    let whole = square(&power);
    let knots: Vec<f32> = (0..count)
        .step_by(step)
        .map(|t| {
            let from = t.saturating_sub(reach) / half;
            let to = ((t + reach) / half + 1).min(power.len());
            let local = power.get(from.min(to)..to).map_or(0.0, square);
            local.max(whole * 0.01)
        })
        .collect();
    (0..count)
        .map(|t| {
            // No mark is worth less than three decibels in a short stretch: below that there is
            // nothing to be read, and a level of nothing would make everything a mark.
            let least = 2.0 * noise[t] / width as f32 * 0.5;
            let i = t / step;
            let j = (i + 1).min(knots.len() - 1);
            let f = (t % step) as f32 / step as f32;
            (knots[i] * (1.0 - f) + knots[j] * f).max(least).sqrt()
        })
        .collect()
}

/// How fast the level may wander, squared nepers a second, and from when on it fades.
const RATES: [f64; 5] = [0.0005, 0.02, 0.2, 1.0, 4.0];
const FADING: f64 = 0.2;
/// Where a level fades, so long a time without a mark may hide some, seconds.
const UNREAD: f64 = 0.15;
/// How many deviations of its noise the power of such a time must be above it.
const SURE: f32 = 4.0;
/// The part of the time in which a key is down.
const DUTY: f32 = 0.45;

/// The levels of what is heard between marks and is no noise: marks too weak for the level of those
/// around.
fn unread(glyphs: &[Glyph], base: &Baseband) -> Vec<Sample> {
    let Baseband { frame_seconds, frames, noise } = base;
    let piece = ((UNREAD / frame_seconds) as usize).max(4);
    let width = ((0.032 / frame_seconds) as usize).clamp(1, piece);
    let mut found = Vec::new();
    let strokes: Vec<_> = glyphs.iter().flat_map(|g| &g.strokes).collect();
    for pair in strokes.windows(2) {
        // The ends of marks reach a little into the gap.
        let (from, to) = (pair[0].end + width, pair[1].start.saturating_sub(width));
        let pieces = to.saturating_sub(from) / piece;
        for index in 0..pieces {
            let begin = from + (to - from) * index / pieces;
            let end = from + (to - from) * (index + 1) / pieces;
            let boxes = frames[begin..end].chunks_exact(width);
            let count = boxes.len().max(1) as f32;
            let power = boxes
                .map(|part| (part.iter().sum::<Complex32>() / width as f32).norm_sqr())
                .sum::<f32>()
                / count;
            let noise = noise[begin..end].iter().sum::<f32>() / (end - begin) as f32 / width as f32;
            let excess = power - noise;
            if excess > SURE * noise / count.sqrt() {
                found.push(Sample {
                    at: 0.5 * (begin + end) as f64 * frame_seconds,
                    value: 0.5 * f64::from((excess / DUTY).ln()),
                    variance: 0.25,
                });
            }
        }
    }
    found
}

/// A better estimate from the marks of a first reading: a random walk in decibels, smoothed both
/// ways (Rauch, Tung, Striebel), as fast as the marks themselves say that it is.
pub(crate) fn from_marks(glyphs: &[Glyph], base: &Baseband) -> Option<Vec<f32>> {
    let Baseband { frame_seconds, frames, noise } = base;
    let mut samples = Vec::new();
    for stroke in glyphs.iter().flat_map(|g| &g.strokes) {
        let trim = usize::from(stroke.end - stroke.start >= 5);
        let range = stroke.start + trim..stroke.end - trim;
        let length = range.len() as f32;
        let sum: f32 = range.clone().map(|i| frames[i].norm()).sum::<f32>() / length;
        let whole: Complex32 = frames[range.clone()].iter().sum();
        let coherent = (whole / length).norm();
        let n = noise[range].iter().sum::<f32>() / length;
        let power = (coherent * coherent - n / length).max(0.02 * sum * sum);
        if power > 0.0 {
            samples.push(Sample {
                at: 0.5 * (stroke.start + stroke.end) as f64 * frame_seconds,
                value: 0.5 * f64::from(power.ln()),
                variance: f64::from(n / (2.0 * length * power)).max(0.003),
            });
        }
    }
    if samples.len() < 3 {
        return None;
    }
    let (mut smooth, rate) = walk::smooth(&samples, &RATES, 0.0);
    if rate >= FADING {
        samples.extend(unread(glyphs, base));
        samples.sort_by(|a, b| a.at.total_cmp(&b.at));
        (smooth, _) = walk::smooth(&samples, &RATES, 0.0);
    }
    let mut hint = 0;
    let level = |t: usize| {
        let now = (t as f64 + 0.5) * frame_seconds;
        walk::between(&samples, &smooth, now, &mut hint).exp() as f32
    };
    Some((0..frames.len()).map(level).collect())
}

#[cfg(test)]
mod tests {
    use super::super::search::Stroke;
    use super::*;
    use crate::alphabet::Mark;

    /// Dots of 60 ms that fade by 20 dB within a second and come back, in frames of 4 ms.
    fn fading(t: usize) -> f32 {
        let turn = t as f32 * 0.004 / 2.0 * std::f32::consts::TAU;
        10.0_f32.powf(-0.5 + 0.5 * turn.cos())
    }

    #[test]
    fn a_level_fades_where_nothing_was_read_but_something_is_heard() {
        let count = 1500;
        let keyed = |t: usize| t % 30 < 15;
        let frames: Vec<Complex32> = (0..count)
            .map(|t| Complex32::new(if keyed(t) { fading(t) } else { 0.0 }, 0.0))
            .collect();
        let base = Baseband { frame_seconds: 0.004, frames, noise: vec![1e-4; count] };
        // Only what is loud was read.
        let strokes = (0..count).step_by(30).filter(|t| fading(*t) > 0.3);
        let strokes: Vec<Stroke> = strokes
            .map(|start| Stroke { mark: Mark::Dot, start, end: start + 15, evidence: 9.0 })
            .collect();
        let glyphs = [Glyph { node: 1, strokes, margin: 9.0, word_before: false }];
        let level = from_marks(&glyphs, &base).unwrap_or_default();
        for t in (250..count - 250).step_by(250) {
            let miss = 20.0 * (level[t] / fading(t)).log10();
            assert!(miss.abs() < 5.0, "{miss} dB at {t}");
        }
    }
}
