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
    let (smooth, _) = walk::smooth(&samples, &[0.0005, 0.02, 0.2, 1.0, 4.0], 0.0);
    let mut hint = 0;
    let level = |t: usize| {
        let now = (t as f64 + 0.5) * frame_seconds;
        walk::between(&samples, &smooth, now, &mut hint).exp() as f32
    };
    Some((0..frames.len()).map(level).collect())
}
