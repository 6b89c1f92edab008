//! One side: an engine, and what its application believes.

use crate::common::random::Random;
use ipfi_proto::{
    Arguments, CallError, CallId, CallOptions, CallbackId, Code, Config, Connection, Direction,
    Event, Failure, Handle, IncomingId, Instant, Items, Priority, Read, Received, RemoteCallbackId,
    SendError, Started, StreamId, Target,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What both sides know of a stream, by the number in its items.
#[derive(Default)]
pub(crate) struct Truth {
    pub(crate) sent: u32,
    pub(crate) got: u32,
    pub(crate) finished: bool,
    pub(crate) reset: bool,
    pub(crate) stopped: bool,
}

#[derive(Default)]
pub(crate) struct World {
    streams: BTreeMap<u32, Truth>,
    pub(crate) next: u32,
}

pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) conn: Connection,
    pub(crate) targets: Vec<Target>,
    pub(crate) calls: BTreeSet<CallId>,
    pub(crate) unfinished: BTreeSet<CallId>,
    pub(crate) incoming: BTreeSet<IncomingId>,
    /// Those whose arguments are taken as they come.
    taken: BTreeSet<IncomingId>,
    /// Streams on which this side sends, and under which number.
    pub(crate) senders: BTreeMap<StreamId, u32>,
    /// Those that were ended here: one more event is to come.
    pub(crate) ended: BTreeSet<StreamId>,
    pub(crate) blocked: BTreeSet<StreamId>,
    /// Ended or stopped here.
    pub(crate) given_up: BTreeSet<StreamId>,
    /// And from which it reads; the number is known from the first item on.
    pub(crate) receivers: BTreeMap<StreamId, Option<u32>>,
    held: Vec<(StreamId, usize)>,
    pub(crate) callbacks: BTreeSet<CallbackId>,
    pub(crate) remote: Vec<RemoteCallbackId>,
    pub(crate) closed: bool,
}

impl Side {
    pub(crate) fn new(name: &'static str, config: Config, now: Instant) -> Self {
        Self {
            name,
            conn: Connection::new(config, now),
            targets: Vec::new(),
            calls: BTreeSet::new(),
            unfinished: BTreeSet::new(),
            incoming: BTreeSet::new(),
            taken: BTreeSet::new(),
            senders: BTreeMap::new(),
            ended: BTreeSet::new(),
            blocked: BTreeSet::new(),
            given_up: BTreeSet::new(),
            receivers: BTreeMap::new(),
            held: Vec::new(),
            callbacks: BTreeSet::new(),
            remote: Vec::new(),
            closed: false,
        }
    }

    pub(crate) fn make_handles(&mut self, random: &mut Random, world: &mut World) -> Vec<Handle> {
        let mut handles = Vec::new();
        while random.one_in(3) && handles.len() < 100 {
            match random.below(3) {
                0 => {
                    if let Ok(callback) = self.conn.export_callback() {
                        assert!(self.callbacks.insert(callback));
                        handles.push(Handle::Callback(callback));
                    }
                }
                1 => {
                    if let Ok(stream) = self.conn.open_stream(Direction::Outgoing) {
                        world.next += 1;
                        assert!(self.senders.insert(stream, world.next).is_none());
                        handles.push(Handle::Stream(stream));
                    }
                }
                _ => {
                    if let Ok(stream) = self.conn.open_stream(Direction::Incoming) {
                        assert!(self.receivers.insert(stream, None).is_none());
                        handles.push(Handle::Stream(stream));
                    }
                }
            }
        }
        handles
    }

    pub(crate) fn got_handles(
        &mut self,
        random: &mut Random,
        world: &mut World,
        handles: Vec<Received>,
    ) {
        for handle in handles {
            if random.one_in(8) {
                if let Received::Receiver(stream) | Received::Sender(stream) = handle {
                    self.given_up.insert(stream);
                }
                if let Received::Sender(stream) = handle {
                    // One event says that it is gone.
                    self.ended.insert(stream);
                    world.next += 1;
                    self.senders.insert(stream, world.next);
                    world.streams.entry(world.next).or_default().reset = true;
                }
                self.conn.dispose(handle, Code::DROPPED);
                continue;
            }
            match handle {
                Received::Sender(stream) => {
                    world.next += 1;
                    assert!(self.senders.insert(stream, world.next).is_none());
                }
                Received::Receiver(stream) => {
                    assert!(self.receivers.insert(stream, None).is_none());
                }
                Received::Callback(callback) => self.remote.push(callback),
                _ => unreachable!(),
            }
        }
    }

