//! Values in `MessagePack`.

use alloc::vec::Vec;

/// What is left to be read.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn span(&mut self, len: usize) -> Option<&'a [u8]> {
        let (span, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(span)
    }

    /// So many bytes as a number, the most significant first.
    fn big(&mut self, bytes: usize) -> Option<u64> {
        Some(self.span(bytes)?.iter().fold(0, |n, &byte| n << 8 | u64::from(byte)))
    }

    fn head(&mut self) -> Option<u8> {
        Some(*self.span(1)?.first()?)
    }

    fn len(&mut self, bytes: usize) -> Option<usize> {
        usize::try_from(self.big(bytes)?).ok()
    }

    pub(crate) fn array(&mut self) -> Option<usize> {
        match self.head()? {
            head @ 0x90..=0x9f => Some(usize::from(head & 15)),
            0xdc => self.len(2),
            0xdd => self.len(4),
            _ => None,
        }
    }

    pub(crate) fn int(&mut self) -> Option<i64> {
        let head = self.head()?;
        match head {
            0..=0x7f | 0xe0.. => Some(i64::from(head.cast_signed())),
            0xcc..=0xcf => i64::try_from(self.big(1 << (head & 3))?).ok(),
            0xd0..=0xd3 => {
                let bytes = 1 << (head & 3);
                let unused = 64 - 8 * bytes;
                Some((self.big(bytes)? << unused).cast_signed() >> unused)
            }
            _ => None,
        }
    }

    /// Text, if `text`, else bytes.
    pub(crate) fn bytes(&mut self, text: bool) -> Option<&'a [u8]> {
        let head = self.head()?;
        let len = match head {
            0xa0..=0xbf if text => usize::from(head & 31),
            0xd9..=0xdb if text => self.len(1 << (head - 0xd9))?,
            0xc4..=0xc6 if !text => self.len(1 << (head - 0xc4))?,
            _ => return None,
        };
        self.span(len)
    }

    /// Passes over one value of any kind. Nested ones are counted, not followed, so that depth takes
    /// no stack; each takes a byte at least.
    pub(crate) fn any(&mut self) -> Option<()> {
        let mut values = 1u64;
        while values > 0 {
            if values > self.0.len() as u64 {
                return None;
            }
            values -= 1;
            let head = self.head()?;
            let len = match head {
                0x80..=0x8f => {
                    values += 2 * u64::from(head & 15);
                    0
                }
                0x90..=0x9f => {
                    values += u64::from(head & 15);
                    0
                }
                0xa0..=0xbf => usize::from(head & 31),
                0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => return None,
                0xc4..=0xc6 => self.len(1 << (head - 0xc4))?,
                0xca => 4,
                0xcb => 8,
                0xcc..=0xd3 => 1 << (head & 3),
                0xd9..=0xdb => self.len(1 << (head - 0xd9))?,
                0xdc | 0xdd => {
                    values += self.big(2 << (head & 1))?;
                    0
                }
                0xde | 0xdf => {
                    values += 2 * self.big(2 << (head & 1))?;
                    0
                }
                _ => 0,
            };
            self.span(len)?;
        }
        Some(())
    }
}

/// A head and so many bytes of a number, the most significant first.
fn big(out: &mut Vec<u8>, head: u8, bytes: usize, value: u64) {
    out.push(head);
    out.extend_from_slice(value.to_be_bytes().get(8 - bytes..).unwrap_or_default());
}

/// Which power of two of bytes a number takes.
fn width(value: u64) -> u8 {
    match value {
        0..=0xff => 0,
        0x100..=0xffff => 1,
        0x1_0000..=0xffff_ffff => 2,
        _ => 3,
    }
}

pub(crate) fn put_int(out: &mut Vec<u8>, value: i64) {
    if (-32..128).contains(&value) {
        out.push(value.to_le_bytes()[0]);
    } else if let Ok(value) = u64::try_from(value) {
        let width = width(value);
        big(out, 0xcc + width, 1 << width, value);
    } else {
        // A bit more, for the sign.
        let width = width(value.unsigned_abs().saturating_mul(2) - 1);
        big(out, 0xd0 + width, 1 << width, value.cast_unsigned());
    }
}

/// How the head of something with a length is written: below `limit` as `short`, else by the head before
/// which `long` stands and one, two or four bytes, of which not all have the first.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    short: u8,
    limit: u8,
    long: u8,
    least: u8,
}

pub(crate) const ARRAY: Kind = Kind { short: 0x90, limit: 16, long: 0xdb, least: 1 };
pub(crate) const MAP: Kind = Kind { short: 0x80, limit: 16, long: 0xdd, least: 1 };
pub(crate) const TEXT: Kind = Kind { short: 0xa0, limit: 32, long: 0xd9, least: 0 };
pub(crate) const BYTES: Kind = Kind { short: 0, limit: 0, long: 0xc4, least: 0 };

pub(crate) fn put_len(out: &mut Vec<u8>, len: usize, kind: Kind) {
    match u8::try_from(len) {
        Ok(len) if len < kind.limit => out.push(kind.short | len),
        _ => {
            let width = width(len as u64).max(kind.least);
            big(out, kind.long + width, 1 << width, len as u64);
        }
    }
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8], kind: Kind) {
    put_len(out, bytes.len(), kind);
    out.extend_from_slice(bytes);
}
