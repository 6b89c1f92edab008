//! Reading Morse from sound, blind to tone, speed and level.
//!
//! [`decode`] reads a recording; a [`Decoder`] reads sound as it comes. Both are one engine: a
//! window of sound is read as a whole (tone, speed, level, where marks begin and end and what they
//! spell, decided together), and what has settled is given out. They differ in how long that takes.
//!
//! # How it reads
//!
//! 1. **Tones.** In a spectrogram of 64 ms, a keyed tone is where the level changes most, not where
//!    it is highest: a carrier is loud and never changes. The three likeliest tones are read; the
//!    strongest that makes sense is kept, at equal strength the one at a usual pitch.
//! 2. **To zero frequency.** Each tone is mixed down and followed while it drifts, by the turn of
//!    its phase, smoothed (Rauch, Tung, Striebel 1965). The noise is measured beside it, so that
//!    hum and pink noise do not matter.
//! 3. **Evidence.** Nothing is decided by a threshold. Each stretch of time is given the logarithm
//!    of how much likelier a mark made it than noise did: of unknown phase `ln I0(2a|Z|/σ²) -
//!    a²L/σ²` (Proakis, *Digital Communications*, non-coherent detection), with the phase of the
//!    marks around where these foretell it, which is worth 1 to 2 dB.
//! 4. **Speed.** A semi-Markov model of marks and gaps is run at all speeds at once; the speed is
//!    a slow state of it, as operators hurry and others answer. Lengths are those of
//!    ITU-R M.1677-1 (dash 3 dots, gaps 1, 3 and 7), the speed is by the word PARIS.
//! 5. **Text.** A Viterbi search (Forney 1973) over the tree of codes, again with lengths of their
//!    own for all marks and gaps (a hidden semi-Markov model, Yu 2010), finds the text whose keying
//!    explains the sound best. Marks, gaps and characters are decided together.
//! 6. **Again.** The reading tells the operator's lengths and spacing, the level over time and the
//!    exact pitch; with them the sound is read again, until the text stays. In a room it tells the
//!    echoes too, which are subtracted (decision feedback, Austin 1967) before the sound is read
//!    anew; where they fill the gaps, marks are found by their edges first.
//! 7. **Silence.** What is not a pure tone (a voice), never stops (a carrier), or is not explained
//!    much better by keying than by noise, gives no text.
//!
//! # Limits
//!
//! Speeds from 4 to 120 WPM, and to 1900 WPM where the sampling rate allows and the keying is a
//! machine's; tones from 120 Hz to 4000 Hz, or to 16 kHz at high speed. No receiver that does not
//! know the phase reads nine characters in ten below -14.6, -12.4 and -9.9 dB at 12, 20 and 35 WPM
//! (tone over noise in 2500 Hz); this one comes to within a decibel of that. Echoes are taken out
//! of recordings only, not of [`Latency::Live`] sound. A single mark has no rhythm: a short one is
//! taken for `E`, a long one for `T`.
//!
//! ```
//! use ipfi_morse::decoder::{Decoder, Event, Latency, text};
//!
//! let mut decoder = Decoder::new(8000, Latency::Live)?;
//! decoder.push(&[0.0; 8000]); // blocks of any length
//! decoder.finish();
//! let events: Vec<Event> = std::iter::from_fn(|| decoder.poll_event()).collect();
//! assert_eq!(text(&events), ""); // a second of silence
//! # Ok::<(), ipfi_morse::decoder::DecoderError>(())
//! ```

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "frames, samples and seconds are far below 2^52 and never negative"
)]

mod durations;
mod echo;
mod edges;
mod evidence;
mod grids;
mod lanes;
mod learn;
mod level;
mod phase;
mod reading;
mod rooms;
mod search;
mod speed;
mod tone;
mod trie;
mod verdict;

use std::collections::VecDeque;
use std::fmt;
use std::hint::black_box;
use std::ops::{Range, RangeInclusive};
use std::sync::Once;

use realfft::RealFftPlanner;
use thiserror::Error;

use self::reading::{Effort, FAST, Followed, HURRY_WPM, MACHINE_FIT, ORDINARY, Reading};
use crate::alphabet::{Code, Symbol};

