//! One tone, from its sound to its text.

use rustfft::num_complex::Complex32;

use super::durations::Shape;
use super::echo::{self, Dry};
use super::evidence::{Evidence, Levels, Phase, Reach};
use super::reading::{Effort, Reading, Scale};
use super::search::{Path, search};
use super::speed::{self, Band, SpeedTrack};
use super::{learn, level, phase, verdict};
use crate::detector::{Baseband, Spectrum, Track, follow, mix, noise_near, purity};

/// Who has just sent slower than this will not send faster than all but the finest grid can tell.
const UNHURRIED: f64 = 35.0;
/// Speeds that differ by less than this factor, as its `ln`, are of one sender.
const SAME_SPEED: f64 = 0.25;
/// How much likelier another speed must be than that of the last character.
const GOING_ON: f32 = 1.08;
/// How often a tone is read at most: each reading corrects level, lengths and phase for the next.
const PASSES: usize = 6;
/// The same of a machine, whose lengths are exact.
const MACHINE_PASSES: usize = 2;
/// How often a tone is read without the echoes that the reading before told.
const ECHO_ROUNDS: usize = 8;
/// More than this part of the tone explained neither by keying nor by its echoes is misread.
const UNEXPLAINED: f64 = 0.03;
/// How many rounds may be in vain before it is given up.
const PATIENCE: usize = 3;
/// So many readings of different speeds are followed.
const WAYS: usize = 6;
/// The speeds that are tried then, one range after the other, words per minute.
const OTHER_SPEEDS: [(f64, f64); 8] = [
    (7.0, 9.5),
    (9.0, 12.0),
    (11.5, 15.0),
    (14.5, 19.0),
    (18.0, 23.0),
    (22.0, 28.0),
    (27.0, 35.0),
    (34.0, 46.0),
];
/// Marks that turn out to be so far from where the tone was looked for are another's, Hz.
const ELSEWHERE: f64 = 30.0;
/// A machine's speed is known to this factor from a moment of its keying.
const MACHINE_SPEED: f64 = 1.12;
const EVERY_SPEED: Band = 0.0..f64::INFINITY;
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

/// Speeds, and the tone on the grid of frames on which they were found.
type Found = (SpeedTrack, Tone);

/// A tone on frames of each length, with the evidence for marks on each.
struct Grids(Vec<(Tone, Evidence)>);

impl Grids {
    /// The grids for the speeds of a band. The finest, which is for the fast, is left out after
    /// somebody slow.
    fn new(tone: &Tone, wpm: Option<f64>, band: &Band) -> Self {
        let finest = usize::from(wpm.is_some_and(|w| w < UNHURRIED));
        let mut tone = tone.clone();
        let mut grids = Vec::new();
        for grid in 0..tone.scale.grids {
            if grid > 0 {
                tone = tone.halved();
            }
            if tone.base.frames.len() < 16 {
                break;
            }
            let speeds = speed::range(tone.base.frame_seconds / tone.scale.stretch);
            if grid >= finest && speeds.start < band.end && band.start < speeds.end {
                let evidence = tone.evidence(None, Reach::ALL);
                grids.push((tone.clone(), evidence));
            }
        }
        if tone.scale.stretch < 1.0 && *band != EVERY_SPEED {
            // Exact keying is read as well from coarse frames.
            grids.drain(..grids.len().saturating_sub(1));
        }
        Self(grids)
    }

    /// The speeds, and the grid of frames, under which keying explains the tone best.
    ///
    /// Who was just read at some speed is taken to go on at it, unless another is clearly likelier.
    fn acquire(&self, wpm: Option<f64>, band: &Band) -> Option<(SpeedTrack, &Tone)> {
        let tables = speed::tables(&Shape::NOMINAL);
        let mut best: Option<(SpeedTrack, &Tone)> = None;
        for (tone, evidence) in &self.0 {
            let fastest = 1.2 / tone.base.frame_seconds;
            let Some(mut track) =
                speed::track(evidence, &tables, fastest * tone.scale.stretch, band)
            else {
                continue;
            };
            let dot = f64::from(speed::dot_frames(track.speed[track.speed.len() / 2]));
            if wpm.is_some_and(|w| (fastest / dot / w).ln().abs() < SAME_SPEED) {
                track.score *= GOING_ON;
            }
            if best.as_ref().is_none_or(|b| track.score > b.0.score) {
                best = Some((track, tone));
            }
        }
        best
    }
}

