//! Numbers that grow for ever and travel as their low bytes.

use alloc::vec::Vec;

/// Appends the low `width` bytes of `number`, least significant first.
pub(crate) fn put(out: &mut Vec<u8>, number: u64, width: usize) {
    out.extend(number.to_le_bytes().into_iter().take(width));
}

/// Takes `width` bytes off the front of `bytes`.
pub(crate) fn take(bytes: &mut &[u8], width: usize) -> Option<u64> {
    let (head, tail) = bytes.split_at_checked(width)?;
    *bytes = tail;
    Some(head.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

/// The number nearest to `near` whose low `width` bytes are `low`.
///
/// As in RFC 9000, appendix A.3: right as long as the two ends are less than half of what the
/// width can count apart.
pub(crate) fn expand(low: u64, width: usize, near: u64) -> u64 {
    let span = 1u64 << (8 * width);
    let candidate = (near & !(span - 1)) | low;
    if candidate + span / 2 <= near {
        candidate.saturating_add(span)
    } else if candidate > near + span / 2 && candidate >= span {
        candidate - span
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_low_bytes_are_enough(near in 0u64..1 << 40, distance in -32_767i64..32_767) {
            let number = near.saturating_add_signed(distance);
            for width in [2, 4] {
                let mut wire = Vec::new();
                put(&mut wire, number, width);
                let mut rest = wire.as_slice();
                let low = take(&mut rest, width).unwrap();
                prop_assert!(rest.is_empty());
                prop_assert_eq!(expand(low, width, near), number);
            }
        }
    }

    #[test]
    fn too_few_bytes_are_no_number() {
        assert_eq!(take(&mut [1u8].as_slice(), 2), None);
    }
}
