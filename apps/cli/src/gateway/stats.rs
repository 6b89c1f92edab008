//! What a gateway has done so far.

use std::time::Duration;

/// What a gateway has done so far.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(super) struct Stats {
    /// Clients that came.
    pub(super) clients: u64,
    /// Calls that went to the slow wire.
    pub(super) calls: u64,
    /// Calls that were answered by it, and that failed there.
    pub(super) answered: u64,
    pub(super) failed: u64,
    /// Calls that their callers gave up, and those whose callers vanished.
    pub(super) cancelled: u64,
    pub(super) lost: u64,
    /// Calls that never went there.
    pub(super) refused: u64,
    /// Calls of clients' callbacks.
    pub(super) callbacks: u64,
    /// Bytes of payload and items to the slow wire, and back.
    pub(super) bytes_there: u64,
    pub(super) bytes_back: u64,
    /// How often the slow wire was opened.
    pub(super) dials: u64,
}

/// How things are at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Now {
    pub(super) up: bool,
    pub(super) clients: usize,
    pub(super) waiting: usize,
    pub(super) open: usize,
    /// Calls, streams and callbacks that have names on two wires.
    pub(super) names: usize,
}

impl Stats {
    pub(super) fn text(&self, now: Now, age: Duration) -> String {
        let Now { up, clients, waiting, open, names } = now;
        let state = if up { "up" } else { "down" };
        format!(
            "shared wire {state}, opened {} times; {clients} clients now, {} in {} s; {open} calls \
             open, {waiting} waiting, {names} names; {} made, {} answered, {} failed, {} cancelled, {} lost with \
             their callers, {} refused; {} callbacks; {} bytes there, {} back",
            self.dials,
            self.clients,
            age.as_secs(),
            self.calls,
            self.answered,
            self.failed,
            self.cancelled,
            self.lost,
            self.refused,
            self.callbacks,
            self.bytes_there,
            self.bytes_back,
        )
    }

    pub(super) fn json(&self, now: Now, age: Duration) -> String {
        serde_json::json!({ "now": now, "total": self, "seconds": age.as_secs() }).to_string()
    }
}
