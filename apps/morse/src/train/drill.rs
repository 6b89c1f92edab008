//! Choosing what to send: at random, and more often what was missed.

use std::collections::BTreeMap;

use super::material;
use super::score::Pair;

/// An endless source of exercises.
#[derive(Debug)]
pub(super) struct Drill {
    material: Material,
    rng: fastrand::Rng,
    /// What was missed, and how much more often it is to come: 0 is as often as all others.
    weak: BTreeMap<char, f64>,
}

#[derive(Debug)]
enum Material {
    Groups { characters: Vec<char>, length: usize },
    Words(&'static [&'static str]),
    Calls,
}

impl Drill {
    pub(super) fn groups(characters: Vec<char>, length: usize, seed: u64) -> Self {
        Self::new(Material::Groups { characters, length }, seed)
    }

    pub(super) fn words(words: &'static [&'static str], seed: u64) -> Self {
        Self::new(Material::Words(words), seed)
    }

    pub(super) fn calls(seed: u64) -> Self {
        Self::new(Material::Calls, seed)
    }

    fn new(material: Material, seed: u64) -> Self {
        Self { material, rng: fastrand::Rng::with_seed(seed), weak: BTreeMap::new() }
    }

    pub(super) fn next(&mut self) -> String {
        match &self.material {
            Material::Groups { characters, length } => {
                let weigh = |c: &char| 1.0 + self.weak.get(c).copied().unwrap_or(0.0);
                (0..*length).map(|_| pick(&mut self.rng, characters, weigh)).collect()
            }
            Material::Words(words) => {
                // A word is as weak as its weakest character.
                let weakness = |c: char| self.weak.get(&c).copied().unwrap_or(0.0);
                let weigh = |word: &&str| 1.0 + word.chars().map(weakness).fold(0.0, f64::max);
                pick(&mut self.rng, words, weigh).to_owned()
            }
            Material::Calls => {
                let prefix = pick(&mut self.rng, material::PREFIXES, |_| 1.0);
                let mut call = prefix.to_owned();
                if !call.ends_with(|c: char| c.is_ascii_digit()) {
                    call.push(self.rng.digit(10));
                }
                for _ in 0..self.rng.usize(1..=3) {
                    call.push(self.rng.uppercase());
                }
                if self.rng.u8(..10) == 0 {
                    call.push_str("/P");
                }
                call
            }
        }
    }

    /// What was missed comes up to five times as often; each time it is right, less so.
    pub(super) fn learn(&mut self, pairs: &[Pair]) {
        for pair in pairs {
            if let Some(sent) = pair.sent {
                let weak = self.weak.entry(sent).or_default();
                *weak = if pair.right() { *weak * 0.5 } else { (*weak + 2.0).min(4.0) };
            }
        }
    }
}

/// One of several, by weight; there is at least one.
fn pick<T: Copy>(rng: &mut fastrand::Rng, items: &[T], weigh: impl Fn(&T) -> f64) -> T {
    let total: f64 = items.iter().map(&weigh).sum();
    let mut at = rng.f64() * total;
    for item in items {
        at -= weigh(item);
        if at < 0.0 {
            return *item;
        }
    }
    items[items.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::super::score::compare;
    use super::*;

    #[test]
    fn the_same_seed_sends_the_same() {
        let send = |seed| {
            let mut drill = Drill::groups(vec!['K', 'M'], 5, seed);
            (0..5).map(|_| drill.next()).collect::<Vec<_>>()
        };
        assert_eq!(send(1), send(1));
        assert_ne!(send(1), send(2));
        assert!(send(1).iter().all(|g| g.len() == 5 && g.chars().all(|c| "KM".contains(c))));
    }

    #[test]
    fn what_was_missed_comes_more_often() {
        let mut drill = Drill::groups(('A'..='Z').collect(), 1000, 1);
        let count = |drill: &mut Drill| drill.next().matches('Q').count();
        let before = count(&mut drill);
        for _ in 0..3 {
            drill.learn(&compare("Q", "Z"));
        }
        let after = count(&mut drill);
        assert!(after > 3 * before, "{before} before, {after} after");
        for _ in 0..10 {
            drill.learn(&compare("Q", "Q"));
        }
        assert!(count(&mut drill) < 2 * before + 10);
    }

    #[test]
    fn calls_look_like_calls() {
        let mut drill = Drill::calls(3);
        for _ in 0..200 {
            let call = drill.next();
            assert!(call.chars().any(|c| c.is_ascii_digit()), "{call}");
            assert!(ipfi_morse::text::parse(&call).is_ok(), "{call}");
        }
    }
}
