//! The service that is called over every link.

use ipfi::{Callback, Interface, Receiver, Sender};

/// A bit of everything.
#[must_use]
pub fn interface() -> Interface {
    Interface::new()
        .procedure("add", |a: i64, b: i64| a + b)
        .procedure("echo", |bytes: ipfi::Bytes| bytes)
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
        .procedure("twice", async |callback: Callback<(u8,), u8>| {
            let once = callback.call((1,)).await.unwrap_or_default();
            callback.call((once,)).await.unwrap_or_default()
        })
}

/// What the README shows.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
