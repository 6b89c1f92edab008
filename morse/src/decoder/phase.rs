//! The phase between marks: most transmitters and every oscillator keep it.
//!
//! A receiver that knows the phase to expect hears 1 to 2 dB better than one that does not. Whether
//! it can be known is measured: how well do the other marks around foretell the phase of each mark?
//! An encoder that begins every mark anew, or a fast fading path, foretells nothing, and nothing is
//! assumed.

use rustfft::num_complex::Complex32;

use super::evidence::Levels;
use super::search::Path;
use crate::detector::Baseband;

/// Marks needed to say anything.
const FEWEST: usize = 8;
/// How far frequency may still be off, Hz.
const SPAN_HZ: f32 = 2.4;
/// Times over which the phase may hold, seconds.
const HOLDS: [f32; 5] = [0.2, 0.4, 0.8, 1.6, 3.2];
/// Less than this part of the marks' level foretold is chance.
const LEAST: f32 = 0.35;
/// Energy over noise density of a mark that stands out: 17 dB.
const LOUD: f32 = 50.0;
/// The most that is made of it: a mark that is not as foretold must still be one.
const SUREST: f32 = 6.0;

/// One mark.
struct Phasor {
    start: usize,
    end: usize,
    at: f32,
    sum: Complex32,
    /// The length that `sum` has without noise.
    size: f32,
}

/// The phase to expect at each frame, as a von Mises vector: its length is the concentration.
///
/// Turns the baseband to the finest frequency that the marks agree on. `None` where marks foretell
/// nothing.
pub(crate) fn expect(base: &mut Baseband, levels: &Levels, path: &Path) -> Option<Vec<Complex32>> {
    let mut marks = phasors(base, levels, path);
    if marks.len() < FEWEST || loud(base, levels, &marks) {
        return None;
    }
    tune(base, &mut marks);
    let mut best = (LEAST, 0.0);
    for hold in HOLDS {
        let (mut foretold, mut size) = (0.0, 0.0);
        for (i, mark) in marks.iter().enumerate() {
            let others = around(&marks, mark.at, hold, Some(i));
            if others.norm() > 0.0 {
                foretold += (mark.sum * others.conj()).re / others.norm();
            }
            size += mark.size;
        }
        if foretold > best.0 * size {
            best = (foretold / size, hold);
        }
    }
    let (known, hold) = best;
    if hold <= 0.0 {
        return None;
    }
    let known = known.min(0.97);
    // Best and Fisher's approximation of the concentration from the mean resultant length.
    let surety = (known * (2.0 - known * known) / (1.0 - known * known)).min(SUREST);
    let toward = |sum: Complex32| {
        if sum.norm() > 0.0 { sum * (surety / sum.norm()) } else { Complex32::default() }
    };
    let seconds = base.frame_seconds as f32;
    let mut out = Vec::with_capacity(base.frames.len());
    let mut next = 0;
    let mut now = Complex32::default();
    for frame in 0..base.frames.len() {
        while next < marks.len() && marks[next].end <= frame {
            next += 1;
        }
        // What a mark is expected to be must not come from itself.
        let own = marks.get(next).filter(|m| m.start <= frame).map(|_| next);
        let edge = own.is_some_and(|m| marks[m].start == frame);
        if frame % 4 == 0 || edge || marks.get(next.wrapping_sub(1)).is_some_and(|m| m.end == frame)
        {
            now = toward(around(&marks, frame as f32 * seconds, hold, own));
        }
        out.push(now);
    }
    Some(out)
}

/// Whether three marks in four stand out without help: then it could only mislead, for echoes have
/// phases of their own.
fn loud(base: &Baseband, levels: &Levels, marks: &[Phasor]) -> bool {
    let strong = |m: &&Phasor| {
        let middle = usize::midpoint(m.start, m.end);
        let energy = levels.mark[middle].powi(2) * (m.end - m.start) as f32;
        energy > LOUD * base.noise[middle]
    };
    marks.iter().filter(strong).count() * 4 > marks.len() * 3
}

fn phasors(base: &Baseband, levels: &Levels, path: &Path) -> Vec<Phasor> {
    let seconds = base.frame_seconds as f32;
    path.glyphs
        .iter()
        .flat_map(|g| &g.strokes)
        .map(|s| Phasor {
            start: s.start,
            end: s.end,
            at: 0.5 * (s.start + s.end) as f32 * seconds,
            sum: base.frames[s.start..s.end].iter().sum(),
            size: levels.mark[s.start..s.end].iter().sum(),
        })
        .collect()
}

/// Finds the frequency at which marks within a second or so add up best and turns to it.
fn tune(base: &mut Baseband, marks: &mut [Phasor]) {
    let turned = |hz: f32, m: &Phasor| {
        m.sum
            * Complex32::from_polar(1.0, -std::f32::consts::TAU * hz * m.at % std::f32::consts::TAU)
    };
    let steps = 48;
    let (mut best, mut hz) = (0.0, 0.0);
    for step in -steps..=steps {
        let f = SPAN_HZ * step as f32 / steps as f32;
        let (mut together, mut sum, mut begin) = (0.0, Complex32::default(), 0.0);
        for mark in &*marks {
            if mark.at > begin + 1.2 {
                together += sum.norm_sqr();
                (sum, begin) = (Complex32::default(), mark.at);
            }
            sum += turned(f, mark);
        }
        together += sum.norm_sqr();
        if together > best {
            (best, hz) = (together, f);
        }
    }
    let step = std::f32::consts::TAU * hz * base.frame_seconds as f32;
    for (i, z) in base.frames.iter_mut().enumerate() {
        *z *= Complex32::from_polar(1.0, -(step * i as f32) % std::f32::consts::TAU);
    }
    for mark in marks {
        mark.sum = turned(hz, mark);
    }
}

/// The marks around a time, nearer ones counting more, but for one of them.
fn around(marks: &[Phasor], at: f32, hold: f32, but: Option<usize>) -> Complex32 {
    let from = marks.partition_point(|m| m.at < at - 3.0 * hold);
    let mut sum = Complex32::default();
    for (i, mark) in marks.iter().enumerate().skip(from) {
        if mark.at > at + 3.0 * hold {
            break;
        }
        if Some(i) != but {
            let far = (mark.at - at) / hold;
            sum += mark.sum * (-0.5 * far * far).exp();
        }
    }
    sum
}
