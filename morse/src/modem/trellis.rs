//! The most likely letters of a block, all dot lengths considered together.
//!
//! A state is a place within a letter, a dot length long; a path through a block of 130 dot
//! lengths begins and ends between letters. Each dot length says by a number how much it speaks
//! for the key being down (a log-likelihood ratio). Viterbi's algorithm forwards and backwards
//! (max-log) finds the best path, and for each dot length by how much that is better than the
//! best of those which differ there.

use std::sync::OnceLock;

use crate::alphabet::{Code, Mark};
use crate::packing::{BLOCK_BYTES, Packing, Token};

/// What a block of letters was read as.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// The key in each dot length.
    pub(crate) keying: Vec<bool>,
    pub(crate) letters: String,
    /// `None`: a text that stands for no bytes.
    pub(crate) bytes: Option<[u8; BLOCK_BYTES]>,
    /// For each byte, how much worse the best reading is that could change it.
    pub(crate) sureties: [f32; BLOCK_BYTES],
}

/// The states of all letters, as a tree of marks: a node for each beginning of a letter.
///
/// States of the same kind lie beside each other, those of nodes that end with a dash first: so most
/// steps are made for many of them at once.
#[derive(Debug)]
pub(crate) struct Trellis {
    /// The node before each.
    parents: [usize; NODES],
    /// The nodes after each, with a dot and with a dash more.
    children: [[usize; 2]; NODES],
    /// 0 where a letter ends, else [`NEVER`].
    letters: [f32; NODES],
}

/// A value for each state.
#[derive(Clone, Copy, Debug)]
struct Values {
    /// The first dot length of each node's last mark; the others of a dash.
    first: [f32; NODES],
    second: [f32; DASHES],
    third: [f32; DASHES],
    /// The dot length after it; that of the root is the end of a letter's gap, and the beginning.
    gap: [f32; NODES],
    /// The dot length before the end of a letter's gap.
    pause: f32,
}

const UNITS: usize = 130;
const NEVER: f32 = -1e30;
/// Places for nodes: those that end with a dash, those that end with a dot, one for none, and the root.
const NODES: usize = 48;
const DASHES: usize = 24;
const NONE: usize = NODES - 2;
const ROOT: usize = NODES - 1;

impl Values {
    const NEVER: Self = Self {
        first: [NEVER; NODES],
        second: [NEVER; DASHES],
        third: [NEVER; DASHES],
        gap: [NEVER; NODES],
        pause: NEVER,
    };

    /// Between letters.
    const BETWEEN: Self = {
        let mut values = Self::NEVER;
        values.gap[ROOT] = 0.0;
        values
    };
}

fn higher(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// The highest, several at once.
fn highest(values: impl Iterator<Item = [f32; 8]>) -> f32 {
    let mut best = [NEVER; 8];
    for values in values {
        for lane in 0..8 {
            best[lane] = higher(best[lane], values[lane]);
        }
    }
    best.into_iter().fold(NEVER, higher)
}

fn sums<'a>(a: &'a [f32], b: &'a [f32]) -> impl Iterator<Item = [f32; 8]> + 'a {
    let pairs = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    pairs.map(|(a, b)| std::array::from_fn(|lane| a[lane] + b[lane]))
}

impl Trellis {
    pub(crate) fn shared() -> &'static Self {
        static TRELLIS: OnceLock<Trellis> = OnceLock::new();
        TRELLIS.get_or_init(|| Self::new(Packing::letters().tokens()))
    }

    fn new(tokens: &[Token]) -> Self {
        let mut trellis =
            Self { parents: [NONE; NODES], children: [[NONE; 2]; NODES], letters: [NEVER; NODES] };
        let mut places = [DASHES..NONE, 0..DASHES];
        for code in tokens.iter().filter_map(|token| Code::of(token.letter)) {
            let mut node = ROOT;
            for mark in code.marks() {
                let kind = usize::from(mark == Mark::Dash);
                if trellis.children[node][kind] == NONE {
                    let place = places[kind].next().expect("there are fewer letters than places");
                    trellis.children[node][kind] = place;
                    trellis.parents[place] = node;
                }
                node = trellis.children[node][kind];
            }
            trellis.letters[node] = 0.0;
        }
        trellis
    }

    /// The best paths that are a dot length longer.
    fn forward(&self, past: &Values, evidence: f32, now: &mut Values) {
        for (first, &parent) in now.first.iter_mut().zip(&self.parents) {
            *first = past.gap[parent] + evidence;
        }
        for node in 0..DASHES {
            now.second[node] = past.first[node] + evidence;
            now.third[node] = past.second[node] + evidence;
            now.gap[node] = past.third[node];
        }
        now.gap[DASHES..].copy_from_slice(&past.first[DASHES..]);
        (now.gap[NONE], now.gap[ROOT]) = (NEVER, past.pause);
        now.pause = highest(sums(&past.gap, &self.letters));
    }

    /// The best that can follow, from a dot length earlier on.
    fn backward(&self, later: &Values, evidence: f32, now: &mut Values) {
        let first = later.first.map(|value| value + evidence);
        for node in 0..NODES {
            let [dot, dash] = self.children[node];
            let mark = higher(first[dot], first[dash]);
            now.gap[node] = higher(mark, later.pause + self.letters[node]);
        }
        now.first = later.gap;
        for node in 0..DASHES {
            now.first[node] = later.second[node] + evidence;
            now.second[node] = later.third[node] + evidence;
            now.third[node] = later.gap[node];
        }
        (now.first[NONE], now.first[ROOT]) = (NEVER, NEVER);
        now.pause = later.gap[ROOT];
    }

    /// Reads a block: `evidence` for the key being down in each dot length.
    pub(crate) fn read(&self, evidence: &[f32]) -> Reading {
        let evidence = &evidence[..UNITS];
        let mut before = vec![Values::BETWEEN; UNITS + 1];
        for (unit, &evidence) in evidence.iter().enumerate() {
            let (past, now) = before.split_at_mut(unit + 1);
            self.forward(&past[unit], evidence, &mut now[0]);
        }
        let (mut after, mut earlier) = (Values::BETWEEN, Values::NEVER);
        let mut keying = vec![false; UNITS];
        let mut surety = vec![0.0f32; UNITS];
        for unit in (0..UNITS).rev() {
            let before = &before[unit + 1];
            let up = higher(highest(sums(&before.gap, &after.gap)), before.pause + after.pause);
            let dashes =
                sums(&before.second, &after.second).chain(sums(&before.third, &after.third));
            let down = highest(sums(&before.first, &after.first).chain(dashes));
            keying[unit] = down > up;
            surety[unit] = (down - up).abs();
            self.backward(&after, evidence[unit], &mut earlier);
            std::mem::swap(&mut after, &mut earlier);
        }
        reading(keying, &surety)
    }
}

