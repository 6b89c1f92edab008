//! Keying and echoes, found in turns.
//!
//! Echoes fill gaps and cut marks in two, so that another speed seems to fit, and what is read then
//! tells other echoes. In a room the speeds of all ranges are tried by the edges of marks, which
//! echoes leave alone; each is followed as long as it explains more, and the one is kept under which
//! keying and echoes together are likeliest.

use super::echo::{self, ALL_TAPS, Dry, TAPS};
use super::grids::{EVERY_SPEED, Grids, Heard};
use super::speed::{self, Band, SpeedTrack};
use super::tone::Tone;
use super::verdict;

/// How often a tone is read at most without the echoes that the reading before told.
const ROUNDS: usize = 8;
/// How many rounds may be in vain before it is given up.
const PATIENCE: usize = 3;
/// More than this part of the tone explained neither by keying nor by its echoes is misread.
const UNEXPLAINED: f64 = 0.03;
/// More than this part of a chirping tone left unexplained, and it is the transmitter that chirps.
const CHIRPING: f64 = 0.15;
/// If so many ranges of speeds tell no echoes, there are none.
const WAYS: usize = 3;
/// How much more of what was left unexplained, and how much likelier, `ln`, a better reading is.
const LESS: f64 = 0.98;
const LIKELIER: f64 = 3.0;
/// The speeds that are tried, one range after the other, words per minute.
const SPEEDS: [Band; 8] =
    [7.0..9.5, 9.0..12.0, 11.5..15.0, 14.5..19.0, 18.0..23.0, 22.0..28.0, 27.0..35.0, 34.0..46.0];
/// Once echoes are gone, other speeds may show: all that are read in a room.
const ALL_SPEEDS: Band = 0.0..46.0;
/// By what factor the speed may still be wrong that was found among them.
const AROUND: f64 = 1.25;

/// How much louder the sound is taken to be after the beginning of a mark than before it.
///
/// Without it gaps are as good marks, with it a room must not be louder than the direct sound: what
/// either finds first is followed.
const LEANS: [f32; 2] = [0.0, 1.0];

/// What is taken to speak for a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// Its level.
    Level,
    /// Its edges.
    Edges,
}

/// A reading of a tone, and what is left without its echoes.
struct Way {
    track: SpeedTrack,
    /// Length of the frames that it was read on.
    frame_seconds: f64,
    dry: Dry,
}

/// The speeds around those that were heard.
fn around(heard: &Heard<'_>) -> Band {
    let dot = |k: Option<&u8>| f64::from(speed::dot_frames(k.copied().unwrap_or_default()));
    let wpm = |dot: f64| heard.tone.dot_wpm() / dot;
    let speed = &heard.track.speed;
    wpm(dot(speed.iter().max())) / AROUND..wpm(dot(speed.iter().min())) * AROUND
}

/// The speeds and the tone without echoes; `None` if there are none that matter.
pub(super) fn without_echoes(tone: &Tone, heard: &Heard<'_>) -> Option<(SpeedTrack, Tone)> {
    let first = Way::by_level(tone, heard, TAPS);
    if first.as_ref().is_some_and(|way| !way.dry.suspicious()) {
        return None;
    }
    let way = match first.filter(|way| way.dry.rest <= UNEXPLAINED) {
        Some(way) => way.settled(tone, By::Level, &EVERY_SPEED, TAPS),
        None => by_edges(tone)?,
    };
    let best = way.settled(tone, By::Level, &ALL_SPEEDS, ALL_TAPS);
    // A transmitter that chirps is not a room: echoes of a tone that seems to must explain it.
    if !best.dry.echoes() || tone.chirps && best.dry.rest > CHIRPING {
        return None;
    }
    let mut dry = tone.with(best.dry.base);
    while dry.base.frame_seconds < 0.75 * best.frame_seconds {
        dry = dry.halved();
    }
    Some((best.track, dry))
}

