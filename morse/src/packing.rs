//! Bytes as Morse letters and digits, near the capacity of the alphabet.
//!
//! # How many bits a dot length carries
//!
//! A letter costs its marks (a dot is 1 dot length, a dash 3), a dot length between them, and 3
//! after the last. Let `N(u)` be how many texts of letters and digits take exactly `u` dot lengths:
//! `N(0) = 1`, `N(u) = Σ N(u - cost)` over the 36 characters. It grows as `x^u`, where `x` solves
//! `Σ x^-cost = 1`; so a dot length carries `log2 x` = 0.5089 bit, and no code of letters and digits
//! has more (C. E. Shannon, "A Mathematical Theory of Communication", 1948, section 1, whose
//! telegraph reaches 0.539 with word gaps). Two hexadecimal digits to a byte carry 0.278.
//!
//! # The code
//!
//! A block of 64 bits is a number; among all texts of exactly 130 dot lengths, in the order of the
//! alphabet, it stands for the text with that rank (enumerative coding: T. M. Cover, 1973). There
//! are more than 2^64 such texts (with 128 there are not), so every block fits; it carries 64 / 130
//! = 0.4923 bit for each dot length, 96.7 % of what is possible.
//!
//! Every block takes the same time, so the receiver knows where each begins: an error spoils its
//! own block, and the rest does not slide. Within a block it spoils hardly anything before itself,
//! since the rank of a text is settled from the left.
//!
//! ```
//! use ipfi_morse::packing::Packing;
//! let packing = Packing::letters();
//! let text = packing.encode(b"IPFI, at last");
//! assert_eq!(packing.decode(&text).as_deref(), Ok(&b"IPFI, at last"[..]));
//! assert_eq!(packing.units(8), 130);
//! ```

use std::sync::OnceLock;

use thiserror::Error;

use crate::alphabet::{Class, ENTRIES, Mark, Symbol};

/// Bytes in a full block.
pub const BLOCK_BYTES: usize = 8;

/// Dot lengths after the last mark of a letter, and of a word.
const LETTER_GAP: usize = 3;
const WORD_GAP: usize = 7;

/// A letter or digit with the gap after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) letter: char,
    pub(crate) ends_word: bool,
    /// The key in each dot length, the gap included.
    pub(crate) keying: Vec<bool>,
}

/// A code of bytes as letters and digits.
#[derive(Clone, Debug)]
pub struct Packing {
    tokens: Vec<Token>,
    /// `N(u)` as far as it may be needed.
    counts: Vec<u128>,
    /// Dot lengths of a block of so many bytes.
    units: [usize; BLOCK_BYTES + 1],
}

/// Why a text stands for no bytes.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackingError {
    /// Neither `A` to `Z` nor `0` to `9`.
    #[error("`{0}` is neither a letter nor a digit")]
    Letter(char),
    /// A letter goes over the end of its block: something is missing, too much, or misread.
    #[error("block {0} does not end where a letter ends: a letter is missing or misread")]
    Slipped(usize),
    /// A text that stands for nothing.
    #[error("block {0} stands for no bytes: a letter is misread")]
    Unused(usize),
    /// The last block is of no length that there is.
    #[error("the text ends within block {0}")]
    Cut(usize),
}

