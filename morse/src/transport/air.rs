//! A simulated air that stations share: within one process, and by name between processes.
//!
//! Its time goes on by blocks, and only when every station has given its own: a busy machine slows
//! the air down and tears no holes into it. It follows tokio's clock, paused ones too.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Samples a second of every simulated air.
pub(crate) const RATE: u32 = 48_000;
/// Samples that pass at a time: 10 ms.
pub(crate) const BLOCK: usize = 480;
const TICK: Duration = Duration::from_millis(10);
/// How far the air may fall behind the clock before it lets the rest go.
const MOST_BEHIND: Duration = Duration::from_millis(200);
/// How many stations one air has at most.
const MOST_STATIONS: usize = 64;

/// A simulated air. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Air(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// A block has passed, or a station has left.
    passed: Notify,
}

#[derive(Debug, Default)]
struct State {
    places: BTreeMap<u64, Place>,
    next: u64,
    /// Blocks that have passed, and when the next one may.
    blocks: u64,
    due: Option<Instant>,
}

#[derive(Debug, Default)]
struct Place {
    /// The block to come.
    given: Option<Vec<f32>>,
    /// What was heard of the block before.
    heard: Vec<f32>,
}

impl Air {
    /// An air in which nobody is yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more station.
    pub(crate) fn join(&self) -> io::Result<Seat> {
        let mut state = self.lock();
        if state.places.len() >= MOST_STATIONS {
            let text = format!("this air has {MOST_STATIONS} stations already; choose another");
            return Err(io::Error::other(text));
        }
        state.next += 1;
        let id = state.next;
        state.places.insert(id, Place::default());
        Ok(Seat { air: self.clone(), id })
    }
}

impl State {
    /// Lets the block pass if every station has given its own.
    fn pass(&mut self) -> bool {
        if self.places.is_empty() || self.places.values().any(|place| place.given.is_none()) {
            return false;
        }
        let mut sum = vec![0.0; BLOCK];
        for place in self.places.values() {
            for (sum, given) in sum.iter_mut().zip(place.given.iter().flatten()) {
                *sum += given;
            }
        }
        for place in self.places.values_mut() {
            let own = place.given.take().unwrap_or_default();
            place.heard.clear();
            place.heard.extend(sum.iter().zip(own).map(|(sum, own)| sum - own));
        }
        self.blocks += 1;
        let now = Instant::now();
        let due = self.due.map_or(now, |due| due.max(now.checked_sub(MOST_BEHIND).unwrap_or(now)));
        self.due = Some(due + TICK);
        true
    }
}

/// The place of one station.
#[derive(Debug)]
pub(crate) struct Seat {
    air: Air,
    id: u64,
}

impl Seat {
    /// Gives a block, waits until it has passed, and says what was heard meanwhile: all others.
    pub(crate) async fn exchange(&mut self, block: &[f32]) -> Vec<f32> {
        let mut block = block.to_vec();
        block.resize(BLOCK, 0.0);
        let mine = {
            let mut state = self.air.lock();
            if let Some(place) = state.places.get_mut(&self.id) {
                place.given = Some(block);
            }
            let mine = state.blocks;
            if state.pass() {
                self.air.0.passed.notify_waiters();
            }
            mine
        };
        loop {
            let passed = self.air.0.passed.notified();
            let mut passed = std::pin::pin!(passed);
            passed.as_mut().enable();
            let over = {
                let mut state = self.air.lock();
                let (due, blocks) = (state.due, state.blocks);
                let place = state.places.get_mut(&self.id).filter(|_| blocks > mine);
                place.map(|place| (std::mem::take(&mut place.heard), due))
            };
            if let Some((heard, due)) = over {
                sleep_until(due.unwrap_or_else(Instant::now)).await;
                return heard;
            }
            passed.await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.air.lock();
        state.places.remove(&self.id);
        if state.pass() {
            self.air.0.passed.notify_waiters();
        }
    }
}
