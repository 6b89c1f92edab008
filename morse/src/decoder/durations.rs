//! How long dots, dashes and gaps last, as probabilities.

use super::trie::LANES;

/// One kind of mark or gap. Lengths are in dots of the current speed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Usual length.
    pub mean: f32,
    /// Standard deviation of the length.
    pub deviation: f32,
}

/// The shapes of all kinds: what a hand, a weight or Farnsworth spacing changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub dot: Kind,
    pub dash: Kind,
    /// The gap inside a character.
    pub inner: Kind,
    /// The gap between characters.
    pub letter: Kind,
    /// The gap between words.
    pub word: Kind,
}

impl Shape {
    /// ITU-R M.1677-1 as people send it.
    pub(crate) const NOMINAL: Self = Self {
        dot: Kind { mean: 1.0, deviation: 0.18 },
        dash: Kind { mean: 3.0, deviation: 0.42 },
        inner: Kind { mean: 1.0, deviation: 0.20 },
        letter: Kind { mean: 3.0, deviation: 0.60 },
        word: Kind { mean: 7.0, deviation: 1.6 },
    };
}

/// Chances of the kinds of gap after a mark.
pub(crate) const INNER: f32 = -0.5; // ln 0.61
pub(crate) const LETTER: f32 = -1.2; // ln 0.3
pub(crate) const WORD: f32 = -2.4; // ln 0.09

/// `ln` density of lengths in frames from `shortest` to `longest`, stored from longest to shortest.
///
/// Where there is room they are so many that vectors hold them without a rest.
#[derive(Clone, Debug)]
pub(crate) struct Lengths {
    pub shortest: usize,
    pub longest: usize,
    pub reversed: Vec<f32>,
}

impl Lengths {
    fn new(dot: f32, range: (f32, f32), most: usize, density: impl Fn(f32) -> f32) -> Self {
        let longest = ((range.1 * dot).floor() as usize).clamp(1, most);
        let shortest = ((range.0 * dot).ceil() as usize).clamp(1, longest);
        let filled = shortest + (longest + 1 - shortest).next_multiple_of(LANES) - 1;
        let filled = if filled > most { longest } else { filled };
        let reversed = (shortest..=filled).rev().map(|d| density(d as f32 / dot)).collect();
        Self { shortest, longest: filled, reversed }
    }
}

/// The lengths of everything at one speed.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub dot: Lengths,
    pub dash: Lengths,
    pub inner: Lengths,
    /// Gaps between characters, be it letter or word.
    pub outer: Lengths,
    /// `ln` chance of a gap longer than `outer` has.
    pub pause: f32,
    /// From this length on, frames, a gap between characters is rather one between words.
    pub word_from: usize,
}

/// `ln` density against that of the mean of a kind with a deviation of 0.15: narrow kinds score
/// higher where they fit. A few lengths in a hundred are anything.
fn density(kind: Kind, x: f32, stray: f32) -> f32 {
    let z = (x - kind.mean) / kind.deviation;
    let sharp = 0.15 * kind.mean / kind.deviation;
    (0.97 * sharp * (-0.5 * z * z).exp() + stray).ln()
}

/// The longest gap between characters that has an entry of its own, frames.
pub(crate) const LONGEST_GAP: usize = 480;

impl Table {
    /// The table for a dot of so many frames.
    pub(crate) fn new(dot: f32, shape: &Shape) -> Self {
        use super::evidence::{LONGEST_DASH, LONGEST_DOT};
        let stray = 0.004;
        let inner_to = (shape.inner.mean + 4.0 * shape.inner.deviation).max(1.9);
        let bounded = |kind: Kind, longest: f32| {
            move |x: f32| if x > longest { f32::NEG_INFINITY } else { density(kind, x, stray) }
        };
        let inner = bounded(shape.inner, inner_to);
        let outer = |x: f32| {
            let letter = LETTER + density(shape.letter, x, stray);
            // A word gap may be as long as one likes.
            let word = WORD + density(shape.word, x.min(shape.word.mean), 0.03);
            letter.max(word)
        };
        let border = {
            let mut x = shape.letter.mean;
            while x < shape.word.mean
                && LETTER + density(shape.letter, x, 0.0) > WORD + density(shape.word, x, 0.0)
            {
                x += 0.05;
            }
            x
        };
        let outer_from = 0.5 * (shape.inner.mean + shape.letter.mean) * 0.75;
        // Beyond the usual gap between words all are as likely, and count as a pause.
        let outer_to = shape.word.mean;
        let (dot_to, dash_to) = (2.2, 4.8);
        Self {
            dot: Lengths::new(dot, (0.35, dot_to), LONGEST_DOT, bounded(shape.dot, dot_to)),
            dash: Lengths::new(dot, (1.3, dash_to), LONGEST_DASH, bounded(shape.dash, dash_to)),
            inner: Lengths::new(dot, (0.25, inner_to), LONGEST_GAP, |x| INNER + inner(x)),
            outer: Lengths::new(dot, (outer_from, outer_to), LONGEST_GAP, outer),
            pause: WORD + density(shape.word, shape.word.mean, 0.03),
            word_from: (border * dot).round() as usize,
        }
    }
}
