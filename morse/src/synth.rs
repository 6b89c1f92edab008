//! Keying to sound: a sine tone with soft edges.
//!
//! Each edge of the envelope is half a cosine ("raised cosine") with its middle where the key
//! moves, so marks keep their length at half amplitude, and the spectrum falls so fast that there
//! are no key clicks. The envelope is the key convolved with that edge: marks and gaps shorter
//! than an edge come out lower, never with a step.

use std::collections::VecDeque;
use std::f64::consts::{PI, TAU};

use thiserror::Error;

use crate::keyer::Interval;

/// The sample rate used when nothing else is asked for, in hertz.
pub const DEFAULT_RATE: u32 = 48_000;

/// What the sound is like.
///
/// ```
/// use ipfi_morse::synth::Tone;
/// let tone = Tone { hz: 700.0, level_db: -12.0, ..Tone::default() };
/// assert!((tone.amplitude() - 0.251).abs() < 0.001);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "made by hand, with ..Tone::default()")]
pub struct Tone {
    /// The pitch in hertz, above 0 and below half the sample rate.
    pub hz: f64,
    /// The level with the key down, in dB below full scale (0 is a sine from −1 to 1), −120 to 0.
    pub level_db: f64,
    /// The length of an edge in seconds, 0 to 0.1. `None` chooses 5 ms, or less for speeds whose
    /// dots would not reach full level: see [`Tone::edge_for`].
    pub edge: Option<f64>,
}

impl Default for Tone {
    /// 600 Hz at −6 dB with clean edges.
    fn default() -> Self {
        Self { hz: 600.0, level_db: -6.0, edge: None }
    }
}

impl Tone {
    /// The amplitude with the key down: 1 is full scale.
    #[must_use]
    pub fn amplitude(&self) -> f64 {
        10f64.powf(self.level_db / 20.0)
    }

    /// The edge for dots of this length: 5 ms, which is the custom on the air and clean at any
    /// speed of the hand, and at most 0.4 of a dot.
    #[must_use]
    pub fn edge_for(&self, dot_seconds: f64) -> f64 {
        self.edge.unwrap_or_else(|| (0.4 * dot_seconds).min(0.005))
    }
}

/// Why there is no such sound.
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum SynthError {
    /// Not between 1 kHz and 768 kHz.
    #[error("a sample rate of {0} Hz is out of range: choose from 1000 to 768000, such as 48000")]
    Rate(u32),
    /// Not above 0 and below half the sample rate.
    #[error("a tone of {hz} Hz is out of range: choose from 20 to {} Hz at {rate} samples a second", limit(*rate))]
    Tone {
        /// The pitch asked for.
        hz: f64,
        /// The sample rate.
        rate: u32,
    },
    /// Not between −120 and 0.
    #[error("a level of {0} dB is out of range: choose from -120 to 0, where 0 is full scale")]
    Level(f64),
    /// Not between 0 and 0.1 s.
    #[error("an edge of {0} s is out of range: choose from 0 to 0.1")]
    Edge(f64),
    /// Dots too short for the sample rate or the pitch.
    #[error(
        "dots of {milliseconds:.2} ms need a tone of at least {lowest:.0} Hz: choose a higher tone or a lower speed"
    )]
    Dots {
        /// The length of a dot.
        milliseconds: f64,
        /// The lowest tone for it: one period in a dot.
        lowest: f64,
    },
}

/// The highest tone at a sample rate, in hertz: 0.45 of it, so that there is room for edges.
fn limit(rate: u32) -> f64 {
    f64::from(rate) * 0.45
}

/// Makes sound of [`Interval`]s, in blocks of any length.
///
/// ```
/// use ipfi_morse::{keyer::Keyer, synth::{Synth, Tone}, text, timing::Timing};
/// let timing = Timing::new(20.0)?;
/// let keyer = Keyer::new(text::parse("CQ")?, timing);
/// let mut synth = Synth::new(keyer, &Tone::default(), timing.dot(), 8000)?;
/// let mut block = [0.0f32; 256];
/// let mut samples = 0;
/// loop {
///     let n = synth.render(&mut block);
///     samples += n; // block[..n] goes to a file or a loudspeaker
///     if n < block.len() {
///         break;
///     }
/// }
/// // 27 dot lengths of 60 ms, and half an edge before and after
/// assert_eq!(samples, 27 * 480 + 40);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Synth<I> {
    intervals: I,
    rate: f64,
    amplitude: f64,
    edge: f64,
    step: f64,
    phase: f64,
    /// The sample to come, counted from the start.
    clock: u64,
    /// Where the last known interval ends, in seconds from the start.
    horizon: f64,
    /// Whether the key was down at the end of the last known interval.
    down: bool,
    /// The envelope before `edges`: 0 or 1.
    level: f64,
    /// Times of the edges still to be heard, and whether the key goes down there.
    edges: VecDeque<(f64, bool)>,
    ended: bool,
}

