//! What a bridge has done so far.

use std::{
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ipfi_transport::{Reading, Value};
use serde_json::json;
use tokio::time::Instant;

use crate::bridge::Facing;

/// Counters of one bridge.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) name: String,
    pub(crate) a: String,
    pub(crate) b: String,
    started: Instant,
    /// Bytes that arrived at their end.
    pub(crate) a_to_b: AtomicU64,
    pub(crate) b_to_a: AtomicU64,
    /// Peers that came, all in all.
    pub(crate) peers: AtomicU64,
    /// Peers that are there now.
    pub(crate) active: AtomicU64,
    /// Peers that were turned away, or whose far end could not be opened.
    pub(crate) refused: AtomicU64,
    /// Peers that had to leave for another one.
    pub(crate) kicked: AtomicU64,
    /// Peers of a shared end that read too slowly.
    pub(crate) slow: AtomicU64,
    /// Pairs or ends that were cut.
    pub(crate) cut: AtomicU64,
    /// Tries to reopen an end.
    pub(crate) tries: AtomicU64,
    /// Bytes for an end that was not there, thrown away.
    pub(crate) discarded: AtomicU64,
    /// Ends that are down now.
    pub(crate) down: AtomicU64,
    /// How the links at the ends fare, those that know.
    health: Mutex<[Vec<Reading>; 2]>,
}

pub(crate) fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Relaxed);
}

impl Stats {
    pub(crate) fn new(name: &str, a: String, b: String) -> Self {
        Self {
            name: name.into(),
            a,
            b,
            started: Instant::now(),
            a_to_b: AtomicU64::default(),
            b_to_a: AtomicU64::default(),
            peers: AtomicU64::default(),
            active: AtomicU64::default(),
            refused: AtomicU64::default(),
            kicked: AtomicU64::default(),
            slow: AtomicU64::default(),
            cut: AtomicU64::default(),
            tries: AtomicU64::default(),
            discarded: AtomicU64::default(),
            down: AtomicU64::default(),
            health: Mutex::default(),
        }
    }

    /// Counts the bytes that this end was sent.
    pub(crate) fn sent_to(&self, facing: Facing) -> &AtomicU64 {
        match facing {
            Facing::A => &self.b_to_a,
            Facing::B => &self.a_to_b,
        }
    }

    /// What the link at this end says of itself.
    pub(crate) fn set_health(&self, facing: Facing, health: Vec<Reading>) {
        let [a, b] = &mut *self.health.lock().unwrap_or_else(PoisonError::into_inner);
        *(if facing == Facing::A { a } else { b }) = health;
    }

    /// The names and values of both ends; if both have some, each name says which end it is of.
    pub(crate) fn health(&self) -> Vec<(String, Value)> {
        let [a, b] = self.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let both = !a.is_empty() && !b.is_empty();
        let prefixes = if both { ["a-", "b-"] } else { [""; 2] };
        let named = prefixes.into_iter().zip([a, b]).flat_map(|(prefix, readings)| {
            let name = move |reading: Reading| (format!("{prefix}{}", reading.name), reading.value);
            readings.into_iter().map(name)
        });
        named.collect()
    }

    fn counters(&self) -> [(&'static str, u64); 10] {
        [
            ("a_to_b", self.a_to_b.load(Relaxed)),
            ("b_to_a", self.b_to_a.load(Relaxed)),
            ("peers", self.peers.load(Relaxed)),
            ("active", self.active.load(Relaxed)),
            ("refused", self.refused.load(Relaxed)),
            ("kicked", self.kicked.load(Relaxed)),
            ("slow", self.slow.load(Relaxed)),
            ("cut", self.cut.load(Relaxed)),
            ("tries", self.tries.load(Relaxed)),
            ("discarded", self.discarded.load(Relaxed)),
        ]
    }

    /// One line for people; counters that are zero are left out.
    pub(crate) fn text(&self) -> String {
        let [(_, a_to_b), (_, b_to_a), rest @ ..] = self.counters();
        let mut text = format!(
            "{}{} -> {}: {}, back: {}, in {}",
            if self.name.is_empty() { String::new() } else { format!("{}: ", self.name) },
            self.a,
            self.b,
            bytes(a_to_b),
            bytes(b_to_a),
            span(self.started.elapsed()),
        );
        for (name, n) in rest.iter().filter(|(_, n)| *n > 0) {
            let _ = write!(text, ", {name} {n}");
        }
        for (name, value) in self.health() {
            let _ = write!(text, ", {name} {value}");
        }
        text
    }

    pub(crate) fn json(&self) -> String {
        let mut object = json!({
            "name": self.name, "a": self.a, "b": self.b,
            "seconds": self.started.elapsed().as_secs_f64(),
        });
        for (name, n) in self.counters() {
            object[name] = json!(n);
        }
        for (name, value) in self.health() {
            object["health"][name] = match value {
                Value::Count(n) => json!(n),
                Value::Rate(x) | Value::Number(x) => json!(x),
                Value::Time(t) => json!(t.as_secs_f64()),
                Value::Text(text) => json!(text),
                value => json!(value.to_string()),
            };
        }
        object.to_string()
    }
}

/// A number of bytes in a form that fits a meter.
pub(crate) fn bytes(n: u64) -> String {
    let (mut whole, mut rest, mut unit) = (n, 0, "B");
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if whole < 1024 {
            break;
        }
        (whole, rest, unit) = (whole / 1024, whole % 1024, next);
    }
    if unit == "B" { format!("{n} B") } else { format!("{whole}.{} {unit}", rest * 10 / 1024) }
}

fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Counts something for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    pub(crate) fn new(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Relaxed);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn figures_for_people_and_for_programs() {
        let stats = Stats::new("gps", "tcp-listen::7000".into(), "serial:/dev/gps".into());
        add(&stats.a_to_b, 5_000_000);
        add(&stats.cut, 2);
        let rtt = |ms| vec![Reading::new("rtt", Value::Time(Duration::from_millis(ms)))];
        stats.set_health(Facing::B, rtt(12));
        tokio::time::advance(Duration::from_millis(1500)).await;
        insta::assert_snapshot!(format!("{}\n{}", stats.text(), stats.json()));
        stats.set_health(Facing::A, rtt(7));
        assert!(stats.text().ends_with(", a-rtt 7.0 ms, b-rtt 12.0 ms"), "{}", stats.text());
    }
}
