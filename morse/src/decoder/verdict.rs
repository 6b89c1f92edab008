//! Whether a reading is one: of a keyed tone, not of a carrier, a voice or a neighbour's skirt.

use rustfft::num_complex::Complex32;

use super::evidence::{Evidence, Levels};
use super::search::Path;
use super::speed::dot_frames;
use crate::alphabet::Mark;
use crate::detector::Baseband;

/// The least [`focus`] of a keyed tone.
const LEAST_FOCUS: f32 = 0.6;

/// The greatest power of the gaps inside characters, against that of marks.
const LOUDEST_GAP: f32 = 0.5;

/// Whether the marks are those of a tone.
pub(crate) fn is_tone(base: &Baseband, path: &Path) -> bool {
    focus(base, path) >= LEAST_FOCUS
}

/// How much of the marks' power is in a tone that holds its phase for a dot: 1 for a keyed tone,
/// less for voices and for the skirts of something that is elsewhere.
fn focus(base: &Baseband, path: &Path) -> f32 {
    let (mut tone, mut all) = (0.0, 0.0);
    for stroke in path.glyphs.iter().flat_map(|g| &g.strokes) {
        let parts = if stroke.mark == Mark::Dash { 3 } else { 1 };
        let length = (stroke.end - stroke.start).div_ceil(parts);
        for from in (stroke.start..stroke.end).step_by(length) {
            let range = from..(from + length).min(stroke.end);
            let n = range.len() as f32;
            let frames = &base.frames[range.clone()];
            let noise = base.noise[range].iter().sum::<f32>();
            tone += (frames.iter().sum::<Complex32>().norm_sqr() - noise) / n;
            all += frames.iter().map(Complex32::norm_sqr).sum::<f32>() - noise;
        }
    }
    if all > 0.0 { tone / all } else { 1.0 }
}

/// Whether the gaps inside characters are as loud as that of a key which is down all the time: marks
/// that were cut to pieces, as a slow sender's are at high speed.
pub(crate) fn is_cut(base: &Baseband, path: &Path) -> bool {
    let power = |from: usize, to: usize| base.frames[from..to].iter().map(Complex32::norm_sqr);
    let (mut gaps, mut gap_frames, mut marks, mut mark_frames) = (0.0, 0, 0.0, 0);
    for glyph in &path.glyphs {
        for pair in glyph.strokes.windows(2) {
            gaps += power(pair[0].end, pair[1].start).sum::<f32>();
            gap_frames += pair[1].start - pair[0].end;
        }
        for stroke in &glyph.strokes {
            marks += power(stroke.start, stroke.end).sum::<f32>();
            mark_frames += stroke.end - stroke.start;
        }
    }
    gap_frames > 0 && gaps * mark_frames as f32 > LOUDEST_GAP * marks * gap_frames as f32
}

/// Whether a tone that never stops explains the sound between the first mark and the last as well.
pub(crate) fn is_carrier(
    evidence: &Evidence,
    marks: &[(usize, usize)],
    score: f32,
    speed: &[u8],
) -> bool {
    let (Some(first), Some(last)) = (marks.first(), marks.last()) else { return false };
    let dot = dot_frames(speed[first.0]).round() as usize;
    marks.len() > 1 && evidence.steady(first.0, last.1, dot) > score
}

/// The squared correlation of level and keying from the first mark to the last, the level being
/// counted against that of the marks around.
pub(crate) fn fit(base: &Baseband, levels: &Levels, path: &Path) -> f32 {
    let strokes = || path.glyphs.iter().flat_map(|g| &g.strokes);
    let (Some(first), Some(last)) = (strokes().next(), strokes().last()) else { return 0.0 };
    let level = |i: usize| f64::from(base.frames[i].norm() / levels.mark[i].max(1e-30)).min(1.5);
    let (mut on, mut n_on, mut all, mut square) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
    for stroke in strokes() {
        on += (stroke.start..stroke.end).map(level).sum::<f64>();
        n_on += (stroke.end - stroke.start) as f64;
    }
    for x in (first.start..last.end).map(level) {
        all += x;
        square += x * x;
    }
    let n = (last.end - first.start) as f64;
    let duty = n_on / n;
    let spread = square / n - (all / n) * (all / n);
    let shared = on / n - duty * all / n;
    let keyed = duty * (1.0 - duty);
    if spread > 0.0 && keyed > 0.0 { (shared * shared / (spread * keyed)) as f32 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::search::{Glyph, Stroke};
    use super::*;

    /// Three dots of ten frames with gaps as long between them.
    fn three_dots() -> Path {
        let dot = |start: usize| Stroke { mark: Mark::Dot, start, end: start + 10, evidence: 9.0 };
        let strokes = vec![dot(10), dot(30), dot(50)];
        let glyph = Glyph { node: 1, strokes, margin: 9.0, word_before: false };
        Path { score: 27.0, glyphs: vec![glyph] }
    }

    #[test]
    fn gaps_as_loud_as_marks_are_none() {
        let heard = |gap: f32| {
            let frame = |i: usize| if i / 10 % 2 == 1 { 1.0 } else { gap };
            let frames = (0..70).map(|i| Complex32::new(frame(i), 0.0)).collect();
            Baseband { frame_seconds: 0.001, frames, noise: vec![0.0; 70] }
        };
        assert!(!is_cut(&heard(0.3), &three_dots()));
        assert!(is_cut(&heard(0.9), &three_dots()));
    }
}