/// Lowest and highest sampling rate, Hz.
pub const RATES: RangeInclusive<u32> = 2_000..=768_000;

/// A character of [`Latency::Live`] is out so many seconds after its end, or never.
const LATEST: f64 = 1.95;

/// So long after the last character even one that was missed between does not explain the pause:
/// a word has begun, dots.
const WORD_DOTS: f64 = 20.0;

/// For so long after a character its sender is taken to be the one who goes on, seconds.
const RECENT: f64 = 5.0;

/// A reading that explains this part of the changes of power needs no other.
const PLAIN_FIT: f32 = 0.5;

/// A stretch of time in which the key was down.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Keyed {
    /// When it began, seconds from the first sample.
    pub start: f64,
    /// When it ended.
    pub end: f64,
}

/// A character that was read.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Character {
    /// Its dots and dashes.
    pub code: Code,
    /// What they stand for.
    pub symbol: Symbol,
    /// When its first mark began, seconds from the first sample.
    pub start: f64,
    /// When its last mark ended.
    pub end: f64,
    /// Its marks, one for each of the code.
    pub marks: Vec<Keyed>,
    /// How sure the reading is, 0 to 1, against the next character that would fit.
    pub confidence: f32,
    /// Speed, words per minute (PARIS).
    pub wpm: f64,
    /// Frequency of the tone, Hz.
    pub tone_hz: f64,
    /// Power of the tone over that of the noise in 2500 Hz, dB.
    pub snr_db: f64,
}

/// glibc gives memory back to the system as soon as 128 KiB of it are free in a row, and takes a
/// fault for every page when it wants it again, as each reading of a minute does. The limit is twice
/// the largest block that it has seen freed (`mallopt(3)`, `M_MMAP_THRESHOLD`), so it is shown one,
/// of which no page is ever touched.
fn keep_what_is_freed() {
    const SHOWN: usize = 31 << 20;
    static SHOW: Once = Once::new();
    if cfg!(target_env = "gnu") {
        SHOW.call_once(|| drop(black_box(Vec::<u8>::with_capacity(SHOWN))));
    }
}

/// What a decoder has found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A character or prosign.
    Character(Character),
    /// A gap between words, before the character that follows.
    WordGap {
        /// When it began, seconds from the first sample.
        start: f64,
        /// When it ended.
        end: f64,
    },
}

/// Why there is no decoder.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecoderError {
    /// Not in [`RATES`].
    #[error(
        "{0} samples a second cannot be decoded: the rate is from {low} to {high}",
        low = RATES.start(),
        high = RATES.end()
    )]
    Rate(u32),
}

/// How long a [`Decoder`] may look ahead before it settles on a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Latency {
    /// A character is out two seconds after its end, or never. Memory: seven seconds of sound.
    Live,
    /// The best reading there is: a minute at a time. Memory: a minute of sound.
    Recording,
}

impl Latency {
    /// Seconds: of sound read at once, between readings, and a character must be old to be settled.
    const fn timing(self) -> (f64, f64, f64) {
        match self {
            Self::Live => (7.0, 0.6, 1.3),
            Self::Recording => (60.0, 42.0, 8.0),
        }
    }
}

/// Reads sound as it comes: samples in, events out.
///
/// The events depend on the samples alone, not on how they are cut into blocks. Memory is bounded
/// by [`Latency`] and by events that have not been taken.
pub struct Decoder {
    rate: f64,
    latency: Latency,
    planner: RealFftPlanner<f32>,
    /// The window; `origin` is the number of its first sample.
    sound: Vec<f32>,
    origin: u64,
    /// How many samples of the window have been read.
    read: usize,
    /// Where the last character given out began, and ended, seconds.
    begun: f64,
    settled: f64,
    /// The tone and speed of the last character given out.
    followed: Option<Followed>,
    events: VecDeque<Event>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("rate", &self.rate)
            .field("latency", &self.latency)
            .field("seconds", &((self.origin as f64 + self.sound.len() as f64) / self.rate))
            .field("followed", &self.followed)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder for sound of so many samples a second.
    pub fn new(rate: u32, latency: Latency) -> Result<Self, DecoderError> {
        if !RATES.contains(&rate) {
            return Err(DecoderError::Rate(rate));
        }
        if latency == Latency::Recording {
            keep_what_is_freed();
        }
        Ok(Self {
            rate: f64::from(rate),
            latency,
            planner: RealFftPlanner::new(),
            sound: Vec::new(),
            origin: 0,
            read: 0,
            begun: f64::NEG_INFINITY,
            settled: f64::NEG_INFINITY,
            followed: None,
            events: VecDeque::new(),
        })
    }

