//! The tables.

use std::{
    borrow::Cow,
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
    task::Waker,
};

use ipfi_proto::{
    CallId, CallbackId, Cause, Code, Connection, Failure, IncomingId, Instant, Received, Started,
    StreamId, Target,
};

use crate::{
    scope::{self, Give},
    serve::{Cancel, Procedure},
    shape::Fnv,
    shared::{Shared, calls::Calls},
    stream::Outlet,
};

/// A stream, as its handle sees it.
pub(super) struct StreamSlot {
    pub(super) id: StreamId,
    /// Of the receiver.
    pub(super) waker: Option<Waker>,
    /// Of the sender.
    pub(super) outlet: Option<Arc<Outlet>>,
    pub(super) stopped: Option<Code>,
}

/// A callback of ours.
struct Export {
    id: CallbackId,
    procedure: Procedure,
}

/// What a number stands for that the peer calls by: a procedure of the interface, or why not.
pub(super) type Bound = Result<usize, (Code, Box<str>)>;

/// A procedure of the peer that has a number.
struct Binding {
    name: Box<str>,
    key: usize,
    number: u32,
}

pub(crate) struct State {
    pub(crate) engine: Connection,
    /// The driver sleeps and has to be woken.
    pub(crate) asleep: bool,
    /// Why it is over, once everybody was told. The engine knows it before.
    pub(crate) closed: Option<Cause>,
    pub(super) close_wakers: Vec<Waker>,
    /// The last round trip that was measured.
    pub(crate) pong: Option<std::time::Duration>,
    pub(crate) pong_wakers: Vec<Waker>,
    pub(crate) calls: Calls,
    pub(super) streams: Vec<Option<StreamSlot>>,
    exports: Vec<Option<Export>>,
    running: Vec<Option<(IncomingId, Arc<Cancel>)>>,
    /// Procedures that wait for more of their arguments.
    parts: Vec<(IncomingId, Waker)>,
    /// What the peer calls by numbers.
    pub(super) bound: Vec<Bound>,
    /// Who waits until no more than so many bytes of arguments are unsent.
    arguments: Vec<(CallId, usize, Waker)>,
    bindings: Vec<Binding>,
    by_hash: HashMap<u64, usize, BuildHasherDefault<Same>>,
    /// The one of the last call.
    recent: usize,
    /// Streams with items that the engine does not have yet.
    pub(super) full: Vec<(StreamId, Arc<Outlet>)>,
}

impl State {
    pub(super) fn new(engine: Connection) -> Self {
        Self {
            engine,
            asleep: false,
            closed: None,
            close_wakers: Vec::new(),
            pong: None,
            pong_wakers: Vec::new(),
            calls: Calls::default(),
            streams: Vec::new(),
            exports: Vec::new(),
            running: Vec::new(),
            parts: Vec::new(),
            bound: Vec::new(),
            arguments: Vec::new(),
            bindings: Vec::new(),
            by_hash: HashMap::default(),
            recent: 0,
            full: Vec::new(),
        }
    }

    // ---- calls of ours ----

    /// What to call for this name and signature.
    #[inline]
    pub(crate) fn target(&mut self, name: &str, fingerprint: Option<fn() -> u64>) -> Target {
        // Different functions for different types, so that the type need not be 'static.
        let key = fingerprint.map_or(0, |fingerprint| fingerprint as usize);
        let is_it = |binding: &&Binding| binding.key == key && *binding.name == *name;
        // Most often the same as the last time.
        if let Some(binding) = self.bindings.get(self.recent).filter(is_it) {
            return Target::Procedure(binding.number);
        }
        let mut hash = Fnv::new();
        hash.bytes(name.as_bytes());
        let hash = hash.0 ^ key as u64;
        if let Some(&index) = self.by_hash.get(&hash)
            && let Some(binding) = self.bindings.get(index).filter(is_it)
        {
            self.recent = index;
            return Target::Procedure(binding.number);
        }
        let target = self.engine.bind(name, fingerprint.map_or(0, |fingerprint| fingerprint()));
        // Without a number now, perhaps with one later.
        if let Target::Procedure(number) = target {
            self.by_hash.entry(hash).or_insert(self.bindings.len());
            self.bindings.push(Binding { name: name.into(), key, number });
        }
        target
    }

    /// Wakes when no more than `unsent` bytes of the arguments of a call are left to be sent. The
    /// driver sees to that, so it has to do the writing itself.
    pub(crate) fn wait_for_arguments(
        &mut self,
        call: CallId,
        unsent: usize,
        cx: &std::task::Context<'_>,
    ) {
        self.arguments.retain(|(other, ..)| *other != call);
        self.arguments.push((call, unsent, cx.waker().clone()));
    }

    #[inline]
    pub(crate) fn has_unsent_arguments(&self) -> bool {
        !self.arguments.is_empty()
    }

    #[cold]
    pub(super) fn arguments_sent(&mut self) -> impl Iterator<Item = Waker> {
        let engine = &self.engine;
        let sent = |(call, unsent, _): &mut (CallId, usize, Waker)| {
            engine.unsent_arguments(*call) <= *unsent
        };
        let woken: Vec<_> = self.arguments.extract_if(.., sent).collect();
        woken.into_iter().map(|(.., waker)| waker)
    }

    // ---- calls of the peer ----

