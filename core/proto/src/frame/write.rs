//! Writing headers.

use alloc::vec::Vec;

use super::{
    DEADLINE, ESCAPE, HANDLES, ITEMS, MORE, Open, PRIORITY_SHIFT, RawHandle, RawTarget, StreamRef,
    TARGET_SHIFT, TOTAL, kind,
};
use crate::{MAX_NAME, Priority, varint};

pub(super) fn number_len(number: u32) -> usize {
    if number < ESCAPE { 1 } else { 1 + varint::len(u64::from(number - ESCAPE)) }
}

#[expect(clippy::cast_possible_truncation, reason = "below 63")]
pub(super) fn put_number(class: u8, number: u32, out: &mut Vec<u8>) {
    if number < ESCAPE {
        out.push(class | number as u8);
    } else {
        out.push(class | ESCAPE as u8);
        varint::encode(u64::from(number - ESCAPE), out);
    }
}

/// Appends the front of a batch of items.
pub(crate) fn put_items(stream: StreamRef, payload: usize, out: &mut Vec<u8>) {
    varint::encode((number_len(stream.to_wire()) + payload) as u64, out);
    put_number(ITEMS, stream.to_wire(), out);
}

/// Appends a frame of which `write` appends all but the length; `payload` more bytes will follow.
/// The length is put in front afterwards.
pub(crate) fn put(out: &mut Vec<u8>, payload: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    // Nearly all of these frames are shorter than 128 bytes.
    out.push(0);
    write(out);
    let len = out.len() - start - 1 + payload;
    let (mut at, mut rest) = (start, len);
    while rest >= 0x80 {
        out.insert(at, rest.to_le_bytes()[0] | 0x80);
        at += 1;
        rest >>= 7;
    }
    if let Some(place) = out.get_mut(at) {
        *place = rest.to_le_bytes()[0];
    }
}

/// Appends the type and integers of a frame.
pub(crate) fn put_fields(head: u8, fields: &[u64], out: &mut Vec<u8>) {
    out.push(head);
    for &field in fields {
        varint::encode(field, out);
    }
}

/// As much of `text` as may travel.
pub(crate) fn clip(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn put_handles(handles: &[RawHandle], out: &mut Vec<u8>) {
    varint::encode(handles.len() as u64, out);
    for handle in handles {
        let (number, kind) = match *handle {
            RawHandle::Callback(number) => (number, 0),
            RawHandle::Receiver(number) => (number, 1),
            RawHandle::Sender(number) => (number, 2),
        };
        varint::encode(u64::from(number << 2 | kind), out);
    }
}

/// Appends the front of an OPEN frame.
pub(crate) fn put_open(open: &Open, payload: usize, out: &mut Vec<u8>) {
    let target: u8 = match open.target {
        RawTarget::Procedure(_) => 0,
        RawTarget::Callback(_) => 1,
        RawTarget::Named { .. } => 2,
    };
    let priority: u8 = match open.priority {
        Priority::Normal => 0,
        Priority::High => 1,
        Priority::Low => 2,
    };
    let mut flags = target << TARGET_SHIFT | priority << PRIORITY_SHIFT;
    for (set, flag) in [
        (open.more, MORE),
        (!open.handles.is_empty(), HANDLES),
        (open.deadline.is_some(), DEADLINE),
        (open.total.is_some(), TOTAL),
    ] {
        flags |= if set { flag } else { 0 };
    }
    put(out, payload, |out| {
        put_fields(kind::OPEN, &[u64::from(open.call)], out);
        out.push(flags);
        match &open.target {
            RawTarget::Procedure(number) | RawTarget::Callback(number) => {
                varint::encode(u64::from(*number), out);
            }
            RawTarget::Named { name, fingerprint } => {
                let name = clip(name, MAX_NAME);
                out.extend_from_slice(&fingerprint.to_le_bytes());
                out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
                out.extend_from_slice(name.as_bytes());
            }
        }
        for field in [open.deadline, open.total].into_iter().flatten() {
            varint::encode(field, out);
        }
        if !open.handles.is_empty() {
            put_handles(&open.handles, out);
        }
    });
}

/// Appends the front of a frame that continues a message.
pub(crate) fn put_part(
    head: u8,
    number: u32,
    more: bool,
    total: Option<u64>,
    handles: &[RawHandle],
    payload: usize,
    out: &mut Vec<u8>,
) {
    let mut flags = if more { MORE } else { 0 };
    flags |= if handles.is_empty() { 0 } else { HANDLES };
    flags |= if total.is_some() { TOTAL } else { 0 };
    put(out, payload, |out| {
        put_fields(head, &[u64::from(number)], out);
        out.push(flags);
        if let Some(total) = total {
            varint::encode(total, out);
        }
        if !handles.is_empty() {
            put_handles(handles, out);
        }
    });
}
