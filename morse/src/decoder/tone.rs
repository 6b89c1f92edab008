//! One tone, from its sound to its text.

use rustfft::num_complex::Complex32;

use super::durations::Shape;
use super::evidence::{Evidence, Levels, Phase, Reach};
use super::grids::{EVERY_SPEED, Grids};
use super::reading::{Effort, Reading, Scale};
use super::search::{Path, search};
use super::speed::{self, Band};
use super::{edges, learn, level, phase, rooms, verdict};
use crate::detector::{
    Baseband, Spectrum, Track, follow, mix, noise_near, purity, without_neighbours,
};

/// How often a tone is read at most: each reading corrects level, lengths and phase for the next.
const PASSES: usize = 6;
/// A machine's keying that explains this part of the changes of power needs no other reading.
const EXACT_FIT: f32 = 0.9;
/// The same of a machine, whose lengths are exact.
const MACHINE_PASSES: usize = 2;
/// Marks that turn out to be so far from where the tone was looked for are another's, Hz.
const ELSEWHERE: f64 = 30.0;
/// A machine's speed is known to this factor from a moment of its keying.
const MACHINE_SPEED: f64 = 1.12;
/// Less than this part of the phase kept over a fortieth of a second is chirp.
const PURE: f32 = 0.8;
/// The least part of the changes of level that the keying of a chirping tone explains.
const CHIRPING_FIT: f32 = 0.88;
/// The length of time over which a chirping tone keeps its phase, seconds.
const CHIRP_HOLD: f64 = 0.01;
/// The length of time that is taken together in a first measurement of the level, seconds.
const LEVEL_BOX: f64 = 0.032;
/// The length of time within which the energy of a mark is not believed to exceed 15 dB, seconds.
const TEMPER: f64 = 0.03;

/// A tone mixed down to frames of some length, with the level of its marks.
#[derive(Clone, Debug)]
pub(crate) struct Tone {
    hz: f64,
    pub(super) scale: Scale,
    pub(super) base: Baseband,
    levels: Levels,
    /// The transmitter's frequency moves within marks.
    pub(super) chirps: bool,
}

impl Tone {
    /// Mixes a tone down, follows it if it drifts, and measures the noise beside it.
    pub(crate) fn new(
        samples: &[f32],
        rate: f64,
        spectrum: &Spectrum,
        hz: f64,
        scale: Scale,
    ) -> Self {
        let decimation = ((rate * scale.frame_seconds).round() as usize).max(1);
        let frame_seconds = decimation as f64 / rate;
        let mut track = Track::steady(hz);
        let mut frames = mix(samples, rate, &track, decimation);
        for _ in 0..3 {
            let slow: Vec<_> =
                frames.chunks_exact(4).map(|c| c.iter().sum::<Complex32>() * 0.25).collect();
            let Some(better) = follow(&slow, 4.0 * frame_seconds, &track, scale.stretch) else {
                break;
            };
            track = better;
            frames = mix(samples, rate, &track, decimation);
        }
        let variance = noise_near(spectrum, &track, rate, scale.skirt);
        let middle = |frame: usize| (frame as f64 + 0.5) * decimation as f64;
        let noise: Vec<f32> = (0..frames.len())
            .map(|i| variance[spectrum.frame_at(middle(i))] / decimation as f32)
            .collect();
        let mut base = Baseband { frame_seconds, frames, noise };
        base.frames = without_neighbours(&base, scale.stretch);
        let chirps = chirps(&base, scale);
        let levels = first_levels(&base, scale, chirps);
        Self { hz, scale, base, levels, chirps }
    }

    /// The same tone with other sound.
    pub(super) fn with(&self, base: Baseband) -> Self {
        let chirps = chirps(&base, self.scale);
        let levels = first_levels(&base, self.scale, chirps);
        Self { base, levels, chirps, ..*self }
    }

    /// The speed of dots of one frame, as that of an ordinary sender.
    pub(super) fn dot_wpm(&self) -> f64 {
        1.2 / self.base.frame_seconds * self.scale.stretch
    }

    /// The speeds that such frames are for.
    pub(super) fn speeds(&self) -> Band {
        speed::range(self.base.frame_seconds / self.scale.stretch)
    }

    /// The same on frames twice as long.
    pub(super) fn halved(&self) -> Self {
        let base = self.base.halved();
        let levels = first_levels(&base, self.scale, self.chirps);
        Self { base, levels, ..*self }
    }

    /// The moment, so many seconds long, at which it is loudest.
    pub(crate) fn loudest(self, seconds: f64) -> Self {
        let length = ((seconds / self.base.frame_seconds) as usize).max(16);
        let energy = |from: &usize| -> f32 {
            self.base.frames[*from..*from + length].iter().map(Complex32::norm_sqr).sum()
        };
        let last = self.base.frames.len().saturating_sub(length);
        if last == 0 {
            return self;
        }
        let from = (0..=last)
            .step_by(length / 2)
            .max_by(|a, b| energy(a).total_cmp(&energy(b)))
            .unwrap_or(0);
        let part = from..from + length;
        let base = Baseband {
            frame_seconds: self.base.frame_seconds,
            frames: self.base.frames[part.clone()].to_vec(),
            noise: self.base.noise[part].to_vec(),
        };
        let levels = first_levels(&base, self.scale, self.chirps);
        Self { base, levels, ..self }
    }

