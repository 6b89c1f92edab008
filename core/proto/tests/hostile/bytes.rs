//! What the harmful peer sends.

use crate::common::random::Random;

pub(crate) const HELLO: [u8; 8] = [0x1f, 0xf1, 1, 0, 0xee, 0xee, 0xee, 0xee];

pub(crate) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// A frame out of integers and bytes.
pub(crate) fn frame(head: u8, fields: &[u64], rest: &[u8], out: &mut Vec<u8>) {
    let mut body = vec![head];
    for &field in fields {
        varint(field, &mut body);
    }
    body.extend_from_slice(rest);
    varint(body.len() as u64, out);
    out.extend_from_slice(&body);
}

/// Frames that look right, with numbers that often hit.
pub(crate) fn plausible(random: &mut Random, out: &mut Vec<u8>) {
    let call = random.below(4) as u64;
    let stream = random.below(6) as u64;
    let size = random.size(2000);
    let payload = vec![0; size];
    match random.below(22) {
        0 => frame(call.to_le_bytes()[0], &[0], &payload, out),
        1 => frame(0xc0, &[call, 0, 0], &payload, out),
        2 => frame(0xc0, &[call, 1, 0], &payload, out),
        3 => frame(0xc0, &[call, 2, 0, 1, stream * 4 + 1], &payload, out),
        4 => frame(0xc0, &[call, 3, 0, 1, stream * 4 + 2], &payload, out),
        5 => frame(0xc0, &[call, 2, 0, 1, stream * 4], &payload, out),
        6 => frame(0xc0, &[call, 4, 0, 100], &payload, out),
        7 => frame(0xc1, &[call, 1], &payload, out),
        8 => frame(0xc1, &[call, 0], &payload, out),
        9 => frame(0xc1, &[call, 3, 1, stream * 4 + 1], &payload, out),
        10 | 11 => frame(0xc4, &[call, 1], b"", out),
        12 => frame(0xc5, &[stream * 2, 0], &payload, out),
        13 => frame(0xc5, &[stream * 2, 3, 1, stream * 4 + 5], &payload, out),
        14 | 15 => frame(0x80 | (stream * 2).to_le_bytes()[0], &[], &payload, out),
        16 => frame(0xc6, &[stream * 2, 0], b"", out),
        17 => frame(0xc7, &[stream * 2, 0], b"", out),
        18 => frame(0xc8, &[stream * 2, 1000], b"", out),
        19 => frame(0xcd, &[9], b"", out),
        20 => frame(0xc9, &[call, 1000], b"", out),
        _ => frame(0xca, &[call, 1000], b"", out),
    }
}
