//! Reed-Solomon codes over GF(256) with errors and erasures.
//!
//! The field is that of 0x11d, the generator has the roots 2^0, 2^1, ...; decoding is the
//! Berlekamp-Massey algorithm begun with the erasures, and Forney's formula (R. E. Blahut, "Algebraic
//! Codes for Data Transmission", 2003, section 7.5). The crate that the link layer uses for short
//! parities reads beyond its buffers when there are erasures and more than 85 bytes of parity, and small
//! packets here have more.

const FIELD: ([u8; 512], [u8; 256]) = {
    let (mut exp, mut log) = ([0u8; 512], [0u8; 256]);
    let (mut value, mut power) = (1usize, 0usize);
    while power < 255 {
        exp[power] = value as u8;
        exp[power + 255] = value as u8;
        log[value] = power as u8;
        value <<= 1;
        if value > 255 {
            value ^= 0x11d;
        }
        power += 1;
    }
    (exp, log)
};

fn mul(a: u8, b: u8) -> u8 {
    static TABLES: ([u8; 512], [u8; 256]) = FIELD;
    let (exp, log) = &TABLES;
    if a == 0 || b == 0 {
        0
    } else {
        exp[usize::from(log[usize::from(a)]) + usize::from(log[usize::from(b)])]
    }
}

/// 2 to the power of `n`.
fn power(n: usize) -> u8 {
    FIELD.0[n % 255]
}

fn inverse(a: u8) -> u8 {
    FIELD.0[255 - usize::from(FIELD.1[usize::from(a)])]
}

/// The value of a polynomial whose lowest coefficient comes first.
fn value(polynomial: &[u8], x: u8) -> u8 {
    polynomial.iter().rev().fold(0, |sum, &c| mul(sum, x) ^ c)
}

/// The parity to be appended to `data`; together they have 255 bytes at most.
pub(crate) fn parity(data: &[u8], count: usize) -> Vec<u8> {
    // The generator without its leading one, highest coefficient first.
    let mut generator = vec![1u8];
    for root in 0..count {
        generator.push(0);
        for i in (1..generator.len()).rev() {
            generator[i] ^= mul(generator[i - 1], power(root));
        }
    }
    let mut rest = vec![0; count];
    for &byte in data {
        let factor = byte ^ rest.first().copied().unwrap_or(0);
        rest.rotate_left(1.min(count));
        if let Some(last) = rest.last_mut() {
            *last = 0;
        }
        for (rest, &g) in rest.iter_mut().zip(&generator[1..]) {
            *rest ^= mul(factor, g);
        }
    }
    rest
}

/// Corrects `word`, of which the last `parity` bytes are parity and those at `erasures` may be
/// anything. Says how many other bytes were wrong; `None`, and `word` as it was: too many were.
pub(crate) fn correct(word: &mut [u8], parity: usize, erasures: &[usize]) -> Option<usize> {
    if erasures.len() > parity || word.len() > 255 || parity > word.len() {
        return None;
    }
    let syndromes = syndromes(word, parity);
    if syndromes.iter().all(|&s| s == 0) {
        return Some(0);
    }
    let locators = erasures.iter().map(|&at| power(word.len() - 1 - at));
    let locator = locator(&syndromes, &locators.collect::<Vec<_>>())?;
    let degree = locator.len() - 1;
    // Error evaluator: syndromes times locator, cut off at the parity.
    let evaluator: Vec<u8> = (0..parity)
        .map(|n| (0..=n.min(degree)).fold(0, |sum, i| sum ^ mul(locator[i], syndromes[n - i])))
        .collect();
    let mut fixed = word.to_vec();
    let (mut roots, mut errors) = (0, 0);
    for (at, byte) in fixed.iter_mut().enumerate() {
        let place = power(word.len() - 1 - at);
        let x = inverse(place);
        if value(&locator, x) != 0 {
            continue;
        }
        roots += 1;
        // The formal derivative has the odd terms.
        let odd: Vec<u8> = locator[1..].iter().step_by(2).copied().collect();
        let slope = value(&odd, mul(x, x));
        if slope == 0 {
            return None;
        }
        let error = mul(place, mul(value(&evaluator, x), inverse(slope)));
        errors += usize::from(error != 0 && !erasures.contains(&at));
        *byte ^= error;
    }
    if roots != degree || self::syndromes(&fixed, parity).iter().any(|&s| s != 0) {
        return None;
    }
    word.copy_from_slice(&fixed);
    Some(errors)
}

