//! A hostile peer of the reliable link: raw bytes, and frames whose check is right.

use std::time::Duration;

use ipfi_arq::{Config, Greeting, HalfDuplex, Instant, Link};

const US: u32 = 1;
const THEM: u32 = 2;

/// CRC-32C, bit by bit, over a prefix and a frame.
fn check(prefix: &[u8], body: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in prefix.iter().chain(body) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    !crc
}

fn sealed(prefix: &[u8], body: &[u8]) -> Vec<u8> {
    let sum = check(prefix, body).to_le_bytes();
    [body, &sum].concat()
}

/// COBS (Cheshire and Baker 1999), with zeros around it.
fn framed(frame: &[u8]) -> Vec<u8> {
    let mut wire = vec![0];
    let mut rest = frame;
    loop {
        let run = rest.iter().take(254).position(|byte| *byte == 0);
        let end = run.unwrap_or_else(|| rest.len().min(254));
        wire.push(u8::try_from(end + 1).expect("at most 255"));
        wire.extend_from_slice(&rest[..end]);
        rest = match run {
            Some(zero) => &rest[zero + 1..],
            None if rest.len() > end => &rest[end..],
            None => break,
        };
    }
    wire.push(0);
    wire
}

/// Does what `data` says; panics when something is wrong.
pub fn run(data: &[u8]) {
    let Some((&kind, mut rest)) = data.split_first() else { return };
    let (guard, burst) = (Duration::from_millis(100), Duration::from_secs(5));
    let shared = HalfDuplex { guard, burst, preamble: 4 };
    let (config, profile) = match kind % 4 {
        0 => (Config::serial(Some(11_520)), 0),
        1 => (Config::half_duplex(100, 240, shared), 1),
        2 => (Config::datagrams(1100), 2),
        _ => (Config::full_duplex(440, 400, 24), 3),
    };
    let mut now = Instant::from_micros(0);
    let mut link = Link::new(config, US, now);
    link.write(&[7; 3000]).expect("it is open for writing");
    let session = [THEM.to_le_bytes(), US.to_le_bytes()].concat();
    if kind & 8 == 0 {
        let mut syn = vec![0x40, 1, profile];
        syn.extend(THEM.to_le_bytes());
        syn.extend(US.to_le_bytes());
        syn.extend([0, 4, 200, 1]);
        let syn = sealed(b"ipfi-arq", &syn);
        link.receive(now, &if profile == 0 { framed(&syn) } else { syn });
    }
    let mut out = [0; 1500];
    while let Some((&op, tail)) = rest.split_first() {
        let (body, tail) = tail.split_at(tail.len().min(usize::from(op >> 2)));
        rest = tail;
        match op & 3 {
            0 => link.receive(now, body),
            1 | 2 => {
                let prefix: &[u8] = if op & 3 == 1 { &session } else { b"ipfi-arq" };
                let frame = sealed(prefix, body);
                let _ = Greeting::parse(&frame);
                link.receive(now, &if profile == 0 { framed(&frame) } else { frame });
            }
            _ => {
                now = now + Duration::from_millis(u64::from(op) * 7);
                link.handle_timeout(now);
                let _ = link.read(&mut out[..usize::from(op)]);
            }
        }
        let mut sent = 0;
        loop {
            let count = link.poll_transmit(now, &mut out);
            sent += count;
            assert!(sent < 200_000, "sends without end");
            if count == 0 {
                break;
            }
        }
    }
    let _ = (link.state(), link.statistics(), link.poll_timeout());
}
