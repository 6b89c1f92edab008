//! A peer that means harm: nothing it sends makes the link panic, hang or grow.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small numbers of a simulation"
)]

mod simulator;

use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crc::{CRC_32_ISCSI, Crc};
use ipfi_arq::{Config, Ended, Instant, Link, State};
use simulator::Random;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Memory is counted for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const US: u32 = 0x1111_1111;
const THEM: u32 = 0x2222_2222;
/// Window, send buffer, and what `Config` says a link takes besides.
const MOST: isize = 2 * 32 * 1024 + 70 * 1024;

const NUMBER: u8 = 1;
const ACK: u8 = 2;
const DATA: u8 = 4;
const FIN: u8 = 8;
const POLL: u8 = 16;

/// A frame as `SPEC.md` has it, made without the crate's own encoder.
fn frame(prefix: &[u8], body: &[u8]) -> Vec<u8> {
    let crc = Crc::<u32>::new(&CRC_32_ISCSI);
    let mut bytes = body.to_vec();
    bytes.extend(crc.checksum(&[prefix, body].concat()).to_le_bytes());
    let mut wire = vec![0; cobs::max_encoding_length(bytes.len())];
    let length = cobs::encode(&bytes, &mut wire);
    wire.truncate(length);
    wire.push(0);
    wire
}

fn syn(id: u32, heard: u32) -> Vec<u8> {
    syn_with_credit(id, heard, 255)
}

fn syn_with_credit(id: u32, heard: u32, credit: u8) -> Vec<u8> {
    let mut body = vec![0x40, 1, 0];
    body.extend(id.to_le_bytes());
    body.extend(heard.to_le_bytes());
    body.extend([0, 4, credit, 0]);
    let plain = frame(b"ipfi-arq", &body);
    let (encoded, _) = plain.split_at(plain.len() - 1);
    let mut wire: Vec<u8> = encoded
        .iter()
        .flat_map(
            |&byte| if byte < 32 || byte == 0x7d { vec![0x7d, byte ^ 0x20] } else { vec![byte] },
        )
        .collect();
    wire.push(0);
    wire
}

fn session(body: &[u8]) -> Vec<u8> {
    frame(&[THEM.to_le_bytes(), US.to_le_bytes()].concat(), body)
}

fn data(number: u16, offset: u16, payload: &[u8], flags: u8) -> Vec<u8> {
    let mut body = vec![NUMBER | DATA | flags];
    body.extend(number.to_le_bytes());
    body.extend(offset.to_le_bytes());
    body.extend(payload);
    session(&body)
}

fn ack(largest: u16, next: u16, credit: u8, bitmap: &[u8]) -> Vec<u8> {
    let mut body = vec![ACK];
    body.extend(largest.to_le_bytes());
    body.extend(next.to_le_bytes());
    body.extend([credit, bitmap.len() as u8]);
    body.extend(bitmap);
    session(&body)
}

fn at(ms: u64) -> Instant {
    Instant::from_micros(ms * 1000)
}

fn open() -> Link {
    let mut link = Link::new(Config::serial(None), US, at(0));
    link.receive(at(0), &syn(THEM, US));
    assert_eq!(link.state(), State::Open);
    link
}

fn drain(link: &mut Link, now: Instant) -> usize {
    link.handle_timeout(now);
    let mut buf = [0; 256];
    let mut sum = 0;
    loop {
        let count = link.poll_transmit(now, &mut buf);
        sum += count;
        assert!(sum < 100_000, "sends without end");
        if count == 0 {
            return sum;
        }
    }
}

fn grown(region: &Region<'_, System>) -> isize {
    let change = region.change();
    change.bytes_allocated.cast_signed() - change.bytes_deallocated.cast_signed()
}

#[test]
fn an_honest_peer_by_hand() {
    let _alone = alone();
    let mut link = open();
    link.receive(at(1), &data(0, 0, b"hel", 0));
    link.receive(at(1), &data(1, 3, b"lo", FIN | POLL));
    let mut buf = [0; 16];
    assert_eq!(link.read(&mut buf), Ok(Some(5)));
    assert_eq!(&buf[..5], b"hello");
    assert_eq!(link.read(&mut buf), Ok(Some(0)));
}

