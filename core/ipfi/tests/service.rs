//! A trait becomes a server and a client.
#![cfg(all(feature = "tokio", feature = "bincode", feature = "macros"))]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::sync::atomic::{AtomicU32, Ordering};

use ipfi::{Callback, Code, Context, Fault, Interface, Receiver, Sender, Wire, channel};

/// Computes.
#[ipfi::service(prefix = "calculator.")]
pub trait Calculator {
    /// Adds two numbers.
    async fn add(&self, a: i64, b: i64) -> i64;
    /// Divides them.
    ///
    /// Not by zero.
    fn divide(&self, a: i64, b: i64) -> Result<i64, Fault>;
    /// Streams the numbers up to `n`.
    async fn count(&self, n: u32, out: Sender<u32>);
    async fn sum(&self, numbers: Receiver<i64>) -> i64;
    async fn render(&self, frames: u32, progress: Callback<(u32, u32)>) -> String;
    fn peer(&self, context: Context) -> Option<String>;
    #[blocking]
    fn slow(&self, n: u64) -> u64;
    fn calls(&self) -> u32;
}

#[derive(Default)]
struct Abacus {
    calls: AtomicU32,
}

impl Calculator for Abacus {
    async fn add(&self, a: i64, b: i64) -> i64 {
        self.calls.fetch_add(1, Ordering::Relaxed);
        a + b
    }

    fn divide(&self, a: i64, b: i64) -> Result<i64, Fault> {
        a.checked_div(b).ok_or_else(|| Fault::new("division by zero"))
    }

    async fn count(&self, n: u32, out: Sender<u32>) {
        for n in 1..=n {
            if out.send(n).await.is_err() {
                break;
            }
        }
    }

    async fn sum(&self, mut numbers: Receiver<i64>) -> i64 {
        let mut sum = 0;
        while let Ok(Some(n)) = numbers.recv().await {
            sum += n;
        }
        sum
    }

    async fn render(&self, frames: u32, progress: Callback<(u32, u32)>) -> String {
        for frame in 1..=frames {
            progress.call((frame, frames)).await.unwrap();
        }
        format!("{frames} frames")
    }

    fn peer(&self, context: Context) -> Option<String> {
        context.peer().map(str::to_owned)
    }

    fn slow(&self, n: u64) -> u64 {
        n * 2
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_service_is_served_and_called() {
    let (wire, _other) = Wire::pair(Interface::new(), Abacus::default().into_interface());
    let calculator = CalculatorClient::new(wire.clone());
    assert_eq!(calculator.add(2, 3).await.unwrap(), 5);
    assert_eq!(calculator.divide(6, 3).await.unwrap(), 2);
    let error = calculator.divide(6, 0).await.unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("by zero")), (Code::FAILED, true));
    let (sender, mut receiver) = channel(4);
    let counting = calculator.count(3, sender).start();
    let mut got = Vec::new();
    while let Some(n) = receiver.recv().await.unwrap() {
        got.push(n);
    }
    counting.await.unwrap();
    assert_eq!(got, [1, 2, 3]);
    let (sender, receiver) = channel(4);
    let sum = calculator.sum(receiver).start();
    for n in got {
        sender.send(i64::from(n)).await.unwrap();
    }
    drop(sender);
    assert_eq!(sum.await.unwrap(), 6);
    let progress = Callback::new(|_: u32, _: u32| ());
    assert_eq!(calculator.render(2, progress).await.unwrap(), "2 frames");
    assert_eq!(calculator.peer().await.unwrap(), None);
    assert_eq!(calculator.slow(4).await.unwrap(), 8);
    assert_eq!(calculator.calls().await.unwrap(), 1);

    let all = wire.describe(&[]).await.unwrap().procedures;
    let divide = all.iter().find(|procedure| procedure.name == "calculator.divide").unwrap();
    assert_eq!(divide.signature, "(i64, i64) -> i64");
    assert_eq!(divide.doc, "Divides them.\n\nNot by zero.");
    let render = all.iter().find(|procedure| procedure.name == "calculator.render").unwrap();
    assert_eq!(render.signature, "(u32, Callback<(u32, u32)>) -> String");
}
