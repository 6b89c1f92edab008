//! Timing: how long dots, dashes and gaps last.
//!
//! Speed is counted in words per minute (WPM) of the word PARIS with the gap after it, which is 50
//! dot lengths: a dot lasts 1.2 s / WPM. ITU-R M.1677-1, section 2, gives the ratios 1 : 3 between
//! dot and dash and 1 : 3 : 7 between the gaps.

use thiserror::Error;

/// The slowest speed, in words per minute.
pub const MIN_WPM: f64 = 1.0;
/// The fastest speed, in words per minute: a dot of half a millisecond.
pub const MAX_WPM: f64 = 2400.0;

/// The length of a dot in seconds at a speed in words per minute (PARIS).
///
/// ```
/// assert!((ipfi_morse::timing::dot_seconds(12.0) - 0.1).abs() < 1e-12);
/// ```
#[must_use]
pub fn dot_seconds(wpm: f64) -> f64 {
    1.2 / wpm
}

/// The speed in words per minute (PARIS) at which a dot lasts so many seconds.
#[must_use]
pub fn wpm(dot_seconds: f64) -> f64 {
    1.2 / dot_seconds
}

/// Lengths of marks and gaps, in seconds.
///
/// ```
/// use ipfi_morse::timing::Timing;
/// let timing = Timing::new(18.0)?.farnsworth(5.0)?; // letters at 18, words at 5 a minute
/// assert!((timing.dash() - 0.2).abs() < 1e-12);
/// assert!(timing.letter_gap() > 3.0 * timing.dot());
/// assert_eq!(Timing::new(0.0).unwrap_err().to_string(),
///     "0 WPM is out of range: choose a speed from 1 to 2400 words per minute");
/// # Ok::<(), ipfi_morse::timing::TimingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    unit: f64,
    dash_ratio: f64,
    weight: f64,
    /// The gap between letters without weighting, seconds.
    letter: f64,
    /// The gap between words without weighting, seconds.
    word: f64,
}

/// Why there is no such [`Timing`].
#[derive(Clone, Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum TimingError {
    /// Not between [`MIN_WPM`] and [`MAX_WPM`].
    #[error("{0} WPM is out of range: choose a speed from {MIN_WPM} to {MAX_WPM} words per minute")]
    Speed(f64),
    /// Farnsworth spacing can only slow down.
    #[error(
        "{effective} WPM with Farnsworth spacing is out of range: choose from {MIN_WPM} to the \
         speed of the letters, {letters} words per minute"
    )]
    Farnsworth {
        /// The speed asked for.
        effective: f64,
        /// The speed of the letters.
        letters: f64,
    },
    /// Not between 25 and 75.
    #[error("a weight of {0} % is out of range: choose from 25 to 75, where 50 is standard")]
    Weight(f64),
    /// Not between 2 and 5.
    #[error("a dash of {0} dots is out of range: choose from 2 to 5, where 3 is standard")]
    DashRatio(f64),
}

impl Timing {
    /// Standard timing at a speed in words per minute, from [`MIN_WPM`] to [`MAX_WPM`].
    pub fn new(wpm: f64) -> Result<Self, TimingError> {
        if !(MIN_WPM..=MAX_WPM).contains(&wpm) {
            return Err(TimingError::Speed(wpm));
        }
        let unit = dot_seconds(wpm);
        Ok(Self { unit, dash_ratio: 3.0, weight: 50.0, letter: 3.0 * unit, word: 7.0 * unit })
    }

    /// Farnsworth spacing: letters keep their speed, the gaps between letters and words are
    /// stretched (still 3 : 7) until PARIS takes as long as at `effective` words per minute.
    /// The formula is that of the ARRL (J. Bloom, "A Standard for Morse Timing Using the
    /// Farnsworth Technique", QEX, April 1990).
    pub fn farnsworth(mut self, effective: f64) -> Result<Self, TimingError> {
        let letters = self.wpm();
        // A little more than equal is equal: 1.2 / (1.2 / x) is not always x.
        if !(effective >= MIN_WPM && effective <= letters * (1.0 + 1e-9)) {
            return Err(TimingError::Farnsworth { effective, letters });
        }
        // PARIS is 31 units of letters and 19 of gaps around them.
        let gaps = 60.0 / effective - 31.0 * self.unit;
        self.letter = gaps * 3.0 / 19.0;
        self.word = gaps * 7.0 / 19.0;
        Ok(self)
    }