impl<I: Iterator<Item = Interval>> Synth<I> {
    /// Makes sound of intervals. `dot_seconds` is the shortest mark to expect: it bounds the edge
    /// (see [`Tone::edge_for`]) and must hold a period of the tone.
    pub fn new(
        intervals: impl IntoIterator<IntoIter = I>,
        tone: &Tone,
        dot_seconds: f64,
        rate: u32,
    ) -> Result<Self, SynthError> {
        if !(1_000..=768_000).contains(&rate) {
            return Err(SynthError::Rate(rate));
        }
        if !(20.0..=limit(rate)).contains(&tone.hz) {
            return Err(SynthError::Tone { hz: tone.hz, rate });
        }
        if !(-120.0..=0.0).contains(&tone.level_db) {
            return Err(SynthError::Level(tone.level_db));
        }
        let edge = tone.edge_for(dot_seconds);
        if !(0.0..=0.1).contains(&edge) {
            return Err(SynthError::Edge(edge));
        }
        if dot_seconds.is_nan() || dot_seconds * tone.hz < 1.0 {
            let milliseconds = dot_seconds * 1000.0;
            return Err(SynthError::Dots { milliseconds, lowest: (1.0 / dot_seconds).ceil() });
        }
        let rate = f64::from(rate);
        Ok(Self {
            intervals: intervals.into_iter(),
            rate,
            amplitude: tone.amplitude(),
            edge,
            step: TAU * tone.hz / rate,
            phase: 0.0,
            clock: 0,
            horizon: edge / 2.0, // the first edge begins with the first sample
            down: false,
            level: 0.0,
            edges: VecDeque::new(),
            ended: false,
        })
    }

    /// Fills `out` from the front and says how many samples that were: fewer than its length means
    /// that the sound has ended.
    pub fn render(&mut self, out: &mut [f32]) -> usize {
        for (i, sample) in out.iter_mut().enumerate() {
            match self.next_sample() {
                #[expect(clippy::cast_possible_truncation, reason = "sound is f32")]
                Some(value) => *sample = value as f32,
                None => return i,
            }
        }
        out.len()
    }

    fn next_sample(&mut self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "2^53 samples are 5000 years")]
        let now = self.clock as f64 / self.rate;
        while !self.ended && self.horizon <= now + self.edge / 2.0 {
            match self.intervals.next() {
                Some(interval) => self.take(interval),
                None => self.end(),
            }
        }
        // Rounding must not add a sample: half a period of grace.
        if self.ended && now + 0.5 / self.rate >= self.horizon + self.edge / 2.0 {
            return None;
        }
        self.clock += 1;
        let envelope = self.envelope(now);
        self.phase += self.step;
        if self.phase > PI {
            self.phase -= TAU;
        }
        Some(self.amplitude * envelope * self.phase.sin())
    }

    /// Takes an interval whose beginning has just come within reach of an edge.
    fn take(&mut self, interval: Interval) {
        if interval.down != self.down {
            self.edges.push_back((self.horizon, interval.down));
            self.down = interval.down;
        }
        if interval.seconds > 0.0 {
            self.horizon += interval.seconds.min(3600.0);
        }
    }

    fn end(&mut self) {
        self.ended = true;
        if self.down {
            self.take(Interval::up(0.0));
        }
    }

    /// The envelope now: the level before the edges in reach, and what each of them adds.
    fn envelope(&mut self, now: f64) -> f64 {
        let sign = |down| if down { 1.0 } else { -1.0 };
        while let Some(&(at, down)) = self.edges.front()
            && at + self.edge / 2.0 <= now
        {
            self.level += sign(down);
            self.edges.pop_front();
        }
        let rise = |at: f64| 0.5 - 0.5 * (PI * ((now - at) / self.edge + 0.5).max(0.0)).cos();
        self.level + self.edges.iter().map(|&(at, down)| sign(down) * rise(at)).sum::<f64>()
    }
}

