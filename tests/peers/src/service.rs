//! What both sides serve.

use std::sync::{Arc, Mutex, PoisonError};

use ipfi::{
    CallError, Callback, Code, Context, Fault, Interface, Receiver, Sender, StreamError, channel,
};
use rmpv::Value;
use tokio::sync::Notify;

/// The names of all procedures that a peer serves.
pub const SERVED: [&str; 25] = [
    "echo",
    "add",
    "fail",
    "count",
    "count_into",
    "sum",
    "relay",
    "call_back",
    "hang",
    "cancelled",
    "leave",
    "drive_echo",
    "drive_add",
    "drive_fail",
    "drive_missing",
    "drive_large",
    "drive_many",
    "drive_count",
    "drive_count_into",
    "drive_stop",
    "drive_sum",
    "drive_relay",
    "drive_call_back",
    "drive_cancel",
    "drive_deadline",
];

/// The procedures that both sides serve, and what happened to `hang`.
#[derive(Debug, Default)]
pub struct Service {
    hanging: Mutex<Vec<(usize, Context)>>,
    /// How many calls of `hang` are over, because they were cancelled.
    cancelled: Mutex<usize>,
    changed: Notify,
}

impl Service {
    /// The procedures.
    pub fn interface(self: &Arc<Self>) -> Interface {
        let (hanging, counting) = (self.clone(), self.clone());
        Interface::new()
            .procedure("echo", |value: Value| value)
            .procedure("add", |a: i64, b: i64| {
                a.checked_add(b).ok_or_else(|| Fault::new("the sum is too large"))
            })
            .procedure("fail", |code: u32, text: String| -> Result<(), Fault> {
                Err(Fault::new(text).with_code(Code(code)))
            })
            .procedure("count", |n: u64| {
                let (sender, receiver) = channel(16);
                tokio::spawn(count_into(n, sender));
                receiver
            })
            .procedure("count_into", count_into)
            .procedure("sum", sum)
            .procedure("relay", relay)
            .procedure("call_back", call_back)
            .procedure("hang", move |context: Context| hang(hanging.clone(), context))
            .procedure("cancelled", move || counting.cancelled())
    }

    /// How many calls of `hang` were cancelled.
    pub fn cancelled(&self) -> usize {
        let told = |(_, context): &&(usize, Context)| context.cancelled().is_some();
        lock(&self.hanging).iter().filter(told).count() + *lock(&self.cancelled)
    }

    /// Waits until so many were.
    pub async fn were_cancelled(&self, n: usize) {
        loop {
            let changed = self.changed.notified();
            if self.cancelled() >= n {
                return;
            }
            changed.await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn hang(service: Arc<Service>, context: Context) -> Result<(), Fault> {
    let number = {
        let mut hanging = lock(&service.hanging);
        let number = hanging.last().map_or(0, |(number, _)| number + 1);
        hanging.push((number, context.clone()));
        number
    };
    let code = context.on_cancel().await;
    let mut hanging = lock(&service.hanging);
    hanging.retain(|(other, _)| *other != number);
    *lock(&service.cancelled) += 1;
    service.changed.notify_waiters();
    Err(Fault::new("").with_code(code))
}

async fn count_into(n: u64, out: Sender<u64>) -> u64 {
    for i in 0..n {
        if out.send(i).await.is_err() {
            return i;
        }
    }
    n
}

async fn sum(mut numbers: Receiver<i64>) -> Result<i64, Fault> {
    let mut sum = 0;
    while let Some(n) = numbers.recv().await.map_err(broken)? {
        sum += n;
    }
    Ok(sum)
}

async fn relay(mut from: Receiver<Value>, to: Sender<Value>) -> Result<u64, Fault> {
    let mut items = 0;
    while let Some(item) = from.recv().await.map_err(broken)? {
        to.send(item).await.map_err(broken)?;
        items += 1;
    }
    Ok(items)
}

async fn call_back(callback: Callback<(i64,), i64>, k: i64) -> Result<i64, Fault> {
    let mut sum = 0;
    for i in 0..k {
        sum += callback.call((i,)).await.map_err(failed)?;
    }
    Ok(sum)
}

/// Fails as a stream did.
#[must_use]
pub fn broken(error: StreamError) -> Fault {
    match error {
        StreamError::Ended { code, text } => Fault::new(text).with_code(code),
        other => Fault::from(other),
    }
}

/// Fails as a call did.
#[must_use]
pub fn failed(error: CallError) -> Fault {
    match error {
        CallError::Failed(failure) => Fault::new(failure.text).with_code(failure.code),
        other => {
            let code = other.code();
            Fault::new(other.to_string()).with_code(code)
        }
    }
}