    /// Takes sound, full scale being 1; what is no number is silence.
    pub fn push(&mut self, samples: &[f32]) {
        let (window, step, _) = self.latency.timing();
        let (window, step) = ((window * self.rate) as usize, (step * self.rate) as usize);
        let mut rest = samples;
        while !rest.is_empty() {
            let due = if self.read == 0 && self.latency == Latency::Recording {
                window
            } else {
                (self.read + step).min(window)
            };
            let (now, later) = rest.split_at(rest.len().min(due - self.sound.len()));
            self.sound.extend(now.iter().map(|x| if x.is_finite() { *x } else { 0.0 }));
            rest = later;
            if self.sound.len() == due {
                self.settle(false);
                self.read = due;
                let spare = due.saturating_sub(window - step);
                self.sound.drain(..spare);
                self.read -= spare;
                self.origin += spare as u64;
            }
        }
    }

    /// Says that no more sound will come, so that all that has been heard settles.
    pub fn finish(&mut self) {
        if self.sound.len() > self.read || self.latency == Latency::Live {
            self.settle(true);
        }
        self.origin += self.sound.len() as u64;
        self.sound.clear();
        self.read = 0;
    }

    /// What has been found, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The tone being followed, Hz, if there is one.
    #[must_use]
    pub fn tone_hz(&self) -> Option<f64> {
        self.followed.map(|f| f.hz)
    }

    /// Reads the window and gives out the characters that are old enough.
    fn settle(&mut self, last: bool) {
        let begin = self.origin as f64 / self.rate;
        let end = begin + self.sound.len() as f64 / self.rate;
        let sound = std::mem::take(&mut self.sound);
        // A recording has time to look at every speed.
        let effort = match self.latency {
            Latency::Live => Effort::Quick,
            Latency::Recording => Effort::Thorough,
        };
        let live = self.latency == Latency::Live;
        let recent = live && end - self.settled < RECENT;
        let followed = self.followed.map(|f| Followed { wpm: f.wpm.filter(|_| recent), ..f });
        // What was fast just now goes on so.
        let fast = followed.and_then(|f| f.wpm).is_some_and(|wpm| wpm > HURRY_WPM);
        if (!live || fast) && self.hurry(&sound, begin, last) {
            self.sound = sound;
            return;
        }
        let reading =
            reading::read(&mut self.planner, &sound, self.rate, followed, ORDINARY, effort);
        let plain = reading.as_ref().is_some_and(|r| r.fit > PLAIN_FIT);
        if live && !fast && !plain && self.hurry(&sound, begin, last) {
            // read at high speed
        } else if let Some(reading) = reading.filter(|r| !live || recent || last || r.convinces()) {
            let (_, _, age) = self.latency.timing();
            // What is only now understood is no longer news.
            let from = if live && !last { end - LATEST } else { f64::NEG_INFINITY };
            let until = if last { f64::INFINITY } else { end - age };
            self.give_out(&reading, begin, from..until);
        }
        self.sound = sound;
    }

    /// Reads the window at high speed, in pieces: short times are many frames. Says whether there
    /// was something to be read.
    fn hurry(&mut self, sound: &[f32], begin: f64, last: bool) -> bool {
        let Some(scouted) = reading::hurried(&mut self.planner, sound, self.rate) else {
            return false;
        };
        let piece = (4.0 * self.rate) as usize;
        let overlap = (0.5 * self.rate) as usize;
        // What is settled is left out.
        let settled = ((self.settled - begin).max(0.0) * self.rate) as usize;
        let mut from = settled.saturating_sub(overlap).min(sound.len());
        loop {
            let to = (from + piece).min(sound.len());
            let start = begin + from as f64 / self.rate;
            let end = begin + to as f64 / self.rate;
            let until = if last && to == sound.len() { f64::INFINITY } else { end - 0.3 };
            let part = &sound[from..to];
            if until > self.settled
                && let Some(reading) = reading::read(
                    &mut self.planner,
                    part,
                    self.rate,
                    Some(scouted),
                    FAST,
                    Effort::Quick,
                )
            {
                if reading.fit < MACHINE_FIT {
                    return false;
                }
                self.give_out(&reading, start, f64::NEG_INFINITY..until);
            }
            if to == sound.len() {
                return self.settled > begin;
            }
            from = to - overlap;
        }
    }

