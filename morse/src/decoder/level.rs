//! How strong the marks are, over time.

use rustfft::num_complex::Complex32;

use super::search::Glyph;

/// A first estimate from the moments of the power, which needs no knowledge of keying.
///
/// With the key down a fraction `d` of the time, mean excess power is `d·a²` and mean excess of its
/// square `d·a⁴`, so that `a²` is their ratio whatever `d` is.
pub(crate) fn from_moments(
    frames: &[Complex32],
    noise: &[f32],
    frame_seconds: f64,
    scale: f64,
) -> Vec<f32> {
    let count = frames.len();
    let width = ((0.032 * scale / frame_seconds).round() as usize).clamp(1, count.max(1));
    let step = ((0.1 * scale / frame_seconds).round() as usize).max(1);
    let reach = ((1.5 * scale / frame_seconds).round() as usize).max(1);
    let usual = {
        let mut n = noise.to_vec();
        crate::detector::median(&mut n)
    };
    // Power of short means and what noise adds to it; none where a burst covers the band.
    let mut power = Vec::new();
    let mut at = 0;
    while at + width <= count {
        let sum: Complex32 = frames[at..at + width].iter().sum();
        let mean_noise = noise[at..at + width].iter().sum::<f32>() / width as f32;
        let calm = mean_noise < 4.0 * usual || usual <= 0.0;
        power.push(((sum / width as f32).norm_sqr(), mean_noise / width as f32, calm));
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

/// One measurement of the level.
struct Sample {
    at: f64,
    log: f64,
    variance: f64,
}

/// A better estimate from the marks of a first reading: a random walk in decibels, smoothed both
/// ways (Rauch, Tung, Striebel), as fast as the marks themselves say that it is.
pub(crate) fn from_marks(
    glyphs: &[Glyph],
    frames: &[Complex32],
    noise: &[f32],
    frame_seconds: f64,
) -> Option<Vec<f32>> {
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
                log: 0.5 * f64::from(power.ln()),
                variance: f64::from(n / (2.0 * length * power)).max(0.003),
            });
        }
    }
    if samples.len() < 3 {
        return None;
    }
    let mut best = (f64::NEG_INFINITY, Vec::new());
    for rate in [0.0005, 0.02, 0.2, 1.0, 4.0] {
        let (fit, smooth) = smooth(&samples, rate);
        if fit > best.0 {
            best = (fit, smooth);
        }
    }
    let smooth = best.1;
    let mut out = Vec::with_capacity(frames.len());
    let mut i = 0;
    for t in 0..frames.len() {
        let now = (t as f64 + 0.5) * frame_seconds;
        while i + 1 < samples.len() && samples[i + 1].at <= now {
            i += 1;
        }
        let j = (i + 1).min(samples.len() - 1);
        let span = samples[j].at - samples[i].at;
        let f = if span > 0.0 { ((now - samples[i].at) / span).clamp(0.0, 1.0) } else { 0.0 };
        out.push((smooth[i] * (1.0 - f) + smooth[j] * f).exp() as f32);
    }
    Some(out)
}

/// Log-likelihood and smoothed logarithms for a random walk of `rate` (nepers squared a second).
fn smooth(samples: &[Sample], rate: f64) -> (f64, Vec<f64>) {
    let n = samples.len();
    let (mut mean, mut var) = (samples[0].log, 4.0);
    let mut fit = 0.0;
    let mut filtered = Vec::with_capacity(n);
    let mut predicted = Vec::with_capacity(n);
    for (i, s) in samples.iter().enumerate() {
        if i > 0 {
            var += rate * (s.at - samples[i - 1].at).max(0.0);
        }
        predicted.push(var);
        let total = var + s.variance;
        let miss = s.log - mean;
        if i > 0 {
            fit -= 0.5 * (total.ln() + (miss * miss / total).min(9.0));
        }
        let gain = var / total;
        mean += gain * miss;
        var *= 1.0 - gain;
        filtered.push((mean, var));
    }
    let mut out = vec![0.0; n];
    out[n - 1] = mean;
    for i in (0..n - 1).rev() {
        let (m, v) = filtered[i];
        let gain = v / predicted[i + 1];
        out[i] = m + gain * (out[i + 1] - m);
    }
    (fit, out)
}
