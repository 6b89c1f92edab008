//! Unsigned integers in LEB128: seven bits a byte, least significant first (SPEC.md, section 2).

use alloc::vec::Vec;

/// No integer on the wire takes more bytes than this, so the largest is 2^63 - 1.
pub(crate) const MAX_LEN: usize = 9;

/// Why there is no integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The bytes end inside the integer.
    Incomplete,
    /// The ninth byte asks for a tenth.
    TooLong,
}

/// Reads an integer and says how many bytes it took.
#[inline]
pub(crate) fn decode(bytes: &[u8]) -> Result<(u64, usize), Stop> {
    match bytes.first() {
        Some(&first) if first < 0x80 => Ok((u64::from(first), 1)),
        Some(_) => decode_long(bytes),
        None => Err(Stop::Incomplete),
    }
}

fn decode_long(bytes: &[u8]) -> Result<(u64, usize), Stop> {
    let mut value = 0;
    for (i, &byte) in bytes.iter().take(MAX_LEN).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Ok((value, i + 1));
        }
    }
    Err(if bytes.len() >= MAX_LEN { Stop::TooLong } else { Stop::Incomplete })
}

/// Appends `value`, which is less than 2^63.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
pub(crate) fn encode(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What stands at the front of `bytes` after its length, and what follows that.
#[inline]
pub(crate) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, used) = decode(bytes).ok()?;
    bytes.get(used..)?.split_at_checked(usize::try_from(len).ok()?)
}

/// How many bytes `encode` appends.
#[inline]
pub(crate) fn len(value: u64) -> usize {
    let mut rest = value >> 7;
    let mut len = 1;
    while rest > 0 {
        rest >>= 7;
        len += 1;
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_survive_and_take_the_bytes_announced() {
        for shift in 0..63 {
            for value in [(1u64 << shift) - 1, 1 << shift, (1 << shift) + 1] {
                let mut bytes = Vec::new();
                encode(value, &mut bytes);
                assert_eq!(bytes.len(), len(value));
                assert_eq!(decode(&bytes), Ok((value, bytes.len())));
                for cut in 0..bytes.len() {
                    assert_eq!(decode(&bytes[..cut]), Err(Stop::Incomplete));
                }
            }
        }
    }

    #[test]
    fn the_tenth_byte_is_refused() {
        assert_eq!(decode(&[0xff; 9]), Err(Stop::TooLong));
        assert_eq!(decode(&[0xff; 20]), Err(Stop::TooLong));
        assert_eq!(decode(&[0xff; 8]), Err(Stop::Incomplete));
    }
}
