//! Values in `MessagePack`.

use alloc::vec::Vec;

/// What is left to be read.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

/// The front of a value.
enum Head {
    Int(i64),
    /// So many bytes follow.
    Text(usize),
    Bytes(usize),
    /// So many values follow.
    Array(u64),
    Map(u64),
    /// So many bytes of something else follow.
    Other(usize),
}

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

    fn len(&mut self, bytes: usize) -> Option<usize> {
        usize::try_from(self.big(bytes)?).ok()
    }

    fn head(&mut self) -> Option<Head> {
        let head = *self.span(1)?.first()?;
        Some(match head {
            0..=0x7f | 0xe0.. => Head::Int(i64::from(head.cast_signed())),
            0x80..=0x8f => Head::Map(u64::from(head & 15)),
            0x90..=0x9f => Head::Array(u64::from(head & 15)),
            0xa0..=0xbf => Head::Text(usize::from(head & 31)),
            0xc0 | 0xc2 | 0xc3 => Head::Other(0),
            0xc4..=0xc6 => Head::Bytes(self.len(1 << (head - 0xc4))?),
            0xca => Head::Other(4),
            0xcb => Head::Other(8),
            // What is larger than we know is a value still.
            0xcc..=0xcf => {
                i64::try_from(self.big(1 << (head & 3))?).map_or(Head::Other(0), Head::Int)
            }
            0xd0..=0xd3 => {
                let bytes = 1 << (head & 3);
                let unused = 64 - 8 * bytes;
                Head::Int((self.big(bytes)? << unused).cast_signed() >> unused)
            }
            0xd9..=0xdb => Head::Text(self.len(1 << (head - 0xd9))?),
            0xdc | 0xdd => Head::Array(self.big(2 << (head & 1))?),
            0xde | 0xdf => Head::Map(self.big(2 << (head & 1))?),
            0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => return None,
        })
    }

    pub(crate) fn array(&mut self) -> Option<u64> {
        if let Head::Array(len) = self.head()? { Some(len) } else { None }
    }

    pub(crate) fn int(&mut self) -> Option<i64> {
        if let Head::Int(value) = self.head()? { Some(value) } else { None }
    }

    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        if let Head::Text(len) = self.head()? { self.span(len) } else { None }
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        if let Head::Bytes(len) = self.head()? { self.span(len) } else { None }
    }

    /// Passes over values of any kind. Nested ones are counted, not followed, so that depth takes no
    /// stack; each takes a byte at least.
    pub(crate) fn skip(&mut self, mut values: u64) -> Option<()> {
        while values > 0 {
            if values > self.0.len() as u64 {
                return None;
            }
            values -= 1;
            match self.head()? {
                Head::Int(_) => {}
                Head::Array(len) => values += len,
                Head::Map(len) => values += 2 * len,
                Head::Text(len) | Head::Bytes(len) | Head::Other(len) => drop(self.span(len)?),
            }
        }
        Some(())
    }
}

pub(crate) fn put_int(out: &mut Vec<u8>, value: i64) {
    if (-32..128).contains(&value) {
        out.push(value.to_le_bytes()[0]);
        return;
    }
    // Those below zero take a bit more, for the sign.
    let (head, bits) = match value {
        ..0 => (0xd0, 65 - (!value).leading_zeros()),
        0.. => (0xcc, 64 - value.leading_zeros()),
    };
    let width = (bits.max(8) - 1).ilog2() - 2;
    out.push(head + width.to_le_bytes()[0]);
    out.extend_from_slice(value.to_be_bytes().get(8 - (1 << width)..).unwrap_or_default());
}

fn put_len(out: &mut Vec<u8>, head: u8, len: usize) {
    out.push(head);
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    match u8::try_from(text.len()) {
        Ok(len @ 0..32) => out.push(0xa0 | len),
        _ => put_len(out, 0xdb, text.len()),
    }
    out.extend_from_slice(text);
}

/// So many times the byte 7.
pub(crate) fn put_sevens(out: &mut Vec<u8>, len: usize) {
    put_len(out, 0xc6, len);
    out.resize(out.len() + len, 7);
}
