//! The tree of codes, laid out for the search: inner nodes first, in rows that fit vectors.

use std::sync::LazyLock;

use crate::alphabet::{Class, Code, ENTRIES, Mark, Symbol};

/// Rows of inner nodes are a multiple of this long.
pub(crate) const LANES: usize = 8;

/// What follows when a mark is added to an inner node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// The inner node before the mark.
    pub parent: u8,
    /// The node after it.
    pub child: u8,
    /// The mark.
    pub mark: Mark,
}

/// All codes that have a meaning, as a tree.
#[derive(Debug)]
pub(crate) struct Trie {
    /// How many nodes have children, rounded up to [`LANES`]; the root is node 0.
    pub inner: usize,
    /// Each node but the root with its parent; inner children first.
    pub steps: Vec<Step>,
    /// For each node, `ln` of the probability of its character; minus infinity if it has none.
    pub prior: Vec<f32>,
    /// For each node, its code.
    pub codes: Vec<Code>,
}

/// How often letters occur in English text, per thousand, `A` to `Z`.
const ENGLISH: [u16; 26] = [
    82, 15, 28, 43, 127, 22, 20, 61, 70, 2, 8, 40, 24, 67, 75, 19, 1, 60, 63, 91, 28, 10, 24, 2,
    20, 1,
];

/// Half the frequency of plain language, half uniform: calls, ciphers and numbers are no English.
fn weight(class: Class, symbol: Symbol) -> f64 {
    match (class, symbol) {
        (Class::Letter, Symbol::Char(c)) => {
            let english = ENGLISH.get(c as usize - 'A' as usize).copied().unwrap_or(1);
            0.5 * f64::from(english) / 1000.0 + 0.5 / 40.0
        }
        (Class::Digit, _) => 0.5 / 40.0,
        (Class::Punctuation, Symbol::Char('?' | '/' | '=' | '+' | ',' | '.'))
        | (Class::Prosign, Symbol::Prosign("SK")) => 0.004,
        (Class::Punctuation | Class::Prosign, _) => 0.0015,
        _ => 0.0004,
    }
}

impl Trie {
    /// The tree of the whole alphabet.
    pub(crate) fn shared() -> &'static Self {
        static TRIE: LazyLock<Trie> = LazyLock::new(Trie::new);
        &TRIE
    }

    fn new() -> Self {
        // The first entry with a code is its meaning; the others only spell it differently.
        let mut meanings: Vec<(Code, f64)> = Vec::new();
        for entry in ENTRIES {
            if meanings.iter().all(|(code, _)| *code != entry.code) {
                meanings.push((entry.code, weight(entry.class, entry.symbol)));
            }
        }
        let mut inner = vec![Code::EMPTY];
        let mut every = vec![Code::EMPTY];
        for (code, _) in &meanings {
            let mut prefix = Code::EMPTY;
            for mark in code.marks() {
                if !inner.contains(&prefix) {
                    inner.push(prefix);
                }
                prefix = prefix.push(mark).unwrap_or(prefix);
                if !every.contains(&prefix) {
                    every.push(prefix);
                }
            }
        }
        inner[1..].sort_unstable_by_key(|c| (c.len(), *c));
        let inner_count = inner.len().next_multiple_of(LANES);
        let mut codes = inner.clone();
        codes.resize(inner_count, Code::EMPTY); // padding: nothing leads there
        codes.extend(every.iter().filter(|c| !inner.contains(c)));
        let total: f64 = meanings.iter().map(|(_, w)| w).sum();
        let mut prior = vec![f32::NEG_INFINITY; codes.len()];
        let node = |code: Code| codes.iter().position(|c| *c == code);
        for (code, w) in &meanings {
            if let Some(n) = node(*code) {
                prior[n] = (w / total).ln() as f32;
            }
        }
        let mut steps = Vec::new();
        for (parent, code) in inner.iter().enumerate() {
            for mark in [Mark::Dot, Mark::Dash] {
                let child = code.push(mark).and_then(node);
                if let Some(child) = child.filter(|c| *c != 0) {
                    steps.push(Step { parent: parent as u8, child: child as u8, mark });
                }
            }
        }
        steps.sort_by_key(|s| s.child);
        Self { inner: inner_count, steps, prior, codes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_can_be_reached_and_is_read_back() {
        let trie = Trie::new();
        assert!(trie.codes.len() < 256, "nodes are counted in bytes");
        for entry in ENTRIES {
            let mut node = 0_u8;
            for mark in entry.code.marks() {
                let step = trie.steps.iter().find(|s| s.parent == node && s.mark == mark);
                node = step.unwrap_or_else(|| panic!("{} is cut short", entry.symbol)).child;
            }
            assert_eq!(trie.codes[usize::from(node)], entry.code);
            assert!(trie.prior[usize::from(node)].is_finite());
        }
        let sum: f32 = trie.prior.iter().map(|p| p.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-4);
    }
}