    pub(crate) fn take_items(
        &mut self,
        random: &mut Random,
        world: &mut World,
        stream: StreamId,
        mut items: Items,
    ) {
        let cost = items.cost();
        let handles = items.take_handles();
        while let Some(item) = items.next() {
            if item.is_empty() {
                continue;
            }
            let tag = u32::from_le_bytes(item[..4].try_into().unwrap());
            let sequence = u32::from_le_bytes(item[4..8].try_into().unwrap());
            let known = self.receivers.get_mut(&stream).unwrap();
            assert_eq!(*known.get_or_insert(tag), tag);
            let truth = world.streams.get_mut(&tag).unwrap();
            assert_eq!(sequence, truth.got, "{}: items out of order", self.name);
            truth.got += 1;
            assert!(item[8..].iter().all(|&byte| u32::from(byte) == tag % 256));
        }
        self.got_handles(random, world, handles);
        if random.one_in(2) {
            self.held.push((stream, cost));
        } else {
            self.conn.consume(stream, cost);
        }
    }

    pub(crate) fn read(
        &mut self,
        random: &mut Random,
        world: &mut World,
        stream: StreamId,
    ) -> bool {
        match self.conn.read(stream) {
            Read::Items(items) => {
                self.take_items(random, world, stream, items);
                true
            }
            Read::Pending => false,
            Read::End { code, .. } => {
                let tag = self.receivers.remove(&stream).unwrap();
                self.given_up.insert(stream);
                if let Some(truth) = tag.and_then(|tag| world.streams.get(&tag))
                    && code == Code::OK
                {
                    assert!(truth.finished);
                    assert_eq!(truth.got, truth.sent, "{}: items are missing", self.name);
                }
                self.held.retain(|&(other, _)| other != stream);
                false
            }
            _ => unreachable!(),
        }
    }

    fn read_arguments(&mut self, random: &mut Random, world: &mut World, call: IncomingId) {
        match self.conn.read_arguments(call) {
            Arguments::Part(bytes) => {
                assert!(!bytes.is_empty());
                if !random.one_in(4) {
                    self.conn.consume_arguments(call, bytes.len());
                }
            }
            Arguments::End { handles } => {
                self.taken.remove(&call);
                self.got_handles(random, world, handles);
            }
            Arguments::Pending | Arguments::Over { .. } => {}
            _ => unreachable!(),
        }
    }

    /// What came before the end of the wire can still be read, to the end of each stream.
    pub(crate) fn read_rest(&mut self, random: &mut Random, world: &mut World) {
        while let Some((&stream, _)) = self.receivers.first_key_value() {
            while self.read(random, world, stream) {}
            assert!(!self.receivers.contains_key(&stream), "{}: no end", self.name);
        }
    }

    /// Lets go of it unread.
    pub(crate) fn drop_rest(&mut self) {
        for (stream, _) in std::mem::take(&mut self.receivers) {
            self.conn.stop(stream, Code::DROPPED);
            self.held.retain(|&(other, _)| other != stream);
            self.given_up.insert(stream);
        }
    }

    pub(crate) fn poll(&mut self, random: &mut Random, world: &mut World) {
        while let Some(event) = self.conn.poll_event() {
            assert!(!self.closed, "{}: {event:?} after the end", self.name);
            match event {
                Event::Call { call, handles, .. } => {
                    assert!(self.incoming.insert(call));
                    self.got_handles(random, world, handles);
                }
                Event::Opened { call, .. } => {
                    if random.one_in(2) && self.conn.take_arguments(call) {
                        assert!(self.incoming.insert(call));
                        self.taken.insert(call);
                    }
                }
                Event::Arguments(call) => {
                    assert!(self.taken.contains(&call));
                    if random.one_in(2) {
                        self.read_arguments(random, world, call);
                    }
                }
                Event::Answer { call, handles, .. } => {
                    assert!(self.calls.remove(&call), "{}: a second end of {call:?}", self.name);
                    self.unfinished.remove(&call);
                    self.got_handles(random, world, handles);
                }
                Event::Failed { call, .. } => {
                    assert!(self.calls.remove(&call), "{}: a second end of {call:?}", self.name);
                    self.unfinished.remove(&call);
                }
                Event::Cancelled { call, code } => {
                    if self.incoming.contains(&call) && random.one_in(2) {
                        self.incoming.remove(&call);
                        self.conn.fail(call, &Failure::new(code, Started::Yes));
                    }
                }
                // These may be about what was given up after they were queued.
                Event::Readable(stream) => {
                    assert!(
                        self.receivers.contains_key(&stream) || self.given_up.contains(&stream)
                    );
                }
                Event::Writable(stream) => {
                    assert!(self.blocked.remove(&stream) || self.given_up.contains(&stream));
                }
                Event::Stopped { stream, code } => {
                    let tag = self.senders.remove(&stream).expect("stopped once");
                    let truth = world.streams.entry(tag).or_default();
                    truth.stopped = true;
                    if code == Code::OK && truth.finished && !truth.reset {
                        assert_eq!(truth.got, truth.sent);
                    }
                    self.ended.remove(&stream);
                    self.blocked.remove(&stream);
                }
                Event::Released(callback) => assert!(self.callbacks.remove(&callback)),
                Event::Closed { .. } => {
                    self.closed = true;
                    assert_eq!(self.calls, BTreeSet::new(), "{}: calls without an end", self.name);
                }
                Event::Hello { .. }
                | Event::Bound { .. }
                | Event::GoingAway { .. }
                | Event::Pong { .. } => {}
                _ => unreachable!(),
            }
        }
    }

