//! Comparing what was typed with what was sent, and keeping count.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A character that was sent, and what was typed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) sent: Option<char>,
    pub(super) typed: Option<char>,
}

impl Pair {
    pub(super) fn right(self) -> bool {
        self.sent == self.typed
    }
}

/// Aligns two texts with the fewest errors: wrong, missing and added characters count alike.
pub(super) fn compare(sent: &str, typed: &str) -> Vec<Pair> {
    let sent: Vec<char> = sent.chars().collect();
    let typed: Vec<char> = typed.chars().filter(|c| !c.is_whitespace()).take(1000).collect();
    // errors[i][j]: the fewest between the rest of `sent` from i and of `typed` from j
    let mut errors = vec![vec![0; typed.len() + 1]; sent.len() + 1];
    for i in (0..=sent.len()).rev() {
        for j in (0..=typed.len()).rev() {
            errors[i][j] = match (sent.get(i), typed.get(j)) {
                (None, _) => typed.len() - j,
                (_, None) => sent.len() - i,
                (a, b) => (errors[i + 1][j + 1] + usize::from(a != b))
                    .min(errors[i + 1][j] + 1)
                    .min(errors[i][j + 1] + 1),
            };
        }
    }
    let mut pairs = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < sent.len() || j < typed.len() {
        let (a, b) = (sent.get(i).copied(), typed.get(j).copied());
        let both = a.is_some() && b.is_some();
        if both && errors[i][j] == errors[i + 1][j + 1] + usize::from(a != b) {
            pairs.push(Pair { sent: a, typed: b });
            (i, j) = (i + 1, j + 1);
        } else if a.is_some() && (b.is_none() || errors[i][j] == errors[i + 1][j] + 1) {
            pairs.push(Pair { sent: a, typed: None });
            i += 1;
        } else {
            pairs.push(Pair { sent: None, typed: b });
            j += 1;
        }
    }
    pairs
}

/// How well it goes, character by character.
#[derive(Debug, Default)]
pub(super) struct Score {
    asked: BTreeMap<char, (u32, u32)>,
    confused: BTreeMap<(char, char), u32>,
    added: u32,
}

impl Score {
    pub(super) fn add(&mut self, pairs: &[Pair]) {
        for pair in pairs {
            let Some(sent) = pair.sent else {
                self.added += 1;
                continue;
            };
            let (asked, right) = self.asked.entry(sent).or_default();
            *asked += 1;
            *right += u32::from(pair.right());
            if let Some(typed) = pair.typed.filter(|_| !pair.right()) {
                *self.confused.entry((sent, typed)).or_default() += 1;
            }
        }
    }

    /// Right characters of those sent, less those added; none before the first.
    pub(super) fn percent(&self) -> Option<f64> {
        let asked: u32 = self.asked.values().map(|(asked, _)| asked).sum();
        let right: u32 = self.asked.values().map(|(_, right)| right).sum();
        let counted = f64::from(right.saturating_sub(self.added));
        (asked > 0).then(|| 100.0 * counted / f64::from(asked))
    }

    pub(super) fn summary(&self) -> String {
        let Some(percent) = self.percent() else { return String::new() };
        let asked: u32 = self.asked.values().map(|(asked, _)| asked).sum();
        let mut text = format!("\n{percent:.0} % of {asked} characters right.\n");
        let part = |&(_, (asked, right)): &(char, (u32, u32))| f64::from(right) / f64::from(asked);
        let mut missed: Vec<_> = self.asked.iter().map(|(&c, &n)| (c, n)).collect();
        missed.retain(|(_, (asked, right))| right < asked);
        missed.sort_by(|a, b| part(a).total_cmp(&part(b)));
        let missed: Vec<_> = missed
            .iter()
            .take(8)
            .map(|(c, (asked, right))| format!("{c} ({right} of {asked})"))
            .collect();
        if !missed.is_empty() {
            let _ = writeln!(text, "Weakest: {}.", missed.join(", "));
        }
        let mut confused: Vec<_> = self.confused.iter().filter(|(_, n)| **n > 1).collect();
        confused.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        let confused: Vec<_> =
            confused.iter().take(5).map(|((a, b), n)| format!("{a} for {b} ({n} times)")).collect();
        if !confused.is_empty() {
            let _ = writeln!(text, "Confused: {}.", confused.join(", "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(sent: &str, typed: &str) -> usize {
        compare(sent, typed).iter().filter(|pair| !pair.right()).count()
    }

    #[test]
    fn a_missed_character_does_not_shift_the_rest() {
        assert_eq!(errors("KMURE", "KMURE"), 0);
        assert_eq!(errors("KMURE", "KURE"), 1);
        assert_eq!(errors("KMURE", "KMMURE"), 1);
        assert_eq!(errors("KMURE", "KXURE"), 1);
        assert_eq!(errors("KMURE", ""), 5);
        assert_eq!(errors("", "AB"), 2);
        assert_eq!(errors("AB CD", "ABCD"), 1); // the space of the sent text counts
        let pairs = compare("KMU", "KU");
        assert_eq!(pairs[1], Pair { sent: Some('M'), typed: None });
    }

    #[test]
    fn the_score_names_what_is_weak() {
        let mut score = Score::default();
        assert_eq!((score.percent(), score.summary()), (None, String::new()));
        for _ in 0..2 {
            score.add(&compare("SHE", "HHE"));
        }
        assert_eq!(score.percent(), Some(400.0 / 6.0));
        assert_eq!(
            score.summary(),
            "\n67 % of 6 characters right.\nWeakest: S (0 of 2).\nConfused: S for H (2 times).\n"
        );
        score.add(&compare("E", "EEEEEEEE"));
        assert_eq!(score.percent(), Some(0.0));
    }
}
