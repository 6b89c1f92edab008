//! Reading a stretch of sound: from candidates of tone and speed to one text.

use realfft::RealFftPlanner;
use rustfft::num_complex::Complex32;

use super::durations::Shape;
use super::evidence::{Evidence, Levels, Phase};
use super::search::{Glyph, Path, search};
use super::speed::{self, SpeedTrack, dot_frames};
use super::{learn, level};
use crate::alphabet::Mark;
use crate::detector::{
    Baseband, Candidate, Skirt, Spectrum, Track, candidates, follow, mix, noise_near, purity,
};

/// A text found in a stretch of sound.
#[derive(Debug)]
pub(crate) struct Reading {
    pub hz: f64,
    pub score: f32,
    pub frame_seconds: f64,
    pub path: Path,
    /// Part of the changes of power that the keying explains, 0 to 1.
    pub fit: f32,
    pub speed: Vec<u8>,
    pub levels: Levels,
}

/// Range of speeds looked for at once: the length of the finest frame, and of spectra.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    frame_seconds: f64,
    grids: usize,
    window_seconds: f64,
    top_hz: f64,
    skirt: Skirt,
    /// How much faster than ordinary Morse.
    stretch: f64,
}

/// 4 to 120 words a minute.
pub(crate) const ORDINARY: Scale = Scale {
    frame_seconds: 0.002,
    grids: 4,
    window_seconds: 0.064,
    top_hz: 4000.0,
    skirt: Skirt { from_hz: 50.0, to_hz: 260.0 },
    stretch: 1.0,
};

/// How often a tone is read: each reading corrects level and lengths for the next.
const PASSES: usize = 3;
/// Contrast of a tone in short spectra that is worth reading at high speed.
const HURRIED: f32 = 2.0;
/// The least [`focus`] of a keyed tone.
const LEAST_FOCUS: f32 = 0.6;
/// A tone that has been followed and one so near are the same, Hz.
const HELD_HZ: f64 = 40.0;
/// How much stronger, in power, another tone must be than the one followed.
const HELD_GAIN: f32 = 4.0;

/// 60 to 1900 words a minute: machines talking to machines.
pub(crate) const FAST: Scale = Scale {
    frame_seconds: 0.000_125,
    grids: 4,
    window_seconds: 0.004,
    top_hz: 16_000.0,
    skirt: Skirt { from_hz: 1200.0, to_hz: 4200.0 },
    stretch: 1.0 / 16.0,
};

impl Reading {
    /// Seconds of a frame's beginning.
    pub(crate) fn seconds(&self, frame: usize) -> f64 {
        frame as f64 * self.frame_seconds
    }

    /// Words per minute at a frame.
    pub(crate) fn wpm(&self, frame: usize) -> f64 {
        let dot = f64::from(dot_frames(self.speed[frame.min(self.speed.len() - 1)]));
        1.2 / (dot * self.frame_seconds)
    }

    /// Power of the marks of a character over noise in 2500 Hz, dB.
    pub(crate) fn snr_db(&self, glyph: &Glyph) -> f64 {
        let first = glyph.strokes.first().map_or(0, |s| s.start);
        let a = f64::from(self.levels.mark[first]);
        let noise = f64::from(self.levels.noise[first]).max(1e-30);
        // Twice: a sample of the mixed tone has half its amplitude, and noise both its sides.
        10.0 * (a * a / (noise * self.frame_seconds * 2500.0)).log10()
    }
}

/// Reads a stretch of sound blind.
pub(crate) fn read(
    planner: &mut RealFftPlanner<f32>,
    samples: &[f32],
    rate: f64,
    tone: Option<f64>,
    scale: Scale,
) -> Option<Reading> {
    let spectrum = spectrum(planner, samples, rate, scale)?;
    let found = candidates(&spectrum, 3);
    let mut readings: Vec<Reading> = found
        .iter()
        .filter(|c| c.contrast > 1.15)
        .filter_map(|c| read_tone(samples, rate, &spectrum, *c, scale))
        .collect();
    readings.retain(Reading::credible);
    // The strongest, not the likeliest: a fast weak signal has more marks to be sure of. One that
    // has been followed is left for a much stronger one only.
    let rank = |r: &Reading| {
        let held = tone.is_some_and(|t| (t - r.hz).abs() < HELD_HZ);
        r.power() * if held { HELD_GAIN } else { 1.0 }
    };
    readings.into_iter().max_by(|a, b| rank(a).total_cmp(&rank(b)))
}

impl Reading {
    fn power(&self) -> f32 {
        let strokes = self.path.glyphs.iter().flat_map(|g| &g.strokes);
        let (mut sum, mut n) = (0.0, 0.0);
        for s in strokes {
            let l = (s.end - s.start) as f32;
            sum += self.levels.mark[usize::midpoint(s.start, s.end)].powi(2) * l;
            n += l;
        }
        sum / f32::max(n, 1.0)
    }

    fn credible(&self) -> bool {
        let strokes = self.path.glyphs.iter().flat_map(|g| &g.strokes);
        let (count, sum) = strokes.fold((0.0, 0.0), |(n, e), s| (n + 1.0, e + s.evidence));
        self.score > 20.0 && sum > 3.0 * count
    }
}

