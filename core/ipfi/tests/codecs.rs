//! `MessagePack`, and sides that disagree.
#![cfg(all(feature = "tokio", feature = "bincode", feature = "msgpack"))]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use ipfi::{Callback, Cause, Code, Codec, Interface, Receiver, Wire, WireOptions, channel};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: f64,
    label: Option<String>,
}

fn server() -> Interface {
    Interface::new()
        .procedure("move", |point: Point, by: f64| Point { x: point.x + by, ..point })
        .procedure("sum", async |mut numbers: Receiver<u32>| {
            let mut sum = 0;
            while let Ok(Some(n)) = numbers.recv().await {
                sum += n;
            }
            sum
        })
        .procedure("twice", async |callback: Callback<(u8,), u8>| {
            callback.call((callback.call((1,)).await.unwrap(),)).await.unwrap()
        })
}

fn pair(a: WireOptions, b: WireOptions) -> (Wire, Wire) {
    let (here, there) = tokio::io::duplex(1 << 16);
    (a.spawn(here, Interface::new()), b.spawn(there, server()))
}

#[tokio::test]
async fn message_pack_does_it_all() {
    let pack = || WireOptions::new().codec(Codec::MessagePack);
    let (wire, _other) = pair(pack(), pack());
    let point = Point { x: 1.5, label: Some("here".into()) };
    let moved: Point = wire.call("move", (point, 2.0)).await.unwrap();
    assert_eq!(moved, Point { x: 3.5, label: Some("here".into()) });
    let (sender, receiver) = channel::<u32>(4);
    let sum = wire.call::<u32>("sum", (receiver,)).start();
    for n in 0..1000 {
        sender.send(n).await.unwrap();
    }
    drop(sender);
    assert_eq!(sum.await.unwrap(), 499_500);
    let callback: Callback<(u8,), u8> = Callback::new(|n: u8| n + 1);
    assert_eq!(wire.call::<u8>("twice", (callback,)).await.unwrap(), 3);
    // Maps, as other languages write structs; and what no codec of ours would write.
    let map = [0x92, 0x82, 0xa1, b'x', 1, 0xa5, b'l', b'a', b'b', b'e', b'l', 0xc0, 0x01];
    let moved = wire.call_raw("move", map.to_vec()).await.unwrap();
    assert_eq!(moved.payload.first(), Some(&0x82));
    for bad in [&map[..5], &[&map[..], &[0]].concat(), &[0xdb, 0xff, 0xff, 0xff, 0xff]] {
        let error = wire.call_raw("move", bad.to_vec()).await.unwrap_err();
        assert_eq!(error.code(), Code::BAD_ARGUMENTS);
    }
}

#[tokio::test]
async fn a_server_may_follow_and_others_part() {
    for codec in [Codec::Bincode, Codec::MessagePack] {
        let options = WireOptions::new().codec(codec);
        let (wire, _other) = pair(options, WireOptions::new().codec_of_peer());
        let point = Point { x: 1.5, label: None };
        let moved: Point = wire.call("move", (point, 2.0)).await.unwrap();
        assert_eq!(moved.x.to_bits(), 3.5f64.to_bits());
    }
    let pack = WireOptions::new().codec(Codec::MessagePack);
    let (wire, _other) = pair(WireOptions::new(), pack);
    assert!(matches!(wire.closed().await, Cause::Protocol(_)));
}
