//! Whose turn it is on the shared wire.

use std::{collections::BTreeMap, time::Duration};

use ipfi::proto::{Instant, Target};
use ipfi_transport::Line;

use super::{
    hub::Hub,
    news::{DESCRIBE, is_question},
    peer::{Key, Peer, Place, TARGET, To, Work},
    relay,
};

/// What a call costs besides its payload, in bytes: so that calls of nothing are not free.
const PER_CALL: u64 = 16;
/// At most so many bytes of the clients go to the slow wire before it is asked again whether it took
/// them all.
const QUANTUM: usize = 512;
impl Hub {
    /// Bytes for a wire. Only when the slow wire has taken all that it was given, and what waits below
    /// is little, it gets more: so a client that comes late does not wait for all that the others had
    /// to say.
    pub(super) fn transmit(&mut self, key: Key, now: Instant, buffer: &mut [u8]) -> usize {
        loop {
            let Some(peer) = self.peer(key) else { return 0 };
            let n = peer.engine.poll_transmit(now, buffer);
            if n > 0 || key != TARGET || !self.feed(now) {
                return n;
            }
        }
    }

    /// Gives the slow wire what the clients want that had least of it. `false`: nobody wants
    /// anything, or nothing can be done now.
    fn feed(&mut self, now: Instant) -> bool {
        let quantum = QUANTUM.min(self.pace.room());
        let mut fed = 0;
        while fed < quantum {
            let Some((served, key, room)) = self.next() else { break };
            let Self { queue, clients, target, targets, asking, answers, stats, .. } = self;
            let Some(target) = target else { break };
            queue.remove(&(served, key));
            self.served = self.served.max(served);
            let Some(client) = clients.get_mut(&key) else { continue };
            let mut expected = 0;
            let cost = match client.backlog.pop(room) {
                Some(Work::Call(waiting)) => {
                    let call = waiting.call;
                    let question = is_question(&waiting.to).then(|| waiting.payload.clone());
                    let to = name(&waiting.to, target, targets);
                    let cost = relay::open(client, target, &to, waiting, now) as u64;
                    stats.calls += 1;
                    stats.bytes_there += cost;
                    if let Some(Place::Open(_, id)) = client.incoming.get(&call) {
                        expected = answers.ask(key, *id, &to, now);
                        if let Some(question) = question {
                            asking.insert(*id, question);
                        }
                    }
                    cost + PER_CALL
                }
                Some(Work::Stream(stream)) => {
                    let moved = relay::pump(client, target, stream);
                    if moved.more {
                        client.backlog.push_stream(stream);
                    }
                    stats.bytes_there += moved.bytes as u64;
                    moved.bytes as u64
                }
                None => 0,
            };
            for stream in client.fresh.drain(..) {
                client.backlog.push_stream(stream);
            }
            fed += usize::try_from(cost).unwrap_or(QUANTUM).max(1);
            client.backlog.served = served + cost + expected;
            if client.backlog.has_work(true) {
                queue.insert((client.backlog.served, key));
            }
            client.wake();
        }
        self.pace.fed(fed);
        fed > 0
    }

    /// Whose turn it is, with what it had, and whether there is room for another call. `None`: nobody
    /// wants anything that can be done now.
    fn next(&self) -> Option<(u64, Key, bool)> {
        let target = self.target.as_ref()?;
        let most = target.engine.peer_limits().max_calls as usize;
        let room = target.engine.stats().calls < most;
        let backlogs = self.queue.iter().filter_map(|(served, key)| {
            let backlog = &self.clients.get(key)?.backlog;
            backlog.has_work(true).then_some((*served, *key, backlog))
        });
        backlogs.enumerate().find_map(|(n, (served, key, backlog))| {
            let is_next = n == 0 && self.answers.owes_nothing_to(key);
            let room = room && (is_next || self.answers.has_room());
            backlog.has_work(room).then_some((served, key, room))
        })
    }

    /// Learns what is known of the slow wire, which has carried so many bytes to us.
    pub(super) fn look(&mut self, line: Option<Line>, received: u64, now: Instant) {
        self.pace.look(line);
        if let Some(target) = &self.target {
            self.answers.look(line, received, now, |call| target.calls.contains_key(call));
        }
    }

    /// How long to wait until the slow wire, whose line is as it says, takes more of what there is.
    pub(super) fn pause(&self, line: Option<Line>) -> Option<Duration> {
        match self.next() {
            Some(_) => self.pace.pause(line?),
            None if self.queue.is_empty() => None,
            None => self.answers.pause(),
        }
    }

    /// A client wants something of the slow wire.
    pub(super) fn enqueue(&mut self, key: Key) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        if client.backlog.has_work(true) && !self.queue.contains(&(client.backlog.served, key)) {
            // Nobody saves up a share that he did not use.
            client.backlog.served = client.backlog.served.max(self.served);
            self.queue.insert((client.backlog.served, key));
        }
        if let Some(target) = &self.target {
            target.wake();
        }
    }

    /// What the slow wire carried for a client counts as well, if that was not expected when it was
    /// asked for.
    pub(super) fn charge(&mut self, key: Key, bytes: usize, expected: u64) {
        self.stats.bytes_back += bytes as u64;
        let Some(client) = self.clients.get_mut(&key) else { return };
        let queued = self.queue.remove(&(client.backlog.served, key));
        let served = (client.backlog.served + bytes as u64).saturating_sub(expected);
        client.backlog.served = served.max(self.served);
        if queued {
            self.queue.insert((client.backlog.served, key));
        }
    }
}

/// What is called, as the slow wire names it.
fn name(to: &To, target: &mut Peer, targets: &mut BTreeMap<(String, u64), Target>) -> Target {
    let (name, fingerprint) = match to {
        To::Callback(callback) => return Target::Callback(*callback),
        To::Procedure(name, fingerprint) => (name, *fingerprint),
    };
    if name == DESCRIBE {
        return Target::Named { name: name.clone(), fingerprint };
    }
    let key = (name.clone(), fingerprint);
    if let Some(known) = targets.get(&key) {
        return known.clone();
    }
    let bound = target.engine.bind(name, fingerprint);
    if matches!(bound, Target::Procedure(_)) {
        targets.insert(key, bound.clone());
    }
    bound
}
