//! Many peers and one end of which there is just one: a serial port, a terminal, a child.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use ipfi_app::Stop;
use ipfi_transport::{BoxStream, Listener};
use tokio::{sync::Notify, task::JoinSet};

use crate::{
    bridge::{Bridge, Facing},
    exit::BridgeError,
    log,
    peer::{Peer, Signal},
    port::{Outlet, Port},
    queue::{Refused, Sender, queue},
    session::{accept, name},
    settings::{OnBusy, WhileDown},
    stats::add,
};

/// How many peers may wait for their turn.
const MAX_WAITING: usize = 128;

/// Joins the peers of a listener to one end.
pub(crate) struct Hub {
    bridge: Arc<Bridge>,
    /// Which end of the bridge the one end is.
    facing: Facing,
    peers: Arc<Peers>,
}

/// Those who are there.
#[derive(Default)]
pub(crate) struct Peers {
    table: Mutex<BTreeMap<u64, Seat>>,
    /// Somebody came.
    changed: Notify,
    /// Somebody has finished sending.
    pub(crate) finished: Notify,
}

/// What the hub knows of a peer.
struct Seat {
    queue: Sender,
    signal: Arc<Signal>,
    name: String,
}

impl Peers {
    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<u64, Seat>) -> T) -> T {
        f(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Hub {
    pub(crate) fn new(bridge: Arc<Bridge>, facing: Facing) -> Self {
        Self { bridge, facing, peers: Arc::default() }
    }

    pub(crate) async fn run(
        self,
        mut listener: Box<dyn Listener>,
        first: Option<BoxStream>,
        stop: Stop,
    ) -> Result<(), BridgeError> {
        let (to_port, from_peers) = queue();
        let (end_port, port_end) = Stop::channel();
        let mut port = Port::new(self.bridge.clone(), self.facing, from_peers, port_end);
        let outlet = Broadcast { bridge: self.bridge.clone(), peers: self.peers.clone() };
        let mut sessions = JoinSet::new();
        let result = {
            let serve = self.serve(&mut listener, to_port, &mut sessions, stop);
            let mut port = std::pin::pin!(port.run(first, outlet));
            tokio::select! {
                result = &mut port => result,
                () = serve => {
                    end_port.send_replace(true);
                    port.await
                }
            }
        };
        drop(listener);
        self.peers.with(BTreeMap::clear); // Whoever came after the port ended hears the end too.
        while sessions.join_next().await.is_some() {}
        result
    }

    /// Seats peers until it is time to stop.
    async fn serve(
        &self,
        listener: &mut Box<dyn Listener>,
        to_port: Sender,
        sessions: &mut JoinSet<u64>,
        mut stop: Stop,
    ) {
        let settings = &self.bridge.settings;
        let seats = match settings.on_busy {
            OnBusy::Share => settings.max_peers,
            OnBusy::Kick | OnBusy::Reject | OnBusy::Wait => 1,
        };
        let mut to_port = Some(to_port);
        let mut waiting: VecDeque<BoxStream> = VecDeque::new();
        let mut served = 0_u64;
        loop {
            while sessions.len() < seats
                && let Some(queue) = &to_port
                && let Some(stream) = waiting.pop_front()
            {
                served += 1;
                self.seat(served, stream, queue.clone(), stop.clone(), sessions);
                if settings.once {
                    to_port = None; // The only peer's end is the end of what goes to the port.
                }
            }
            if to_port.is_none() && sessions.is_empty() {
                break;
            }
            tokio::select! {
                stream = accept(&self.bridge, listener), if to_port.is_some() => {
                    self.admit(stream, &mut waiting, sessions.len() < seats);
                }
                Some(id) = sessions.join_next() => {
                    if let Ok(id) = id {
                        self.peers.with(|table| table.remove(&id));
                    }
                }
                () = self.peers.finished.notified() => {
                    if !waiting.is_empty() {
                        self.make_room();
                    }
                }
                () = stop.requested() => break,
            }
        }
    }

    /// A peer that has finished sending only waits for an answer; it gives way. True if all do.
    fn make_room(&self) -> bool {
        self.peers.with(|table| {
            table.values().all(|seat| {
                let has_finished = seat.signal.has_finished();
                if has_finished {
                    seat.signal.give_way();
                }
                has_finished
            })
        })
    }

    /// Decides what a newcomer gets.
    fn admit(&self, stream: BoxStream, waiting: &mut VecDeque<BoxStream>, free: bool) {
        let bridge = &self.bridge;
        let policy = bridge.settings.on_busy;
        let gives_way = policy != OnBusy::Share && self.make_room();
        let room = waiting.len() < MAX_WAITING;
        let takes = match policy {
            _ if free || gives_way => room,
            OnBusy::Wait => room,
            OnBusy::Kick => {
                self.peers.with(|table| {
                    for seat in table.values() {
                        log::say(&format!("{}kicked {}", bridge.prefix(), seat.name));
                        add(&bridge.stats.kicked, 1);
                        seat.signal.cut();
                    }
                });
                // Whoever came between has been kicked too.
                waiting.drain(..).for_each(refuse);
                true
            }
            OnBusy::Reject | OnBusy::Share => false,
        };
        if takes {
            waiting.push_back(stream);
        } else {
            add(&bridge.stats.refused, 1);
            log::say(&format!("{}busy: refused {}", bridge.prefix(), name(&stream)));
            refuse(stream);
        }
    }

    fn seat(
        &self,
        id: u64,
        stream: BoxStream,
        to_port: Sender,
        stop: Stop,
        sessions: &mut JoinSet<u64>,
    ) {
        let (queue, inbox) = queue();
        let signal = Arc::<Signal>::default();
        let name = name(&stream);
        log::detail(|| format!("{}{name} is there", self.bridge.prefix()));
        let peer = Peer {
            bridge: self.bridge.clone(),
            far: self.facing,
            peers: self.peers.clone(),
            signal: signal.clone(),
            name: name.clone(),
        };
        self.peers.with(|table| table.insert(id, Seat { queue, signal, name }));
        self.peers.changed.notify_waiters();
        sessions.spawn(async move {
            peer.run(stream, inbox, to_port, stop).await;
            id
        });
    }
}

fn refuse(mut stream: BoxStream) {
    stream.abort();
}

/// What the one end says goes to everybody who is there.
struct Broadcast {
    bridge: Arc<Bridge>,
    peers: Arc<Peers>,
}

impl Outlet for Broadcast {
    async fn deliver(&mut self, chunk: Bytes) {
        let settings = &self.bridge.settings;
        loop {
            let somebody_came = self.peers.changed.notified();
            let mut somebody_came = std::pin::pin!(somebody_came);
            somebody_came.as_mut().enable();
            if settings.on_busy == OnBusy::Share {
                if self.is_anybody_full() {
                    // Peers that have had no turn since are not slow yet.
                    tokio::task::yield_now().await;
                }
                if self.share(&chunk) {
                    return;
                }
            } else {
                let only = self.peers.with(|table| table.values().next().map(|s| s.queue.clone()));
                if let Some(queue) = only {
                    // One that left meanwhile has no use for it, and the next one neither.
                    let _ = queue.send(chunk).await;
                    return;
                }
            }
            if settings.while_down == WhileDown::Discard {
                add(&self.bridge.stats.discarded, chunk.len());
                return;
            }
            somebody_came.await;
        }
    }

    fn end(&mut self, cut: bool) {
        self.peers.with(|table| {
            table.values().filter(|_| cut).for_each(|seat| seat.queue.cut());
            table.clear();
        });
    }
}

impl Broadcast {
    fn is_anybody_full(&self) -> bool {
        self.peers.with(|table| table.values().any(|seat| !seat.queue.has_room()))
    }

    /// Hands a chunk to everybody; whoever has no room for it must leave. False if nobody is
    /// there.
    fn share(&self, chunk: &Bytes) -> bool {
        self.peers.with(|table| {
            let anybody = !table.is_empty();
            table.retain(|_, seat| match seat.queue.try_send(chunk.clone()) {
                Ok(()) => true,
                Err(Refused::Closed) => false,
                Err(Refused::Full) => {
                    add(&self.bridge.stats.slow, 1);
                    log::say(&format!(
                        "{}{} reads too slowly and is dropped",
                        self.bridge.prefix(),
                        seat.name
                    ));
                    seat.signal.cut();
                    false
                }
            });
            anybody
        })
    }
}
