//! Reading a stretch of sound: from candidates of tone and speed to one text.

use realfft::RealFftPlanner;
use rustfft::num_complex::Complex32;

use super::durations::{Shape, Table};
use super::evidence::{Evidence, Levels};
use super::search::{Glyph, Path, search};
use super::speed::{self, SPEEDS, SpeedTrack, dot_frames};
use super::{learn, level};
use crate::detector::{
    Baseband, Candidate, Skirt, Spectrum, Track, candidates, follow, mix, noise_near,
};

/// A text found in a stretch of sound.
#[derive(Debug)]
pub(crate) struct Reading {
    pub hz: f64,
    pub score: f32,
    pub frame_seconds: f64,
    pub path: Path,
    pub speed: Vec<u8>,
    pub levels: Levels,
    /// Samples of a frame.
    pub decimation: f64,
}

/// Range of speeds looked for at once: the length of the finest frame, and of spectra.
#[derive(Clone, Copy, Debug)]
struct Scale {
    frame_seconds: f64,
    grids: usize,
    window_seconds: f64,
    top_hz: f64,
    skirt: Skirt,
    /// How much faster than ordinary Morse.
    stretch: f64,
}

/// 4 to 120 words a minute.
const ORDINARY: Scale = Scale {
    frame_seconds: 0.002,
    grids: 4,
    window_seconds: 0.064,
    top_hz: 4000.0,
    skirt: Skirt { from_hz: 50.0, to_hz: 260.0 },
    stretch: 1.0,
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
) -> Option<Reading> {
    let scale = ORDINARY;
    let window = ((scale.window_seconds * rate / 2.0).round() as usize * 2).max(4);
    let spectrum = Spectrum::new(
        planner,
        samples,
        rate,
        window,
        (window / 4).max(1),
        scale.top_hz.min(rate / 2.0),
    );
    let found = candidates(&spectrum, 3);
    let mut readings: Vec<Reading> = found
        .iter()
        .filter(|c| c.contrast > 1.15)
        .filter_map(|c| read_tone(samples, rate, &spectrum, *c, scale))
        .collect();
    if std::env::var_os("MORSE_DEBUG").is_some() {
        eprintln!("candidates {found:?}");
        for r in &readings {
            eprintln!(
                "  {:.1} Hz score {:.0} power {:.3e} wpm {:.1} glyphs {}",
                r.hz,
                r.score,
                r.power(),
                r.wpm(r.speed.len() / 2),
                r.path.glyphs.len()
            );
        }
    }
    readings.retain(Reading::credible);
    readings.into_iter().max_by(|a, b| a.power().total_cmp(&b.power()))
}

impl Reading {
    fn power(&self) -> f32 {
        let strokes = self.path.glyphs.iter().flat_map(|g| &g.strokes);
        let (mut sum, mut n) = (0.0, 0.0);
        for s in strokes {
            let l = (s.end - s.start) as f32;
            sum += self.levels.mark[(s.start + s.end) / 2].powi(2) * l;
            n += l;
        }
        sum / f32::max(n, 1.0)
    }

    fn credible(&self) -> bool {
        self.score > 20.0 && !self.path.glyphs.is_empty()
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
        let Some(better) = follow(&slow, 4.0 * decimation as f64 / rate, &track) else { break };
        if std::env::var_os("MORSE_DEBUG").is_some() {
            eprintln!("AFC {:?}", better.knots.iter().step_by(8).collect::<Vec<_>>());
        }
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
    let mut best: Option<(f32, usize, SpeedTrack)> = None;
    let mut bases = Vec::new();
    for grid in 0..scale.grids {
        if grid > 0 {
            base = base.halved();
        }
        if base.frames.len() < 16 {
            break;
        }
        let mark =
            level::from_moments(&base.frames, &base.noise, base.frame_seconds, scale.stretch);
        let levels = Levels { mark, noise: base.noise.clone() };
        let temper = (0.03 * scale.stretch / base.frame_seconds) as f32;
        let evidence = Evidence::new(&base.frames, &levels, temper, false);
        if let Some(found) = speed::track(&evidence, &Shape::NOMINAL) {
            if std::env::var_os("MORSE_DEBUG").is_some() {
                let mid = found.speed[found.speed.len() / 2];
                eprintln!(
                    "    {:.0} Hz grid {grid} score {:.0} wpm {:.1}",
                    candidate.hz,
                    found.score,
                    1.2 / (f64::from(dot_frames(mid)) * base.frame_seconds)
                );
            }
            if best.as_ref().is_none_or(|b| found.score > b.0) {
                best = Some((found.score, grid, found));
            }
        }
        bases.push((base.clone(), levels));
    }
    let (_, grid, mut found) = best?;
    if super::knob("CONST", 0.0) > 0.5 {
        let mut c = [0usize; SPEEDS];
        for s in &found.speed {
            c[usize::from(*s)] += 1;
        }
        let m = (0..SPEEDS).max_by_key(|i| c[*i]).unwrap_or(0);
        found.speed.fill(m as u8);
    }
    let (base, mut levels) = bases.swap_remove(grid);
    let temper = (0.03 * scale.stretch / base.frame_seconds) as f32;
    let mut shape = Shape::NOMINAL;
    let mut path = Path { score: 0.0, glyphs: Vec::new() };
    let passes = super::knob("PASSES", 3.0) as usize;
    for pass in 0..passes {
        let evidence = Evidence::new(
            &base.frames,
            &levels,
            temper,
            super::knob("COH", 0.0) * pass as f32 > 0.5,
        );
        let tables: Vec<Table> =
            (0..SPEEDS as u8).map(|k| Table::new(dot_frames(k), &shape)).collect();
        path = search(&evidence, &tables, &found.speed);
        if path.glyphs.is_empty() || pass + 1 == passes {
            break;
        }
        shape = learn::shape(&path.glyphs, &found.speed, &Shape::NOMINAL);
        if let Some(mark) =
            level::from_marks(&path.glyphs, &base.frames, &base.noise, base.frame_seconds)
        {
            levels.mark = mark;
        }
    }
    if std::env::var_os("MORSE_DEBUG").is_some() {
        eprintln!("    {:.0} Hz grid {grid} path {:.0} {shape:?}", candidate.hz, path.score);
    }
    Some(Reading {
        hz: candidate.hz,
        score: path.score,
        frame_seconds: base.frame_seconds,
        path,
        speed: found.speed,
        levels,
        decimation: base.frame_seconds * rate,
    })
}
