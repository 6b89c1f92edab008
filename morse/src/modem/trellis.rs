//! The most likely letters of a block, all dot lengths considered together.
//!
//! A state is a place within a letter, a dot length long; a path through a block of 130 dot
//! lengths begins and ends between letters. Each dot length says by a number how much it speaks
//! for the key being down (a log-likelihood ratio). Viterbi's algorithm forwards and backwards
//! (max-log) finds the best path, and for each dot length by how much that is better than the
//! best of those which differ there.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::alphabet::Code;
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

#[derive(Debug)]
struct State {
    down: bool,
    /// Where a path can come from.
    before: Vec<usize>,
}

/// The states of all letters. State 0 is the end of a letter's gap, and the beginning.
#[derive(Debug)]
pub(crate) struct Trellis {
    states: Vec<State>,
    /// The other direction of `before`.
    after: Vec<Vec<usize>>,
}

const UNITS: usize = 130;
const NEVER: f32 = -1e30;

impl Trellis {
    pub(crate) fn shared() -> &'static Self {
        static TRELLIS: OnceLock<Trellis> = OnceLock::new();
        TRELLIS.get_or_init(|| Self::new(Packing::letters().tokens()))
    }

    fn new(tokens: &[Token]) -> Self {
        // The last two of the three dot lengths of a letter's gap are shared by all letters.
        let state = |down, before| State { down, before };
        let mut states = vec![state(false, vec![1]), state(false, Vec::new())];
        // Where the gap after these marks begins
        let mut gaps = BTreeMap::from([(Code::EMPTY, 0)]);
        for code in tokens.iter().filter_map(|token| Code::of(token.letter)) {
            let (mut marks, mut at) = (Code::EMPTY, 0);
            for mark in code.marks() {
                marks = marks.push(mark).unwrap_or(marks);
                at = *gaps.entry(marks).or_insert_with(|| {
                    let mut last = at;
                    for unit in 0..=mark.units() {
                        states.push(state(unit < mark.units(), vec![last]));
                        last = states.len() - 1;
                    }
                    last
                });
            }
            states[1].before.push(at);
        }
        let mut after = vec![Vec::new(); states.len()];
        for (number, state) in states.iter().enumerate() {
            for &before in &state.before {
                after[before].push(number);
            }
        }
        Self { states, after }
    }

    /// Reads a block: `evidence` for the key being down in each dot length.
    pub(crate) fn read(&self, evidence: &[f32]) -> Reading {
        let count = self.states.len();
        let evidence = &evidence[..UNITS];
        let gain = |state: &State, unit: usize| if state.down { evidence[unit] } else { 0.0 };
        let mut forward = vec![NEVER; (UNITS + 1) * count];
        forward[0] = 0.0;
        for unit in 0..UNITS {
            let (past, now) = forward.split_at_mut((unit + 1) * count);
            let past = &past[unit * count..];
            for (place, state) in now.iter_mut().zip(&self.states) {
                let best = state.before.iter().map(|&b| past[b]).fold(NEVER, f32::max);
                *place = best + gain(state, unit);
            }
        }
        let mut backward = vec![NEVER; count];
        backward[0] = 0.0;
        let mut keying = vec![false; UNITS];
        let mut surety = vec![0.0f32; UNITS];
        for unit in (0..UNITS).rev() {
            // `backward`: the best that can follow after this dot length.
            let now = &forward[(unit + 1) * count..][..count];
            let (mut up, mut down) = (NEVER, NEVER);
            for (number, state) in self.states.iter().enumerate() {
                let whole = now[number] + backward[number];
                let side = if state.down { &mut down } else { &mut up };
                *side = side.max(whole);
            }
            keying[unit] = down > up;
            surety[unit] = (down - up).abs();
            let mut earlier = vec![NEVER; count];
            for (number, place) in earlier.iter_mut().enumerate() {
                for &next in &self.after[number] {
                    let value = backward[next] + gain(&self.states[next], unit);
                    *place = place.max(value);
                }
            }
            backward = earlier;
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

    fn keyed(block: [u8; 8]) -> Vec<bool> {
        Packing::letters().pack(&block).iter().flat_map(|t| t.keying.iter().copied()).collect()
    }

    #[test]
    fn there_is_a_state_for_each_place_in_a_letter() {
        let trellis = Trellis::shared();
        assert_eq!(trellis.states[1].before.len(), 36);
        assert!(trellis.states.len() < 140, "{}", trellis.states.len());
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
