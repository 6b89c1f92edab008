//! The gateway itself, without I/O and without a clock: bytes in, bytes out, for many wires.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use ipfi::{
    Cause, Code, Limits, SharedBudget, Started,
    proto::{Called, Config, Connection, Event, Failure, Instant, ProtocolError, StreamId, Target},
};

use super::{
    peer::{Key, Peer, Place, TARGET, To, Waiting, Work, translate},
    relay,
    stats::Stats,
};

/// What a call costs besides its payload, in bytes: so that calls of nothing are not free.
const PER_CALL: u64 = 16;
/// At most so many bytes of the clients go to the slow wire before it is asked again whether it took
/// them all.
const QUANTUM: usize = 512;
/// What all clients together may make the gateway hold, in bytes.
const BUDGET: usize = 256 << 20;
/// Answers to `ipfi.describe` that are kept, one for each question that was asked.
const MAX_DESCRIPTIONS: usize = 16;
const DESCRIBE: &str = "ipfi.describe";
const DOWN: &str = "the shared wire is down";

/// What callers get while the slow wire is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum WhileDown {
    /// They wait until it is back, or their deadline passes
    #[default]
    Wait,
    /// They are refused at once
    Refuse,
}

/// How a gateway behaves.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) while_down: WhileDown,
    /// What each client may make the gateway hold.
    pub(super) limits: Limits,
}

/// Joins many clients to one slow wire at the level of calls.
pub(super) struct Hub {
    policy: Policy,
    budget: Arc<SharedBudget>,
    pub(super) clients: BTreeMap<Key, Peer>,
    pub(super) target: Option<Peer>,
    /// The slow wire that was, until its last bytes are written.
    former: Option<Peer>,
    next: Key,
    /// The codec of the slow wire, once it is known; clients have to use it.
    codec: u8,
    /// Clients that want something of the slow wire, least served first.
    queue: BTreeSet<(u64, Key)>,
    /// How much the one that was served last has had.
    served: u64,
    /// Procedures that have numbers on the slow wire.
    targets: BTreeMap<(String, u64), Target>,
    /// What was asked about the device, and what it said.
    descriptions: VecDeque<(Vec<u8>, Vec<u8>)>,
    asking: BTreeMap<ipfi::proto::CallId, Vec<u8>>,
    leaving: bool,
    /// Why the slow wire ended last, and what codec its peer insisted on.
    pub(super) why_down: String,
    pub(super) codec_of_device: Option<u8>,
    pub(super) stats: Stats,
}

