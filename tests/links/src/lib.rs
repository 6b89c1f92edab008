//! The service that is called over every link.
#![allow(clippy::unwrap_used, reason = "a test")]

use ipfi::{
    ArgumentReader, Bytes, Callback, Code, Fault, Interface, Receiver, Sender, Wire, channel,
};
use ipfi_transport::BoxStream;

/// A bit of everything.
#[must_use]
pub fn interface() -> Interface {
    Interface::new()
        .procedure("add", |a: i64, b: i64| a + b)
        .procedure("echo", |bytes: Bytes| bytes)
        .procedure("count", async |to: u32, out: Sender<u32>| {
            for n in 0..to {
                if out.send(n).await.is_err() {
                    break;
                }
            }
        })
        .procedure("sum", async |mut numbers: Receiver<u32>| {
            let mut sum = 0;
            while let Ok(Some(n)) = numbers.recv().await {
                sum += n;
            }
            sum
        })
        .streaming("measure", async |_, mut args: ArgumentReader<(Bytes,)>| {
            args.begin_bytes().await?;
            let mut sum = 0;
            while let Some(bytes) = args.bytes().await? {
                sum += bytes.len();
            }
            Ok::<usize, Fault>(sum)
        })
        .procedure("twice", async |callback: Callback<(u8,), u8>| {
            let once = callback.call((1,)).await.unwrap_or_default();
            callback.call((once,)).await.unwrap_or_default()
        })
}

/// The name in memory where the bridge of the test serves, or where it converses.
pub const INSIDE: &str = "inside";
/// What the bridge says on its standard output when it has conversed.
pub const CONVERSED: &str = "conversed\n";

/// A bit of everything, with somebody who serves [`interface`].
///
/// # Panics
///
/// Something is not as it should be.
pub async fn converse(stream: BoxStream, what: &str) {
    let wire = Wire::spawn(stream, Interface::new());
    converse_on(&wire, what, Volume { calls: 20, bytes: 100_000, items: 5000 }).await;
}

/// How much a conversation moves.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "tests make it")]
pub struct Volume {
    /// Small calls, one after the other.
    pub calls: i64,
    /// Bytes of a large argument and result.
    pub bytes: u32,
    /// Items of a stream, each way.
    pub items: u32,
}

/// As [`converse`], on a wire that is there already.
///
/// # Panics
///
/// Something is not as it should be.
pub async fn converse_on(wire: &Wire, what: &str, volume: Volume) {
    let Volume { calls, bytes, items } = volume;
    for n in 0..calls {
        assert_eq!(wire.call::<i64>("add", (n, 2)).await.unwrap(), n + 2, "{what}");
    }
    let large: Vec<u8> = (0..bytes).map(|n| n.to_le_bytes()[0]).collect();
    let back: Bytes = wire.call("echo", (Bytes::from(large.clone()),)).await.unwrap();
    assert_eq!(back.into_vec(), large, "{what}");
    let (sender, mut receiver) = channel::<u32>(4);
    let counting = wire.call::<()>("count", (items, sender)).start();
    let mut next = 0;
    while let Some(n) = receiver.recv().await.unwrap() {
        assert_eq!(n, next, "{what}");
        next += 1;
    }
    counting.await.unwrap();
    assert_eq!(next, items, "{what}");
    let (sender, receiver) = channel::<u32>(4);
    let sum = wire.call::<u32>("sum", (receiver,)).start();
    for n in 0..items {
        sender.send(n).await.unwrap();
    }
    sender.finish().await.unwrap();
    assert_eq!(sum.await.unwrap(), (0..items).sum::<u32>(), "{what}");
    let mut call = wire.call_in_parts::<(Bytes,), usize>("measure").unwrap();
    call.begin_bytes(3 * bytes).await.unwrap();
    for _ in 0..3 {
        call.bytes(&large).await.unwrap();
    }
    assert_eq!(call.finish().await.unwrap(), 3 * large.len(), "{what}");
    let callback: Callback<(u8,), u8> = Callback::new(|n: u8| n + 1);
    assert_eq!(wire.call::<u8>("twice", (callback,)).await.unwrap(), 3, "{what}");
    let none = wire.call::<()>("none", ()).await.unwrap_err();
    assert_eq!(none.code(), Code::NO_SUCH_PROCEDURE, "{what}");
}

/// What the README shows.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