/// Renders a whole keying at once: for short sounds and tests.
///
/// ```
/// use ipfi_morse::{keyer::Interval, synth::{Tone, render}};
/// let sound = render([Interval::down(0.1)], &Tone::default(), 0.1, 8000)?;
/// assert_eq!(sound.len(), 840);
/// # Ok::<(), ipfi_morse::synth::SynthError>(())
/// ```
pub fn render(
    intervals: impl IntoIterator<Item = Interval>,
    tone: &Tone,
    dot_seconds: f64,
    rate: u32,
) -> Result<Vec<f32>, SynthError> {
    let mut synth = Synth::new(intervals, tone, dot_seconds, rate)?;
    let mut sound = Vec::new();
    let mut block = [0.0; 1024];
    loop {
        let n = synth.render(&mut block);
        sound.extend_from_slice(block.get(..n).unwrap_or_default());
        if n < block.len() {
            return Ok(sound);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{keyer::Keyer, text::parse, timing::Timing};

    fn rendered(text: &str, wpm: f64, tone: &Tone, rate: u32) -> Vec<f32> {
        let timing = Timing::new(wpm).unwrap();
        render(Keyer::new(parse(text).unwrap(), timing), tone, timing.dot(), rate).unwrap()
    }

    #[test]
    fn the_level_is_reached_and_never_passed() {
        for wpm in [5.0, 25.0, 60.0, 500.0] {
            let tone = Tone { hz: 1000.0, level_db: -12.0, ..Tone::default() };
            let sound = rendered("PARIS", wpm, &tone, 48_000);
            let peak = sound.iter().fold(0.0f32, |m, s| m.max(s.abs()));
            assert!((0.245..=0.2512).contains(&peak), "{wpm} WPM: {peak}");
        }
    }

    #[test]
    fn marks_keep_their_length_at_half_amplitude() {
        let tone = Tone { hz: 3000.0, level_db: 0.0, ..Tone::default() };
        let sound = rendered("EEE", 20.0, &tone, 48_000);
        let above = sound.chunks(16).filter(|c| c.iter().any(|s| s.abs() > 0.5)).count() * 16;
        let expected = 3 * 48 * 60;
        assert!(above.abs_diff(expected) <= 3 * 32, "{above} samples, not {expected}");
    }

    #[test]
    fn hard_keying_is_to_be_had_by_asking() {
        let tone = Tone { edge: Some(0.0), level_db: 0.0, ..Tone::default() };
        let sound = render([Interval::down(0.1), Interval::up(0.1)], &tone, 0.1, 8000).unwrap();
        assert_eq!(sound.len(), 1600);
        assert!(sound[800..].iter().all(|&s| s == 0.0));
        assert!(sound[780..800].iter().any(|&s| s > 0.99));
    }

    #[test]
    fn what_cannot_be_synthesised_is_said() {
        let error = |tone: Tone, dot, rate| {
            Synth::new([Interval::down(1.0)], &tone, dot, rate).unwrap_err().to_string()
        };
        let hz = |hz| Tone { hz, ..Tone::default() };
        assert_eq!(
            error(hz(0.0), 0.1, 8000),
            "a tone of 0 Hz is out of range: choose from 20 to 3600 Hz at 8000 samples a second"
        );
        assert!(error(hz(1e6), 0.1, 48_000).contains("from 20 to 21600 Hz"));
        assert!(error(hz(f64::NAN), 0.1, 8000).contains("tone of NaN Hz"));
        assert!(error(hz(600.0), 0.1, 0).contains("sample rate of 0 Hz"));
        assert!(error(hz(600.0), 0.001, 8000).contains("at least 1000 Hz"));
        assert!(error(hz(600.0), f64::NAN, 8000).contains("dots of NaN"));
        assert!(
            error(Tone { level_db: 3.0, ..Tone::default() }, 0.1, 8000).contains("level of 3 dB")
        );
        assert!(error(Tone { edge: Some(-1.0), ..Tone::default() }, 0.1, 8000).contains("edge"));
    }

    proptest! {
        #[test]
        fn blocks_of_any_size_and_lengths_of_any_kind_give_the_same_sound(
            lengths in prop::collection::vec(prop_oneof![-0.1..0.1f64, Just(f64::NAN)], 0..20),
            blocks in prop::collection::vec(1usize..300, 1..8),
            edge in prop_oneof![Just(0.0), 0.0..0.1f64],
        ) {
            let intervals = lengths.iter().enumerate().map(|(i, &seconds)| Interval { down: i % 3 != 1, seconds });
            let tone = Tone { edge: Some(edge), level_db: 0.0, ..Tone::default() };
            let whole = render(intervals.clone(), &tone, 0.1, 8000).unwrap();
            prop_assert!(whole.iter().all(|s| s.abs() <= 1.0 + 1e-6));
            let mut synth = Synth::new(intervals, &tone, 0.1, 8000).unwrap();
            let mut parts = Vec::new();
            for &size in blocks.iter().cycle() {
                let mut block = vec![0.0; size];
                let n = synth.render(&mut block);
                parts.extend_from_slice(&block[..n]);
                if n < size { break; }
            }
            prop_assert_eq!(parts, whole);
        }
    }
}
