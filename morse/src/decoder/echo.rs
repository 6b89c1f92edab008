//! Echoes of a room: heard before, and taken away.
//!
//! A room lets each mark sound on, and what sounds on adds to the next mark or cancels it. To a
//! tone at zero frequency the room is a filter of complex taps, and the keying is what goes into
//! it: once most of the keying is known, least squares tell the taps, and what the taps make of
//! the keying that has been can be subtracted (a decision-feedback equaliser, Austin 1967). The
//! sound that is left is read anew, which tells the keying better, and so on.

use rustfft::FftPlanner;
use rustfft::num_complex::{Complex32, Complex64};

use crate::detector::Baseband;

/// Length of a tap, seconds.
const TAP: f64 = 0.008;
/// Taps: a third of a second of echo.
const TAPS: usize = 40;
/// How far the tone may still be off, Hz.
const SPAN_HZ: f64 = 6.0;
/// How much more of the sound the keying must explain with echoes than without, for there to be any.
const WORTH: f64 = 1.25;
/// With less than this part left unexplained by keying alone, no echo is worth the search.
const PLAIN: f64 = 0.04;
/// With more than this part left unexplained, it is another tone.
const STRANGE: f64 = 0.7;
/// The weight of "there is no echo", against that of the keying, and how it grows with delay.
const RIDGE: f64 = 0.004;
const FADES: f64 = 0.12;

/// A tone without its echoes.
#[derive(Debug)]
pub(crate) struct Dry {
    pub base: Baseband,
    /// The part of its power that neither the keying nor its echoes explain, nor noise.
    pub rest: f64,
    /// The same part if there were no echoes.
    pub alone: f64,
    /// How many times more would be left to explain if there were no echoes.
    pub gain: f64,
}

impl Dry {
    /// Whether there are echoes, and of this keying.
    pub(crate) fn echoes(&self) -> bool {
        self.gain > WORTH && self.alone > PLAIN && self.rest < STRANGE
    }
}

/// The tone without the echoes of what was keyed, stretches in seconds; `None` if that is too
/// little to tell them.
pub(crate) fn without(base: &Baseband, keyed: &[(f64, f64)], stretch: f64) -> Option<Dry> {
    let tap = TAP * stretch;
    let per = ((tap / base.frame_seconds).round() as usize).max(1);
    let seconds = per as f64 * base.frame_seconds;
    let count = base.frames.len() / per;
    if count < 2 * TAPS || keyed.is_empty() {
        return None;
    }
    let key = keying(keyed, seconds, count);
    let mut heard: Vec<Complex64> = base
        .frames
        .chunks_exact(per)
        .map(|part| {
            let sum: Complex32 = part.iter().sum();
            Complex64::new(f64::from(sum.re), f64::from(sum.im)) / per as f64
        })
        .collect();
    let turn = offset(&key, &heard, SPAN_HZ / stretch * seconds) * std::f64::consts::TAU;
    for (i, z) in heard.iter_mut().enumerate() {
        *z *= Complex64::from_polar(1.0, -turn * i as f64);
    }
    let noise = base.noise.iter().map(|n| f64::from(*n)).sum::<f64>()
        / (base.noise.len().max(1) * per) as f64
        * count as f64;
    let Room { taps, rest, alone, all } = room(&key, &heard)?;
    let span = keyed.iter().fold((f64::INFINITY, 0.0_f64), |(a, b), k| (a.min(k.0), b.max(k.1)));
    let told = ((span.1 - span.0) / seconds).max(1.0);
    // Taps explain some noise, each as much as one block has.
    let chance = (1.0 - TAPS as f64 / told).max(0.0);
    let gain = alone * chance / rest.max(f64::MIN_POSITIVE);
    let part = |left: f64| ((left - noise) / (all - noise).max(f64::MIN_POSITIVE)).max(0.0);
    let (rest, alone) = (part(rest), part(alone));
    let echo: Vec<Complex64> =
        (0..count).map(|i| (1..TAPS.min(i + 1)).map(|k| taps[k] * key[i - k]).sum()).collect();
    let mut dry = base.clone();
    for (i, z) in dry.frames.iter_mut().enumerate() {
        // Between the middles of blocks by straight lines.
        let at = (i as f64 + 0.5) / per as f64 - 0.5;
        let low = (at.max(0.0) as usize).min(count - 1);
        let high = (low + 1).min(count - 1);
        let part = (at - low as f64).clamp(0.0, 1.0);
        let here = echo[low] * (1.0 - part) + echo[high] * part;
        let back = here * Complex64::from_polar(1.0, turn * at);
        *z -= Complex32::new(back.re as f32, back.im as f32);
    }
    Some(Dry { base: dry, rest, alone, gain })
}

