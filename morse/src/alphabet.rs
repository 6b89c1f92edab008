//! The alphabet: which dots and dashes stand for which character.
//!
//! First come the entries of Recommendation ITU-R M.1677-1 (2009), section 1; the rest is
//! in general use: prosigns of amateur radio, four more punctuation marks, and accented letters.
//! One code may stand for several characters (`.--.-` is `Å` to a Swede, `À` to a Frenchman, `Á`
//! to a Spaniard); the first entry with a code is what [`Code::symbol`] says, and
//! [`Accents`] chooses another reading.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

mod table;
pub use table::ENTRIES;

/// A dot or a dash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "Morse has two marks")]
pub enum Mark {
    /// A dot, one unit long.
    Dot,
    /// A dash, three units long.
    Dash,
}

impl Mark {
    /// Nominal length in dot lengths: 1 or 3.
    #[must_use]
    pub const fn units(self) -> u32 {
        match self {
            Self::Dot => 1,
            Self::Dash => 3,
        }
    }
}

/// The marks of one character: 1 to [`Code::MAX_LEN`] dots and dashes.
///
/// Codes are small integers (a leading one, then a bit for each mark, dash = 1), so they can be
/// nodes of a trie: [`Code::EMPTY`] is the root and [`Code::push`] descends.
///
/// ```
/// use ipfi_morse::alphabet::{Code, Mark};
/// let c: Code = "-.-.".parse()?;
/// assert_eq!(c, Code::of('C').unwrap());
/// assert_eq!(c.units(), 11);
/// assert_eq!(c.marks().next(), Some(Mark::Dash));
/// # Ok::<(), ipfi_morse::alphabet::CodeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(u16);

/// Why dots and dashes are not a [`Code`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodeError {
    /// Something else than a dot or a dash.
    #[error("`{0}` is neither a dot `.` nor a dash `-`")]
    Mark(char),
    /// No mark at all.
    #[error("a code has at least one mark")]
    Empty,
    /// More than [`Code::MAX_LEN`] marks.
    #[error("a code has at most {} marks", Code::MAX_LEN)]
    TooLong,
}

impl Code {
    /// The most marks of a code.
    pub const MAX_LEN: usize = 15;

    /// No marks yet: the root of the code tree. Stands for no character.
    pub const EMPTY: Self = Self(1);

    pub(crate) const fn from_literal(marks: &str) -> Self {
        let bytes = marks.as_bytes();
        assert!(!bytes.is_empty() && bytes.len() <= Self::MAX_LEN);
        let mut bits = 1;
        let mut i = 0;
        while i < bytes.len() {
            assert!(bytes[i] == b'.' || bytes[i] == b'-');
            bits = bits << 1 | (bytes[i] == b'-') as u16;
            i += 1;
        }
        Self(bits)
    }

    /// The code of a character, upper or lower case; any entry of [`ENTRIES`] counts.
    #[must_use]
    pub fn of(c: char) -> Option<Self> {
        let upper = match c {
            'ß' | 'ẞ' => 'ß', // its upper case is two letters
            c => {
                let mut upper = c.to_uppercase();
                upper.next().filter(|_| upper.next().is_none())?
            }
        };
        ENTRIES.iter().find(|e| e.symbol == Symbol::Char(upper)).map(|e| e.code)
    }

    /// The code of a prosign by its name without brackets, such as `AR` or `SOS`: the codes of its
    /// letters and digits run together. Names of two known spellings (`SK`, `VA`) give one code.
    #[must_use]
    pub fn of_prosign(name: &str) -> Option<Self> {
        let mut code = Self::EMPTY;
        for c in name.chars() {
            if !c.is_ascii_alphanumeric() {
                return None;
            }
            for mark in Self::of(c)?.marks() {
                code = code.push(mark)?;
            }
        }
        (code != Self::EMPTY).then_some(code)
    }

    /// What the code stands for, if it stands for anything.
    #[must_use]
    pub fn symbol(self) -> Option<Symbol> {
        ENTRIES.iter().find(|e| e.code == self).map(|e| e.symbol)
    }

