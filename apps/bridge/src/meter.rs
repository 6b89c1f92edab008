//! The live meter: both directions, totals and state, on the last line of a terminal.

use std::{
    fmt::Write as _,
    io::IsTerminal,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, interval};

use crate::{
    log,
    stats::{Stats, bytes},
};

const TICK: Duration = Duration::from_millis(500);

/// Draws the meter until it is dropped. Nothing is drawn when standard error is not a terminal.
pub(crate) async fn run(bridges: Vec<Arc<Stats>>) {
    if !std::io::stderr().is_terminal() {
        return std::future::pending().await;
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
        bar.set_style(style);
    }
    log::above(bar.clone());
    let _cleared = Clear(bar.clone());
    let mut before: Vec<_> = bridges.iter().map(|_| (0, 0)).collect();
    let mut then = Instant::now();
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        let seconds = (now - then).as_secs_f64().max(0.001);
        then = now;
        let lines = bridges.iter().zip(&mut before).map(|(stats, before)| {
            let totals = (stats.a_to_b.load(Relaxed), stats.b_to_a.load(Relaxed));
            let rates = (rate(totals.0 - before.0, seconds), rate(totals.1 - before.1, seconds));
            *before = totals;
            line(stats, totals, rates)
        });
        bar.set_message(lines.collect::<Vec<_>>().join("\n"));
    }
}

fn rate(bytes: u64, seconds: f64) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a figure for people, and not negative"
    )]
    let rate = (bytes as f64 / seconds) as u64;
    rate
}

fn line(stats: &Stats, totals: (u64, u64), rates: (u64, u64)) -> String {
    let mut line = String::new();
    if !stats.name.is_empty() {
        let _ = write!(line, "{}  ", stats.name);
    }
    let _ = write!(
        line,
        "-> {}/s ({})  <- {}/s ({})  ",
        bytes(rates.0),
        bytes(totals.0),
        bytes(rates.1),
        bytes(totals.1),
    );
    let _ = match (stats.down.load(Relaxed), stats.active.load(Relaxed)) {
        (0, 1) => write!(line, "1 peer"),
        (0, n) => write!(line, "{n} peers"),
        (_, n) => write!(line, "DOWN, {} tries, {n} peers", stats.tries.load(Relaxed)),
    };
    for reading in stats.health() {
        let _ = write!(line, "  {} {}", reading.name, reading.value);
    }
    line
}

struct Clear(ProgressBar);

impl Drop for Clear {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipfi_transport::{Reading, Value};

    #[tokio::test]
    async fn shows_rates_totals_and_state() {
        let stats = Stats::new("", "a".into(), "b".into());
        stats.active.store(2, Relaxed);
        let up = line(&stats, (10_000, 3), (2048, 0));
        stats.down.store(1, Relaxed);
        stats.tries.store(7, Relaxed);
        stats.set_health(vec![Reading::new("fec", Value::Text("light".into()))]);
        insta::assert_snapshot!(format!("{up}\n{}", line(&stats, (0, 0), (0, 0))));
    }
}