    /// Gives out the characters of a reading of sound that began at `begin`, if they are new and
    /// ended in that time.
    fn give_out(&mut self, reading: &Reading, begin: f64, ended: Range<f64>) {
        // Whether what comes before in this reading is what was given out last.
        let mut follows = false;
        for (index, glyph) in reading.path.glyphs.iter().enumerate() {
            let Some(character) = character(reading, index, begin) else { continue };
            let middle = f64::midpoint(character.start, character.end);
            // What is read otherwise, and longer, than before is not new for that.
            let known = middle <= self.settled || character.start < self.begun;
            if known || !ended.contains(&character.end) {
                follows = known;
                continue;
            }
            // The one before may be of another reading.
            let pause = (character.start - self.settled) * character.wpm / 1.2;
            let word_before = glyph.word_before || !follows && pause > WORD_DOTS;
            if self.settled.is_finite() && word_before {
                self.events.push_back(Event::WordGap { start: self.settled, end: character.start });
            }
            follows = true;
            (self.begun, self.settled) = (character.start, character.end);
            self.followed = Some(Followed { hz: character.tone_hz, wpm: Some(character.wpm) });
            self.events.push_back(Event::Character(character));
        }
    }
}

/// One character of a reading of sound that began at `begin` seconds.
fn character(reading: &Reading, index: usize, begin: f64) -> Option<Character> {
    let glyph = reading.path.glyphs.get(index)?;
    let (first, last) = (glyph.strokes.first()?, glyph.strokes.last()?);
    let code = trie::Trie::shared().codes[usize::from(glyph.node)];
    let at = |frame: usize| begin + reading.seconds(frame);
    Some(Character {
        code,
        symbol: code.symbol()?,
        start: at(first.start),
        end: at(last.end),
        marks: glyph.strokes.iter().map(|s| Keyed { start: at(s.start), end: at(s.end) }).collect(),
        confidence: 1.0 / (1.0 + (-glyph.margin).exp()),
        wpm: reading.wpm(first.start),
        tone_hz: reading.hz,
        snr_db: reading.snr_db(glyph),
    })
}

/// Reads a whole recording of so many samples a second.
///
/// ```
/// use ipfi_morse::decoder::{decode, text};
/// // A dot of 60 ms, 700 Hz, after a second of silence, five times: a figure five.
/// let rate = 8000;
/// let sound: Vec<f32> = (0..3 * rate)
///     .map(|i| {
///         let t = i as f32 / rate as f32;
///         let keyed = (1.0..1.6).contains(&t) && ((t - 1.0) / 0.06) as u32 % 2 == 0;
///         if keyed { 0.5 * (t * 700.0 * std::f32::consts::TAU).sin() } else { 0.0 }
///     })
///     .collect();
/// assert_eq!(text(&decode(&sound, rate)?), "5");
/// # Ok::<(), ipfi_morse::decoder::DecoderError>(())
/// ```
pub fn decode(samples: &[f32], rate: u32) -> Result<Vec<Event>, DecoderError> {
    let mut decoder = Decoder::new(rate, Latency::Recording)?;
    decoder.push(samples);
    decoder.finish();
    Ok(std::iter::from_fn(|| decoder.poll_event()).collect())
}

/// The text of events: characters, prosigns as `<SK>`, and spaces.
#[must_use]
pub fn text<'a>(events: impl IntoIterator<Item = &'a Event>) -> String {
    let mut out = String::new();
    for event in events {
        match event {
            Event::Character(c) => out.push_str(&c.symbol.to_string()),
            Event::WordGap { .. } => out.push(' '),
        }
    }
    out
}