fn reading(keying: Vec<bool>, surety: &[f32]) -> Reading {
    let packing = Packing::letters();
    let mut tokens: Vec<&Token> = Vec::new();
    let mut start = 0;
    while start < UNITS {
        let rest = &keying[start..];
        let fits = |t: &&Token| {
            rest.starts_with(&t.keying) && {
                let end = start + t.keying.len();
                end == UNITS || keying[end]
            }
        };
        let Some(token) = packing.tokens().iter().find(fits) else { break };
        tokens.push(token);
        start += token.keying.len();
    }
    let letters = tokens.iter().map(|token| token.letter).collect();
    let bytes = (start == UNITS).then(|| packing.unpack(tokens, BLOCK_BYTES)).flatten();
    // A letter settles what is to its left: a byte depends on the dot lengths up to its own.
    let mut sureties = [0.0; BLOCK_BYTES];
    let mut least = f32::MAX;
    let mut units = surety.iter();
    for (byte, place) in sureties.iter_mut().enumerate() {
        let end = ((byte + 1) * UNITS).div_ceil(BLOCK_BYTES);
        let here = end - byte * UNITS / BLOCK_BYTES;
        least = units.by_ref().take(here).fold(least, |least, &s| least.min(s));
        *place = if bytes.is_some() { least } else { least.min(0.01) };
    }
    Reading { keying, letters, bytes, sureties }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn keyed(block: [u8; 8]) -> Vec<bool> {
        Packing::letters().pack(&block).iter().flat_map(|t| t.keying.iter().copied()).collect()
    }

    #[test]
    fn there_is_a_node_for_each_beginning_of_a_letter() {
        let trellis = Trellis::shared();
        let codes = Packing::letters().tokens().iter().filter_map(|token| Code::of(token.letter));
        let beginnings: BTreeSet<String> = codes
            .map(|code| code.to_string())
            .flat_map(|code| (1..=code.len()).map(move |end| code[..end].to_owned()))
            .collect();
        let places = |kind: std::ops::Range<usize>| {
            trellis.parents[kind].iter().filter(|&&parent| parent != NONE).count()
        };
        let dashes = beginnings.iter().filter(|marks| marks.ends_with('-')).count();
        assert_eq!((places(0..DASHES), places(0..NONE)), (dashes, beginnings.len()));
        assert_eq!(trellis.letters.iter().filter(|&&letter| letter == 0.0).count(), 36);
    }

    proptest! {
        #[test]
        fn clean_keying_is_read(block: [u8; 8]) {
            let keying = keyed(block);
            let evidence: Vec<f32> = keying.iter().map(|&d| if d { 5.0 } else { -5.0 }).collect();
            let reading = Trellis::shared().read(&evidence);
            prop_assert_eq!(&reading.keying, &keying);
            prop_assert_eq!(reading.bytes, Some(block));
            // `T` and `I` differ in one dot length.
            prop_assert!(reading.sureties.iter().all(|&s| s >= 4.9));
        }

        #[test]
        fn one_doubtful_dot_length_does_not_matter(block: [u8; 8], at in 0usize..130) {
            let keying = keyed(block);
            let mut evidence: Vec<f32> =
                keying.iter().map(|&d| if d { 5.0 } else { -5.0 }).collect();
            evidence[at] *= -0.4;
            let reading = Trellis::shared().read(&evidence);
            prop_assert!(reading.keying == keying || at > 0);
            let surest = reading.sureties[0];
            prop_assert!(reading.sureties.iter().all(|&s| s <= surest));
        }

        #[test]
        fn anything_is_read_as_letters(evidence in prop::collection::vec(-9f32..9.0, 130)) {
            let reading = Trellis::shared().read(&evidence);
            let marks: Vec<bool> = reading
                .letters
                .chars()
                .flat_map(|c| {
                    let mut tokens = Packing::letters().tokens().iter();
                    tokens.find(|t| t.letter == c).unwrap().keying.clone()
                })
                .collect();
            prop_assert_eq!(marks, reading.keying);
        }
    }
}