#[test]
fn garbage_without_end() {
    let _alone = alone();
    let mut link = open();
    let region = Region::new(ALLOCATOR);
    let mut random = Random::new(1);
    for round in 0..2000 {
        let zeros = round % 3;
        let bytes: Vec<u8> = (0..1000)
            .map(|_| random.next() as u8)
            .map(|byte| if zeros == 0 && byte == 0 { 1 } else { byte })
            .collect();
        link.receive(at(round), &bytes);
    }
    assert!(grown(&region) < MOST, "{}", grown(&region));
    assert_eq!(link.state(), State::Open);
    let statistics = link.statistics();
    assert!(statistics.bytes_skipped > 1_990_000 && statistics.frames_bad > 1000);
}

#[test]
fn greetings_without_end() {
    let _alone = alone();
    let mut link = Link::new(Config::serial(None), US, at(0));
    let region = Region::new(ALLOCATOR);
    let mut sent = 0;
    for id in 1..20_000 {
        link.receive(at(0), &syn(id | 0x4000_0000, 0));
        sent += drain(&mut link, at(0));
    }
    assert!(grown(&region) < MOST);
    assert!(sent < 20_000 * 60, "answers with more than it was asked with");
    assert_eq!(link.state(), State::Connecting, "a stale greeting opens nothing");
}

#[test]
fn payload_where_none_belongs() {
    let _alone = alone();
    let mut link = open();
    let region = Region::new(ALLOCATOR);
    let mut random = Random::new(2);
    for round in 0..100_000u64 {
        let payload = vec![7; random.below(40) as usize];
        let flags = [0, FIN, POLL][random.below(3) as usize];
        link.receive(at(round), &data(random.next() as u16, random.next() as u16, &payload, flags));
        if round % 100 == 0 {
            drain(&mut link, at(round));
        }
    }
    assert!(grown(&region) < MOST, "{}", grown(&region));
    assert!(link.statistics().frames_refused > 0);
}

#[test]
fn many_small_holes() {
    let _alone = alone();
    let mut link = open();
    let region = Region::new(ALLOCATOR);
    for number in 0..16_000u16 {
        link.receive(at(1), &data(number, number * 2 + 1, b"x", 0));
    }
    assert!(grown(&region) < MOST, "{}", grown(&region));
    assert!(link.statistics().frames_refused > 14_000);
}

#[test]
fn acknowledgements_of_what_was_never_sent() {
    let _alone = alone();
    let mut random = Random::new(3);
    for seed in 0..300 {
        let mut link = open();
        link.write(&vec![5; 20_000]).unwrap();
        drain(&mut link, at(1));
        let region = Region::new(ALLOCATOR);
        for round in 0..200 {
            let bitmap = random.next().to_le_bytes();
            let (largest, next) =
                (random.below(1 << (seed % 16 + 1)), random.below(1 << (round % 16 + 1)));
            link.receive(at(2), &ack(largest as u16, next as u16, random.next() as u8, &bitmap));
            drain(&mut link, at(2 + round));
        }
        assert!(grown(&region) < MOST, "{}", grown(&region));
        assert!(link.statistics().frames_refused > 0);
    }
}

#[test]
fn no_room_is_no_reason_to_hurry() {
    let _alone = alone();
    let mut link = Link::new(Config::serial(None), US, at(0));
    link.write(&[1; 1000]).unwrap();
    link.receive(at(0), &syn_with_credit(THEM, US, 0));
    let (mut sent, mut number) = (0, 0u16);
    for ms in 0..60_000 {
        let count = drain(&mut link, at(ms));
        if count > 0 {
            sent += count;
            link.receive(at(ms), &ack(number, 0, 0, &[0xff]));
            number += 1;
        }
    }
    assert_eq!(link.state(), State::Open);
    assert!(sent < 1500, "{sent} bytes in a minute without room");
}

#[test]
fn an_intruder_ends_the_stream() {
    let _alone = alone();
    let mut link = open();
    link.receive(at(1), &data(0, 0, b"before", 0));
    link.receive(at(2), &syn(THEM + 1, 0));
    link.receive(at(3), &data(1, 6, b"after", 0));
    let mut buf = [0; 64];
    assert_eq!(link.read(&mut buf), Ok(Some(6)));
    assert_eq!(link.read(&mut buf), Err(Ended::PeerRestarted));
    assert!(link.is_done());
    assert_eq!(link.poll_timeout(), None);
    assert_eq!(drain(&mut link, at(4) + Duration::from_secs(100)), 0);
}
