//! Reading Morse from sound, blind to tone and speed.

mod durations;
mod evidence;
mod learn;
mod level;
mod reading;
mod search;
mod speed;
mod trie;

use realfft::RealFftPlanner;

use crate::alphabet::{Code, Symbol};

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
    /// How sure the reading is, 0 to 1.
    pub confidence: f32,
    /// Speed, words per minute (PARIS).
    pub wpm: f64,
    /// Frequency of the tone, Hz.
    pub tone_hz: f64,
    /// Power of the tone over that of the noise in 2500 Hz, dB.
    pub snr_db: f64,
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

/// Reads a whole recording.
#[must_use]
pub fn decode(samples: &[f32], rate: u32) -> Vec<Event> {
    let mut planner = RealFftPlanner::new();
    let trie = trie::Trie::shared();
    let mut events = Vec::new();
    let Some(reading) = reading::read(&mut planner, samples, f64::from(rate)) else {
        return events;
    };
    let mut previous = 0.0;
    for glyph in &reading.path.glyphs {
        let (Some(first), Some(last)) = (glyph.strokes.first(), glyph.strokes.last()) else {
            continue;
        };
        let code = trie.codes[usize::from(glyph.node)];
        let Some(symbol) = code.symbol() else { continue };
        let (start, end) = (reading.seconds(first.start), reading.seconds(last.end));
        if glyph.word_before && !events.is_empty() {
            events.push(Event::WordGap { start: previous, end: start });
        }
        previous = end;
        events.push(Event::Character(Character {
            code,
            symbol,
            start,
            end,
            confidence: 1.0 / (1.0 + (-glyph.margin).exp()),
            wpm: reading.wpm(first.start),
            tone_hz: reading.hz,
            snr_db: reading.snr_db(glyph),
        }));
    }
    events
}

/// The text of events.
#[must_use]
pub fn text(events: &[Event]) -> String {
    let mut out = String::new();
    for event in events {
        match event {
            Event::Character(c) => out.push_str(&c.symbol.to_string()),
            Event::WordGap { .. } => out.push(' '),
        }
    }
    out
}

pub(crate) fn knob(name: &str, default: f32) -> f32 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}
