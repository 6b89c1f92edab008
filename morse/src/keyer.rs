//! Symbols to keying: when the key is down and when it is up.
//!
//! A [`Keyer`] turns [`Token`]s into [`Interval`]s one at a time, so a text may be as long as it
//! likes. A [`Fist`] makes it send as people do, with lengths that vary; it serves practice and
//! the testing of decoders.

use std::collections::VecDeque;

use crate::alphabet::Mark;
use crate::noise::Noise;
use crate::text::Token;
use crate::timing::Timing;

/// A stretch of time in which the key stays as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "an interval is a state and a length")]
pub struct Interval {
    /// Whether the key is down, that is whether the tone sounds.
    pub down: bool,
    /// How long, in seconds.
    pub seconds: f64,
}

impl Interval {
    /// Key down for so many seconds.
    #[must_use]
    pub const fn down(seconds: f64) -> Self {
        Self { down: true, seconds }
    }

    /// Key up for so many seconds.
    #[must_use]
    pub const fn up(seconds: f64) -> Self {
        Self { down: false, seconds }
    }
}

/// How the lengths of a sender vary: standard deviations as parts of each length.
///
/// The ready-made fists are four people at 12 to 25 words a minute, from a steady one to one
/// whom one would rather not copy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Fist {
    /// Deviation of dots.
    pub dot: f64,
    /// Deviation of dashes.
    pub dash: f64,
    /// Deviation of the gaps within a letter.
    pub element_gap: f64,
    /// Deviation of the gaps between letters and words.
    pub gap: f64,
    /// How much longer than standard the gaps between letters and words are: 0.2 is a fifth.
    pub pause: f64,
    /// How much longer than standard dashes are.
    pub drawl: f64,
}

impl Fist {
    /// Every length varies alike, by `deviation` of itself (0.1 is 10 %).
    #[must_use]
    pub fn jitter(deviation: f64) -> Self {
        let d = deviation;
        Self { dot: d, dash: d, element_gap: d, gap: d, pause: 0.0, drawl: 0.0 }
    }

    /// A straight key in a good hand: long dashes, all lengths a little different.
    #[must_use]
    pub const fn straight() -> Self {
        Self { dot: 0.12, dash: 0.10, element_gap: 0.12, gap: 0.18, pause: 0.1, drawl: 0.1 }
    }

    /// A semi-automatic key (bug): the dots are the machine's, the dashes are the hand's and long.
    #[must_use]
    pub const fn bug() -> Self {
        Self { dot: 0.02, dash: 0.15, element_gap: 0.06, gap: 0.2, pause: 0.1, drawl: 0.25 }
    }

    /// An electronic keyer: marks are exact, the pauses are the hand's.
    #[must_use]
    pub const fn paddle() -> Self {
        Self { dot: 0.0, dash: 0.0, element_gap: 0.0, gap: 0.2, pause: 0.15, drawl: 0.0 }
    }

    /// A hurried hand on a straight key.
    #[must_use]
    pub const fn sloppy() -> Self {
        Self { dot: 0.2, dash: 0.2, element_gap: 0.2, gap: 0.25, pause: 0.0, drawl: 0.1 }
    }
}

/// Sends tokens: an iterator of [`Interval`]s.
///
/// The last interval is the last mark: what follows, the caller knows better.
///
/// ```
/// use ipfi_morse::{keyer::{Interval, Keyer}, text, timing::Timing};
/// let timing = Timing::new(12.0)?; // dots of 0.1 s
/// let keyed: Vec<_> = Keyer::new(text::parse("A E")?, timing).collect();
/// let down: Vec<_> = keyed.iter().map(|i| (i.down, (i.seconds * 10.0).round())).collect();
/// assert_eq!(down, [(true, 1.), (false, 1.), (true, 3.), (false, 7.), (true, 1.)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Keyer<I> {
    tokens: I,
    timing: Timing,
    fist: Option<(Fist, Noise)>,
    pending: VecDeque<Interval>,
    /// The gap due before the next character: none before the first.
    gap: Option<Gap>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Gap {
    Letter,
    Word,
}

impl<I: Iterator<Item = Token>> Keyer<I> {
    /// Sends tokens with this timing.
    pub fn new(tokens: impl IntoIterator<IntoIter = I>, timing: Timing) -> Self {
        let tokens = tokens.into_iter();
        Self { tokens, timing, fist: None, pending: VecDeque::new(), gap: None }
    }

