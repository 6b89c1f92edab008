//! Reading a stretch of sound: from candidates of tone and speed to one text.

use realfft::RealFftPlanner;

use super::evidence::Levels;
use super::search::{Glyph, Path};
use super::speed::dot_frames;
use super::tone::Tone;
use crate::detector::{Skirt, Spectrum, candidates};

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
    pub frame_seconds: f64,
    pub grids: usize,
    pub window_seconds: f64,
    pub top_hz: f64,
    pub skirt: Skirt,
    /// How much faster than ordinary Morse.
    pub stretch: f64,
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

/// What may be spent on a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Sound is read again every moment: echoes are left in it.
    Quick,
    /// Sound is read once.
    Thorough,
}

/// A tone with less than this part of the loudest one's power is not listened to twice.
const FAINT: f32 = 0.1;
/// Contrast of a tone in short spectra that is worth reading at high speed.
const HURRIED: f32 = 2.0;
/// A tone that has been read before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Followed {
    pub hz: f64,
    /// Its speed, if it was read just now.
    pub wpm: Option<f64>,
}

/// Fewer marks than this must be strong ones.
const FEW_MARKS: f32 = 60.0;
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
    followed: Option<Followed>,
    scale: Scale,
    effort: Effort,
) -> Option<Reading> {
    let spectrum = spectrum(planner, samples, rate, scale)?;
    let wpm = followed.and_then(|f| f.wpm);
    let power = |hz: f64| {
        let bin = spectrum.bin(hz).round() as usize;
        let mean = |bin: usize| (0..spectrum.frames()).map(|t| spectrum.at(t, bin)).sum::<f32>();
        (bin.saturating_sub(1)..(bin + 2).min(spectrum.bins)).map(mean).fold(0.0, f32::max)
    };
    let mut found = candidates(&spectrum, 3);
    found.retain(|c| c.contrast > 1.15);
    let loudest = found.iter().map(|c| power(c.hz)).fold(0.0, f32::max);
    // The strongest, not the likeliest: a fast weak signal has more marks to be sure of. One that
    // has been followed is left for a much stronger one only.
    let rank = |hz: f64| {
        let held = followed.is_some_and(|f| (f.hz - hz).abs() < HELD_HZ);
        power(hz) * usual_pitch(hz) * if held { HELD_GAIN } else { 1.0 }
    };
    found.sort_by(|a, b| rank(b.hz).total_cmp(&rank(a.hz)));
    found.iter().find_map(|c| {
        // A skirt or a harmonic of another tone is not worth the search for its echoes.
        let effort = if power(c.hz) < FAINT * loudest { Effort::Quick } else { effort };
        let tone = Tone::new(samples, rate, &spectrum, c.hz, scale);
        tone.read(wpm, effort).filter(Reading::credible)
    })
}

/// Receivers are tuned so that the station listened to is heard at a pitch like this, Hz: of two
/// that are equally strong it is the likelier one.
const PITCH_HZ: f64 = 650.0;
/// How far from it a pitch is no more usual than any other, Hz, and how much that takes.
const PITCH_SPREAD: f64 = 200.0;
const UNUSUAL: f32 = 0.6;

fn usual_pitch(hz: f64) -> f32 {
    let far = (hz - PITCH_HZ) / PITCH_SPREAD;
    UNUSUAL + (1.0 - UNUSUAL) * (-0.5 * far * far).exp() as f32
}

impl Reading {
    fn credible(&self) -> bool {
        let strokes = self.path.glyphs.iter().flat_map(|g| &g.strokes);
        let (count, sum) = strokes.fold((0.0, 0.0), |(n, e), s| (n + 1.0, e + s.evidence));
        // The fewer the marks, the more easily noise makes some.
        let least = if count < FEW_MARKS { 7.0 } else { 3.0 };
        self.score > 25.0 && sum > least * count
    }
}

impl Reading {
    /// Whether it is one of Morse even where nothing was read before: a lone mark may be anything,
    /// and what is faster than a hand is a machine's or a voice.
    pub(crate) fn convinces(&self) -> bool {
        let marks: usize = self.path.glyphs.iter().map(|g| g.strokes.len()).sum();
        let begin = self.path.glyphs.first().and_then(|g| g.strokes.first());
        let by_hand = begin.is_none_or(|s| self.wpm(s.start) < HAND_WPM);
        marks > 1 && (by_hand || self.fit > MACHINE_FIT)
    }
}

/// Nobody keys faster by hand, words per minute.
const HAND_WPM: f64 = 60.0;
/// Machines key exactly: a reading at high speed that explains less is of a voice.
pub(crate) const MACHINE_FIT: f32 = 0.75;
/// Ordinary readings reach to here, words per minute.
pub(crate) const HURRY_WPM: f64 = 125.0;
/// What is keyed so fast shows itself in so short a time, seconds.
const SCOUTED: f64 = 0.3;

/// The tone and the speed of something that is keyed much faster than by hand: then short spectra
/// change more than long ones, and the loudest moment of the tone can be read.
pub(crate) fn hurried(
    planner: &mut RealFftPlanner<f32>,
    samples: &[f32],
    rate: f64,
) -> Option<Followed> {
    let loudest = |length: f64| {
        let energy = |piece: &&[f32]| piece.iter().map(|x| x * x).sum::<f32>();
        let pieces = samples.chunks((length * rate) as usize);
        pieces.max_by(|a, b| energy(a).total_cmp(&energy(b)))
    };
    let piece = loudest(2.0)?;
    let spectrum = spectrum(planner, piece, rate, FAST)?;
    let tone = candidates(&spectrum, 1).into_iter().find(|c| c.contrast > HURRIED)?;
    let scout = Tone::new(piece, rate, &spectrum, tone.hz, FAST).loudest(SCOUTED);
    let reading = scout.read(None, Effort::Quick)?;
    let wpm = reading.wpm(reading.path.glyphs.first()?.strokes.first()?.start);
    (reading.credible() && reading.fit > MACHINE_FIT && wpm > HURRY_WPM)
        .then_some(Followed { hz: tone.hz, wpm: Some(wpm) })
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