/// A tone mixed down to frames of some length, with the level of its marks.
#[derive(Clone, Debug)]
pub(crate) struct Tone {
    hz: f64,
    scale: Scale,
    base: Baseband,
    levels: Levels,
    /// The transmitter's frequency moves within marks.
    chirps: bool,
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
        let base = Baseband { frame_seconds, frames, noise };
        let chirps = chirps(&base, scale);
        let levels = first_levels(&base, scale, chirps);
        Self { hz, scale, base, levels, chirps }
    }

    /// The same on frames twice as long.
    fn halved(&self) -> Self {
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
        let (track, tone) = grids.acquire(wpm, &band)?;
        if effort == Effort::Thorough
            && let Some((track, dry)) = self.without_echoes(&grids, &(track.clone(), tone))
            && let Some(reading) = dry.refine(track.speed)
        {
            return Some(reading);
        }
        let tone = tone.clone();
        drop(grids);
        tone.refine(track.speed)
    }

    /// The speeds and the tone without echoes; `None` if there are none that matter.
    ///
    /// Echoes fill gaps and cut marks in two, so that another speed seems to fit: in a room, those
    /// of all ranges are tried, and the one is kept under which keying and echoes explain most.
    fn without_echoes(&self, grids: &Grids, found: &(SpeedTrack, &Self)) -> Option<Found> {
        let first = self.dry(&found.0, found.1);
        if first.as_ref().is_some_and(|dry| !dry.suspicious()) {
            return None;
        }
        let mut ways: Vec<(SpeedTrack, Self, Dry, Band)> = Vec::new();
        if let Some(dry) = first {
            ways.push((found.0.clone(), found.1.clone(), dry, EVERY_SPEED));
        }
        if ways.iter().all(|way| way.2.rest > UNEXPLAINED) {
            for (low, high) in OTHER_SPEEDS {
                let band = low..high;
                if let Some((track, tone)) = grids.acquire(None, &band)
                    && let Some(dry) = self.dry(&track, tone)
                {
                    ways.push((track, tone.clone(), dry, band));
                }
            }
        }
        ways.sort_by(|a, b| b.2.fit.total_cmp(&a.2.fit));
        ways.truncate(WAYS);
        let mut best: Option<(Found, Dry)> = None;
        for (track, tone, dry, band) in ways {
            let (found, dry) = self.settle((track, tone), dry, &band);
            if best.as_ref().is_none_or(|b| dry.fit > b.1.fit) {
                best = Some((found, dry));
            }
            if best.as_ref().is_some_and(|b| b.1.rest < UNEXPLAINED) {
                break;
            }
        }
        best.filter(|b| b.1.echoes()).map(|b| b.0)
    }

    /// Reads without the echoes that the reading before told, as long as that explains more.
    fn settle(&self, mut found: Found, mut best: Dry, band: &Band) -> (Found, Dry) {
        let mut base = best.base.clone();
        let mut vain = 0;
        for _ in 0..ECHO_ROUNDS {
            let chirps = chirps(&base, self.scale);
            let levels = first_levels(&base, self.scale, chirps);
            let tone = Self { base, levels, chirps, ..*self };
            let grids = Grids::new(&tone, None, band);
            let Some((track, tone)) = grids.acquire(None, band) else { break };
            let Some(dry) = self.dry(&track, tone) else { break };
            base = dry.base.clone();
            // The first rounds often explain less before they explain much more.
            vain = if dry.rest > 0.98 * best.rest { vain + 1 } else { 0 };
            if dry.rest < best.rest {
                found = (track, tone.clone());
                best = dry;
            }
            if vain == if best.rest < UNEXPLAINED { 1 } else { PATIENCE } {
                break;
            }
        }
        (found, best)
    }

    /// The tone without the echoes of what was found to be keyed at these speeds.
    fn dry(&self, track: &SpeedTrack, tone: &Self) -> Option<Dry> {
        let tables = speed::tables(&Shape::NOMINAL);
        let evidence = tone.evidence(None, Reach::of(&tables, &track.speed));
        let path = search(&evidence, &tables, &track.speed);
        // Echoes could make any keying of a tone that never stops.
        if path.glyphs.is_empty() || verdict::is_carrier(&evidence, &path, &track.speed) {
            return None;
        }
        echo::without(&self.base, &tone.keyed(&path), self.scale.stretch)
    }

    /// When the key was down on a path, seconds.
    fn keyed(&self, path: &Path) -> Vec<(f64, f64)> {
        let at = |frame: usize| frame as f64 * self.base.frame_seconds;
        path.glyphs
            .iter()
            .rev()
            .flat_map(|g| &g.strokes)
            .map(|s| (at(s.start), at(s.end)))
            .collect()
    }

    fn evidence(&self, expected: Option<&[Complex32]>, reach: Reach) -> Evidence {
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
            if path.glyphs.is_empty() || verdict::is_carrier(&evidence, &path, &speed) {
                return None;
            }
            if !self.chirps && !verdict::is_tone(&self.base, &path) {
                return None;
            }
            let text: Vec<u8> = path.glyphs.iter().map(|g| g.node).collect();
            if pass + 1 == passes || text == before {
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
