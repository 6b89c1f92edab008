//! A tone on frames of several lengths, each for the speeds that they are fine enough for.

use super::durations::Shape;
use super::evidence::{Evidence, Reach};
use super::speed::{self, Band, SpeedTrack};
use super::tone::Tone;

/// Who has just sent slower than this will not send faster than all but the finest grid can tell.
const UNHURRIED: f64 = 35.0;
/// Speeds that differ by less than this factor, as its `ln`, are of one sender.
const SAME_SPEED: f64 = 0.25;
/// How much likelier another speed must be than that of the last character.
const GOING_ON: f32 = 1.08;
/// Frames are fine enough for a speed if they can tell one this many times faster.
const ROUGH: f64 = 1.3;

pub(crate) const EVERY_SPEED: Band = 0.0..f64::INFINITY;

/// Keying that was heard, and on which frames.
pub(crate) struct Heard<'a> {
    pub track: SpeedTrack,
    pub tone: &'a Tone,
    pub evidence: &'a Evidence,
}

/// A tone on frames of each length, with the evidence for marks on each.
pub(crate) struct Grids(Vec<(Tone, Evidence)>);

impl Grids {
    /// The grids for the speeds of a band. The finest, which is for the fast, is left out after
    /// somebody slow.
    pub(crate) fn new(tone: &Tone, wpm: Option<f64>, band: &Band) -> Self {
        Self::of(tone, wpm, band, |tone, reach| tone.evidence(None, reach))
    }

    /// The grids for the speeds of a band, with the evidence of the edges of marks.
    pub(crate) fn of_edges(tone: &Tone, lean: f32, band: &Band) -> Self {
        Self::of(tone, None, band, |tone, reach| tone.edges(lean, reach))
    }

    fn of(
        tone: &Tone,
        wpm: Option<f64>,
        band: &Band,
        evidence: impl Fn(&Tone, Reach) -> Evidence,
    ) -> Self {
        let finest = usize::from(wpm.is_some_and(|w| w < UNHURRIED));
        let mut tones = vec![tone.clone()];
        while let Some(finer) = tones.last()
            && tones.len() < tone.scale.grids
        {
            tones.push(finer.halved());
        }
        tones.retain(|t| t.base.frames.len() >= 16);
        let speeds: Vec<Band> = tones.iter().map(Tone::speeds).collect();
        let needed = needed(&speeds, band, tone.scale.stretch < 1.0);
        let tables = speed::tables(&Shape::NOMINAL);
        let weighed = |tone: Tone| {
            let slowest = speed::slowest(tone.dot_wpm(), band);
            let evidence = evidence(&tone, Reach::down_to(&tables, slowest));
            (tone, evidence)
        };
        let chosen = tones.into_iter().enumerate();
        let chosen = chosen.filter(|(i, _)| *i >= finest && needed.contains(i));
        Self(chosen.map(|(_, tone)| weighed(tone)).collect())
    }

    /// The speeds, and the grid of frames, under which keying explains the tone best.
    ///
    /// Who was just read at some speed is taken to go on at it, unless another is clearly likelier.
    pub(crate) fn acquire(&self, wpm: Option<f64>, band: &Band) -> Option<Heard<'_>> {
        let tables = speed::tables(&Shape::NOMINAL);
        let speeds: Vec<Band> = self.0.iter().map(|(tone, _)| tone.speeds()).collect();
        let exact = self.0.first()?.0.scale.stretch < 1.0;
        let mut best: Option<Heard<'_>> = None;
        for (tone, evidence) in &self.0[needed(&speeds, band, exact)] {
            let Some(mut track) = speed::track(evidence, &tables, tone.dot_wpm(), band) else {
                continue;
            };
            let dot = f64::from(speed::dot_frames(track.speed[track.speed.len() / 2]));
            let heard = 1.2 / tone.base.frame_seconds / dot;
            if wpm.is_some_and(|w| (heard / w).ln().abs() < SAME_SPEED) {
                track.score *= GOING_ON;
            }
            if best.as_ref().is_none_or(|b| track.score > b.track.score) {
                best = Some(Heard { track, tone, evidence });
            }
        }
        best
    }
}

/// Which grids are for the speeds of a band, of grids from the finest to the coarsest: finer frames
/// for the same speeds are vain, and so are coarser ones. Exact keying is read as well from the
/// coarsest.
fn needed(speeds: &[Band], band: &Band, exact: bool) -> std::ops::Range<usize> {
    if *band == EVERY_SPEED {
        return 0..speeds.len();
    }
    let above = speeds.iter().take_while(|s| s.end > band.start).count();
    if exact {
        return above.saturating_sub(1)..above;
    }
    let from = speeds[..above].iter().rposition(|s| s.end >= ROUGH * band.end).unwrap_or(0);
    let last = speeds[from..above].iter().position(|s| s.start <= band.start);
    from..last.map_or(above, |last| from + last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_looked_for_on_the_coarsest_frames_that_will_do() {
        let speeds = [30.0..120.0, 15.0..60.0, 7.5..30.0, 3.8..15.0];
        assert_eq!(needed(&speeds, &EVERY_SPEED, false), 0..4);
        assert_eq!(needed(&speeds, &(34.0..46.0), false), 1..2);
        assert_eq!(needed(&speeds, &(18.0..23.0), false), 2..3);
        assert_eq!(needed(&speeds, &(7.0..9.5), false), 3..4);
        assert_eq!(needed(&speeds, &(0.0..46.0), false), 1..4);
        assert_eq!(needed(&speeds, &(100.0..200.0), false), 0..1);
        assert_eq!(needed(&speeds, &(25.0..32.0), true), 2..3);
        assert_eq!(needed(&speeds, &(200.0..300.0), false), 0..0);
    }
}