fn syndromes(word: &[u8], parity: usize) -> Vec<u8> {
    let at = |root| word.iter().fold(0, |sum, &byte| mul(sum, power(root)) ^ byte);
    (0..parity).map(at).collect()
}

/// The polynomial whose roots say where erasures and errors are, the lowest coefficient first;
/// `None` if there are more than can be corrected.
fn locator(syndromes: &[u8], erasures: &[u8]) -> Option<Vec<u8>> {
    let mut locator = vec![1u8];
    for &place in erasures {
        locator.push(0);
        for i in (1..locator.len()).rev() {
            locator[i] ^= mul(locator[i - 1], place);
        }
    }
    let mut length = erasures.len();
    let mut correction = locator.clone();
    for n in erasures.len()..syndromes.len() {
        correction.insert(0, 0);
        let terms = locator.iter().take(n + 1).enumerate();
        let discrepancy = terms.fold(0, |sum, (i, &c)| sum ^ mul(c, syndromes[n - i]));
        if discrepancy == 0 {
            continue;
        }
        let mut next = locator.clone();
        next.resize(next.len().max(correction.len()), 0);
        for (next, &c) in next.iter_mut().zip(&correction) {
            *next ^= mul(discrepancy, c);
        }
        if 2 * length <= n + erasures.len() {
            length = n + 1 + erasures.len() - length;
            correction = locator.iter().map(|&c| mul(c, inverse(discrepancy))).collect();
        }
        locator = next;
    }
    while locator.last() == Some(&0) {
        locator.pop();
    }
    let errors = (locator.len() - 1).checked_sub(erasures.len())?;
    (erasures.len() + 2 * errors <= syndromes.len()).then_some(locator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn word(data: &[u8], count: usize) -> Vec<u8> {
        [data, &parity(data, count)].concat()
    }

    proptest! {
        #[test]
        fn parity_is_that_of_another_implementation(
            data in prop::collection::vec(any::<u8>(), 1..150),
            count in 1usize..100,
        ) {
            let theirs = reed_solomon::Encoder::new(count).encode(&data);
            prop_assert_eq!(&word(&data, count)[..], &theirs[..]);
        }

        #[test]
        fn all_that_can_be_corrected_is(
            data in prop::collection::vec(any::<u8>(), 1..150),
            count in 1usize..105,
            share in 0.0..=1.0,
            seed: u64,
        ) {
            let sent = word(&data, count);
            let mut random = fastrand::Rng::with_seed(seed);
            let erased = ((count as f64 * share) as usize).min(sent.len());
            let errors = ((count - erased) / 2).min(sent.len() - erased);
            let places = random.choose_multiple(0..sent.len(), erased + errors);
            let mut heard = sent.clone();
            for (i, &at) in places.iter().enumerate() {
                heard[at] ^= if i < erased { random.u8(..) } else { random.u8(1..) };
            }
            prop_assert_eq!(correct(&mut heard, count, &places[..erased]), Some(errors));
            prop_assert_eq!(heard, sent);
        }

        #[test]
        fn garbage_is_refused_or_made_a_word(
            mut heard in prop::collection::vec(any::<u8>(), 1..=255),
            count in 0usize..=255,
            erasures in prop::collection::btree_set(0usize..255, 0..255),
        ) {
            let erasures: Vec<usize> =
                erasures.into_iter().filter(|&at| at < heard.len()).collect();
            let before = heard.clone();
            match correct(&mut heard, count, &erasures) {
                Some(_) => prop_assert!(syndromes(&heard, count).iter().all(|&s| s == 0)),
                None => prop_assert_eq!(heard, before),
            }
        }
    }
}
