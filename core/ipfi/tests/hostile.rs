//! What a stranger may send, and what it may not do with that.
#![cfg(all(feature = "tokio", feature = "bincode"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test")]

use std::{
    alloc::System,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use ipfi::{
    ArgumentReader, Bytes, Code, Fault, Interface, Limits, Receiver, StreamError, Wire,
    WireOptions, channel,
};
use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Mutex,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What is counted is what all threads allocate.
static ALONE: Mutex<()> = Mutex::const_new(());

#[derive(Serialize, Deserialize)]
struct Nested(Option<Box<Nested>>);

fn server() -> Interface {
    Interface::new()
        .procedure("add", |a: i64, b: i64| a + b)
        .procedure("text", |text: String| text.len())
        .procedure("bytes", |bytes: Bytes| bytes.len())
        .procedure("list", |list: Vec<u64>| list.len())
        .procedure("nothing", |list: Vec<()>| list.len())
        .procedure("nested", |nested: Nested| nested.0.is_some())
        .procedure("forever", async || std::future::pending::<()>().await)
        .procedure("items", async |mut items: Receiver<Vec<u8>>| {
            let mut bad = 0u32;
            loop {
                match items.recv().await {
                    Ok(Some(_)) => {}
                    Err(StreamError::Decode(_)) => bad += 1,
                    Ok(None) | Err(_) => return bad,
                }
            }
        })
}

/// Lengths that are not there: 2^46 items in nine bytes.
const TERA: [u8; 9] = [0xfd, 0, 0, 0, 0, 0, 0x40, 0, 0];

#[tokio::test]
async fn lengths_allocate_nothing() {
    let _alone = ALONE.lock().await;
    let (wire, _other) = Wire::pair(Interface::new(), server());
    assert_eq!(wire.call::<i64>("add", (2, 3)).await.unwrap(), 5);
    let region = Region::new(ALLOCATOR);
    for name in ["text", "bytes", "list"] {
        let error = wire.call_raw(name, TERA.to_vec()).await.unwrap_err();
        assert_eq!(error.code(), Code::BAD_ARGUMENTS, "{name}: {error}");
        // One that fits the limit of the codec, and is not there either.
        let error = wire.call_raw(name, vec![0xfc, 0, 0, 0, 8]).await.unwrap_err();
        assert_eq!(error.code(), Code::BAD_ARGUMENTS, "{name}: {error}");
    }
    let allocated = region.change().bytes_allocated;
    assert!(allocated < 3 << 20, "{allocated} bytes");
    let error = wire.call_raw("nothing", TERA.to_vec()).await.unwrap_err();
    assert_eq!(error.code(), Code::BAD_ARGUMENTS, "{error}");
    let error = wire.call_raw("nested", vec![1; 4 << 20]).await.unwrap_err();
    assert_eq!(error.code(), Code::BAD_ARGUMENTS, "{error}");
    assert_eq!(wire.call::<i64>("add", (2, 3)).await.unwrap(), 5);
}

#[tokio::test]
async fn bad_items_are_errors_of_their_stream() {
    let _alone = ALONE.lock().await;
    let (wire, _other) = Wire::pair(Interface::new(), server());
    let (sender, receiver) = channel::<String>(4);
    // Bytes that a `Vec<u8>` is not: too long for what comes.
    let error = wire.call::<u32>("items", (receiver,)).await.unwrap_err();
    assert_eq!(error.code(), Code::SIGNATURE_MISMATCH);
    assert!(sender.send("x".into()).await.is_err());
    let (sender, receiver) = channel::<u32>(4);
    let bad = wire.call_unchecked::<u32>("items", (receiver,)).start();
    for n in 0..10 {
        sender.send(70 + n).await.unwrap();
    }
    drop(sender);
    assert_eq!(bad.await.unwrap(), 10);
}

/// A peer that is not one of ours.
fn stranger(options: WireOptions) -> (tokio::io::DuplexStream, Wire, Wire, Wire) {
    let interface = Arc::new(server());
    let (here, there) = tokio::io::duplex(1 << 16);
    let wire = options.spawn(there, interface.clone());
    let (other, served) = Wire::pair(Interface::new(), interface);
    (here, wire, other, served)
}

/// Our hello, then a binding of procedure 0.
fn hello(name: &str) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0xf1, 1, 1, 0x75, 0xa6, 0x56, 0x77];
    bytes.push(u8::try_from(10 + name.len()).unwrap());
    bytes.extend([0xcb, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(name.as_bytes());
    bytes
}

#[tokio::test]
async fn other_wires_of_the_interface_go_on() {
    let _alone = ALONE.lock().await;
    let conversations: Vec<(&str, Vec<u8>, u32)> = vec![
        ("not this protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec(), 32),
        ("a frame of 2^60 bytes", [hello("add"), vec![0xff; 8], vec![0x0f]].concat(), 35),
        ("an answer nobody asked for", [hello("add"), vec![2, 0x45, 0]].concat(), 32),
        ("a call over the limit", [hello("add"), vec![5, 0x3f, 0xff, 0xff, 0x03, 0]].concat(), 32),
        (
            "more items than there is credit for",
            [
                hello("items"),
                vec![7, 0xc0, 0, 2, 0, 1, 1, 0],
                vec![0x82, 0x80, 4, 0x80],
                vec![0; 65_537],
            ]
            .concat(),
            36,
        ),
        ("items on no stream", [hello("add"), vec![3, 0x85, 1, 0]].concat(), 32),
        ("a release of nothing", [hello("add"), vec![2, 0xcc, 9]].concat(), 32),
    ];
    for (what, bytes, code) in conversations {
        let (mut stranger, wire, other, _served) = stranger(WireOptions::new());
        // It may be given up before everything was said.
        let _ = stranger.write_all(&bytes).await;
        let cause = wire.closed().await;
        assert!(matches!(cause, ipfi::Cause::Protocol(_)), "{what}: {cause}");
        let mut heard = Vec::new();
        stranger.read_to_end(&mut heard).await.unwrap();
        let go_away = heard.get(8..).unwrap_or_default();
        assert_eq!((go_away[1], u32::from(go_away[2])), (0xcf, code), "{what}: {go_away:02x?}");
        assert_eq!(other.call::<i64>("add", (2, 3)).await.unwrap(), 5, "{what}");
    }
}

#[tokio::test]
async fn endless_arguments_and_ten_thousand_calls_stay_within_limits() {
    let _alone = ALONE.lock().await;
    let limits = Limits { max_buffered: 4 << 20, max_calls: 128, ..Limits::default() };
    let worst = limits.worst_case();
    let options = WireOptions::new().limits(limits);
    let (mut stranger, wire, other, _served) = stranger(options);
    let region = Region::new(ALLOCATOR);
    stranger.write_all(&hello("forever")).await.unwrap();
    for number in 0..128u8 {
        // OPEN with MORE and no end, or CALL.
        let frame = if number % 2 == 0 {
            let mut frame = vec![0x85, 0x08, 0xc0, number, 1, 0];
            frame.resize(2 + 1029, 7);
            frame
        } else if number < 63 {
            vec![2, number, 0]
        } else {
            vec![3, 0x3f, number - 63, 0]
        };
        stranger.write_all(&frame).await.unwrap();
    }
    assert_eq!(other.call::<i64>("add", (2, 3)).await.unwrap(), 5);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let stats = wire.stats();
    assert_eq!(stats.incoming_calls, 128);
    let change = region.change();
    let held = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
    assert!(held < worst, "{held} of {worst}");
    drop(stranger);
    wire.closed().await;
    assert_eq!(wire.stats().incoming_calls, 0);
}

#[tokio::test]
async fn a_callback_that_does_not_exist_is_an_error_of_its_call() {
    let _alone = ALONE.lock().await;
    let (mut stranger, wire, other, _served) = stranger(WireOptions::new());
    // OPEN 0 of callback 5, then a call that is in order.
    stranger.write_all(&hello("add")).await.unwrap();
    stranger.write_all(&[5, 0xc0, 0, 8, 5, 0, 4, 1, 0, 4, 6]).await.unwrap();
    let mut heard = [0; 8 + 5 + 3];
    stranger.read_exact(&mut heard).await.unwrap();
    assert!(heard.ends_with(&[4, 0xc3, 0, 0, 8, 2, 0x41, 10]), "{heard:02x?}");
    assert_eq!(wire.cause(), None);
    assert_eq!(other.call::<i64>("add", (2, 3)).await.unwrap(), 5);
}

/// How often a value of this type was begun to be read.
static TRIES: AtomicUsize = AtomicUsize::new(0);

#[derive(Serialize)]
struct Counted(Vec<u16>);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TRIES.fetch_add(1, Ordering::Relaxed);
        Vec::deserialize(deserializer).map(Self)
    }
}