impl Hub {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            budget: SharedBudget::new(BUDGET),
            clients: BTreeMap::new(),
            target: None,
            former: None,
            next: TARGET + 1,
            codec: 0,
            queue: BTreeSet::new(),
            served: 0,
            targets: BTreeMap::new(),
            descriptions: VecDeque::new(),
            asking: BTreeMap::new(),
            leaving: false,
            why_down: String::new(),
            codec_of_device: None,
            stats: Stats::default(),
        }
    }

    /// A new client.
    pub(super) fn add(&mut self, now: Instant) -> Key {
        let key = self.next;
        self.next += 1;
        let config = Config::default()
            .with_limits(self.policy.limits.clone())
            .with_codec(self.codec)
            .with_budget(self.budget.clone());
        let mut peer = Peer::new(key, Connection::new(config, now));
        if self.leaving {
            peer.engine.close(now, Some(Duration::ZERO));
        }
        self.clients.insert(key, peer);
        self.stats.clients += 1;
        key
    }

    /// The slow wire, once more.
    pub(super) fn connect(&mut self, config: Config, now: Instant) {
        self.targets.clear();
        self.descriptions.clear();
        self.asking.clear();
        let mut peer = Peer::new(TARGET, Connection::new(config, now));
        if self.leaving {
            peer.engine.close(now, Some(Duration::ZERO));
        }
        self.target = Some(peer);
        self.stats.dials += 1;
    }

    pub(super) fn peer(&mut self, key: Key) -> Option<&mut Peer> {
        if key == TARGET {
            self.target.as_mut().or(self.former.as_mut())
        } else {
            self.clients.get_mut(&key)
        }
    }

    /// A wire that is over, and has nothing more to say.
    pub(super) fn remove(&mut self, key: Key) {
        self.lose(key, "it was given up");
        if key == TARGET {
            self.former = None;
        } else {
            self.clients.remove(&key);
        }
    }

    /// Accepts no new calls, and ends each wire when what runs on it is done, or after `within`.
    pub(super) fn close(&mut self, now: Instant, within: Duration) {
        self.leaving = true;
        for client in self.clients.values_mut() {
            client.engine.close(now, Some(within));
            client.wake();
        }
    }

    /// Bytes for a wire. Only when the slow wire has taken all that it was given, it gets more: so a
    /// client that comes late does not wait for all that the others had to say.
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
        let Self { queue, clients, target, targets, asking, stats, .. } = self;
        let Some(target) = target else { return false };
        let mut fed = 0;
        while fed < QUANTUM {
            let most = target.engine.peer_limits().max_calls as usize;
            let room = target.engine.stats().calls < most;
            let next = queue.iter().find(|(_, key)| {
                clients.get(key).is_some_and(|client| client.backlog.has_work(room))
            });
            let Some(&(served, key)) = next else { break };
            queue.remove(&(served, key));
            self.served = self.served.max(served);
            let Some(client) = clients.get_mut(&key) else { continue };
            let cost = match client.backlog.pop(room) {
                Some(Work::Call(waiting)) => {
                    let call = waiting.call;
                    let question = is_question(&waiting.to).then(|| waiting.payload.clone());
                    let to = name(&waiting.to, target, targets);
                    let cost = relay::open(client, target, &to, waiting, now) as u64;
                    let place = client.incoming.get(&call);
                    if let (Some(question), Some(Place::Open(_, id))) = (question, place) {
                        asking.insert(*id, question);
                    }
                    stats.calls += 1;
                    stats.bytes_there += cost;
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
            client.backlog.served = served + cost;
            if client.backlog.has_work(true) {
                queue.insert((client.backlog.served, key));
            }
            client.wake();
        }
        fed > 0
    }

    /// A client wants something of the slow wire.
    fn enqueue(&mut self, key: Key) {
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

    /// What the slow wire carried for a client without being asked by us counts as well.
    fn charge(&mut self, key: Key, bytes: usize) {
        self.stats.bytes_back += bytes as u64;
        let Some(client) = self.clients.get_mut(&key) else { return };
        let queued = self.queue.remove(&(client.backlog.served, key));
        client.backlog.served = client.backlog.served.max(self.served) + bytes as u64;
        if queued {
            self.queue.insert((client.backlog.served, key));
        }
    }

    /// Acts on what a wire has learned. `false`: it has learned nothing.
    pub(super) fn relay(&mut self, key: Key, now: Instant) -> bool {
        let mut any = false;
        while let Some(event) = self.peer(key).and_then(|peer| peer.engine.poll_event()) {
            any = true;
            if let Event::Closed { cause } = &event {
                if let (TARGET, Cause::Protocol(ProtocolError::Codec { theirs, .. })) = (key, cause)
                {
                    self.codec_of_device = Some(*theirs);
                }
                self.lose(key, &cause.to_string());
            } else if key == TARGET {
                self.of_target(event, now);
            } else {
                self.of_client(key, event, now);
            }
            self.begin(key);
            self.begin(TARGET);
        }
        any
    }

    /// Streams whose items came before they had a name at the other side.
    fn begin(&mut self, key: Key) {
        while let Some(stream) = self.peer(key).and_then(|peer| peer.fresh.pop()) {
            if let Some(client) = self.clients.get_mut(&key) {
                client.backlog.push_stream(stream);
                self.enqueue(key);
            } else if let Some(target) = &self.target {
                let owner = target.streams.get(&stream).map(|(key, _)| *key);
                self.pump_back(owner, stream);
            }
        }
    }

    fn of_client(&mut self, key: Key, event: Event, now: Instant) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        match event {
            Event::Hello { codec, .. } => self.compare(key, codec),
            Event::Bound { name, fingerprint, .. } => client.bound.push((name, fingerprint)),
            Event::Call { call, called, payload, handles, deadline, priority } => {
                let to = match called {
                    Called::Procedure(number) => {
                        let bound = client.bound.get(number as usize).cloned();
                        bound.map(|(name, fingerprint)| To::Procedure(name, fingerprint))
                    }
                    Called::Named { name, fingerprint } => Some(To::Procedure(name, fingerprint)),
                    Called::Callback(id) => {
                        client.given.get(&id).map(|(_, remote)| To::Callback(*remote))
                    }
                    _ => None,
                };
                let down = self.target.is_none() && self.policy.while_down == WhileDown::Refuse;
                let to = match to {
                    Some(to) if !down => to,
                    to => {
                        let none = to.is_none();
                        let code = if none { Code::NO_SUCH_CALLBACK } else { Code::GOING_AWAY };
                        client.dispose(handles, code);
                        let text = if none { "" } else { DOWN };
                        let failure = Failure::new(code, Started::No).with_text(text);
                        client.engine.fail(call, &failure);
                        self.stats.refused += 1;
                        return;
                    }
                };
                if is_question(&to)
                    && let Some((_, answer)) = self.descriptions.iter().find(|(q, _)| *q == payload)
                {
                    let _ = client.engine.answer(now, call, answer.clone().into(), &[]);
                    return;
                }
                client.backlog.push(Waiting { call, to, payload, handles, deadline, priority });
                client.incoming.insert(call, Place::Waiting);
                self.enqueue(key);
            }
            Event::Cancelled { call, code } => {
                self.stats.cancelled += 1;
                match client.incoming.remove(&call) {
                    Some(Place::Waiting) => {
                        if let Some(waiting) = client.backlog.remove(call) {
                            client.dispose(waiting.handles, code);
                        }
                        client.engine.fail(call, &Failure::new(code, Started::No));
                    }
                    Some(Place::Open(_, id)) => {
                        client.engine.fail(call, &Failure::new(code, Started::Maybe));
                        if let Some(target) = &mut self.target {
                            target.calls.remove(&id);
                            target.engine.cancel(id, code);
                            target.wake();
                        }
                        self.asking.remove(&id);
                    }
                    None => {}
                }
            }
            Event::Readable(stream) => {
                client.backlog.push_stream(stream);
                self.enqueue(key);
            }
            Event::Writable(stream) => {
                let source = client.streams.get(&stream).map(|(_, source)| *source);
                if let Some(source) = source {
                    self.pump_back(Some(key), source);
                }
                if let Some(target) = &self.target {
                    target.wake();
                }
            }
            event => {
                if let Some(target) = &mut self.target {
                    of_either(client, target, event, now);
                    target.wake();
                }
            }
        }
    }

    fn of_target(&mut self, event: Event, now: Instant) {
        let Some(target) = &mut self.target else { return };
        match event {
            Event::Hello { codec, .. } => {
                let ours = target.engine.codec();
                self.codec = if ours == 0 { codec } else { ours };
                for key in self.clients.keys().copied().collect::<Vec<_>>() {
                    if let Some(codec) = self.clients.get(&key).map(|c| c.engine.codec()) {
                        self.compare(key, codec);
                    }
                }
            }
            Event::Call { call, called, payload, handles, deadline, priority } => {
                let owner = match called {
                    Called::Callback(id) => target.given.get(&id).copied(),
                    _ => None,
                };
                let client = owner.and_then(|(key, _)| self.clients.get_mut(&key));
                let (Some((key, remote)), Some(client)) = (owner, client) else {
                    let callback = matches!(called, Called::Callback(_));
                    let code =
                        if callback { Code::NO_SUCH_CALLBACK } else { Code::NO_SUCH_PROCEDURE };
                    target.dispose(handles, code);
                    let text = "the gateway has many clients, and calls only their callbacks";
                    let text = if callback { "" } else { text };
                    target.engine.fail(call, &Failure::new(code, Started::No).with_text(text));
                    return;
                };
                let to = To::Callback(remote);
                let waiting = Waiting { call, to, payload, handles, deadline, priority };
                target.incoming.insert(call, Place::Waiting);
                let remote = Target::Callback(remote);
                let cost = relay::open(target, client, &remote, waiting, now);
                client.wake();
                self.stats.callbacks += 1;
                self.charge(key, cost);
            }
            Event::Cancelled { call, code } => {
                target.engine.fail(call, &Failure::new(code, Started::Maybe));
                if let Some(Place::Open(key, id)) = target.incoming.remove(&call)
                    && let Some(client) = self.clients.get_mut(&key)
                {
                    client.calls.remove(&id);
                    client.engine.cancel(id, code);
                    client.wake();
                }
            }
            Event::Readable(stream) => {
                let owner = target.streams.get(&stream).map(|(key, _)| *key);
                self.pump_back(owner, stream);
            }
            Event::Writable(stream) => {
                if let Some((key, source)) = target.streams.get(&stream).copied()
                    && let Some(client) = self.clients.get_mut(&key)
                {
                    client.backlog.push_stream(source);
                    self.enqueue(key);
                }
            }
            event => {
                if let Event::Answer { call, payload, .. } = &event
                    && let Some(question) = self.asking.remove(call)
                {
                    self.descriptions.truncate(MAX_DESCRIPTIONS - 1);
                    self.descriptions.push_front((question, payload.clone()));
                }
                let (owner, bytes) = match &event {
                    Event::Answer { call, payload, .. } => {
                        self.stats.answered += 1;
                        (target.calls.get(call).map(|(key, _)| *key), payload.len())
                    }
                    Event::Failed { call, .. } => {
                        self.stats.failed += 1;
                        (target.calls.get(call).map(|(key, _)| *key), 0)
                    }
                    Event::Stopped { stream, .. } => {
                        (target.streams.get(stream).map(|(key, _)| *key), 0)
                    }
                    Event::Released(callback) => {
                        (target.given.get(callback).map(|(key, _)| *key), 0)
                    }
                    _ => (None, 0),
                };
                match owner.and_then(|key| self.clients.get_mut(&key)) {
                    Some(client) => {
                        of_either(target, client, event, now);
                        client.wake();
                    }
                    None => orphaned(target, event),
                }
                if let Some(key) = owner {
                    self.charge(key, bytes);
                }
            }
        }
    }

    /// Items of the slow wire go on at once, as far as the client gives credit.
    fn pump_back(&mut self, owner: Option<Key>, stream: StreamId) {
        let Some(target) = &mut self.target else { return };
        let Some(client) = owner.and_then(|key| self.clients.get_mut(&key)) else { return };
        let mut bytes = 0;
        loop {
            let moved = relay::pump(target, client, stream);
            bytes += moved.bytes;
            if !moved.more {
                break;
            }
        }
        client.wake();
        let key = client.key;
        self.charge(key, bytes);
    }

    /// A client whose values the device cannot read has to go.
    fn compare(&mut self, key: Key, codec: u8) {
        if self.codec != 0
            && codec != 0
            && codec != self.codec
            && let Some(client) = self.clients.get_mut(&key)
        {
            let text = format!("values on the shared wire are in codec {}", self.codec);
            client.engine.abort(Code::CODEC, &text);
            client.wake();
        }
    }

    /// A wire is over: what it had to do with others ends.
    fn lose(&mut self, key: Key, why: &str) {
        if key != TARGET {
            let Some(client) = self.clients.get_mut(&key) else { return };
            self.queue.remove(&(client.backlog.served, key));
            self.stats.lost += client.incoming.len() as u64;
            if let Some(target) = &mut self.target {
                relay::separate(client, target, "the caller is gone");
                target.wake();
            }
            client.clear();
            return;
        }
        let Some(mut target) = self.target.take() else { return };
        let text = format!("the shared wire was lost: {why}");
        why.clone_into(&mut self.why_down);
        for client in self.clients.values_mut() {
            relay::separate(&target, client, &text);
            for waiting in client.backlog.take_callbacks() {
                client.dispose(waiting.handles, Code::NO_SUCH_CALLBACK);
                client.incoming.remove(&waiting.call);
                let failure = Failure::new(Code::NO_SUCH_CALLBACK, Started::No);
                client.engine.fail(waiting.call, &failure.with_text(text.as_str()));
            }
            if self.policy.while_down == WhileDown::Refuse {
                for waiting in client.backlog.take_all() {
                    client.dispose(waiting.handles, Code::GOING_AWAY);
                    client.incoming.remove(&waiting.call);
                    let failure = Failure::new(Code::GOING_AWAY, Started::No).with_text(DOWN);
                    client.engine.fail(waiting.call, &failure);
                }
            }
            client.wake();
        }
        target.clear();
        self.former = Some(target);
    }
}

