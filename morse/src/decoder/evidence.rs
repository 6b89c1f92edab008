//! How much the sound speaks for a mark: log-likelihood ratios of every stretch of time.
//!
//! A mark of known level `a` and unknown phase in complex Gaussian noise of variance `σ²` a frame
//! has, over `L` frames with sum `Z`, the ratio `ln I0(2a|Z|/σ²) - a²L/σ²` against noise alone
//! (Proakis, Digital Communications, non-coherent detection). A dash is three such chunks, so that
//! neither a wrong frequency nor a transmitter's chirp makes its middle cancel its ends.

use rustfft::num_complex::Complex32;

use super::durations::Table;

/// `ln I0(x)` of a number that is not negative, to 0.007.
///
/// It is `x - ln(r)/2` with a rational `r` that has the value and slope of the true one at nothing,
/// and its asymptote `2πx - π/2`; the two numbers that leaves free are fitted. No branches and no
/// tables: the compiler makes vectors of it.
pub(crate) fn ln_bessel(x: f32) -> f32 {
    use std::f32::consts::{FRAC_PI_2, TAU};
    const B1: f32 = 0.624_82;
    const B2: f32 = 0.777_85;
    const A1: f32 = B1 + 2.0;
    const A2: f32 = TAU * B1 - FRAC_PI_2 * B2;
    const A3: f32 = TAU * B2;
    // Beyond this the cubes would not fit a float.
    let y = if x < 1e9 { x } else { 1e9 };
    let r = (1.0 + y * (A1 + y * (A2 + y * A3))) / (1.0 + y * (B1 + y * B2));
    x - 0.5 * ln(r)
}

/// `ln` of a number of one or more, to 0.0001: its exponent, and a polynomial of its mantissa.
fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let exponent = (bits >> 23).cast_signed() - 127;
    let m = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000);
    // Interpolated at Chebyshev's nodes from 1 to 2.
    let mantissa = -1.736_759_7
        + m * (2.806_980_5 + m * (-1.455_194_8 + m * (0.440_502_74 - m * 0.055_459_31)));
    exponent as f32 * std::f32::consts::LN_2 + mantissa
}

/// Level of the marks and noise, frame by frame.
#[derive(Clone, Debug)]
pub(crate) struct Levels {
    /// Magnitude of a frame inside a mark.
    pub mark: Vec<f32>,
    /// Variance of the noise in a frame.
    pub noise: Vec<f32>,
}

/// What is known of the phase within a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It holds as long as a mark lasts.
    Steady,
    /// It holds for so many frames: a transmitter that chirps.
    Loose(usize),
}

/// The ratios of all stretches on one grid of frames. Rows are read backwards in length, so that
/// they run in step with arrays indexed by the time of the stretch's beginning.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// How many frames.
    pub frames: usize,
    reach: Reach,
    dot: Vec<f32>,
    dash: Vec<f32>,
}

/// How long the marks are that are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The longest dot, frames.
    pub dot: usize,
    /// The longest dash, frames.
    pub dash: usize,
}

impl Reach {
    /// Marks of every speed of a grid.
    pub(crate) const ALL: Self = Self { dot: LONGEST_DOT, dash: LONGEST_DASH };

    /// Marks of the speeds of a track.
    pub(crate) fn of(tables: &[Table], speed: &[u8]) -> Self {
        Self::down_to(tables, speed.iter().copied().max().unwrap_or(u8::MAX))
    }

    /// Marks of the speeds down to one.
    pub(crate) fn down_to(tables: &[Table], slowest: u8) -> Self {
        let slowest = tables.get(usize::from(slowest));
        slowest.map_or(Self::ALL, |t| Self { dot: t.dot.longest, dash: t.dash.longest.max(3) })
    }
}

/// The longest dot of the slowest speed of a grid, frames.
pub(crate) const LONGEST_DOT: usize = 48;
/// The longest dash, frames.
pub(crate) const LONGEST_DASH: usize = 96;

/// A frame stronger than this many times the level, and so many deviations of the noise, is cut
/// to that: clicks are short and strong.
const LIMIT: f32 = 1.5;
const NOISE_LIMIT: f32 = 2.5;

