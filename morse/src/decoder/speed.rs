//! Speed over time: a semi-Markov model of marks and gaps alone, for all speeds at once.
//!
//! It knows nothing of characters, so it is cheap enough to run at every speed of two octaves
//! with the speed as a slow state: operators speed up, and another one answers at his own.

use std::ops::Range;

use super::durations::{Lengths, Shape, Table};
use super::evidence::Evidence;
use super::lanes::{best_of_both, best2};

/// Frames of a dot at the fastest speed of a grid.
const SHORTEST_DOT: f32 = 5.0;
/// Speeds of a grid, 5 % apart: two octaves.
pub(crate) const SPEEDS: usize = 29;
/// Cost of the next speed on the grid, and of any other, after a character.
const SLOW_CHANGE: f32 = 3.0;
const JUMP: f32 = 14.0;
/// `ln` chance of a dot or of a dash.
const MARK: f32 = -0.69;
/// Frames before the first, in which nothing can have happened.
const BLANK: usize = 512;

/// Frames of a dot at one speed of a grid.
pub(crate) fn dot_frames(speed: u8) -> f32 {
    SHORTEST_DOT * 1.05_f32.powi(i32::from(speed))
}

/// The speeds of a grid of such frames, words per minute.
pub(crate) fn range(frame_seconds: f64) -> Band {
    let wpm = |speed: usize| 1.2 / (frame_seconds * f64::from(dot_frames(speed as u8)));
    wpm(SPEEDS - 1)..wpm(0)
}

/// The slowest speed of a band for [`dot_frames`], `wpm` being that of a dot of one frame.
pub(crate) fn slowest(wpm: f64, band: &Band) -> u8 {
    let within = |k: &u8| wpm / f64::from(dot_frames(*k)) >= band.start;
    (0..SPEEDS as u8).rev().find(within).unwrap_or(0)
}

/// The tables of all speeds of a grid.
pub(crate) fn tables(shape: &Shape) -> Vec<Table> {
    (0..SPEEDS as u8).map(|k| Table::new(dot_frames(k), shape)).collect()
}

/// How the speed ran.
#[derive(Clone, Debug)]
pub(crate) struct SpeedTrack {
    /// `ln` likelihood ratio of the best keying at these speeds against noise alone.
    pub score: f32,
    /// The speed at each frame, for [`dot_frames`].
    pub speed: Vec<u8>,
    /// The marks: first frame, and first frame after.
    pub marks: Vec<(usize, usize)>,
    /// The part of the score that lengths and their order have, not the sound.
    pub tidy: f32,
}

/// `ln` of how usual a speed is, in words per minute: people key at 20, twice as fast or half as
/// fast more rarely. It decides where the sound does not, as of a single dot.
fn usual(wpm: f64) -> f32 {
    let octaves = (wpm / 20.0).log2() as f32;
    -0.6 * octaves * octaves
}

/// A range of speeds, words per minute.
pub(crate) type Band = Range<f64>;

/// Finds the speeds under which keying explains the sound best; `None` where noise does.
///
/// `wpm` is the speed of a dot of one frame; only speeds in `band` are looked at.
pub(crate) fn track(
    evidence: &Evidence,
    tables: &[Table],
    wpm: f64,
    band: &Band,
) -> Option<SpeedTrack> {
    let mut model = Model::new(evidence, tables, wpm, band);
    if model.speeds.is_empty() {
        return None;
    }
    let end = (1..=evidence.frames).fold((0.0, 0, 0), |best, t| {
        let here = model.step(t);
        if here.0 > best.0 { here } else { best }
    });
    (end.0 > 0.0).then(|| model.trace(end.0, end.1, end.2))
}

