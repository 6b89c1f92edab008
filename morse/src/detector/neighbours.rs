//! Other tones that come through where the wanted one is silent.

use rustfft::num_complex::{Complex32, Complex64};

use super::Baseband;

/// Time over which the turn of the phase is taken, seconds.
const SPAN: f64 = 0.032;
/// A tone so many radians a frame away is another's: at 2 ms, 72 Hz.
const APART: f64 = 0.9;
/// The part of the power that turns alike in a pure tone.
const PURE: f64 = 0.6;
/// How much stronger than noise it is, in power, to be told.
const STRONG: f64 = 8.0;

/// Filters out what turns steadily from frame to frame, which is a tone beside the wanted one.
///
/// Frames are short, so that fast keying shows in them; hence they let pass what is hundreds of
/// hertz away. Beneath the wanted tone that does little harm, but a station that answers on another
/// pitch would look like fast keying. A mean over [`SPAN`] is deaf to it and leaves what is wanted.
pub(crate) fn without_neighbours(base: &Baseband, stretch: f64) -> Vec<Complex32> {
    let Baseband { frame_seconds, frames, noise } = base;
    let half = ((0.5 * SPAN * stretch / frame_seconds).round() as usize).max(2);
    let turned = |i: usize| {
        let turn = i.checked_sub(1).map(|before| frames[i] * frames[before].conj());
        turn.map_or_else(Complex64::default, |z| Complex64::new(z.re.into(), z.im.into()))
    };
    let mut own = frames.clone();
    // Of the frames around each: the turn, the power and the noise.
    let (mut turn, mut power, mut hiss) = (Complex64::default(), 0.0, 0.0);
    for entering in 0..frames.len() + half {
        if entering < frames.len() {
            turn += turned(entering);
            power += f64::from(frames[entering].norm_sqr());
            hiss += f64::from(noise[entering]);
        }
        let Some(middle) = entering.checked_sub(half) else { continue };
        let around = middle.saturating_sub(half)..(entering + 1).min(frames.len());
        if turn.norm() > PURE * power && turn.arg().abs() > APART && power > STRONG * hiss {
            let count = around.len() as f32;
            own[middle] = frames[around.clone()].iter().sum::<Complex32>() / count;
        }
        if let Some(leaving) = middle.checked_sub(half) {
            turn -= turned(leaving);
            power -= f64::from(frames[leaving].norm_sqr());
            hiss -= f64::from(noise[leaving]);
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;

    /// Two ms frames of tones: hertz, and from which frame to which.
    fn base(tones: &[(f32, std::ops::Range<usize>)]) -> Baseband {
        let at = |i: usize| -> Complex32 {
            let here = tones.iter().filter(|(_, on)| on.contains(&i));
            here.map(|(hz, _)| Complex32::from_polar(1.0, TAU * hz * 0.002 * i as f32)).sum()
        };
        let frames = (0..600).map(at).collect();
        Baseband { frame_seconds: 0.002, frames, noise: vec![0.01; 600] }
    }

    #[test]
    fn a_tone_beside_the_wanted_one_is_filtered_out() {
        for hz in [100.0, -150.0, 200.0, 250.0, 310.0, -400.0] {
            let heard = base(&[(0.0, 100..200), (hz, 300..400)]);
            let own = without_neighbours(&heard, 1.0);
            assert_eq!(own[..280], heard.frames[..280], "{hz} Hz");
            let left = own[320..380].iter().map(|z| z.norm()).fold(0.0, f32::max);
            assert!(left < 0.2, "{hz} Hz: {left}");
        }
    }

    #[test]
    fn a_tone_that_is_a_little_off_and_one_under_another_stay() {
        let near = base(&[(40.0, 100..200)]);
        assert_eq!(without_neighbours(&near, 1.0), near.frames);
        let both = base(&[(0.0, 100..400), (200.0, 100..400), (200.0, 100..400)]);
        let own = without_neighbours(&both, 1.0);
        let level = own[150..350].iter().map(|z| z.norm()).sum::<f32>() / 200.0;
        assert!((level - 1.0).abs() < 0.2, "{level}");
    }
}
