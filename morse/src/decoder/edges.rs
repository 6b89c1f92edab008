//! Marks by their edges: what can be believed where echoes fill the gaps.
//!
//! What a room adds to a tone grows and dies away within tenths of a second; the direct sound comes
//! and goes at once. The step between what is heard just before and just after a moment is thus
//! noise and a little of the echoes, but where a mark begins or ends it is the direct sound, however
//! the echoes of the marks before have turned and changed its level. A mark's two steps have the same
//! phase, one being taken away from the other, whatever phase that is.

use rustfft::num_complex::Complex32;

use super::evidence::{Evidence, Reach, ln_bessel};

/// How long before and after a moment is listened to for a step, seconds.
const HOLD: f64 = 0.008;
/// The part of the steps of all moments that are less than the direct sound.
const BELOW: f32 = 0.95;
/// The least part of all that is heard that the direct sound is, in amplitude.
const FAINT: f32 = 0.1;
/// The power of what is no edge in a step, at least, against that of an edge.
const LEAST: f32 = 0.2;

/// The steps of a tone at every moment, its level being `1`.
struct Steps {
    size: Vec<Complex32>,
    /// `ln` likelihood ratio of an edge.
    edge: Vec<f32>,
    /// How much likelier a mark begins here than it ends here.
    rise: Vec<f32>,
    /// What a step of this size is worth, and what an edge that is not there costs.
    gain: f32,
    cost: f32,
}

impl Steps {
    /// With no direct sound louder than its echoes, what is louder after a step tells little: `lean`
    /// says how much, `ln` for the direct sound alone.
    fn new(frames: &[Complex32], frame_seconds: f64, lean: f32) -> Self {
        let hold = ((HOLD / frame_seconds).round() as usize).max(1);
        let count = frames.len();
        let mut sums = vec![Complex32::default()];
        sums.extend(frames.iter().scan(Complex32::default(), |sum, z| {
            *sum += z;
            Some(*sum)
        }));
        let mean = |from: usize, to: usize| (sums[to] - sums[from]) / hold as f32;
        let around = |t: usize| {
            let (before, after) = (t.saturating_sub(hold), (t + hold).min(count));
            (mean(before, t), mean(t, after))
        };
        let steps = (0..=count).map(around);
        let mut sizes: Vec<f32> =
            steps.clone().map(|(before, after)| (after - before).norm()).collect();
        sizes.sort_unstable_by(f32::total_cmp);
        // What never stops has no edges, however little else there is.
        let power = frames.iter().map(Complex32::norm_sqr).sum::<f32>() / count.max(1) as f32;
        let level = sizes[(BELOW * count as f32) as usize];
        let level = level.max(FAINT * power.sqrt()).max(f32::MIN_POSITIVE);
        let usual = sizes[count / 2] / level;
        let noise = (usual * usual / std::f32::consts::LN_2).max(LEAST);
        let (gain, cost) = (2.0 / noise, 1.0 / noise);
        let size: Vec<Complex32> =
            steps.clone().map(|(before, after)| (after - before) / level).collect();
        let edge = size.iter().map(|step| ln_bessel(gain * step.norm()) - cost).collect();
        let louder = |(before, after): (Complex32, Complex32)| {
            let more = (after / level).norm_sqr() - (before / level).norm_sqr();
            lean * (0.5 * more).clamp(-1.0, 1.0)
        };
        Self { size, edge, rise: steps.map(louder).collect(), gain, cost }
    }

    /// The ratios of marks that end at `end` and begin at or after `from`, the longest first.
    fn weigh(&self, out: &mut [f32], from: usize, end: usize) {
        let (last, own) = (self.size[end], self.edge[end] - self.rise[end]);
        let whole = 2.0 * self.cost + self.rise[end];
        let begins = self.size[from..end].iter().zip(&self.edge[from..end]);
        for ((out, (first, edge)), rise) in out.iter_mut().zip(begins).zip(&self.rise[from..end]) {
            // Of one phase, or of two where the pitch is not exact.
            let both = ln_bessel(self.gain * (first - last).norm_sqr().sqrt()) - whole;
            let apart = own + edge;
            *out = rise + if both > apart { both } else { apart };
        }
    }
}

/// Weighs every stretch as long as `reach` by its edges alone; frames are as long as of ordinary
/// Morse.
pub(crate) fn evidence(
    frames: &[Complex32],
    frame_seconds: f64,
    lean: f32,
    reach: Reach,
) -> Evidence {
    let steps = Steps::new(frames, frame_seconds, lean);
    Evidence::of(frames.len(), reach, |out, from, end| steps.weigh(out, from, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mark of two tenths of a second among echoes that fill the gap after it: frames of 4 ms.
    fn in_a_room() -> Vec<Complex32> {
        let tail = |since: usize| (-(since as f32) / 30.0).exp();
        (0..200)
            .map(|t| match t {
                ..60 => Complex32::default(),
                60..110 => {
                    Complex32::new(1.0, 0.0) + Complex32::new(-0.3, 0.9) * (1.0 - tail(t - 60))
                }
                _ => Complex32::new(-0.3, 0.9) * (1.0 - tail(50)) * tail(t - 110),
            })
            .collect()
    }

    #[test]
    fn a_mark_is_where_the_steps_are_whatever_the_level() {
        for lean in [0.0, 1.0] {
            let evidence = evidence(&in_a_room(), 0.004, lean, Reach::ALL);
            let of = |begin: usize, end: usize| evidence.dashes(end, end - begin, end - begin)[0];
            let mark = of(60, 110);
            assert!(mark > 5.0, "{mark} with {lean}");
            assert!(mark > of(60, 85) + 5.0 && mark > of(85, 110) + 5.0, "cut in two, {lean}");
            assert!(mark > of(110, 150) + 5.0, "the echo, {lean}");
            assert!(of(20, 50) < -5.0, "silence, {lean}");
        }
    }

    #[test]
    fn silence_has_no_edges() {
        for frames in [0, 1, 50] {
            let silence = vec![Complex32::default(); frames];
            let evidence = evidence(&silence, 0.004, 1.0, Reach::ALL);
            for end in 3..=frames {
                assert!(evidence.dashes(end, 3, 3)[0] < 0.0, "at {end} of {frames}");
            }
        }
    }
}