    pub(crate) fn answer(
        &mut self,
        shared: &Arc<Shared>,
        id: IncomingId,
        bytes: Cow<'_, [u8]>,
        given: Vec<Give>,
        refused: &mut Vec<Give>,
    ) {
        // The engine does not look at the time here.
        let now = Instant::from_micros(0);
        match scope::export(shared, self, given) {
            // If nobody waits any more, nobody waits any more.
            Ok(handles) => drop(self.engine.answer(now, id, bytes, &handles)),
            Err((error, given)) => {
                let failure = Failure::new(Code::REFUSED, Started::Yes);
                self.engine.fail(id, &failure.with_text(error.to_string()));
                refused.extend(given);
            }
        }
    }

    pub(super) fn set_running(&mut self, id: IncomingId, cancel: Arc<Cancel>) {
        let index = id.index();
        if index >= self.running.len() {
            self.running.resize_with(index + 1, || None);
        }
        if let Some(entry) = self.running.get_mut(index) {
            *entry = Some((id, cancel));
        }
    }

    pub(super) fn clear_running(&mut self, id: IncomingId) -> Option<Arc<Cancel>> {
        let entry = self.running.get_mut(id.index())?;
        if entry.as_ref().is_some_and(|(running, _)| *running == id) {
            return entry.take().map(|(_, cancel)| cancel);
        }
        None
    }

    pub(super) fn running(&self, id: IncomingId) -> Option<Arc<Cancel>> {
        let (running, cancel) = self.running.get(id.index())?.as_ref()?;
        (*running == id).then(|| cancel.clone())
    }

    pub(super) fn drain_running(&mut self) -> impl Iterator<Item = Arc<Cancel>> {
        std::mem::take(&mut self.running).into_iter().flatten().map(|(_, cancel)| cancel)
    }

    /// Wakes when more of the arguments of a call came, or no more will.
    pub(crate) fn wait_for_part(&mut self, call: IncomingId, cx: &std::task::Context<'_>) {
        self.parts.retain(|(other, _)| *other != call);
        self.parts.push((call, cx.waker().clone()));
    }

    pub(super) fn part_came(&mut self, call: IncomingId) -> Option<Waker> {
        let place = self.parts.iter().position(|(other, _)| *other == call)?;
        Some(self.parts.swap_remove(place).1)
    }

    pub(super) fn parts_lost(&mut self) -> impl Iterator<Item = Waker> {
        std::mem::take(&mut self.parts).into_iter().map(|(_, waker)| waker)
    }

    // ---- callbacks of ours ----

    pub(crate) fn export(&mut self, id: CallbackId, procedure: Procedure) {
        let index = id.index();
        if index >= self.exports.len() {
            self.exports.resize_with(index + 1, || None);
        }
        if let Some(entry) = self.exports.get_mut(index) {
            *entry = Some(Export { id, procedure });
        }
    }

    pub(crate) fn exported(&self, id: CallbackId) -> Option<Procedure> {
        let export = self.exports.get(id.index())?.as_ref()?;
        (export.id == id).then(|| export.procedure.clone())
    }

    pub(super) fn unexport(&mut self, id: CallbackId) -> Option<Procedure> {
        let entry = self.exports.get_mut(id.index())?;
        entry.take_if(|export| export.id == id).map(|export| export.procedure)
    }

    pub(super) fn drain_exports(&mut self) -> impl Iterator<Item = Procedure> {
        std::mem::take(&mut self.exports).into_iter().flatten().map(|export| export.procedure)
    }

    // ---- streams ----

    /// What came with a message has a place from now on.
    pub(crate) fn register(&mut self, handles: &[Received]) {
        for handle in handles {
            if let Received::Sender(id) | Received::Receiver(id) = *handle {
                self.add_stream(id, None);
            }
        }
    }

    pub(crate) fn add_stream(&mut self, id: StreamId, outlet: Option<Arc<Outlet>>) {
        let index = id.index();
        if index >= self.streams.len() {
            self.streams.resize_with(index + 1, || None);
        }
        if let Some(entry) = self.streams.get_mut(index) {
            *entry = Some(StreamSlot { id, waker: None, outlet, stopped: None });
        }
    }

    pub(super) fn stream_mut(&mut self, id: StreamId) -> Option<&mut StreamSlot> {
        self.streams.get_mut(id.index())?.as_mut().filter(|slot| slot.id == id)
    }

    pub(crate) fn remove_stream(&mut self, id: StreamId) {
        if let Some(entry) = self.streams.get_mut(id.index()) {
            entry.take_if(|slot| slot.id == id);
        }
    }

    /// Whom to wake when there is something to read.
    pub(crate) fn reader(&mut self, id: StreamId) -> Option<&mut Option<Waker>> {
        self.stream_mut(id).map(|slot| &mut slot.waker)
    }

    /// A sender that came in a message has its handle now; says if the stream is over already.
    pub(crate) fn claim(&mut self, id: StreamId, outlet: &Arc<Outlet>) -> Option<Code> {
        let Some(slot) = self.stream_mut(id) else { return Some(Code::WIRE_LOST) };
        slot.outlet = Some(outlet.clone());
        slot.stopped
    }

    /// The stream has items that the engine does not have.
    pub(crate) fn mark_full(&mut self, id: StreamId, outlet: Arc<Outlet>) {
        self.full.push((id, outlet));
    }

    pub(crate) fn on_close(&mut self, cx: &std::task::Context<'_>) {
        if !self.close_wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.close_wakers.push(cx.waker().clone());
        }
    }
}

/// The keys are hashes already.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut hash = Fnv(self.0);
        hash.bytes(bytes);
        self.0 = hash.0;
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
