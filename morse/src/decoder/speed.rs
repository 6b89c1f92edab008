//! Speed over time: a semi-Markov model of marks and gaps alone, for all speeds at once.
//!
//! It knows nothing of characters, so it is cheap enough to run at every speed of two octaves
//! with the speed as a slow state: operators speed up, and another one answers at his own.

use super::durations::{Shape, Table};
use super::evidence::Evidence;

/// Frames of a dot at the fastest speed of a grid.
pub(crate) const SHORTEST_DOT: f32 = 5.0;
/// Speeds of a grid, 5 % apart: two octaves.
pub(crate) const SPEEDS: usize = 29;
/// Cost of the next speed on the grid, and of any other, after a character.
const SLOW_CHANGE: f32 = 3.0;
const JUMP: f32 = 14.0;
/// `ln` chance of a dot or of a dash.
const MARK: f32 = -0.69;
/// What a mark costs because the code tree may not allow it.
const BLANK: usize = 512;

/// Frames of a dot at one speed of a grid.
pub(crate) fn dot_frames(speed: u8) -> f32 {
    SHORTEST_DOT * 1.05_f32.powi(i32::from(speed))
}

/// How the speed ran.
#[derive(Clone, Debug)]
pub(crate) struct SpeedTrack {
    /// `ln` likelihood ratio of the best keying at these speeds against noise alone.
    pub score: f32,
    /// The speed at each frame, for [`dot_frames`].
    pub speed: Vec<u8>,
}