fn streaming() -> Interface {
    Interface::new()
        .streaming("text", async |_, mut args: ArgumentReader<(String,)>| {
            Ok::<_, Fault>(args.argument::<String>().await?.len())
        })
        .streaming("list", async |_, mut args: ArgumentReader<(Counted,)>| {
            Ok::<_, Fault>(args.argument::<Counted>().await?.0.len())
        })
        .streaming("nothing", async |_, mut args: ArgumentReader<(Vec<()>,)>| {
            Ok::<_, Fault>(args.argument::<Vec<()>>().await?.len())
        })
        .streaming("bytes", async |_, mut args: ArgumentReader<(Bytes,)>| {
            args.begin_bytes().await?;
            let mut sum = 0;
            while let Some(bytes) = args.bytes().await? {
                sum += bytes.len();
            }
            Ok::<_, Fault>(sum)
        })
        .raw_streaming("forever", async |_, _| std::future::pending().await)
}

#[tokio::test]
async fn arguments_that_come_as_they_like_cost_no_more() {
    let _alone = ALONE.lock().await;
    let limits = Limits { max_buffered: 8 << 20, max_calls: 64, ..Limits::default() };
    let worst = limits.worst_case();
    let (here, there) = tokio::io::duplex(1 << 16);
    let other = WireOptions::new().limits(limits).spawn(there, streaming());
    let wire = Wire::spawn(here, Interface::new());
    // Lengths that are not there, nor ever will be.
    for name in ["text", "list", "nothing", "bytes"] {
        wire.call_raw(name, TERA.to_vec()).await.unwrap_err();
        let region = Region::new(ALLOCATOR);
        let mut call = wire.call_raw(name, vec![]).in_parts().unwrap();
        for byte in TERA {
            call.bytes(&[byte]).await.unwrap();
            wire.ping().await.unwrap();
        }
        let error = call.finish().await.unwrap_err();
        assert_eq!(error.code(), Code::FAILED, "{name}: {error}");
        let allocated = region.change().bytes_allocated;
        // One mebibyte is what serde takes at most for a length that it is told.
        assert!(allocated < 3 << 20, "{name}: {allocated} bytes");
    }
    // A list that comes number by number is not read again for each.
    TRIES.store(0, Ordering::Relaxed);
    let mut call = wire.call_raw("list", vec![0xfb, 0x50, 0xc3]).in_parts().unwrap();
    for _ in 0..50_000 {
        call.bytes(&[7]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(call.finish().await.unwrap().payload, [0xfb, 0x50, 0xc3]);
    let tries = TRIES.load(Ordering::Relaxed);
    assert!(tries < 5000, "{tries}");
    // Nobody reads: a window for each call, and no more.
    let region = Region::new(ALLOCATOR);
    let mut calls: Vec<_> =
        (0..64).map(|_| wire.call_raw("forever", vec![]).in_parts().unwrap()).collect();
    let part = vec![1; 64 << 10];
    for _ in 0..4 {
        for call in &mut calls {
            call.bytes(&part).await.unwrap();
        }
    }
    wire.ping().await.unwrap();
    // Those for which there was no room are over.
    assert!(other.stats().buffered <= 8 << 20, "{:?}", other.stats());
    assert!(other.stats().incoming_calls < 64, "{:?}", other.stats());
    let change = region.change();
    let held = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
    assert!(held < worst, "{held} of {worst}");
    drop(calls);
    wire.ping().await.unwrap();
    wire.ping().await.unwrap();
    assert_eq!((other.stats().buffered, other.stats().incoming_calls), (0, 0));
}

/// Numbers that look random: `IPFI_SEED` gives others.
fn random() -> impl FnMut(usize) -> usize {
    let seed = std::env::var("IPFI_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7u64);
    println!("IPFI_SEED={seed}");
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let number = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % below.max(1)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Text(String),
    Pair(Box<Tree>, Option<Box<Tree>>),
    Many { trees: Vec<Tree>, map: std::collections::BTreeMap<String, u64>, bytes: Bytes },
}

fn tree(random: &mut impl FnMut(usize) -> usize, depth: usize) -> Tree {
    match random(if depth == 0 { 2 } else { 4 }) {
        0 => Tree::Leaf,
        1 => Tree::Text("ü".repeat(random(40))),
        2 => Tree::Pair(
            Box::new(tree(random, depth - 1)),
            (random(2) == 0).then(|| Box::new(tree(random, depth - 1))),
        ),
        _ => Tree::Many {
            trees: (0..random(4)).map(|_| tree(random, depth - 1)).collect(),
            map: (0..random(4)).map(|n| (n.to_string(), n as u64 * 1_000_000_007)).collect(),
            bytes: vec![7; random(300)].into(),
        },
    }
}

/// What is written is read again; what was written and then spoilt, or was never written by anybody,
/// is an error or a value, and takes little.
#[test]
fn decoding_anything_is_harmless() {
    let _alone = ALONE.blocking_lock();
    let mut random = random();
    let codecs = [
        ipfi::Codec::Bincode,
        #[cfg(feature = "msgpack")]
        ipfi::Codec::MessagePack,
    ];
    let mut errors = 0;
    for round in 0..3000 {
        let codec = codecs[round % codecs.len()];
        let value = tree(&mut random, 5);
        let mut bytes = Vec::new();
        codec.encode(&value, &mut bytes).unwrap();
        assert_eq!(codec.decode::<Tree>(&bytes).as_ref(), Ok(&value));
        for _ in 0..5 {
            let mut spoilt = bytes.clone();
            match random(4) {
                0 => spoilt.truncate(random(bytes.len())),
                1 => spoilt.extend_from_slice(&TERA[..random(9)]),
                2 => spoilt = (0..random(60)).map(|_| random(256).to_le_bytes()[0]).collect(),
                _ => {
                    for _ in 0..=random(3) {
                        let at = random(spoilt.len());
                        spoilt[at] =
                            [0xff, 0xfd, 0xfe, 0xdd, random(256).to_le_bytes()[0]][random(5)];
                    }
                }
            }
            let region = Region::new(ALLOCATOR);
            let decoded = codec.decode::<Tree>(&spoilt);
            let taken = region.change().bytes_allocated;
            errors += u32::from(decoded.is_err());
            drop(decoded);
            assert!(taken < (2 << 20) + 200 * spoilt.len(), "{taken} bytes for {spoilt:02x?}");
        }
    }
    assert!(errors > 3000, "{errors}");
}

#[tokio::test]
async fn a_storm_of_resets_ends_its_wire_only() {
    let _alone = ALONE.lock().await;
    let limits = Limits { resets: 1000, ..Limits::default() };
    let (mut stranger, wire, other, _served) = stranger(WireOptions::new().limits(limits));
    stranger.write_all(&hello("forever")).await.unwrap();
    let (mut read, mut write) = tokio::io::split(stranger);
    tokio::spawn(async move { tokio::io::copy(&mut read, &mut tokio::io::sink()).await });
    for _ in 0..3000 {
        // CALL 0, CANCEL 0; the peer may be gone already.
        if write.write_all(&[2, 0, 0, 3, 0xc4, 0, 1]).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(matches!(wire.closed().await, ipfi::Cause::Protocol(_)));
    assert_eq!(other.call::<i64>("add", (2, 3)).await.unwrap(), 5);
}

#[tokio::test]
async fn senders_of_strangers_are_released() {
    let _alone = ALONE.lock().await;
    let (wire, _other) = Wire::pair(Interface::new(), server());
    for _ in 0..1000 {
        let (sender, receiver) = channel::<u8>(1);
        // "add" takes no stream: what came with the call is let go.
        let _ = wire.call_unchecked::<i64>("add", (sender,)).await.unwrap_err();
        drop(receiver);
    }
    wire.ping().await.unwrap();
    assert_eq!(wire.stats().streams, 0);
}
