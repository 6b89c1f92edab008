//! A device behind a slow line, a gateway, and clients.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use ipfi::{
    Limits, Priority, Started,
    proto::{
        CallId, CallOptions, CallbackId, Called, Config, Connection, Direction, Event, Failure,
        Handle, IncomingId, Instant, Read, Received, RemoteCallbackId, StreamId, Target,
    },
};

use ipfi_transport::Line;

use super::super::{
    hub::{Hub, Policy, WhileDown},
    peer::{Key, TARGET},
};

/// Bytes a second each way: 115,200 baud with a start and a stop bit.
pub(super) const RATE: u32 = 11_520;
/// What takes bytes below the gateway before the line does.
const BELOW: usize = 32 << 10;
const TICK: Duration = Duration::from_millis(10);

/// What a device does.
///
/// Its procedures: `echo` answers with its arguments; `tell` with ten times the product
/// of its arguments in bytes; `hold` never answers; `report` calls each
/// callback with the arguments, then answers; `keep` keeps callbacks for later; `count` sends ten
/// items on each stream that it may send on; `eat` reads all streams to their ends.
pub(super) struct Device {
    pub(super) engine: Connection,
    bound: Vec<String>,
    pub(super) held: Vec<IncomingId>,
    pub(super) kept: Vec<RemoteCallbackId>,
    reporting: BTreeMap<CallId, IncomingId>,
    reading: Vec<StreamId>,
    pub(super) eaten: usize,
    pub(super) cancelled: usize,
    pub(super) seen: Vec<(Vec<u8>, Option<Instant>, Priority)>,
}

impl Device {
    fn new(now: Instant) -> Self {
        Self {
            engine: Connection::new(Config::default().with_codec(2), now),
            bound: Vec::new(),
            held: Vec::new(),
            kept: Vec::new(),
            reporting: BTreeMap::new(),
            reading: Vec::new(),
            eaten: 0,
            cancelled: 0,
            seen: Vec::new(),
        }
    }

    fn work(&mut self, now: Instant) {
        while let Some(event) = self.engine.poll_event() {
            match event {
                Event::Bound { name, .. } => self.bound.push(name),
                Event::Call { call, called, payload, handles, deadline, priority } => {
                    self.seen.push((payload.clone(), deadline, priority));
                    let name = match called {
                        Called::Procedure(n) => self.bound[n as usize].clone(),
                        Called::Named { name, .. } => name,
                        other => panic!("{other:?}"),
                    };
                    self.call(now, &name, call, payload, handles);
                }
                Event::Cancelled { call, code } => {
                    self.cancelled += 1;
                    self.held.retain(|held| *held != call);
                    self.engine.fail(call, &Failure::new(code, Started::Yes));
                }
                Event::Answer { call, payload, .. } => {
                    if let Some(call) = self.reporting.remove(&call) {
                        let _ = self.engine.answer(now, call, payload.into(), &[]);
                    }
                }
                Event::Failed { call, failure } => {
                    if let Some(call) = self.reporting.remove(&call) {
                        self.engine.fail(call, &failure);
                    }
                }
                _ => {}
            }
        }
        self.read();
    }

    fn call(
        &mut self,
        now: Instant,
        name: &str,
        call: IncomingId,
        payload: Vec<u8>,
        handles: Vec<Received>,
    ) {
        match name {
            "hold" => self.held.push(call),
            "report" => {
                for handle in handles {
                    let Received::Callback(callback) = handle else { panic!("{handle:?}") };
                    let (target, options) = (Target::Callback(callback), CallOptions::default());
                    let payload = payload.clone().into();
                    let id = self.engine.open_call(now, &target, payload, &[], options).unwrap();
                    self.reporting.insert(id, call);
                    self.engine.release_callback(callback);
                }
            }
            "tell" => {
                let size = payload.iter().map(|n| usize::from(*n)).product::<usize>() * 10;
                let _ = self.engine.answer(now, call, vec![0; size].into(), &[]);
            }
            _ => {
                for handle in handles {
                    match handle {
                        Received::Callback(callback) => self.kept.push(callback),
                        Received::Receiver(stream) => self.reading.push(stream),
                        Received::Sender(stream) => {
                            for n in 0..10 {
                                let _ = self.engine.send_item(stream, &[n; 20]);
                            }
                            self.engine.finish(stream);
                        }
                        other => panic!("{other:?}"),
                    }
                }
                let _ = self.engine.answer(now, call, payload.into(), &[]);
            }
        }
    }

