//! How much the device may be asked for before it has answered.

use std::{collections::BTreeMap, time::Duration};

use ipfi::proto::{CallId, Instant, Target};
use ipfi_transport::Line;

use super::peer::Key;

/// What a slow line carries in one part of a second in so many, a window, may be under way from the
/// device.
const AHEAD: u32 = 5;
/// But a frame of a very slow one.
const LEAST: usize = 128;
/// A procedure that never answered is taken to fill this part of it, and a large answer that one.
const UNKNOWN: usize = 4;
const LARGE: usize = 2;
/// Bytes of an answer besides its payload.
const OVERHEAD: usize = 4;
/// An answer is late when the line has carried so many times what was asked for before.
const LATE: u64 = 2;
/// For so many windows a procedure that let an idle line wait counts as slow.
const SLOW: u32 = 50;
/// How soon to look again whether the line is busy.
const PAUSE: Duration = Duration::from_millis(50);

/// Holds calls back as long as the device has enough to say.
///
/// Answers wait in the device, in an order that knows of calls and not of clients: what has been
/// asked for cannot be overtaken by somebody who had less. So a call has to wait until the answers
/// that the device owes are short enough, as answers of its procedure were before. Nobody is to wait
/// for what takes time for other reasons: if the line had room for an answer that did not come, none
/// is expected soon of its procedure.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Bytes that may be under way; `None`: nothing is known of the line, or turns are taken on it.
    most: Option<usize>,
    procedures: BTreeMap<Option<u32>, Procedure>,
    /// Calls that were made, and what is expected of them.
    pub(super) owed: BTreeMap<CallId, Owed>,
    expected: usize,
    /// Bytes that have come, at all and when the window began.
    received: u64,
    window: Option<(Instant, u64)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    client: Key,
    procedure: Option<u32>,
    /// Bytes of the answer, if anything is known of it.
    size: Option<usize>,
    /// What it takes of the room.
    bytes: usize,
    since: Instant,
    /// It is late when so many bytes have come.
    due: u64,
}

#[derive(Clone, Copy, Debug)]
struct Procedure {
    /// Bytes of an answer, as they were of late.
    size: usize,
    slow_until: Instant,
}

impl Answers {
    /// Learns of the line, and how many bytes have come by it since its beginning.
    pub(super) fn look(
        &mut self,
        line: Option<Line>,
        received: u64,
        now: Instant,
        is_open: impl Fn(&CallId) -> bool,
    ) {
        let rate = line.filter(|line| line.round_trip.is_none());
        let rate = rate.and_then(|line| line.bytes_per_second).map(|rate| rate.max(1));
        self.most = rate.map(|rate| usize::try_from(rate / AHEAD).unwrap_or(LEAST).max(LEAST));
        self.received = received;
        let (Some(rate), Some(most)) = (rate, self.most) else { return };
        let (begun, before) = *self.window.get_or_insert((now, received));
        let window = Duration::from_micros(most as u64 * 1_000_000 / u64::from(rate));
        if now < begun + window {
            return;
        }
        self.window = Some((now, received));
        let room = (now - begun).as_micros() * u128::from(rate) / 1_000_000;
        let was_busy = u128::from(received.saturating_sub(before)) * 2 >= room;
        self.owed.retain(|call, _| is_open(call));
        for owed in self.owed.values_mut().filter(|owed| owed.bytes > 0) {
            let was_idle = !was_busy && owed.since <= begun;
            if was_idle || received > owed.due {
                let new = Procedure { size: owed.size.unwrap_or(0), slow_until: now };
                let known = self.procedures.entry(owed.procedure).or_insert(new);
                known.slow_until = now + SLOW * window;
                owed.bytes = 0;
            }
        }
        self.expected = self.owed.values().map(|owed| owed.bytes).sum();
    }

    /// Whether another call may be made.
    pub(super) fn has_room(&self) -> bool {
        self.most.is_none_or(|most| self.expected < most)
    }

    /// Whether nothing is expected for a client: one that waits for no answer is not to wait for those
    /// of others, however long they are.
    pub(super) fn owes_nothing_to(&self, client: Key) -> bool {
        !self.owed.values().any(|owed| owed.client == client && owed.bytes > 0)
    }

    /// How soon to look again, if there is no room.
    pub(super) fn pause(&self) -> Option<Duration> {
        (!self.has_room()).then_some(PAUSE)
    }

    /// A call has been made for a client. Says how long its answer is expected to be.
    pub(super) fn ask(&mut self, client: Key, call: CallId, target: &Target, now: Instant) -> u64 {
        let Some(most) = self.most else { return 0 };
        let procedure = if let Target::Procedure(number) = target { Some(*number) } else { None };
        let known = self.procedures.get(&procedure);
        let size = known.map(|known| known.size);
        let bytes = match known {
            Some(known) if now < known.slow_until => 0,
            Some(known) => (known.size + OVERHEAD).min(most / LARGE),
            None => most / UNKNOWN,
        };
        self.expected += bytes;
        let before = self.owed.values().filter(|owed| owed.bytes > 0);
        let before = before.map(|owed| owed.size.unwrap_or(owed.bytes)).sum::<usize>();
        let due = self.received + LATE * (most + before + size.unwrap_or(bytes)) as u64;
        self.owed.insert(call, Owed { client, procedure, size, bytes, since: now, due });
        size.unwrap_or(0) as u64
    }

    /// It is over, with an answer of so many bytes. Says how many were expected.
    pub(super) fn came(&mut self, call: CallId, size: usize) -> u64 {
        let Some(owed) = self.owed.remove(&call) else { return 0 };
        self.expected = self.expected.saturating_sub(owed.bytes);
        let new = Procedure { size, slow_until: owed.since };
        let known = self.procedures.entry(owed.procedure).or_insert(new);
        known.size = (known.size * 3 + size) / 4;
        if self.received <= owed.due + LATE * size as u64 {
            known.slow_until = owed.since;
        }
        owed.size.unwrap_or(0) as u64
    }
}
