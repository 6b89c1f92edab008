//! Learning an operator's lengths from a first reading.

use super::durations::{Kind, Shape};
use super::search::Glyph;
use super::speed::dot_frames;
use crate::alphabet::Mark;

/// A mean and deviation from samples, drawn towards what is usual by so many samples' weight.
fn fit(samples: &[f32], usual: Kind, weight: f32, range: (f32, f32)) -> Kind {
    let n = samples.len() as f32;
    let mean = (samples.iter().sum::<f32>() + weight * usual.mean) / (n + weight);
    let square: f32 = samples.iter().map(|x| (x - mean) * (x - mean)).sum();
    let around = usual.deviation * usual.deviation;
    let deviation = ((square + weight * around) / (n + weight)).sqrt();
    let mean = mean.clamp(range.0, range.1);
    Kind { mean, deviation: deviation.clamp(0.07 * mean, 0.35 * mean) }
}

/// The shape of the keying in a reading.
pub(crate) fn shape(glyphs: &[Glyph], speed: &[u8], usual: &Shape) -> Shape {
    let dot = |t: usize| dot_frames(speed[t.min(speed.len() - 1)]);
    let (mut dots, mut dashes, mut inner) = (Vec::new(), Vec::new(), Vec::new());
    let mut outer = Vec::new();
    for (i, glyph) in glyphs.iter().enumerate() {
        for stroke in &glyph.strokes {
            let length = (stroke.end - stroke.start) as f32 / dot(stroke.start);
            match stroke.mark {
                Mark::Dot => dots.push(length),
                Mark::Dash => dashes.push(length),
            }
        }
        for pair in glyph.strokes.windows(2) {
            inner.push((pair[1].start - pair[0].end) as f32 / dot(pair[0].end));
        }
        if let (Some(last), Some(next)) =
            (glyph.strokes.last(), glyphs.get(i + 1).and_then(|g| g.strokes.first()))
        {
            outer.push((next.start - last.end) as f32 / dot(last.end));
        }
    }
    let weight = 6.0;
    let dot = fit(&dots, usual.dot, weight, (0.6, 1.6));
    let dash = fit(&dashes, usual.dash, weight, (2.0, 4.5));
    let inner = fit(&inner, usual.inner, weight, (0.4, 1.7));
    let (letter, word) = spacing(&outer, usual);
    Shape { dot, dash, inner, letter, word }
}

/// How exact gaps may be, as the deviation of their logarithm, and how many of them are between
/// words: one in five of plain text, more where prosigns and single letters stand alone.
const SPACINGS: [(f32, f32); 5] =
    [(0.07, 0.22), (0.14, 0.22), (0.25, 0.22), (0.07, 0.7), (0.14, 0.7)];
/// How much likelier, `ln`, gaps must be with many between words than with few.
const RATHER_FEW: f32 = 8.0;

/// Each value once, with how often it is there: lengths are whole frames, so that few differ.
fn counted(mut values: Vec<f32>) -> Vec<(f32, f32)> {
    values.sort_unstable_by(f32::total_cmp);
    values
        .chunk_by(|a, b| a.total_cmp(b).is_eq())
        .map(|same| (same[0], same.len() as f32))
        .collect()
}

/// Letter and word gaps from gaps between characters: of all spacings, plain or stretched, the one
/// under which they are likeliest.
fn spacing(gaps: &[f32], usual: &Shape) -> (Kind, Kind) {
    if gaps.is_empty() {
        return (usual.letter, usual.word);
    }
    let logs = counted(gaps.iter().map(|g| g.max(0.3).ln()).collect());
    let mut best = (f32::NEG_INFINITY, usual.letter, usual.word);
    // Logarithmic steps of 6 %.
    for i in 0..42 {
        let letter = 2.4 * 1.06_f32.powi(i);
        let strange = (letter / 3.0).ln().abs();
        for j in 0..14 {
            let ratio = 1.6 * 1.06_f32.powi(j * 2);
            let odd = (ratio / (7.0 / 3.0)).ln().abs();
            for (spread, words) in SPACINGS {
                let chance: f32 = logs
                    .iter()
                    .map(|(x, count)| {
                        let z = (x - letter.ln()) / spread;
                        let y = ((x - (letter * ratio).ln()) / (spread + 0.05)).min(2.0);
                        let bell = |z: f32, s: f32| (-0.5 * z * z).exp() / s;
                        let letters = 0.97 - words;
                        let density = letters * bell(z, spread) + words * bell(y, spread + 0.05);
                        count * (density + 0.02).ln()
                    })
                    .sum();
                let many = if words > 0.5 { RATHER_FEW } else { 0.0 };
                let fit = chance - 2.0 * strange - 4.0 * odd - many;
                if fit > best.0 {
                    let word = letter * ratio;
                    best = (
                        fit,
                        Kind { mean: letter, deviation: (spread * letter).max(0.25) },
                        Kind { mean: word, deviation: ((spread + 0.08) * word).max(0.6) },
                    );
                }
            }
        }
    }
    (best.1, best.2)
}