/// The greatest of `a + b + c`.
pub(crate) fn best3(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut best = [f32::NEG_INFINITY; LANES];
    let n = a.len().min(b.len()).min(c.len());
    let (a, b, c) = (&a[..n], &b[..n], &c[..n]);
    let whole = n / LANES * LANES;
    let mut i = 0;
    while i < whole {
        for lane in 0..LANES {
            let v = a[i + lane] + b[i + lane] + c[i + lane];
            best[lane] = if v > best[lane] { v } else { best[lane] };
        }
        i += LANES;
    }
    while i < n {
        let v = a[i] + b[i] + c[i];
        best[0] = if v > best[0] { v } else { best[0] };
        i += 1;
    }
    best.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// The greatest of `a + b`.
pub(crate) fn best2(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut best = [f32::NEG_INFINITY; LANES];
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let whole = n / LANES * LANES;
    let mut i = 0;
    while i < whole {
        for lane in 0..LANES {
            let v = a[i + lane] + b[i + lane];
            best[lane] = if v > best[lane] { v } else { best[lane] };
        }
        i += LANES;
    }
    while i < n {
        let v = a[i] + b[i];
        best[0] = if v > best[0] { v } else { best[0] };
        i += 1;
    }
    best.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// Finds the speeds under which keying explains the sound best; `None` where noise does.
pub(crate) fn track(evidence: &Evidence, shape: &Shape) -> Option<SpeedTrack> {
    let frames = evidence.frames;
    let tables: Vec<Table> = (0..SPEEDS as u8).map(|k| Table::new(dot_frames(k), shape)).collect();
    // Scores of "a gap ended here" and "a mark ended here", each with a blank run-up.
    let width = BLANK + frames + 1;
    let mut ready = vec![f32::NEG_INFINITY; SPEEDS * width];
    let mut marked = vec![f32::NEG_INFINITY; SPEEDS * width];
    let mut from = vec![0_u8; SPEEDS * (frames + 1)];
    let mut paused = [f32::NEG_INFINITY; SPEEDS];
    for k in 0..SPEEDS {
        ready[k * width + BLANK] = 0.0;
    }
    let mut end = (0.0_f32, 0_usize, 0_usize);
    for t in 1..=frames {
        let mut outer = [f32::NEG_INFINITY; SPEEDS];
        let mut any = f32::NEG_INFINITY;
        for (k, table) in tables.iter().enumerate() {
            let here = k * width + BLANK + t;
            let (dot, dash) = (&table.dot, &table.dash);
            let dots = best3(
                &ready[here - dot.longest..=here - dot.shortest],
                evidence.dots(t, dot.shortest, dot.longest),
                &dot.reversed,
            );
            let dashes = best3(
                &ready[here - dash.longest..=here - dash.shortest],
                evidence.dashes(t, dash.shortest, dash.longest),
                &dash.reversed,
            );
            let mark = MARK + dots.max(dashes);
            marked[here] = mark;
            if mark > end.0 {
                end = (mark, t, k);
            }
            let (inner, far) = (&table.inner, &table.outer);
            let inside =
                best2(&marked[here - inner.longest..=here - inner.shortest], &inner.reversed);
            let outside = best2(&marked[here - far.longest..=here - far.shortest], &far.reversed);
            paused[k] = paused[k].max(marked[here - far.longest - 1] + table.pause);
            outer[k] = outside.max(paused[k]);
            any = any.max(outer[k]);
            ready[here] = inside;
        }
        for k in 0..SPEEDS {
            let mut best = (outer[k], k);
            for other in [k.wrapping_sub(1), k + 1] {
                if other < SPEEDS && outer[other] - SLOW_CHANGE > best.0 {
                    best = (outer[other] - SLOW_CHANGE, other);
                }
            }
            if any - JUMP > best.0 {
                let source = outer.iter().position(|o| *o == any).unwrap_or(k);
                best = (any - JUMP, source);
            }
            let here = k * width + BLANK + t;
            let place = k * (frames + 1) + t;
            from[place] = k as u8;
            if best.0 > ready[here] {
                ready[here] = best.0;
                from[place] = best.1 as u8;
            }
            // Nothing before: the sound begins with silence of any length.
            if ready[here] < 0.0 {
                ready[here] = 0.0;
            }
        }
    }
    let (score, mut t, mut k) = end;
    if score <= 0.0 {
        return None;
    }
    let mut speed = vec![0_u8; frames];
    speed[t..].fill(k as u8);
    loop {
        // A mark ends at `t`.
        let table = &tables[k];
        let mut best = (f32::NEG_INFINITY, 1);
        for (lengths, row) in [
            (&table.dot, evidence.dots(t, table.dot.shortest, table.dot.longest)),
            (&table.dash, evidence.dashes(t, table.dash.shortest, table.dash.longest)),
        ] {
            for (i, (lp, e)) in lengths.reversed.iter().zip(row).enumerate() {
                let d = lengths.longest - i;
                let v = ready[k * width + BLANK + t - d] + lp + e;
                if v > best.0 {
                    best = (v, d);
                }
            }
        }
        let start = t.saturating_sub(best.1);
        speed[start..t].fill(k as u8);
        t = start;
        let value = ready[k * width + BLANK + t];
        if value <= 0.0 || t == 0 {
            break;
        }
        let source = usize::from(from[k * (frames + 1) + t]);
        let table = &tables[source];
        let base = source * width + BLANK + t;
        let mut best = (f32::NEG_INFINITY, 1);
        for lengths in [&table.inner, &table.outer] {
            if source != k && std::ptr::eq(lengths, &raw const table.inner) {
                continue;
            }
            for (i, lp) in lengths.reversed.iter().enumerate() {
                let d = lengths.longest - i;
                let v = marked[base - d] + lp;
                if v > best.0 {
                    best = (v, d);
                }
            }
        }
        let mut d = table.outer.longest + 1;
        while d <= t {
            let v = marked[base - d] + table.pause;
            if v > best.0 {
                best = (v, d);
            }
            d += 1;
        }
        let start = t.saturating_sub(best.1);
        speed[start..t].fill(source as u8);
        t = start;
        k = source;
        if t == 0 {
            break;
        }
    }
    speed[..t].fill(k as u8);
    Some(SpeedTrack { score, speed })
}