/// So many ends of stretches are weighed at a time: what that takes stays near the processor.
const TILE: usize = 64;

/// So many lengths are laid into rows at a time.
const BLOCK: usize = 8;

/// Lays columns of lengths, from `from` on, into rows of `reach` lengths, the longest first.
fn lay(rows: &mut [f32], reach: usize, from: usize, lengths: usize, columns: [&[f32]; BLOCK]) {
    let first = reach + 1 - from - lengths;
    for (end, row) in rows.chunks_exact_mut(reach).enumerate() {
        let row = &mut row[first..first + lengths];
        // The same, but its length is known: stored at once.
        if let Ok(row) = <&mut [f32; BLOCK]>::try_from(&mut *row) {
            for (to, column) in row.iter_mut().rev().zip(columns) {
                *to = column[end];
            }
        } else {
            for (to, column) in row.iter_mut().rev().zip(columns) {
                *to = column[end];
            }
        }
    }
}

impl Evidence {
    /// Weighs every stretch as long as `reach`. Noise is taken to be at least so strong that
    /// `temper` frames of a mark have the energy of `TEMPERED`: beyond that, certainty is not to be
    /// had, since reverberation, chirp and keying are not in the model.
    pub(crate) fn new(
        frames: &[Complex32],
        levels: &Levels,
        temper: f32,
        phase: Phase,
        expected: Option<&[Complex32]>,
        reach: Reach,
    ) -> Self {
        let count = frames.len();
        let sound = Weights::new(frames, levels, temper, phase, expected);
        let coherent = phase == Phase::Steady;
        // A dash in three parts needs the ratios of parts that ended before the tile.
        let history = reach.dash.next_multiple_of(TILE);
        let parts = reach.dot.max(reach.dash.div_ceil(3));
        let width = history + TILE;
        let mut short = vec![f32::NEG_INFINITY; parts * width];
        let mut dot = Vec::with_capacity((count + 1) * reach.dot);
        let mut dash = Vec::with_capacity((count + 1) * reach.dash);
        dot.resize(reach.dot, f32::NEG_INFINITY);
        dash.resize(reach.dash, f32::NEG_INFINITY);
        let mut block = [[f32::NEG_INFINITY; TILE]; BLOCK];
        for tile in (1..=count).step_by(TILE) {
            let ends = TILE.min(count + 1 - tile);
            for (index, row) in short.chunks_exact_mut(width).enumerate() {
                row.copy_within(TILE.., 0);
                sound.weigh(&mut row[history..history + ends], tile, index + 1);
            }
            let part = |length: usize, ago: usize| {
                let from = (length - 1) * width + history - ago;
                &short[from..from + ends]
            };
            dot.resize((tile + ends) * reach.dot, f32::NEG_INFINITY);
            for from in (1..=reach.dot).step_by(BLOCK) {
                let lengths = BLOCK.min(reach.dot + 1 - from);
                let rows = &mut dot[tile * reach.dot..];
                let column = |i: usize| part(from + i.min(lengths - 1), 0);
                lay(rows, reach.dot, from, lengths, std::array::from_fn(column));
            }
            dash.resize((tile + ends) * reach.dash, f32::NEG_INFINITY);
            for from in (3..=reach.dash).step_by(BLOCK) {
                let lengths = BLOCK.min(reach.dash + 1 - from);
                for (length, whole) in (from..).zip(&mut block[..lengths]) {
                    let (a, b) = (length / 3, (length - length / 3) / 2);
                    let c = length - a - b;
                    if coherent {
                        sound.weigh(&mut whole[..ends], tile, length);
                    } else {
                        whole.fill(f32::NEG_INFINITY);
                    }
                    let thirds = part(a, 0).iter().zip(part(b, a)).zip(part(c, a + b));
                    for (whole, ((a, b), c)) in whole.iter_mut().zip(thirds) {
                        let split = a + b + c;
                        *whole = if split > *whole { split } else { *whole };
                    }
                }
                let rows = &mut dash[tile * reach.dash..];
                lay(rows, reach.dash, from, lengths, std::array::from_fn(|i| &block[i][..ends]));
            }
        }
        Self { frames: count, reach, dot, dash }
    }

