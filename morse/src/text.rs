//! Text to symbols: what is sent for what is written.
//!
//! White space separates words; `<AR>` is a prosign, its letters run together, whatever letters
//! they are; upper and lower case are the same. What has no code is an error that names it, or is
//! left out by [`parse_lossy`].

use thiserror::Error;

use crate::alphabet::Code;

/// One thing to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "text is characters and the spaces between words")]
pub enum Token {
    /// A character or prosign.
    Code(Code),
    /// The space between two words.
    Space,
}

/// Why a text cannot be sent.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextError {
    /// There is no code for this character.
    #[error(
        "`{character}` (character {position} of the text) has no Morse code; leave it out or spell it"
    )]
    NoCode {
        /// The character.
        character: char,
        /// Its place in the text, from 1.
        position: usize,
    },
    /// `<` without letters and `>` after it.
    #[error(
        "`<` at character {position} of the text does not begin a prosign: write <AR>, or leave it out"
    )]
    Prosign {
        /// The place of the `<`, from 1.
        position: usize,
    },
}

/// The longest name of a prosign between `<` and `>`; more marks than this are no [`Code`] anyway.
const LONGEST_PROSIGN: usize = Code::MAX_LEN;

/// Reads a text. Leading and trailing space is dropped, runs of space are one.
///
/// ```
/// use ipfi_morse::text::{Token, parse};
/// let tokens = parse("cq  <AR>")?;
/// assert_eq!(tokens.len(), 4); // C, Q, a space, and one prosign
/// assert_eq!(tokens[2], Token::Space);
/// assert_eq!(parse("a%").unwrap_err().to_string(),
///     "`%` (character 2 of the text) has no Morse code; leave it out or spell it");
/// # Ok::<(), ipfi_morse::text::TextError>(())
/// ```
pub fn parse(text: &str) -> Result<Vec<Token>, TextError> {
    read(text, Err)
}

/// Reads a text and leaves out what has no code, as a keyboard does that must not stop.
#[must_use]
pub fn parse_lossy(text: &str) -> Vec<Token> {
    read(text, |_| Ok(())).unwrap_or_default()
}

fn read(
    text: &str,
    mut fault: impl FnMut(TextError) -> Result<(), TextError>,
) -> Result<Vec<Token>, TextError> {
    let mut tokens = Vec::with_capacity(text.len());
    let mut space = false;
    let mut rest = text;
    let mut position = 0;
    while let Some(character) = rest.chars().next() {
        position += 1;
        let after = &rest[character.len_utf8()..];
        if character.is_whitespace() {
            space = true;
            rest = after;
            continue;
        }
        let code = if character == '<' {
            if let Some((code, name)) = prosign(after) {
                position += name + 1;
                rest = &after[name + 1..]; // names are ASCII: as many bytes as characters
                Some(code)
            } else {
                fault(TextError::Prosign { position })?;
                rest = after;
                None
            }
        } else {
            rest = after;
            let code = Code::of(plain(character));
            if code.is_none() {
                fault(TextError::NoCode { character, position })?;
            }
            code
        };
        if let Some(code) = code {
            if space && !tokens.is_empty() {
                tokens.push(Token::Space);
            }
            space = false;
            tokens.push(Token::Code(code));
        }
    }
    Ok(tokens)
}

/// The prosign at the head of `text`, which follows a `<`, and the length of its name.
fn prosign(text: &str) -> Option<(Code, usize)> {
    let end = text.char_indices().take(LONGEST_PROSIGN + 1).find(|&(_, c)| c == '>')?.0;
    Some((Code::of_prosign(&text[..end])?, end))
}

/// What word processors make of quotation marks and hyphens, as the keyboard has them.
const fn plain(character: char) -> char {
    match character {
        '‘' | '’' | '‚' | '´' | '`' => '\'',
        '“' | '”' | '„' | '«' | '»' => '"',
        '‐' | '‑' | '–' | '—' | '−' => '-',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(tokens: &[Token]) -> String {
        let show = |t: &Token| match t {
            Token::Code(code) => {
                code.symbol().map_or_else(|| format!("<{code}>"), |s| s.to_string())
            }
            Token::Space => " ".into(),
        };
        tokens.iter().map(show).collect()
    }

    #[test]
    fn words_prosigns_and_typographic_marks() {
        assert_eq!(show(&parse(" cq\t\nDE  dl1abc <ar>\n").unwrap()), "CQ DE DL1ABC +");
        assert_eq!(show(&parse("<SK><va>").unwrap()), "<SK><SK>");
        assert_eq!(show(&parse("don’t “go” – ß").unwrap()), "DON'T \"GO\" - ß");
        assert_eq!(show(&parse("").unwrap()), "");
    }

    #[test]
    fn errors_name_the_place_and_lossy_goes_on() {
        let position = 3;
        for text in ["A <", "A <AR", "A <>", "A <A->", "A <0000>", "A <É>", "A <ABCDEFGHIJKLMNOPQ>"]
        {
            assert_eq!(parse(text), Err(TextError::Prosign { position }), "{text}");
        }
        assert_eq!(parse("<SK> %"), Err(TextError::NoCode { character: '%', position: 6 }));
        assert_eq!(show(&parse_lossy("% A %B <C % D")), "A B C D");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,40}|[<>A-C ]{0,20}") {
            let lossy = parse_lossy(&text);
            prop_assert!(lossy.first() != Some(&Token::Space) && lossy.last() != Some(&Token::Space));
            if let Ok(tokens) = parse(&text) {
                prop_assert_eq!(tokens, lossy);
            }
        }
    }
}
