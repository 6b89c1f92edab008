//! Tells somebody at a terminal what is awaited, and for how long already.

use std::{
    future::poll_fn,
    pin::pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use ipfi_transport::Reading;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use crate::log;

/// A wait is told after so long, and then again.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is awaited.
pub(crate) struct Wait {
    /// Empty: it is not told.
    what: &'static str,
    since: Instant,
    ticks: Interval,
}

impl Wait {
    pub(crate) fn new(what: &'static str) -> Self {
        let mut ticks = interval_at(tokio::time::Instant::now() + PATIENCE, PATIENCE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { what, since: Instant::now(), ticks }
    }

    /// From now on something else is awaited.
    pub(super) fn is_for(&mut self, what: &'static str) {
        if self.what != what {
            self.what = what;
            self.since = Instant::now();
            self.ticks.reset();
            log::progress("");
        }
    }

    /// Tells what is to be told now; the task will be woken.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, health: impl Fn() -> Vec<Reading>) {
        while self.ticks.poll_tick(cx).is_ready() {
            if !self.what.is_empty() {
                let seconds = self.since.elapsed().as_secs();
                log::progress(&format!("{} for {seconds} s{}", self.what, outlook(&health())));
            }
        }
    }

    /// Does what takes so long.
    pub(crate) async fn during<T>(mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let done = poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => {
                self.poll(cx, Vec::new);
                Poll::Pending
            }
        });
        let done = done.await;
        log::progress("");
        done
    }
}

/// What the link below says of itself that matters to somebody who waits: ` (answer-in 12 s, ...)`.
fn outlook(health: &[Reading]) -> String {
    const WANTED: [&str; 8] = [
        "answer-in",
        "to-send",
        "sending-for",
        "hearing-for",
        "mode",
        "snr-dB",
        "margin-dB",
        "goodput",
    ];
    if !health.iter().any(|reading| WANTED[..4].contains(&reading.name)) {
        return String::new();
    }
    let told = WANTED.iter().filter_map(|name| {
        let reading = health.iter().find(|reading| reading.name == *name)?;
        Some(format!("{name} {}", reading.value))
    });
    format!(" ({})", told.collect::<Vec<_>>().join(", "))
}