    /// Weighs every stretch as long as `reach`, dots as dashes: `weigh` is given room for those that
    /// begin at a frame and at each that follows, up to the one at which they end.
    pub(crate) fn of(
        frames: usize,
        reach: Reach,
        weigh: impl Fn(&mut [f32], usize, usize),
    ) -> Self {
        let mut dot = vec![f32::NEG_INFINITY; (frames + 1) * reach.dot];
        let mut dash = vec![f32::NEG_INFINITY; (frames + 1) * reach.dash];
        let rows = dot.chunks_exact_mut(reach.dot).zip(dash.chunks_exact_mut(reach.dash));
        for (end, (dots, dashes)) in rows.enumerate() {
            let length = reach.dash.min(end);
            weigh(&mut dashes[reach.dash - length..], end - length, end);
            let short = reach.dot.min(reach.dash);
            dots[reach.dot - short..].copy_from_slice(&dashes[reach.dash - short..]);
        }
        Self { frames, reach, dot, dash }
    }

    /// Dots that end at a frame, with lengths from `longest` down to `shortest`.
    pub(crate) fn dots(&self, end: usize, shortest: usize, longest: usize) -> &[f32] {
        let row = (end + 1) * self.reach.dot;
        &self.dot[row - longest..=row - shortest]
    }

    /// How much a stretch speaks for a tone that never stops, taken in chunks of a dot's length.
    pub(crate) fn steady(&self, from: usize, to: usize, dot: usize) -> f32 {
        let dot = dot.clamp(1, self.reach.dot);
        (from + dot..=to).step_by(dot).map(|end| self.dots(end, dot, dot)[0]).sum()
    }

    /// Dashes that end at a frame, with lengths from `longest` down to `shortest`.
    pub(crate) fn dashes(&self, end: usize, shortest: usize, longest: usize) -> &[f32] {
        let row = (end + 1) * self.reach.dash;
        &self.dash[row - longest..=row - shortest]
    }
}

/// What is known of the sound, in sums up to each frame: of a stretch it is a difference.
struct Weights<'a> {
    sum: Vec<Complex32>,
    gain: Vec<f32>,
    cost: Vec<f32>,
    /// The phase foretold and how much it is worth without a mark.
    expected: Option<(&'a [Complex32], Vec<f32>)>,
    /// Of a phase that does not hold, the ratios themselves.
    loose: Option<Vec<f32>>,
}

impl<'a> Weights<'a> {
    fn new(
        frames: &[Complex32],
        levels: &Levels,
        temper: f32,
        phase: Phase,
        expected: Option<&'a [Complex32]>,
    ) -> Self {
        const TEMPERED: f32 = 31.6; // 15 dB
        let count = frames.len();
        let mut sum = Vec::with_capacity(count + 1);
        let mut gain = Vec::with_capacity(count);
        let mut cost = Vec::with_capacity(count);
        let mut all = Complex32::default();
        sum.push(all);
        for ((z, &a), &n) in frames.iter().zip(&levels.mark).zip(&levels.noise) {
            let size = z.norm_sqr().sqrt();
            let most = LIMIT * a + NOISE_LIMIT * n.sqrt();
            all += if size > most { *z * (most / size) } else { *z };
            sum.push(all);
            let noise = n.max(a * a * temper / TEMPERED).max(f32::MIN_POSITIVE);
            gain.push(2.0 * a / noise);
            cost.push(a * a / noise);
        }
        let loose = if let Phase::Loose(block) = phase {
            let mut all = 0.0;
            let mut loose = vec![0.0];
            for (middle, (gain, cost)) in gain.iter().zip(&cost).enumerate() {
                let from = middle.saturating_sub(block / 2);
                let part = sum[(from + block).min(count)] - sum[from];
                let length = block as f32;
                all += (ln_bessel(gain * part.norm_sqr().sqrt()) - cost * length) / length;
                loose.push(all);
            }
            Some(loose)
        } else {
            None
        };
        let expected = expected
            .map(|known| (known, known.iter().map(|k| ln_bessel(k.norm_sqr().sqrt())).collect()));
        Self { sum, gain, cost, expected, loose }
    }