impl Packing {
    /// Letters and digits, as a modem sends them.
    #[must_use]
    pub fn letters() -> &'static Self {
        static LETTERS: OnceLock<Packing> = OnceLock::new();
        LETTERS.get_or_init(|| Self::new(false))
    }

    /// Letters and digits in words: a gap of 7 dot lengths instead of 3 after a letter counts as
    /// well, which makes blocks 6 % shorter (0.529 bit for each dot length) but needs a receiver
    /// that is sure of its gaps. A block always ends with a letter's gap.
    #[must_use]
    pub fn words() -> &'static Self {
        static WORDS: OnceLock<Packing> = OnceLock::new();
        WORDS.get_or_init(|| Self::new(true))
    }

    fn new(words: bool) -> Self {
        let mut tokens = Vec::new();
        for entry in ENTRIES {
            let Symbol::Char(letter) = entry.symbol else { continue };
            if !matches!(entry.class, Class::Letter | Class::Digit) {
                continue;
            }
            let mut keying = Vec::new();
            for mark in entry.code.marks() {
                keying.extend(std::iter::repeat_n(true, if mark == Mark::Dot { 1 } else { 3 }));
                keying.push(false);
            }
            keying.extend([false; LETTER_GAP - 1]);
            tokens.push(Token { letter, ends_word: false, keying: keying.clone() });
            if words {
                keying.extend([false; WORD_GAP - LETTER_GAP]);
                tokens.push(Token { letter, ends_word: true, keying });
            }
        }
        let mut counts = vec![1u128];
        let mut units = [0; BLOCK_BYTES + 1];
        for (bytes, units) in units.iter_mut().enumerate().skip(1) {
            while counts.last().is_some_and(|&count| count < 1 << (8 * bytes)) {
                let before = |token: &Token| {
                    counts.len().checked_sub(token.keying.len()).map_or(0, |u| counts[u])
                };
                let count = tokens.iter().map(before).sum();
                counts.push(count);
            }
            *units = counts.len() - 1;
        }
        Self { tokens, counts, units }
    }

    /// The dot lengths of a block of so many bytes, 1 to 8, the gap after it included.
    ///
    /// # Panics
    ///
    /// If there are more bytes than [`BLOCK_BYTES`].
    #[must_use]
    pub fn units(&self, bytes: usize) -> usize {
        self.units[bytes]
    }

    /// The dot lengths that `bytes` bytes take: it depends on nothing else.
    #[must_use]
    pub fn duration(&self, bytes: usize) -> usize {
        bytes / BLOCK_BYTES * self.units[BLOCK_BYTES] + self.units[bytes % BLOCK_BYTES]
    }

    /// The letters of one block of up to 8 bytes.
    pub(crate) fn pack(&self, block: &[u8]) -> Vec<&Token> {
        let mut rank = block.iter().fold(0u128, |rank, &byte| rank << 8 | u128::from(byte));
        let mut left = self.units[block.len()];
        let mut letters = Vec::new();
        while left > 0 {
            let found = self.tokens.iter().find(|token| {
                let Some(after) = left.checked_sub(token.keying.len()) else { return false };
                if rank < self.counts[after] {
                    return true;
                }
                rank -= self.counts[after];
                false
            });
            // There are more texts than ranks, so that a letter always fits.
            let Some(token) = found else { break };
            left -= token.keying.len();
            letters.push(token);
        }
        letters
    }

    /// The bytes of one block of letters which together take as long as the block; `None` for a
    /// text that stands for no bytes.
    pub(crate) fn unpack<'a>(
        &self,
        letters: impl IntoIterator<Item = &'a Token>,
        bytes: usize,
    ) -> Option<[u8; BLOCK_BYTES]> {
        let (mut rank, mut left) = (0u128, self.units[bytes]);
        for letter in letters {
            for token in &self.tokens {
                if token == letter {
                    break;
                }
                if let Some(after) = left.checked_sub(token.keying.len()) {
                    rank += self.counts[after];
                }
            }
            left = left.checked_sub(letter.keying.len())?;
        }
        let fits = left == 0 && rank >> (8 * bytes) == 0;
        fits.then(|| u64::try_from(rank).ok()).flatten().map(u64::to_be_bytes)
    }

    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The text of any number of bytes. With [`words`](Self::words) a blank ends a word.
    #[must_use]
    pub fn encode(&self, bytes: &[u8]) -> String {
        let letters = bytes.chunks(BLOCK_BYTES).flat_map(|block| self.pack(block));
        let mut text = String::new();
        for token in letters {
            text.push(token.letter);
            if token.ends_word {
                text.push(' ');
            }
        }
        text
    }

    /// The bytes that a text stands for; letters in upper or lower case.
    pub fn decode(&self, text: &str) -> Result<Vec<u8>, PackingError> {
        let mut bytes = Vec::new();
        let mut block: Vec<&Token> = Vec::new();
        let (mut units, mut number) = (0, 1);
        let full = self.units[BLOCK_BYTES];
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let ends_word = letters.next_if_eq(&' ').is_some();
            let letter = letter.to_ascii_uppercase();
            let token = |token: &&Token| token.letter == letter && token.ends_word == ends_word;
            let token = self.tokens.iter().find(token).ok_or(PackingError::Letter(letter))?;
            units += token.keying.len();
            block.push(token);
            if units > full {
                return Err(PackingError::Slipped(number));
            }
            if units == full {
                let found = self.unpack(block.drain(..), BLOCK_BYTES);
                bytes.extend(found.ok_or(PackingError::Unused(number))?);
                (units, number) = (0, number + 1);
            }
        }
        if !block.is_empty() {
            let short = (1..BLOCK_BYTES).find(|&bytes| self.units[bytes] == units);
            let short = short.ok_or(PackingError::Cut(number))?;
            let found = self.unpack(block, short).ok_or(PackingError::Unused(number))?;
            bytes.extend_from_slice(&found[BLOCK_BYTES - short..]);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_dot_length_carries_nearly_half_a_bit() {
        let letters = Packing::letters();
        assert_eq!(letters.units(8), 130);
        assert!(64.0 / letters.units(8) as f64 >= 0.49);
        // Two dot lengths less would not do: all costs are even.
        assert!(letters.counts[128] < 1 << 64 && letters.counts[130] >= 1 << 64);
        assert!(64.0 / Packing::words().units(8) as f64 >= 0.52, "{}", Packing::words().units(8));
    }

    #[test]
    fn capacity_is_what_the_derivation_says() {
        let letters = Packing::letters();
        let growth = (letters.counts[130] as f64 / letters.counts[110] as f64).log2() / 20.0;
        assert!((growth - 0.5089).abs() < 1e-4, "{growth}");
    }

    #[test]
    fn errors_name_the_block() {
        let letters = Packing::letters();
        let good = letters.encode(&[7; 16]);
        assert_eq!(letters.decode("Ä"), Err(PackingError::Letter('Ä')));
        assert_eq!(letters.decode(&good[..good.len() - 1]), Err(PackingError::Cut(2)));
        assert_eq!(letters.decode(&"0".repeat(20)), Err(PackingError::Slipped(1)));
    }

    fn duration(packing: &Packing, text: &str) -> usize {
        let mut letters = text.chars().peekable();
        let mut units = 0;
        while let Some(letter) = letters.next() {
            let ends_word = letters.next_if_eq(&' ').is_some();
            let mut tokens = packing.tokens.iter();
            let token = tokens.find(|t| t.letter == letter && t.ends_word == ends_word).unwrap();
            units += token.keying.len();
        }
        units
    }

    proptest! {
        #[test]
        fn every_string_of_bytes_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            for packing in [Packing::letters(), Packing::words()] {
                let text = packing.encode(&bytes);
                prop_assert_eq!(duration(packing, &text), packing.duration(bytes.len()));
                prop_assert_eq!(packing.decode(&text), Ok(bytes.clone()));
                prop_assert_eq!(packing.decode(&text.to_lowercase()), Ok(bytes.clone()));
            }
        }

        #[test]
        fn extremes_come_back(byte in prop::sample::select(vec![0u8, 255]), length in 0usize..40) {
            for packing in [Packing::letters(), Packing::words()] {
                let bytes = vec![byte; length];
                prop_assert_eq!(packing.decode(&packing.encode(&bytes)), Ok(bytes));
            }
        }

        #[test]
        fn any_text_is_bytes_or_an_error(text in "[A-Z0-9 ]{0,60}") {
            if let Ok(bytes) = Packing::words().decode(&text) {
                prop_assert_eq!(Packing::words().encode(&bytes), text);
            }
        }

        #[test]
        fn an_error_stays_in_its_block_and_behind_itself(
            bytes in prop::collection::vec(any::<u8>(), 24),
            at in 0usize..20,
        ) {
            // Another letter of the same cost, in the second block.
            let packing = Packing::letters();
            let mut letters = packing.pack(&bytes[8..16]);
            let at = at % letters.len();
            let same = |t: &&Token| t.keying.len() == letters[at].keying.len() && *t != letters[at];
            let Some(other) = packing.tokens.iter().find(same) else { return Ok(()) };
            letters[at] = other;
            let units: usize = letters[..at].iter().map(|t| t.keying.len()).sum();
            if let Some(wrong) = packing.unpack(letters.iter().copied(), 8) {
                // A carry may run far, so compare what the first bytes are as a number.
                let sure = (units / 17).saturating_sub(1);
                let number = |b: &[u8]| b.iter().take(sure).fold(0u64, |n, &b| n << 8 | u64::from(b));
                prop_assert!(number(&wrong).abs_diff(number(&bytes[8..16])) <= 1);
            }
        }
    }
}