fn read_tone(
    samples: &[f32],
    rate: f64,
    spectrum: &Spectrum,
    candidate: Candidate,
    scale: Scale,
) -> Option<Reading> {
    let mut track = Track::steady(candidate.hz);
    let decimation = ((rate * scale.frame_seconds).round() as usize).max(1);
    let mut frames = mix(samples, rate, &track, decimation);
    for _ in 0..3 {
        let slow: Vec<_> =
            frames.chunks_exact(4).map(|c| c.iter().sum::<Complex32>() * 0.25).collect();
        let Some(better) = follow(&slow, 4.0 * decimation as f64 / rate, &track, scale.stretch)
        else {
            break;
        };
        track = better;
        frames = mix(samples, rate, &track, decimation);
    }
    let variance = noise_near(spectrum, &track, rate, scale.skirt);
    let noise = (0..frames.len())
        .map(|i| {
            let at = spectrum.frame_at((i as f64 + 0.5) * decimation as f64);
            variance[at] / decimation as f32
        })
        .collect();
    let mut base = Baseband { frame_seconds: decimation as f64 / rate, frames, noise };
    // A chirping transmitter: the phase holds for a hundredth of a second only.
    let chirps = {
        let slow = base.halved().halved();
        let level =
            level::from_moments(&slow.frames, &slow.noise, slow.frame_seconds, scale.stretch, 0.01);
        let pure = purity(&slow.frames, &level, slow.frame_seconds, 3);
        // Noise turns the phase too: of a weak tone nothing can be said.
        let strong = |i: usize| level[i] * level[i] > 8.0 * slow.noise[i];
        let heard = (0..level.len()).filter(|i| strong(*i)).count() * 2 > level.len();
        heard && pure.is_some_and(|p| p < 0.8)
    };
    let phase_at = |frame_seconds: f64| {
        let block = (0.01 * scale.stretch / frame_seconds).round() as usize;
        if chirps { Phase::Loose(block.max(1)) } else { Phase::Dot }
    };
    let nominal = speed::tables(&Shape::NOMINAL);
    let mut best: Option<(f32, usize, SpeedTrack)> = None;
    let mut bases = Vec::new();
    for grid in 0..scale.grids {
        if grid > 0 {
            base = base.halved();
        }
        if base.frames.len() < 16 {
            break;
        }
        let mark = level::from_moments(
            &base.frames,
            &base.noise,
            base.frame_seconds,
            scale.stretch,
            if chirps { 0.01 } else { 0.032 },
        );
        let levels = Levels { mark, noise: base.noise.clone() };
        let temper = (0.03 * scale.stretch / base.frame_seconds) as f32;
        let evidence = Evidence::new(&base.frames, &levels, temper, phase_at(base.frame_seconds));
        if let Some(found) = speed::track(&evidence, &nominal)
            && best.as_ref().is_none_or(|b| found.score > b.0)
        {
            best = Some((found.score, grid, found));
        }
        bases.push((base.clone(), levels));
    }
    let (_, grid, found) = best?;
    let (base, mut levels) = bases.swap_remove(grid);
    let temper = (0.03 * scale.stretch / base.frame_seconds) as f32;
    let mut shape = Shape::NOMINAL;
    let mut path = Path { score: 0.0, glyphs: Vec::new() };
    for pass in 0..PASSES {
        let evidence = Evidence::new(&base.frames, &levels, temper, phase_at(base.frame_seconds));
        let tables = speed::tables(&shape);
        path = search(&evidence, &tables, &found.speed);
        if path.glyphs.is_empty() || carrier(&evidence, &path, &found.speed) {
            return None;
        }
        if !chirps && focus(&base, &path) < LEAST_FOCUS {
            return None;
        }
        if pass + 1 == PASSES {
            break;
        }
        shape = learn::shape(&path.glyphs, &found.speed, &Shape::NOMINAL);
        if let Some(mark) =
            level::from_marks(&path.glyphs, &base.frames, &base.noise, base.frame_seconds)
        {
            levels.mark = mark;
        }
    }
    Some(Reading {
        hz: candidate.hz,
        score: path.score,
        frame_seconds: base.frame_seconds,
        fit: fit(&base, &levels, &path),
        path,
        speed: found.speed,
        levels,
    })
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

/// Whether a tone that never stops explains the sound between the first mark and the last as well.
fn carrier(evidence: &Evidence, path: &Path, speed: &[u8]) -> bool {
    let strokes = || path.glyphs.iter().flat_map(|g| &g.strokes);
    let (Some(first), Some(last)) = (strokes().next(), strokes().last()) else { return false };
    let dot = dot_frames(speed[first.start]).round() as usize;
    strokes().count() > 1 && evidence.steady(first.start, last.end, dot) > path.score
}

/// The squared correlation of level and keying from the first mark to the last, the level being
/// counted against that of the marks around.
fn fit(base: &Baseband, levels: &Levels, path: &Path) -> f32 {
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

/// Whether something is keyed much faster than by hand: then short spectra change more than long.
pub(crate) fn hurried(planner: &mut RealFftPlanner<f32>, samples: &[f32], rate: f64) -> bool {
    let piece = &samples[..samples.len().min((2.0 * rate) as usize)];
    spectrum(planner, piece, rate, FAST)
        .is_some_and(|s| candidates(&s, 1).first().is_some_and(|c| c.contrast > HURRIED))
}

fn spectrum(
    planner: &mut RealFftPlanner<f32>,
    samples: &[f32],
    rate: f64,
    scale: Scale,
) -> Option<Spectrum> {
    let window = (scale.window_seconds * rate / 2.0).round() as usize * 2;
    let top = scale.top_hz.min(rate / 2.0);
    (window >= 16).then(|| Spectrum::new(planner, samples, rate, window, window / 4, top))
}