    /// The text of the tone; `None` if it is not keyed.
    ///
    /// Where the room echoes, what was read tells the echoes, and the sound is read without them.
    pub(crate) fn read(self, wpm: Option<f64>, effort: Effort) -> Option<Reading> {
        // A machine goes on at its speed.
        let band = match wpm {
            Some(wpm) if self.scale.stretch < 1.0 => {
                let wpm = wpm * self.scale.stretch;
                wpm / MACHINE_SPEED..wpm * MACHINE_SPEED
            }
            _ => EVERY_SPEED,
        };
        let grids = Grids::new(&self, wpm, &band);
        let heard = grids.acquire(wpm, &band)?;
        if effort == Effort::Thorough
            && let Some((track, dry)) = rooms::without_echoes(&self, &heard)
            && let Some(reading) = dry.refine(track.speed)
        {
            return Some(reading);
        }
        let (speed, tone) = (heard.track.speed, heard.tone.clone());
        drop(grids);
        tone.refine(speed)
    }

    /// What the edges of marks say alone.
    pub(super) fn edges(&self, lean: f32, reach: Reach) -> Evidence {
        let seconds = self.base.frame_seconds / self.scale.stretch;
        edges::evidence(&self.base.frames, seconds, lean, reach)
    }

    pub(super) fn evidence(&self, expected: Option<&[Complex32]>, reach: Reach) -> Evidence {
        let frame = self.base.frame_seconds;
        let stretch = self.scale.stretch;
        let phase = if self.chirps {
            Phase::Loose(((CHIRP_HOLD * stretch / frame).round() as usize).max(1))
        } else {
            Phase::Steady
        };
        let temper = (TEMPER * stretch / frame) as f32;
        Evidence::new(&self.base.frames, &self.levels, temper, phase, expected, reach)
    }

    /// Reads again and again, each time knowing more: the operator's lengths, the level over time,
    /// the exact frequency, and the phase if it is kept.
    fn refine(mut self, speed: Vec<u8>) -> Option<Reading> {
        let mut shape = Shape::NOMINAL;
        let mut path = Path { score: 0.0, glyphs: Vec::new() };
        let mut before = Vec::new();
        let mut expected: Option<Vec<Complex32>> = None;
        let passes = if self.scale.stretch < 1.0 { MACHINE_PASSES } else { PASSES };
        for pass in 0..passes {
            let tables = speed::tables(&shape);
            let evidence = self.evidence(expected.as_deref(), Reach::of(&tables, &speed));
            path = search(&evidence, &tables, &speed);
            if path.glyphs.is_empty()
                || verdict::is_carrier(&evidence, &path.marks(), path.score, &speed)
            {
                return None;
            }
            if !self.chirps && !verdict::is_tone(&self.base, &path) {
                return None;
            }
            let text: Vec<u8> = path.glyphs.iter().map(|g| g.node).collect();
            let exact = self.scale.stretch < 1.0
                && verdict::fit(&self.base, &self.levels, &path) > EXACT_FIT;
            if pass + 1 == passes || text == before || exact {
                break;
            }
            before = text;
            shape = learn::shape(&path.glyphs, &speed, &Shape::NOMINAL);
            // An echo that is taken for a mark would draw the level down to the echoes.
            if !self.chirps
                && let Some(mark) = level::from_marks(&path.glyphs, &self.base)
            {
                self.levels.mark = mark;
            }
            if !self.chirps {
                if expected.is_none()
                    && retune(&mut self.base, &path).abs() > ELSEWHERE / self.scale.stretch
                {
                    return None;
                }
                expected = phase::expect(&mut self.base, &self.levels, &path);
            }
        }
        if self.scale.stretch < 1.0 && verdict::is_cut(&self.base, &path) {
            return None;
        }
        let fit = verdict::fit(&self.base, &self.levels, &path);
        // A voice chirps too, but its power does not go on and off.
        if self.chirps && fit < CHIRPING_FIT && !verdict::is_tone(&self.base, &path) {
            return None;
        }
        Some(Reading {
            hz: self.hz,
            score: path.score,
            frame_seconds: self.base.frame_seconds,
            fit,
            path,
            speed,
            levels: self.levels,
        })
    }
}

fn first_levels(base: &Baseband, scale: Scale, chirps: bool) -> Levels {
    let together = if chirps { CHIRP_HOLD } else { LEVEL_BOX };
    let mark = level::from_moments(base, scale.stretch, together);
    Levels { mark, noise: base.noise.clone() }
}

/// Whether the phase turns within marks more than noise turns it.
fn chirps(base: &Baseband, scale: Scale) -> bool {
    let slow = base.halved().halved();
    let level = level::from_moments(&slow, scale.stretch, CHIRP_HOLD);
    // Of a weak tone nothing can be said.
    let strong = |i: usize| level[i] * level[i] > 8.0 * slow.noise[i];
    (0..level.len()).filter(|i| strong(*i)).count() * 2 > level.len()
        && purity(&slow.frames, &level, slow.frame_seconds, 3).is_some_and(|p| p < PURE)
}

/// Turns the tone to exactly zero frequency, by the turn of its phase within marks. A spectrum of
/// the whole would not do: many encoders begin each mark with the same phase, which shifts its peak.
/// Returns how far off it was, Hz.
fn retune(base: &mut Baseband, path: &Path) -> f64 {
    let mut turn = Complex32::default();
    let strokes = || path.glyphs.iter().flat_map(|g| &g.strokes);
    let shortest = strokes().map(|s| s.end - s.start).min().unwrap_or(0);
    let lag = (shortest / 2).max(1);
    for stroke in strokes() {
        for i in stroke.start + lag..stroke.end {
            turn += base.frames[i] * base.frames[i - lag].conj();
        }
    }
    let step = -turn.arg() / lag as f32;
    for (i, z) in base.frames.iter_mut().enumerate() {
        *z *= Complex32::from_polar(1.0, (step * i as f32) % std::f32::consts::TAU);
    }
    f64::from(-step) / (std::f64::consts::TAU * base.frame_seconds)
}