/// The part of each block in which the key was down.
fn keying(keyed: &[(f64, f64)], block: f64, count: usize) -> Vec<f64> {
    let mut key = vec![0.0; count];
    for (start, end) in keyed.iter().map(|(start, end)| (start / block, end / block)) {
        let last = (end.ceil() as usize).min(count);
        for (i, part) in key.iter_mut().enumerate().take(last).skip(start as usize) {
            *part += (end.min(i as f64 + 1.0) - start.max(i as f64)).max(0.0);
        }
    }
    key
}

/// How far the marks are from zero frequency, turns a block: the line of their carrier.
fn offset(key: &[f64], heard: &[Complex64], span: f64) -> f64 {
    let size = (4 * heard.len()).next_power_of_two();
    let mut line: Vec<Complex64> = key.iter().zip(heard).map(|(k, z)| z * k).collect();
    line.resize(size, Complex64::default());
    FftPlanner::new().plan_fft_forward(size).process(&mut line);
    let reach = ((span * size as f64) as usize).min(size / 2 - 1);
    let (mut best, mut at) = (0.0, 0.0);
    for bin in 0..=2 * reach {
        let signed = bin as f64 - reach as f64;
        let power = line[(bin + size - reach) % size].norm_sqr();
        if power > best {
            (best, at) = (power, signed);
        }
    }
    at / size as f64
}

/// A room, as a filter of the keying.
struct Room {
    taps: Vec<Complex64>,
    /// Power in all, without what the first tap explains, and without what all explain.
    all: f64,
    alone: f64,
    rest: f64,
}

/// The room under which the keying explains best what is heard.
fn room(key: &[f64], heard: &[Complex64]) -> Option<Room> {
    let shared = |lag: usize| key.iter().zip(&key[lag..]).map(|(a, b)| a * b).sum::<f64>();
    let own: Vec<f64> = (0..TAPS).map(shared).collect();
    let told: Vec<Complex64> =
        (0..TAPS).map(|lag| heard[lag..].iter().zip(key).map(|(z, k)| z * k).sum()).collect();
    let mut matrix = vec![vec![0.0; TAPS]; TAPS];
    for (i, row) in matrix.iter_mut().enumerate() {
        for (j, cell) in row.iter_mut().enumerate() {
            *cell = own[i.abs_diff(j)];
        }
        row[i] += own[0] * RIDGE * (i as f64 * TAP / FADES).exp();
    }
    let taps = solve(matrix, &told)?;
    let all: f64 = heard.iter().map(Complex64::norm_sqr).sum();
    let alone = all - told[0].norm_sqr() / own[0];
    let rest = heard
        .iter()
        .enumerate()
        .map(|(i, z)| {
            let made: Complex64 = (0..TAPS.min(i + 1)).map(|k| taps[k] * key[i - k]).sum();
            (z - made).norm_sqr()
        })
        .sum::<f64>();
    Some(Room { taps, all, alone, rest })
}

/// Solves a symmetric positive system by Cholesky's decomposition.
fn solve(mut a: Vec<Vec<f64>>, b: &[Complex64]) -> Option<Vec<Complex64>> {
    let n = b.len();
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = a[i][j] - (0..j).map(|k| a[i][k] * a[j][k]).sum::<f64>();
            if i == j {
                if sum <= 0.0 {
                    return None;
                }
                a[i][i] = sum.sqrt();
            } else {
                a[i][j] = sum / a[j][j];
            }
        }
    }
    let mut x = b.to_vec();
    for i in 0..n {
        let sum: Complex64 = (0..i).map(|k| x[k] * a[i][k]).sum();
        x[i] = (x[i] - sum) / a[i][i];
    }
    for i in (0..n).rev() {
        let sum: Complex64 = (i + 1..n).map(|k| x[k] * a[k][i]).sum();
        x[i] = (x[i] - sum) / a[i][i];
    }
    Some(x)
}
