//! The gateway itself, without I/O and without a clock: bytes in, bytes out, for many wires.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use ipfi::{
    Code, Limits, SharedBudget, Started,
    proto::{CallId, Config, Connection, Failure, Instant, Target},
};

use super::{
    answers::Answers,
    pace::Pace,
    peer::{Key, Peer, TARGET},
    relay,
    stats::Stats,
};

/// What all clients together may make the gateway hold, in bytes.
const BUDGET: usize = 256 << 20;
pub(super) const DOWN: &str = "the shared wire is down";

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
    pub(super) policy: Policy,
    budget: Arc<SharedBudget>,
    pub(super) clients: BTreeMap<Key, Peer>,
    pub(super) target: Option<Peer>,
    /// The slow wire that was, until its last bytes are written.
    former: Option<Peer>,
    next: Key,
    /// The codec of the slow wire, once it is known; clients have to use it.
    pub(super) codec: u8,
    /// Clients that want something of the slow wire, least served first.
    pub(super) queue: BTreeSet<(u64, Key)>,
    /// How much the one that was served last has had.
    pub(super) served: u64,
    /// How much more the slow wire may be given now.
    pub(super) pace: Pace,
    /// How much more the device may be asked for now.
    pub(super) answers: Answers,
    /// Procedures that have numbers on the slow wire.
    pub(super) targets: BTreeMap<(String, u64), Target>,
    /// What was asked about the device, and what it said.
    pub(super) descriptions: VecDeque<(Vec<u8>, Vec<u8>)>,
    pub(super) asking: BTreeMap<CallId, Vec<u8>>,
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
            pace: Pace::default(),
            answers: Answers::default(),
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
        self.answers = Answers::default();
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

    /// A client whose values the device cannot read has to go.
    pub(super) fn compare(&mut self, key: Key, codec: u8) {
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
    pub(super) fn lose(&mut self, key: Key, why: &str) {
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
