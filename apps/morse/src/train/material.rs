//! What there is to learn.

/// The order in which Koch's method brings the characters, as most trainers have it.
pub(super) const KOCH: &str = "KMURESNAPTLWI.JZ=FOY,VG5/Q92H38B?47C1D60X";

/// English words that come often, and what radio amateurs say.
pub(super) const WORDS: &[&str] = &[
    "THE", "OF", "AND", "TO", "IN", "THAT", "IS", "WAS", "FOR", "IT", "WITH", "AS", "HIS", "ON",
    "BE", "AT", "BY", "THIS", "HAD", "NOT", "ARE", "BUT", "FROM", "OR", "HAVE", "AN", "THEY",
    "WHICH", "ONE", "YOU", "WERE", "HER", "ALL", "SHE", "THERE", "WOULD", "THEIR", "WE", "HIM",
    "BEEN", "HAS", "WHEN", "WHO", "WILL", "MORE", "NO", "IF", "OUT", "SO", "SAID", "WHAT", "UP",
    "ITS", "ABOUT", "INTO", "THAN", "THEM", "CAN", "ONLY", "OTHER", "NEW", "SOME", "COULD", "TIME",
    "THESE", "TWO", "MAY", "THEN", "DO", "FIRST", "ANY", "MY", "NOW", "SUCH", "LIKE", "OUR",
    "OVER", "MAN", "ME", "EVEN", "MOST", "MADE", "AFTER", "ALSO", "DID", "MANY", "BEFORE", "MUST",
    "THROUGH", "BACK", "YEARS", "WHERE", "MUCH", "YOUR", "WAY", "WELL", "DOWN", "SHOULD",
    "BECAUSE", "CQ", "DE", "TEST", "QRZ?", "QTH", "QSL", "QRM", "QRN", "QSB", "QSO", "RST", "599",
    "5NN", "579", "UR", "NAME", "RIG", "ANT", "WX", "HR", "FB", "OM", "YL", "XYL", "TNX", "TU",
    "73", "88", "ES", "CUAGN", "GM", "GA", "GE", "AGN", "PSE", "HW?", "CPY", "WATTS", "DIPOLE",
    "VERT", "BEAM",
];

/// Prefixes of call signs, from many countries.
pub(super) const PREFIXES: &[&str] = &[
    "K", "W", "N", "AA", "KD", "WB", "VE", "G", "M", "GM", "DL", "DJ", "F", "ON", "PA", "SM", "OH",
    "LA", "OZ", "SP", "OK", "OM", "HA", "YO", "LZ", "I", "IK", "EA", "CT", "HB9", "OE", "UA", "UR",
    "JA", "JH", "VK", "ZL", "PY", "LU", "ZS", "VU", "BY", "HL", "4X", "9A", "S5", "EI", "TF",
];

/// What to do after a lesson of Koch's method: nine of ten right is enough.
pub(super) fn advice(lesson: u8, percent: Option<f64>) -> Option<String> {
    let percent = percent?;
    if percent < 90.0 {
        return Some(format!("Stay with --koch {lesson} until nine of ten are right."));
    }
    let next = KOCH.chars().nth(usize::from(lesson));
    Some(match next {
        Some(c) => format!("Well done. --koch {} brings {c}.", lesson + 1),
        None => "Well done. You know them all: now --words, --calls, or a higher --wpm.".into(),
    })
}

#[cfg(test)]
mod tests {
    use ipfi_morse::text;

    use super::*;

    #[test]
    fn all_of_it_can_be_sent() {
        assert_eq!(KOCH.chars().count(), 41);
        for text in WORDS.iter().chain(PREFIXES).copied().chain([KOCH]) {
            assert!(text::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn advice_names_the_next_character() {
        assert_eq!(advice(2, Some(95.0)).unwrap(), "Well done. --koch 3 brings U.");
        assert!(advice(2, Some(89.9)).unwrap().starts_with("Stay with --koch 2"));
        assert!(advice(41, Some(100.0)).unwrap().contains("--words"));
        assert_eq!(advice(2, None), None);
    }
}