struct Model<'a> {
    evidence: &'a Evidence,
    tables: &'a [Table],
    /// Length of the row of each speed in what follows.
    width: usize,
    /// For each speed and time, the score of "a gap ended here".
    ready: Vec<f32>,
    /// The same for "a mark ended here".
    marked: Vec<f32>,
    /// Which speed a gap that ended here came from.
    from: Vec<u8>,
    /// For each speed, the best end of a character a long pause ago.
    paused: [f32; SPEEDS],
    /// For each speed, the score of beginning at it; minus infinity outside the band.
    first: [f32; SPEEDS],
    /// The speeds of the band.
    speeds: Range<usize>,
}

impl<'a> Model<'a> {
    fn new(evidence: &'a Evidence, tables: &'a [Table], wpm: f64, band: &Band) -> Self {
        let mut first = [f32::NEG_INFINITY; SPEEDS];
        for (k, first) in first.iter_mut().enumerate() {
            let wpm = wpm / f64::from(dot_frames(k as u8));
            if band.contains(&wpm) {
                *first = usual(wpm);
            }
        }
        let width = BLANK + evidence.frames + 1;
        let low = first.iter().position(|f| f.is_finite()).unwrap_or(0);
        let high = first.iter().rposition(|f| f.is_finite()).map_or(low, |last| last + 1);
        let cells = (high - low) * width;
        let mut ready = vec![f32::NEG_INFINITY; cells];
        for (k, row) in ready.chunks_exact_mut(width).enumerate() {
            row[BLANK] = first[low + k];
        }
        Self {
            evidence,
            tables,
            width,
            ready,
            marked: vec![f32::NEG_INFINITY; cells],
            from: vec![0; cells],
            paused: [f32::NEG_INFINITY; SPEEDS],
            first,
            speeds: low..high,
        }
    }

    fn place(&self, speed: usize, t: usize) -> usize {
        (speed - self.speeds.start) * self.width + BLANK + t
    }

    /// Takes one frame; returns the best score of a mark that ends with it, the time, the speed.
    fn step(&mut self, t: usize) -> (f32, usize, usize) {
        let mut outer = [f32::NEG_INFINITY; SPEEDS];
        let mut best = (f32::NEG_INFINITY, t, 0);
        for k in self.speeds.clone() {
            let table = &self.tables[k];
            let here = self.place(k, t);
            let (dot, dash) = (&table.dot, &table.dash);
            let mark = MARK
                + best_of_both(
                    (
                        before(&self.ready, here, dot),
                        self.evidence.dots(t, dot.shortest, dot.longest),
                        &dot.reversed,
                    ),
                    (
                        before(&self.ready, here, dash),
                        self.evidence.dashes(t, dash.shortest, dash.longest),
                        &dash.reversed,
                    ),
                );
            self.marked[here] = mark;
            if mark > best.0 {
                best = (mark, t, k);
            }
            self.ready[here] =
                best2(before(&self.marked, here, &table.inner), &table.inner.reversed);
            let outside = best2(before(&self.marked, here, &table.outer), &table.outer.reversed);
            let long_ago = self.marked[here - table.outer.longest - 1] + table.pause;
            self.paused[k] = self.paused[k].max(long_ago);
            outer[k] = outside.max(self.paused[k]);
        }
        self.change(t, &outer);
        best
    }

    /// Lets the speed change with a gap between characters.
    fn change(&mut self, t: usize, outer: &[f32; SPEEDS]) {
        let mut any = (f32::NEG_INFINITY, self.speeds.start);
        for k in self.speeds.clone() {
            if outer[k] > any.0 {
                any = (outer[k], k);
            }
        }
        for k in self.speeds.clone() {
            let mut best = (outer[k], k);
            let mut offer = |score: f32, speed: usize| {
                if score > best.0 {
                    best = (score, speed);
                }
            };
            if k > 0 {
                offer(outer[k - 1] - SLOW_CHANGE, k - 1);
            }
            if k + 1 < SPEEDS {
                offer(outer[k + 1] - SLOW_CHANGE, k + 1);
            }
            offer(any.0 - JUMP, any.1);
            let here = self.place(k, t);
            self.from[here] = k as u8;
            if best.0 > self.ready[here] {
                self.ready[here] = best.0;
                self.from[here] = best.1 as u8;
            }
            // Nothing before: the sound begins with silence of any length.
            self.ready[here] = self.ready[here].max(self.first[k]);
        }
    }