    fn read(&mut self) {
        let engine = &mut self.engine;
        let eaten = &mut self.eaten;
        self.reading.retain(|stream| {
            loop {
                match engine.read(*stream) {
                    Read::Items(mut items) => {
                        while let Some(item) = items.next() {
                            *eaten += item.len();
                        }
                        engine.consume(*stream, items.cost());
                    }
                    Read::End { .. } => return false,
                    _ => return true,
                }
            }
        });
    }
}

/// What a client has learned.
#[derive(Default)]
pub(super) struct Client {
    engine: Option<Connection>,
    pub(super) answers: BTreeMap<CallId, Vec<u8>>,
    pub(super) failures: BTreeMap<CallId, Failure>,
    /// Calls of callbacks: each is answered with its arguments.
    pub(super) heard: Vec<(CallbackId, Vec<u8>)>,
    pub(super) items: usize,
    pub(super) ended: usize,
    pub(super) released: usize,
    outputs: Vec<StreamId>,
    targets: BTreeMap<String, Target>,
}

impl Client {
    pub(super) fn engine(&mut self) -> &mut Connection {
        self.engine.as_mut().unwrap()
    }

    pub(super) fn call(
        &mut self,
        now: Instant,
        name: &str,
        payload: &[u8],
        handles: &[Handle],
        options: CallOptions,
    ) -> CallId {
        let Self { engine, targets, .. } = self;
        let engine = engine.as_mut().unwrap();
        let target = targets.entry(name.into()).or_insert_with(|| engine.bind(name, 7)).clone();
        engine.open_call(now, &target, payload.into(), handles, options).unwrap()
    }

    /// A stream that the device fills.
    pub(super) fn output(&mut self) -> Handle {
        let stream = self.engine().open_stream(Direction::Incoming).unwrap();
        self.outputs.push(stream);
        Handle::Stream(stream)
    }

    fn work(&mut self, now: Instant) {
        let Some(engine) = &mut self.engine else { return };
        while let Some(event) = engine.poll_event() {
            match event {
                Event::Answer { call, payload, .. } => drop(self.answers.insert(call, payload)),
                Event::Failed { call, failure } => drop(self.failures.insert(call, failure)),
                Event::Call { call, called: Called::Callback(id), payload, .. } => {
                    let _ = engine.answer(now, call, payload.clone().into(), &[]);
                    self.heard.push((id, payload));
                }
                Event::Cancelled { call, code } => {
                    engine.fail(call, &Failure::new(code, Started::Yes));
                }
                Event::Released(_) => self.released += 1,
                _ => {}
            }
        }
        let (items, ended) = (&mut self.items, &mut self.ended);
        self.outputs.retain(|stream| {
            loop {
                match engine.read(*stream) {
                    Read::Items(mut batch) => {
                        while batch.next().is_some() {
                            *items += 1;
                        }
                        engine.consume(*stream, batch.cost());
                    }
                    Read::End { .. } => {
                        *ended += 1;
                        return false;
                    }
                    _ => return true,
                }
            }
        });
    }
}

/// Everything there is.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) hub: Hub,
    pub(super) device: Option<Device>,
    pub(super) clients: BTreeMap<Key, Client>,
    /// What was given to the slow wire and has not been carried yet.
    below: VecDeque<u8>,
    /// Bytes that it has carried to the gateway.
    received: u64,
}

impl World {
    pub(super) fn new(while_down: WhileDown) -> Self {
        let limits =
            Limits { max_calls: 32, max_streams: 32, stream_window: 4096, ..Limits::default() };
        let now = Instant::from_micros(0);
        let hub = Hub::new(Policy { while_down, limits });
        Self {
            now,
            hub,
            device: None,
            clients: BTreeMap::new(),
            below: VecDeque::new(),
            received: 0,
        }
    }

    pub(super) fn plug_in(&mut self) {
        let config = Config::default().with_codec(2).with_speed(RATE.into());
        self.hub.connect(config, self.now);
        self.device = Some(Device::new(self.now));
    }

    /// The line is cut.
    pub(super) fn unplug(&mut self) {
        self.device = None;
        self.below.clear();
        self.received = 0;
        self.hub.peer(TARGET).unwrap().engine.receive_end();
        self.hub.relay(TARGET, self.now);
        self.hub.remove(TARGET);
    }

    pub(super) fn device(&mut self) -> &mut Device {
        self.device.as_mut().unwrap()
    }

    pub(super) fn join(&mut self) -> Key {
        let key = self.hub.add(self.now);
        let engine = Connection::new(Config::default().with_codec(2), self.now);
        self.clients.insert(key, Client { engine: Some(engine), ..Client::default() });
        key
    }