    /// This code and one mark more; `None` when it would have more than [`Code::MAX_LEN`].
    #[must_use]
    pub const fn push(self, mark: Mark) -> Option<Self> {
        if self.len() >= Self::MAX_LEN {
            return None;
        }
        Some(Self(self.0 << 1 | matches!(mark, Mark::Dash) as u16))
    }

    /// How many marks.
    #[must_use]
    pub const fn len(self) -> usize {
        15 - self.0.leading_zeros() as usize
    }

    /// Whether there are no marks: only true of [`Code::EMPTY`].
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 1
    }

    /// The marks in the order in which they are sent.
    #[must_use]
    pub fn marks(self) -> impl DoubleEndedIterator<Item = Mark> + ExactSizeIterator {
        (0..self.len()).rev().map(move |bit| match self.0 >> bit & 1 {
            0 => Mark::Dot,
            _ => Mark::Dash,
        })
    }

    /// Length in dot lengths, without the gap after it.
    #[must_use]
    pub fn units(self) -> u32 {
        self.marks().map(|m| m.units() + 1).sum::<u32>().saturating_sub(1)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self
            .marks()
            .map(|m| match m {
                Mark::Dot => '.',
                Mark::Dash => '-',
            })
            .collect();
        f.pad(&text)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({self})")
    }
}

impl FromStr for Code {
    type Err = CodeError;

    /// Reads dots (`.`, `·`, `•`) and dashes (`-`, `−`, `–`, `—`, `_`).
    fn from_str(s: &str) -> Result<Self, CodeError> {
        let mut code = Self::EMPTY;
        for c in s.chars() {
            let mark = match c {
                '.' | '·' | '•' => Mark::Dot,
                '-' | '−' | '–' | '—' | '_' => Mark::Dash,
                c => return Err(CodeError::Mark(c)),
            };
            code = code.push(mark).ok_or(CodeError::TooLong)?;
        }
        if code.is_empty() { Err(CodeError::Empty) } else { Ok(code) }
    }
}

/// What a [`Code`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a code is a character or a procedural sign")]
pub enum Symbol {
    /// A character, in upper case.
    Char(char),
    /// A procedural sign, by its name without brackets: `SK`, `AS`.
    Prosign(&'static str),
}

impl fmt::Display for Symbol {
    /// A character as it is, a prosign in angle brackets: `<SK>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(c) => write!(f, "{c}"),
            Self::Prosign(name) => write!(f, "<{name}>"),
        }
    }
}

/// Which part of the alphabet an [`Entry`] belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// `A` to `Z`.
    Letter,
    /// `0` to `9`.
    Digit,
    /// Punctuation of ITU-R M.1677-1.
    Punctuation,
    /// Procedural signs: those of ITU-R M.1677-1 and those of amateur radio.
    Prosign,
    /// Punctuation that the Recommendation does not have: `!`, `;`, `_`, `$`, `&`.
    Extra,
    /// Letters with accents, and others that are not in `A` to `Z`. `É` is in the Recommendation.
    Accented,
}

/// One line of the alphabet.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// What the code stands for.
    pub symbol: Symbol,
    /// Its dots and dashes.
    pub code: Code,
    /// The part of the alphabet.
    pub class: Class,
}

/// How a receiver reads the codes that differ from language to language.
///
/// ```
/// use ipfi_morse::alphabet::{Accents, Code, Symbol};
/// let code: Code = "---.".parse()?;
/// assert_eq!(code.symbol(), Some(Symbol::Char('Ö')));
/// assert_eq!(Accents::Danish.symbol(code), Some(Symbol::Char('Ø')));
/// assert_eq!(Accents::Spanish.symbol("--.--".parse()?), Some(Symbol::Char('Ñ')));
/// # Ok::<(), ipfi_morse::alphabet::CodeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Accents {
    /// German, Swedish and Finnish readings, and the most usual ones for the other codes.
    #[default]
    German,
    /// Danish and Norwegian: `Æ`, `Ø`, `Å`.
    Danish,
    /// Esperanto: `Ĉ`, `Ĝ`, `Ĥ`, `Ĵ`, `Ŝ`, `Ŭ`.
    Esperanto,
    /// French: `À`, `Ç`, `È`, `É`.
    French,
    /// Polish: `Ą`, `Ć`, `Ę`, `Ł`, `Ń`, `Ó`, `Ś`, `Ź`, `Ż`.
    Polish,
    /// Spanish: `Á`, `É`, `Ñ`, `Ó`, `Ü`.
    Spanish,
}