    /// The best path to a mark that ends at `t`.
    fn trace(&self, score: f32, mut t: usize, mut speed: usize) -> SpeedTrack {
        let mut out = vec![speed as u8; self.evidence.frames];
        let mut marks = Vec::new();
        let mut pauses = [const { None }; SPEEDS];
        let mut tidy = score;
        while t > 0 {
            let (length, evidence) = self.mark(t, speed);
            let start = t - length;
            marks.push((start, t));
            tidy -= evidence;
            out[start..t].fill(speed as u8);
            t = start;
            let source = usize::from(self.from[self.place(speed, t)]);
            if t == 0 || self.ready[self.place(speed, t)] <= self.first[speed] {
                break;
            }
            let ended = pauses[source].get_or_insert_with(|| self.best_ends(source));
            let start = t.saturating_sub(self.gap(t, source, source == speed, ended));
            out[start..t].fill(source as u8);
            (t, speed) = (start, source);
        }
        out[..t].fill(speed as u8);
        marks.reverse();
        SpeedTrack { score, speed: out, marks, tidy }
    }

    /// The length of the mark that ends at `t`, and what the sound says of it.
    fn mark(&self, t: usize, speed: usize) -> (usize, f32) {
        let table = &self.tables[speed];
        let mut best = (f32::NEG_INFINITY, 1, 0.0);
        for (lengths, row) in [
            (&table.dot, self.evidence.dots(t, table.dot.shortest, table.dot.longest)),
            (&table.dash, self.evidence.dashes(t, table.dash.shortest, table.dash.longest)),
        ] {
            let ready = before(&self.ready, self.place(speed, t), lengths);
            for (i, ((r, e), l)) in ready.iter().zip(row).zip(&lengths.reversed).enumerate() {
                if r + e + l > best.0 {
                    best = (r + e + l, lengths.longest - i, *e);
                }
            }
        }
        (best.1.min(t), best.2)
    }

    /// For each time, when the best mark up to it ended, at one speed.
    fn best_ends(&self, speed: usize) -> Vec<usize> {
        let ended = |t: usize| self.marked[self.place(speed, t)];
        let latest = |best: &mut usize, t: usize| {
            if ended(t) >= ended(*best) {
                *best = t;
            }
            Some(*best)
        };
        (0..=self.evidence.frames).scan(0, latest).collect()
    }

    /// The length of the gap that ends at `t`; inside a character only if the speed stayed.
    fn gap(&self, t: usize, speed: usize, stayed: bool, ended: &[usize]) -> usize {
        let table = &self.tables[speed];
        let here = self.place(speed, t);
        let mut best = (f32::NEG_INFINITY, 1);
        for lengths in [Some(&table.inner).filter(|_| stayed), Some(&table.outer)] {
            let Some(lengths) = lengths else { continue };
            let marked = before(&self.marked, here, lengths);
            for (i, (m, l)) in marked.iter().zip(&lengths.reversed).enumerate() {
                if m + l > best.0 {
                    best = (m + l, lengths.longest - i);
                }
            }
        }
        if let Some(long_ago) = t.checked_sub(table.outer.longest + 1) {
            let length = t - ended[long_ago];
            if self.marked[here - length] + table.pause > best.0 {
                best.1 = length;
            }
        }
        best.1
    }
}

/// What lies before a place, from the longest of the lengths to the shortest.
fn before<'a>(row: &'a [f32], place: usize, lengths: &Lengths) -> &'a [f32] {
    &row[place - lengths.longest..=place - lengths.shortest]
}