    pub(crate) fn open_call(&mut self, random: &mut Random, world: &mut World, now: Instant) {
        let target = if random.one_in(3)
            && let Some(callback) = random.pick(&self.remote)
        {
            Target::Callback(callback)
        } else if random.one_in(20) || self.targets.is_empty() {
            let target = self.conn.bind("procedure", 1);
            self.targets.push(target.clone());
            target
        } else {
            self.targets[random.below(self.targets.len())].clone()
        };
        let options = CallOptions {
            deadline: random.one_in(5).then(|| Duration::from_millis(random.next() % 3000)),
            priority: random
                .pick(&[Priority::Normal, Priority::Normal, Priority::Low, Priority::High])
                .unwrap(),
            more: random.one_in(10),
        };
        let payload = vec![1; random.size(20_000)];
        let handles = self.make_handles(random, world);
        match self.conn.open_call(now, &target, payload.into(), &handles, options) {
            Ok(call) => {
                assert!(self.calls.insert(call));
                if options.more {
                    self.unfinished.insert(call);
                }
            }
            Err(
                CallError::Closed
                | CallError::GoingAway
                | CallError::TooLarge { .. }
                | CallError::Released,
            ) => {}
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn send(&mut self, random: &mut Random, world: &mut World, stream: StreamId) {
        let tag = self.senders[&stream];
        let truth = world.streams.entry(tag).or_default();
        let mut item = Vec::new();
        let counted = !random.one_in(10);
        if counted {
            item.extend_from_slice(&tag.to_le_bytes());
            item.extend_from_slice(&truth.sent.to_le_bytes());
            item.resize(8 + random.size(9000), tag.to_le_bytes()[0]);
        }
        let result = if random.one_in(10) {
            let handles = self.make_handles(random, world);
            let result = self.conn.send_item_with(stream, item, &handles).map_err(|(e, _)| e);
            if result == Err(SendError::Blocked) {
                // They were not taken: give them up.
                for handle in handles {
                    match handle {
                        Handle::Stream(stream) => {
                            self.conn.reset(stream, Code::DROPPED, "");
                            self.conn.stop(stream, Code::DROPPED);
                            self.receivers.remove(&stream);
                            self.given_up.insert(stream);
                        }
                        Handle::Callback(callback) => self.conn.discard_callback(callback),
                        _ => unreachable!(),
                    }
                }
            }
            result
        } else {
            self.conn.send_item(stream, &item)
        };
        match result {
            Ok(()) => {
                assert!(!self.ended.contains(&stream));
                world.streams.entry(tag).or_default().sent += u32::from(counted);
            }
            Err(SendError::Blocked) => {
                self.blocked.insert(stream);
            }
            Err(SendError::Finished | SendError::TooLarge { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Something that an application may do.
    pub(crate) fn act(&mut self, random: &mut Random, world: &mut World, now: Instant) {
        let senders: Vec<_> = self.senders.keys().copied().collect();
        let receivers: Vec<_> = self.receivers.keys().copied().collect();
        let incoming: Vec<_> = self.incoming.iter().copied().collect();
        match random.below(20) {
            0..3 => self.open_call(random, world, now),
            3..6 => {
                let Some(call) = random.pick(&incoming) else { return };
                self.incoming.remove(&call);
                if random.one_in(4) {
                    self.conn.fail(call, &Failure::new(Code::FAILED, Started::Yes).with_text("no"));
                } else {
                    let payload = vec![2; random.size(20_000)];
                    let handles = self.make_handles(random, world);
                    let _ = self.conn.answer(now, call, payload.into(), &handles);
                }
            }
            6 => {
                let taken: Vec<_> = self.taken.iter().copied().collect();
                if let Some(call) = random.pick(&taken) {
                    self.read_arguments(random, world, call);
                } else if let Some(call) = random.pick(&incoming) {
                    self.conn.release_arguments(call);
                }
            }
            7 => {
                let calls: Vec<_> = self.calls.iter().copied().collect();
                if let Some(call) = random.pick(&calls)
                    && random.one_in(3)
                {
                    self.conn.cancel(call, Code::CANCELLED);
                    self.calls.remove(&call);
                    self.unfinished.remove(&call);
                }
            }
            8 => {
                let calls: Vec<_> = self.unfinished.iter().copied().collect();
                if let Some(call) = random.pick(&calls) {
                    let last = random.one_in(4);
                    let handles = self.make_handles(random, world);
                    let bytes = vec![3; random.size(9000)];
                    let sent = self.conn.send_arguments(call, &bytes, &handles, last);
                    if sent == Err(CallError::Finished) || last && sent.is_ok() {
                        self.unfinished.remove(&call);
                    }
                }
            }
            9..13 => {
                if let Some(stream) = random.pick(&senders) {
                    if random.one_in(10) {
                        let class = [Priority::Low, Priority::Normal, Priority::High];
                        self.conn.prioritize(stream, random.pick(&class).unwrap());
                    }
                    for _ in 0..random.below(20) {
                        self.send(random, world, stream);
                    }
                }
            }
            13..16 => {
                if let Some(stream) = random.pick(&receivers) {
                    self.read(random, world, stream);
                }
            }
            16 => {
                if !self.held.is_empty() {
                    let (stream, cost) = self.held.swap_remove(random.below(self.held.len()));
                    self.conn.consume(stream, cost);
                }
            }
            17 => {
                if let Some(stream) = random.pick(&senders)
                    && self.ended.insert(stream)
                {
                    let truth = world.streams.entry(self.senders[&stream]).or_default();
                    if random.one_in(3) {
                        truth.reset = true;
                        self.conn.reset(stream, Code::FAILED, "reset");
                    } else {
                        truth.finished = true;
                        self.conn.finish(stream);
                    }
                    self.blocked.remove(&stream);
                    self.given_up.insert(stream);
                }
            }
            18 => {
                if let Some(stream) = random.pick(&receivers)
                    && random.one_in(3)
                {
                    self.conn.stop(stream, Code::DROPPED);
                    self.receivers.remove(&stream);
                    self.given_up.insert(stream);
                    self.held.retain(|&(other, _)| other != stream);
                }
            }
            _ => match random.below(3) {
                0 if !self.remote.is_empty() => {
                    let callback = self.remote.swap_remove(random.below(self.remote.len()));
                    self.conn.release_callback(callback);
                }
                1 => {
                    let callbacks: Vec<_> = self.callbacks.iter().copied().collect();
                    if let Some(callback) = random.pick(&callbacks) {
                        self.conn.revoke_callback(callback);
                    }
                }
                _ => self.conn.ping(now),
            },
        }
    }

    /// Ends everything, as an application does that wants to go.
    pub(crate) fn wind_up(&mut self, random: &mut Random, world: &mut World) {
        for call in std::mem::take(&mut self.incoming) {
            self.conn.fail(call, &Failure::new(Code::FAILED, Started::Yes));
        }
        for call in std::mem::take(&mut self.unfinished) {
            let _ = self.conn.send_arguments(call, b"", &[], true);
        }
        for (stream, cost) in std::mem::take(&mut self.held) {
            self.conn.consume(stream, cost);
        }
        let senders: Vec<_> = self.senders.iter().map(|(&stream, &tag)| (stream, tag)).collect();
        for (stream, tag) in senders {
            if self.ended.insert(stream) {
                world.streams.entry(tag).or_default().finished = true;
                self.conn.finish(stream);
                self.blocked.remove(&stream);
                self.given_up.insert(stream);
            }
        }
        let receivers: Vec<_> = self.receivers.keys().copied().collect();
        for stream in receivers {
            while self.read(random, world, stream) {}
        }
        for callback in std::mem::take(&mut self.remote) {
            self.conn.release_callback(callback);
        }
    }
}
