//! What the wires learn, and what becomes of it on others.

use ipfi::{
    Cause, Code, Started,
    proto::{Called, Event, Failure, Instant, ProtocolError, StreamId, Target},
};

use super::{
    hub::{DOWN, Hub, WhileDown},
    peer::{Key, Peer, Place, TARGET, To, Waiting, translate},
    relay,
};

/// Answers to `ipfi.describe` that are kept, one for each question that was asked.
const MAX_DESCRIPTIONS: usize = 16;
/// The procedure that tells what a peer offers.
pub(super) const DESCRIBE: &str = "ipfi.describe";
impl Hub {
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
                self.charge(key, cost, 0);
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
                let mut expected = 0;
                let (owner, bytes) = match &event {
                    Event::Answer { call, payload, .. } => {
                        self.stats.answered += 1;
                        expected = self.answers.came(*call, payload.len());
                        (target.calls.get(call).map(|(key, _)| *key), payload.len())
                    }
                    Event::Failed { call, .. } => {
                        self.stats.failed += 1;
                        expected = self.answers.came(*call, 0);
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
                    self.charge(key, bytes, expected);
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
        self.charge(key, bytes, 0);
    }
}

/// Whether it asks what the device offers.
pub(super) fn is_question(to: &To) -> bool {
    matches!(to, To::Procedure(name, _) if name == DESCRIBE)
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
        // Why the wire was lost comes next; only then its callers are told.
        Event::Failed { call, failure } if failure.code == Code::WIRE_LOST => {
            from.note_lost(call, failure.started);
        }
        Event::Failed { call, failure } => {
            if let Some((_, id)) = from.calls.remove(&call) {
                to.incoming.remove(&id);
                to.engine.fail(id, &failure);
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