impl Accents {
    /// What the code stands for in this language.
    #[must_use]
    pub fn symbol(self, code: Code) -> Option<Symbol> {
        let letters = match self {
            Self::German => "",
            Self::Danish => "ÆØÅ",
            Self::Esperanto => "ĈĜĤĴŜŬ",
            Self::French => "ÀÇÈÉ",
            Self::Polish => "ĄĆĘŁŃÓŚŹŻ",
            Self::Spanish => "ÁÉÑÓÜ",
        };
        letters
            .chars()
            .find(|&c| Code::of(c) == Some(code))
            .map(Symbol::Char)
            .or_else(|| code.symbol())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_has_the_code_that_its_own_entry_says() {
        for entry in ENTRIES {
            match entry.symbol {
                Symbol::Char(c) => {
                    assert_eq!(Code::of(c), Some(entry.code), "{c}");
                    for lower in c.to_lowercase().filter(|_| c != 'ẞ') {
                        assert_eq!(Code::of(lower), Some(entry.code), "{lower}");
                    }
                }
                Symbol::Prosign(name) => {
                    assert_eq!(Code::of_prosign(name), Some(entry.code), "{name}");
                }
            }
        }
    }

    #[test]
    fn letters_digits_and_punctuation_have_codes_of_their_own() {
        let basic = |e: &&Entry| !matches!(e.class, Class::Accented | Class::Extra);
        for entry in ENTRIES.iter().filter(basic) {
            assert_eq!(entry.code.symbol(), Some(entry.symbol), "{}", entry.symbol);
        }
        assert_eq!(ENTRIES.iter().filter(|e| e.class == Class::Letter).count(), 26);
        assert_eq!(ENTRIES.iter().filter(|e| e.class == Class::Digit).count(), 10);
    }

    #[test]
    fn paris_is_fifty_units() {
        let letters: u32 = "PARIS".chars().map(|c| Code::of(c).unwrap().units()).sum();
        assert_eq!(letters + 4 * 3 + 7, 50);
    }

    #[test]
    fn codes_are_read_as_they_are_written() {
        for bits in 2..=u16::MAX {
            let code = Code(bits);
            assert_eq!(code.to_string().parse(), Ok(code));
        }
        assert_eq!("".parse::<Code>(), Err(CodeError::Empty));
        assert_eq!(".-x".parse::<Code>(), Err(CodeError::Mark('x')));
        assert_eq!("-".repeat(16).parse::<Code>(), Err(CodeError::TooLong));
    }

    #[test]
    fn a_prosign_is_its_letters_run_together() {
        assert_eq!(Code::of_prosign("SK"), Code::of_prosign("VA"));
        assert_eq!(Code::of_prosign("AR"), Code::of('+'));
        assert_eq!(Code::of_prosign("SOS").unwrap().to_string(), "...---...");
        assert_eq!(Code::of_prosign(""), None);
        assert_eq!(Code::of_prosign("A-"), None);
        assert_eq!(Code::of_prosign("00000"), None);
    }

    #[test]
    fn each_language_reads_its_own_letters() {
        let accents = [
            Accents::Danish,
            Accents::Esperanto,
            Accents::French,
            Accents::Polish,
            Accents::Spanish,
        ];
        for (accents, letter) in accents.into_iter().zip(['Æ', 'Ĉ', 'À', 'Ł', 'Ñ']) {
            let code = Code::of(letter).unwrap();
            assert_eq!(accents.symbol(code), Some(Symbol::Char(letter)));
            assert_eq!(accents.symbol(Code::of('E').unwrap()), Some(Symbol::Char('E')));
        }
    }
}