/// The likeliest of what the edges of marks tell at the speeds of all ranges.
fn by_edges(tone: &Tone) -> Option<Way> {
    let mut ways = Vec::new();
    for lean in LEANS {
        let grids = Grids::of_edges(tone, lean, &ALL_SPEEDS);
        ways.extend(SPEEDS.into_iter().filter_map(|band| {
            let heard = grids.acquire(None, &band)?;
            Some((Way::new(tone, &heard, TAPS)?, band))
        }));
    }
    if ways.iter().all(|(way, _)| way.dry.strange()) {
        return None;
    }
    ways.sort_by(|a, b| b.0.dry.fit.total_cmp(&a.0.dry.fit));
    let mut best: Option<Way> = None;
    let mut echoes = false;
    for (tried, (way, band)) in (1..).zip(ways) {
        let way = way.settled(tone, By::Edges, &band, TAPS);
        let way = way.settled(tone, By::Level, &ALL_SPEEDS, TAPS);
        echoes |= way.dry.echoes();
        if tried == WAYS && !echoes {
            return None;
        }
        if best.as_ref().is_none_or(|b| way.dry.fit > b.dry.fit) {
            best = Some(way);
        }
        if best.as_ref().is_some_and(|b| b.dry.rest < UNEXPLAINED) {
            break;
        }
    }
    best
}

impl Way {
    /// The same, unless the tone never stops: echoes could make any keying of it.
    fn by_level(tone: &Tone, heard: &Heard<'_>, taps: usize) -> Option<Self> {
        let track = &heard.track;
        if verdict::is_carrier(heard.evidence, &track.marks, track.score, &track.speed) {
            return None;
        }
        Self::new(tone, heard, taps)
    }

    /// The tone without the echoes of what was found to be keyed.
    fn new(tone: &Tone, heard: &Heard<'_>, taps: usize) -> Option<Self> {
        let track = heard.track.clone();
        let frame_seconds = heard.tone.base.frame_seconds;
        let at = |frame: usize| frame as f64 * frame_seconds;
        let keyed: Vec<(f64, f64)> = track.marks.iter().map(|m| (at(m.0), at(m.1))).collect();
        let mut dry = echo::without(&tone.base, &keyed, tone.scale.stretch, taps)?;
        // Of two keyings that explain the sound the one that is better Morse is the likelier.
        dry.fit += f64::from(track.tidy);
        Some(Self { track, frame_seconds, dry })
    }

    /// Reads without the echoes that the reading before told, as long as that explains more.
    fn settled(mut self, tone: &Tone, by: By, band: &Band, taps: usize) -> Self {
        let mut base = self.dry.base.clone();
        let mut seen = vec![self.track.marks.clone()];
        let mut vain = 0;
        let mut near = band.clone();
        for _ in 0..ROUNDS {
            let left = tone.with(base);
            let grids = match by {
                By::Level => Grids::new(&left, None, &near),
                By::Edges => Grids::of_edges(&left, LEANS[0], &near),
            };
            let Some(heard) = grids.acquire(None, &near) else { break };
            if *band == ALL_SPEEDS || *band == EVERY_SPEED {
                near = around(&heard);
            }
            let way = match by {
                By::Level => Self::by_level(tone, &heard, taps),
                By::Edges => Self::new(tone, &heard, taps),
            };
            let Some(way) = way else { break };
            // What was found before leads to what followed then.
            let again = seen.contains(&way.track.marks);
            base = way.dry.base.clone();
            seen.push(way.track.marks.clone());
            // The first rounds often explain less before they explain much more.
            let better =
                way.dry.rest < LESS * self.dry.rest || way.dry.fit > self.dry.fit + LIKELIER;
            vain = if better { 0 } else { vain + 1 };
            if way.dry.fit > self.dry.fit {
                self = way;
            }
            if again || vain == PATIENCE {
                break;
            }
        }
        self
    }
}