    /// Weight, 25 to 75 %: the share of the mark in a dot and the gap after it. Marks grow by as
    /// much as all gaps shrink, so that the speed stays. 50 is standard; hand keys and slow relays
    /// are heavier, that is above.
    pub fn weight(mut self, percent: f64) -> Result<Self, TimingError> {
        if !(25.0..=75.0).contains(&percent) {
            return Err(TimingError::Weight(percent));
        }
        self.weight = percent;
        Ok(self)
    }

    /// The length of a dash in dots, 2 to 5 before weighting; 3 is standard. Other ratios change
    /// the speed.
    pub fn dash_ratio(mut self, dots: f64) -> Result<Self, TimingError> {
        if !(2.0..=5.0).contains(&dots) {
            return Err(TimingError::DashRatio(dots));
        }
        self.dash_ratio = dots;
        Ok(self)
    }

    /// How much longer marks are than standard, seconds.
    fn excess(&self) -> f64 {
        self.unit * (self.weight - 50.0) / 50.0
    }

    /// The unit of all lengths: a dot of standard weight, in seconds.
    #[must_use]
    pub fn unit(&self) -> f64 {
        self.unit
    }

    /// The speed of the letters in words per minute.
    #[must_use]
    pub fn wpm(&self) -> f64 {
        wpm(self.unit)
    }

    /// A dot, seconds.
    #[must_use]
    pub fn dot(&self) -> f64 {
        self.unit + self.excess()
    }

    /// A dash, seconds.
    #[must_use]
    pub fn dash(&self) -> f64 {
        self.unit * self.dash_ratio + self.excess()
    }

    /// The gap between the marks of a letter, seconds.
    #[must_use]
    pub fn element_gap(&self) -> f64 {
        self.unit - self.excess()
    }

    /// The gap between two letters, seconds.
    #[must_use]
    pub fn letter_gap(&self) -> f64 {
        self.letter - self.excess()
    }

    /// The gap between two words, seconds.
    #[must_use]
    pub fn word_gap(&self) -> f64 {
        self.word - self.excess()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alphabet::{Code, Mark};

    /// How long PARIS and the gap after it last.
    fn paris(timing: Timing) -> f64 {
        let letter = |c| -> f64 {
            let marks = Code::of(c).unwrap().marks().map(|m| match m {
                Mark::Dot => timing.dot(),
                Mark::Dash => timing.dash(),
            });
            let gaps = marks.len() - 1;
            marks.sum::<f64>() + timing.element_gap() * f64::from(u8::try_from(gaps).unwrap())
        };
        "PARIS".chars().map(letter).sum::<f64>() + 4.0 * timing.letter_gap() + timing.word_gap()
    }

    #[test]
    fn paris_takes_a_minute_divided_by_the_speed() {
        for wpm in [1.0, 5.0, 12.0, 20.0, 60.0, 1200.0, 2400.0] {
            let timing = Timing::new(wpm).unwrap();
            assert!((paris(timing) * wpm - 60.0).abs() < 1e-9, "{wpm}");
            for weight in [25.0, 40.0, 50.0, 75.0] {
                assert!((paris(timing.weight(weight).unwrap()) * wpm - 60.0).abs() < 1e-9);
            }
            for slower in [1.0, wpm / 2.0, wpm].into_iter().filter(|&w| w >= 1.0) {
                let slow = timing.farnsworth(slower).unwrap();
                assert!((paris(slow) * slower - 60.0).abs() < 1e-9, "{slower} of {wpm}");
                assert!((slow.dot() - timing.dot()).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn out_of_range_is_an_error_that_says_the_range() {
        for wpm in [0.0, -5.0, 0.99, 10_000.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(Timing::new(wpm), Err(TimingError::Speed(_))), "{wpm}");
        }
        let timing = Timing::new(20.0).unwrap();
        for effective in [0.0, 20.1, f64::NAN] {
            let error = timing.farnsworth(effective).unwrap_err();
            assert!(error.to_string().contains("from 1 to the speed of the letters, 20 words"));
        }
        assert!(timing.weight(76.0).is_err() && timing.weight(f64::NAN).is_err());
        assert!(timing.dash_ratio(1.5).is_err() && timing.dash_ratio(f64::NAN).is_err());
    }
}