    /// A client vanishes without a word.
    pub(super) fn kill(&mut self, key: Key) {
        self.clients.remove(&key);
        self.hub.peer(key).unwrap().engine.receive_end();
        self.hub.relay(key, self.now);
        self.hub.remove(key);
    }

    pub(super) fn client(&mut self, key: Key) -> &mut Client {
        self.clients.get_mut(&key).unwrap()
    }

    pub(super) fn call(&mut self, key: Key, name: &str, payload: &[u8]) -> CallId {
        self.call_with(key, name, payload, &[], CallOptions::default())
    }

    pub(super) fn call_with(
        &mut self,
        key: Key,
        name: &str,
        payload: &[u8],
        handles: &[Handle],
        options: CallOptions,
    ) -> CallId {
        let now = self.now;
        self.client(key).call(now, name, payload, handles, options)
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.tick();
        }
    }

    /// Lets time pass until something is so.
    pub(super) fn until(&mut self, mut what: impl FnMut(&mut Self) -> bool) {
        let end = self.now + Duration::from_secs(600);
        while !what(self) {
            assert!(self.now < end, "it never came to be");
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.now = self.now + TICK;
        let now = self.now;
        for (key, client) in &mut self.clients {
            client.engine.as_mut().unwrap().handle_timeout(now);
            client.work(now);
            if let Some(peer) = self.hub.peer(*key) {
                peer.engine.handle_timeout(now);
                self.hub.relay(*key, now);
            }
        }
        self.local();
        // What the line carries in this time, each way.
        let mut there = vec![0; usize::try_from(RATE / 100).unwrap()];
        let mut back = there.clone();
        self.fill();
        let n = self.below.len().min(there.len());
        for (place, byte) in there.iter_mut().zip(self.below.drain(..n)) {
            *place = byte;
        }
        if let Some(device) = &mut self.device {
            device.engine.receive(now, &there[..n]).unwrap();
            device.engine.handle_timeout(now);
            device.work(now);
            let n = device.engine.poll_transmit(now, &mut back);
            let target = self.hub.peer(TARGET).unwrap();
            self.received += n as u64;
            target.engine.receive(now, &back[..n]).unwrap();
            target.engine.handle_timeout(now);
        }
        self.local();
    }

    /// Below the gateway there is room for much more than the line carries, as in a layer.
    fn fill(&mut self) {
        let mut buffer = [0; 4096];
        let line = Line::new(Some(RATE), self.below.len());
        self.hub.look(Some(line), self.received, self.now);
        while self.below.len() < BELOW {
            let n = self.hub.transmit(TARGET, self.now, &mut buffer);
            if n == 0 {
                return;
            }
            self.below.extend(&buffer[..n]);
        }
    }

    /// All that takes no time: clients are near.
    fn local(&mut self) {
        let now = self.now;
        let mut buffer = [0; 4096];
        loop {
            let mut moved = self.hub.relay(TARGET, now);
            for (key, client) in &mut self.clients {
                let Some(engine) = &mut client.engine else { continue };
                let Some(peer) = self.hub.peer(*key) else { continue };
                if !engine.wants_transmit() && !peer.engine.wants_transmit() {
                    continue;
                }
                let n = engine.poll_transmit(now, &mut buffer);
                peer.engine.receive(now, &buffer[..n]).unwrap();
                moved |= self.hub.relay(*key, now) || n > 0;
                let n = self.hub.transmit(*key, now, &mut buffer);
                engine.receive(now, &buffer[..n]).unwrap();
                moved |= n > 0;
                client.work(now);
            }
            if !moved {
                return;
            }
        }
    }

    /// Nothing is left over anywhere.
    pub(super) fn assert_clean(&mut self) {
        self.run(Duration::from_secs(1)); // what is on its way arrives
        for callback in std::mem::take(&mut self.device().kept) {
            self.device().engine.release_callback(callback);
        }
        self.run(Duration::from_secs(30));
        let device = self.device.as_ref().unwrap();
        assert!(device.engine.is_idle(), "{:?}", device.engine.stats());
        let target = self.hub.target.as_ref().unwrap();
        assert_eq!(target.names(), 0);
        assert!(self.hub.answers.owed.is_empty());
        for peer in self.hub.clients.values().chain([target]) {
            let stats = peer.engine.stats();
            assert!(peer.engine.is_idle(), "{stats:?}");
            assert_eq!((stats.buffered, stats.exported_callbacks), (0, 0), "{}", peer.key);
            assert_eq!((peer.names(), peer.backlog.waiting()), (0, 0), "{}", peer.key);
        }
    }
}
