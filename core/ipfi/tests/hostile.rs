//! What a stranger may send, and what it may not do with that.
#![cfg(all(feature = "tokio", feature = "bincode"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test")]

use std::{alloc::System, sync::Arc};

use ipfi::{Bytes, Code, Interface, Limits, Receiver, Wire, WireOptions, channel};
use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

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
                    Ok(None) => return bad,
                    Err(_) => bad += 1,
                }
            }
        })
}

/// Lengths that are not there: 2^46 items in nine bytes.
const TERA: [u8; 9] = [0xfd, 0, 0, 0, 0, 0, 0x40, 0, 0];

#[tokio::test]
async fn lengths_allocate_nothing() {
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
    let conversations: Vec<(&str, Vec<u8>, u32)> = vec![
        ("not this protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec(), 32),
        ("a frame of 2^60 bytes", [hello("add"), vec![0xff; 8], vec![0x0f]].concat(), 35),
        ("an answer nobody asked for", [hello("add"), vec![2, 0x45, 0]].concat(), 32),
        ("a call over the limit", [hello("add"), vec![5, 0x3f, 0xff, 0xff, 0x03, 0]].concat(), 32),
        ("items on no stream", [hello("add"), vec![3, 0x85, 1, 0]].concat(), 32),
        ("a release of nothing", [hello("add"), vec![2, 0xcc, 9]].concat(), 32),
    ];
    for (what, bytes, code) in conversations {
        let (mut stranger, wire, other, _served) = stranger(WireOptions::new());
        stranger.write_all(&bytes).await.unwrap();
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
async fn a_storm_of_resets_ends_its_wire_only() {
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
