//! How much the sound speaks for a mark: log-likelihood ratios of every stretch of time.
//!
//! A mark of known level `a` and unknown phase in complex Gaussian noise of variance `σ²` a frame
//! has, over `L` frames with sum `Z`, the ratio `ln I0(2a|Z|/σ²) - a²L/σ²` against noise alone
//! (Proakis, Digital Communications, non-coherent detection). A dash is three such chunks, so that
//! neither a wrong frequency nor a transmitter's chirp makes its middle cancel its ends.

use std::sync::LazyLock;

use rustfft::num_complex::Complex32;

/// `ln I0(x)` by table up to [`LnBessel::TOP`], by its asymptote beyond.
struct LnBessel(Vec<f32>);

impl LnBessel {
    const TOP: f32 = 48.0;
    const STEPS: f32 = 16.0;

    fn shared() -> &'static Self {
        static TABLE: LazyLock<LnBessel> = LazyLock::new(|| {
            let count = (LnBessel::TOP * LnBessel::STEPS) as usize + 2;
            LnBessel((0..count).map(|i| series(i as f64 / f64::from(LnBessel::STEPS))).collect())
        });
        &TABLE
    }

    fn of(&self, x: f32) -> f32 {
        if x >= Self::TOP {
            return x - 0.5 * (std::f32::consts::TAU * x).ln();
        }
        let place = x * Self::STEPS;
        let i = place as usize;
        let low = self.0[i];
        low + (place - i as f32) * (self.0[i + 1] - low)
    }
}

/// `ln I0(x)` from the power series.
fn series(x: f64) -> f32 {
    let quarter = x * x / 4.0;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..200 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum.ln() as f32
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
    chunk: Vec<f32>,
    dash: Vec<f32>,
}

/// The longest dot, frames.
pub(crate) const LONGEST_DOT: usize = 44;
/// The longest dash, frames.
pub(crate) const LONGEST_DASH: usize = 96;

/// A frame stronger than this many times the level, and so many deviations of the noise, is cut
/// to that: clicks are short and strong.
const LIMIT: f32 = 1.5;
const NOISE_LIMIT: f32 = 2.5;

impl Evidence {
    /// Weighs every stretch. Noise is taken to be at least so strong that `temper` frames of a
    /// mark have the energy of `TEMPERED`: beyond that, certainty is not to be had, since
    /// reverberation, chirp and keying are not in the model.
    pub(crate) fn new(
        frames: &[Complex32],
        levels: &Levels,
        temper: f32,
        phase: Phase,
        expected: Option<&[Complex32]>,
    ) -> Self {
        const TEMPERED: f32 = 31.6; // 15 dB
        let bessel = LnBessel::shared();
        let count = frames.len();
        let mut limited = Vec::with_capacity(count);
        let mut gain = Vec::with_capacity(count);
        let mut cost = Vec::with_capacity(count);
        for ((z, &a), &n) in frames.iter().zip(&levels.mark).zip(&levels.noise) {
            let size = z.norm();
            let most = LIMIT * a + NOISE_LIMIT * n.sqrt();
            limited.push(if size > most { *z * (most / size) } else { *z });
            let noise = n.max(a * a * temper / TEMPERED).max(f32::MIN_POSITIVE);
            gain.push(2.0 * a / noise);
            cost.push(a * a / noise);
        }
        let coherent = phase == Phase::Steady;
        let longest = if coherent { LONGEST_DASH } else { LONGEST_DOT };
        let short = |middle: usize, block: usize| {
            let from = middle.saturating_sub(block / 2);
            let sum: Complex32 = limited[from..(from + block).min(count)].iter().sum();
            (bessel.of(gain[middle] * sum.norm()) - cost[middle] * block as f32) / block as f32
        };
        let surety: Vec<f32> =
            expected.unwrap_or_default().iter().map(|known| bessel.of(known.norm())).collect();
        let mut single = Vec::new();
        if let Phase::Loose(block) = phase {
            single.extend((0..count).map(|i| short(i, block)));
        }
        let mut chunk = vec![f32::NEG_INFINITY; (count + 1) * longest];
        for end in 1..=count {
            let row = &mut chunk[end * longest..(end + 1) * longest];
            let mut sum = Complex32::default();
            for length in 1..=longest.min(end) {
                let begin = end - length;
                sum += limited[begin];
                row[longest - length] = if single.is_empty() {
                    let middle = end - 1 - length / 2;
                    let energy = cost[middle] * length as f32;
                    match expected {
                        None => bessel.of(gain[middle] * sum.norm()) - energy,
                        Some(expected) => {
                            let known = expected[middle];
                            bessel.of((sum * gain[middle] + known).norm()) - surety[middle] - energy
                        }
                    }
                } else {
                    row.get(longest - length + 1).copied().unwrap_or(0.0) + single[begin]
                };
            }
        }
        let mut dash = vec![f32::NEG_INFINITY; (count + 1) * LONGEST_DASH];
        for end in 1..=count {
            for length in 3..=LONGEST_DASH.min(end) {
                let (a, b) = (length / 3, (length - length / 3) / 2);
                let c = length - a - b;
                let at = |end: usize, len: usize| chunk[end * longest + longest - len];
                let split = at(end, a) + at(end - a, b) + at(end - a - b, c);
                let whole = if coherent { at(end, length) } else { split };
                dash[end * LONGEST_DASH + LONGEST_DASH - length] = split.max(whole);
            }
        }
        if coherent {
            chunk = chunk
                .chunks_exact(longest)
                .flat_map(|row| row[longest - LONGEST_DOT..].iter().copied())
                .collect();
        }
        Self { frames: count, chunk, dash }
    }

    /// Dots that end at a frame, with lengths from `longest` down to `shortest`.
    pub(crate) fn dots(&self, end: usize, shortest: usize, longest: usize) -> &[f32] {
        let row = end * LONGEST_DOT + LONGEST_DOT;
        &self.chunk[row - longest..=row - shortest]
    }

    /// How much a stretch speaks for a tone that never stops, taken in chunks of a dot's length.
    pub(crate) fn steady(&self, from: usize, to: usize, dot: usize) -> f32 {
        let dot = dot.clamp(1, LONGEST_DOT);
        (from + dot..=to).step_by(dot).map(|end| self.dots(end, dot, dot)[0]).sum()
    }

    /// Dashes that end at a frame, with lengths from `longest` down to `shortest`.
    pub(crate) fn dashes(&self, end: usize, shortest: usize, longest: usize) -> &[f32] {
        let row = end * LONGEST_DASH + LONGEST_DASH;
        &self.dash[row - longest..=row - shortest]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bessel_table_and_asymptote_agree() {
        let table = LnBessel::shared();
        for x in [0.0_f32, 0.3, 1.0, 7.7, 47.9] {
            assert!((table.of(x) - series(f64::from(x))).abs() < 2e-3, "{x}");
        }
        assert!((table.of(48.0) - table.of(47.99)).abs() < 0.02);
    }
}