    /// The ratios of stretches of one length that end at `end` and at the frames that follow.
    fn weigh(&self, out: &mut [f32], end: usize, length: usize) {
        // Nothing begins before the first frame.
        let early = length.saturating_sub(end).min(out.len());
        let (before, out) = out.split_at_mut(early);
        before.fill(f32::NEG_INFINITY);
        let end = end + early;
        if out.is_empty() {
            return;
        }
        let ends = end..end + out.len();
        let begins = end - length..end - length + out.len();
        if let Some(loose) = &self.loose {
            for ((out, end), begin) in out.iter_mut().zip(&loose[ends]).zip(&loose[begins]) {
                *out = end - begin;
            }
            return;
        }
        let middle = end - 1 - length / 2;
        let middles = middle..middle + out.len();
        let sums = self.sum[ends].iter().zip(&self.sum[begins]);
        let known = self.gain[middles.clone()].iter().zip(&self.cost[middles.clone()]);
        let stretches = out.iter_mut().zip(sums).zip(known);
        let frames = length as f32;
        if let Some((expected, surety)) = &self.expected {
            let expected = expected[middles.clone()].iter().zip(&surety[middles]);
            for (((out, (end, begin)), (gain, cost)), (expected, surety)) in stretches.zip(expected)
            {
                let sum = (end - begin) * gain + expected;
                *out = ln_bessel(sum.norm_sqr().sqrt()) - surety - cost * frames;
            }
        } else {
            for ((out, (end, begin)), (gain, cost)) in stretches {
                *out = ln_bessel(gain * (end - begin).norm_sqr().sqrt()) - cost * frames;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ln I0(x)` from the power series.
    fn series(x: f64) -> f64 {
        let quarter = x * x / 4.0;
        let (mut term, mut sum) = (1.0, 1.0);
        for k in 1..400 {
            term *= quarter / f64::from(k * k);
            sum += term;
        }
        sum.ln()
    }

    #[test]
    fn bessel_is_that_of_the_power_series() {
        for x in [0.0, 0.1, 0.3, 1.0, 2.0, 3.0, 7.7, 30.0, 47.9, 300.0] {
            let miss = f64::from(ln_bessel(x as f32)) - series(x);
            assert!(miss.abs() < 7e-3, "{x}: {miss}");
        }
        assert!(ln_bessel(1e30) > 0.99e30);
    }

    #[test]
    fn logarithm_is_one() {
        for i in 0..400 {
            let x = 1.05_f32.powi(i);
            assert!((ln(x) - x.ln()).abs() < 1e-4 + 1e-6 * x.ln(), "{x}: {} for {}", ln(x), x.ln());
        }
    }

    #[test]
    fn rows_hold_what_each_stretch_weighs() {
        let frames: Vec<Complex32> =
            (0..200).map(|i| Complex32::from_polar(0.1 * (i % 7) as f32, 0.3 * i as f32)).collect();
        let levels = Levels { mark: vec![0.5; 200], noise: vec![0.2; 200] };
        let evidence = Evidence::new(&frames, &levels, 1.0, Phase::Steady, None, Reach::ALL);
        let one = |end: usize, length: usize| {
            let sum: Complex32 = frames[end - length..end].iter().sum();
            ln_bessel(5.0 * sum.norm()) - 1.25 * length as f32
        };
        for end in [1, 30, 64, 65, 129, 200] {
            for length in 1..=end.min(LONGEST_DOT) {
                let dot = evidence.dots(end, length, length)[0];
                assert!((dot - one(end, length)).abs() < 1e-3, "dot of {length} to {end}");
            }
            for length in 3..=end.min(LONGEST_DASH) {
                let (a, b) = (length / 3, (length - length / 3) / 2);
                let split = one(end, a) + one(end - a, b) + one(end - a - b, length - a - b);
                let dash = evidence.dashes(end, length, length)[0];
                assert!((dash - split.max(one(end, length))).abs() < 1e-3, "dash of {length}");
            }
        }
        assert!(evidence.dots(3, 1, 4)[0].is_infinite(), "before the first frame");
    }
}