/// Whether it asks what the device offers.
fn is_question(to: &To) -> bool {
    matches!(to, To::Procedure(name, _) if name == DESCRIBE)
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

/// What concerns names that both sides have: `from` has learned it, `to` is told.
fn of_either(from: &mut Peer, to: &mut Peer, event: Event, now: Instant) {
    match event {
        Event::Answer { call, payload, handles } => {
            let Some((_, id)) = from.calls.remove(&call) else {
                return from.dispose(handles, Code::DROPPED);
            };
            to.incoming.remove(&id);
            match translate(from, to, &handles) {
                Ok(handles) => {
                    let _ = to.engine.answer(now, id, payload.into(), &handles);
                }
                Err(code) => {
                    let text = "too many streams or callbacks at once on this wire";
                    to.engine.fail(id, &Failure::new(code, Started::Yes).with_text(text));
                }
            }
        }
        Event::Failed { call, failure } => {
            if let Some((_, id)) = from.calls.remove(&call) {
                to.incoming.remove(&id);
                to.engine.fail(id, &relay::told(failure, DOWN));
            }
        }
        Event::Stopped { stream, code } => {
            if let Some((_, source)) = from.streams.remove(&stream) {
                relay::stopped(from, to, stream, source, code);
            }
        }
        Event::Released(callback) => {
            if let Some((_, remote)) = from.given.remove(&callback)
                && to.taken.remove(&remote).is_some()
            {
                to.engine.release_callback(remote);
            }
        }
        _ => {}
    }
}

/// News about names whose other side is gone.
fn orphaned(peer: &mut Peer, event: Event) {
    match event {
        Event::Answer { handles, call, .. } => {
            peer.calls.remove(&call);
            peer.dispose(handles, Code::CANCELLED);
        }
        Event::Failed { call, .. } => drop(peer.calls.remove(&call)),
        Event::Stopped { stream, .. } => drop(peer.streams.remove(&stream)),
        Event::Released(callback) => drop(peer.given.remove(&callback)),
        _ => {}
    }
}