    /// Sends as this fist does; the same seed sends the same lengths.
    #[must_use]
    pub fn with_fist(mut self, fist: Fist, seed: u64) -> Self {
        self.fist = Some((fist, Noise::new(seed)));
        self
    }

    /// Changes the timing from the next character on.
    pub fn set_timing(&mut self, timing: Timing) {
        self.timing = timing;
    }

    fn push(&mut self, down: bool, seconds: f64, deviation: impl Fn(&Fist) -> (f64, f64)) {
        let seconds = match &mut self.fist {
            None => seconds,
            Some((fist, noise)) => {
                let (longer, deviation) = deviation(fist);
                // Even a hurried hand presses the key for a while.
                let part = 1.0 + longer + deviation * noise.gaussian().clamp(-3.0, 3.0);
                seconds * part.max(0.25)
            }
        };
        self.pending.push_back(Interval { down, seconds });
    }
}

impl<I: Iterator<Item = Token>> Iterator for Keyer<I> {
    type Item = Interval;

    fn next(&mut self) -> Option<Interval> {
        loop {
            if let Some(interval) = self.pending.pop_front() {
                return Some(interval);
            }
            let code = match self.tokens.next()? {
                Token::Space => {
                    self.gap = self.gap.map(|_| Gap::Word);
                    continue;
                }
                Token::Code(code) => code,
            };
            let timing = self.timing;
            let gap = |f: &Fist| (f.pause, f.gap);
            match self.gap.replace(Gap::Letter) {
                None => {}
                Some(Gap::Letter) => self.push(false, timing.letter_gap(), gap),
                Some(Gap::Word) => self.push(false, timing.word_gap(), gap),
            }
            for (i, mark) in code.marks().enumerate() {
                if i > 0 {
                    self.push(false, timing.element_gap(), |f| (0.0, f.element_gap));
                }
                match mark {
                    Mark::Dot => self.push(true, timing.dot(), |f| (0.0, f.dot)),
                    Mark::Dash => self.push(true, timing.dash(), |f| (f.drawl, f.dash)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse;

    fn units(text: &str) -> String {
        let timing = Timing::new(12.0).unwrap();
        let show = |i: Interval| {
            let n = (i.seconds * 10.0).round();
            format!("{}{n}", if i.down { '+' } else { '-' })
        };
        Keyer::new(parse(text).unwrap(), timing).map(show).collect()
    }

    #[test]
    fn gaps_stand_between_and_never_around() {
        assert_eq!(units("ET"), "+1-3+3");
        assert_eq!(units(" E  T "), "+1-7+3");
        assert_eq!(units("<AS>"), "+1-1+3-1+1-1+1-1+1");
        assert_eq!(units(""), "");
    }

    #[test]
    fn a_text_takes_as_long_as_its_units() {
        let timing = Timing::new(20.0).unwrap();
        let keyed = Keyer::new(parse("PARIS PARIS").unwrap(), timing);
        let seconds: f64 = keyed.map(|i| i.seconds).sum();
        assert!((seconds - 0.06 * 93.0).abs() < 1e-9);
    }

    #[test]
    fn a_fist_varies_as_much_as_it_says_and_repeats_with_its_seed() {
        let timing = Timing::new(20.0).unwrap();
        let text = "5 ".repeat(1000);
        let send = |seed| -> Vec<Interval> {
            let keyer = Keyer::new(parse(&text).unwrap(), timing);
            keyer.with_fist(Fist::jitter(0.1), seed).collect()
        };
        let (a, b) = (send(1), send(1));
        assert_eq!(a, b);
        assert_ne!(a, send(2));
        let dots: Vec<f64> = a.iter().filter(|i| i.down).map(|i| i.seconds / 0.06).collect();
        let n = f64::from(u32::try_from(dots.len()).unwrap());
        let mean = dots.iter().sum::<f64>() / n;
        let deviation = (dots.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n).sqrt();
        assert!((mean - 1.0).abs() < 0.01 && (deviation - 0.1).abs() < 0.01, "{mean} {deviation}");
    }

    #[test]
    fn the_timing_can_change_on_the_way() {
        let mut keyer = Keyer::new(parse("EE").unwrap(), Timing::new(12.0).unwrap());
        assert_eq!(keyer.next().map(|i| (i.seconds * 100.0).round()), Some(10.0));
        keyer.set_timing(Timing::new(24.0).unwrap());
        let rest: Vec<_> = keyer.map(|i| (i.seconds * 100.0).round()).collect();
        assert_eq!(rest, [15.0, 5.0]);
    }
}
