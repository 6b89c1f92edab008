//! What all handles of a wire and its driver share: the engine and the tables, under one lock.

mod calls;
mod events;
mod state;

use std::{
    any::Any,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
};

use ipfi_proto::{Code, Connection, IncomingId, Instant, Received};

use crate::{
    Codec, Interface,
    scope::{self, Give},
    serve::{Answer, BoxFuture, Cancel},
    sync::lock,
};

pub(crate) use self::calls::Slot;
pub(crate) use self::events::Batch;
pub(crate) use self::state::State;

/// What a driver does for the handles of its wire.
pub(crate) trait Runtime: Send + Sync {
    /// The time by the clock of the driver.
    fn now(&self) -> Instant;
    /// Makes the driver look at the engine soon.
    fn wake(&self);
    /// Writes what waits right now, on this thread, if that cannot block. Otherwise wakes.
    fn flush(&self, shared: &Arc<Shared>);
    /// Runs a future.
    fn spawn(&self, future: BoxFuture<()>);
    /// Runs something that may block its thread.
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>);
}

/// What is known of the peer besides the bytes.
#[derive(Clone, Default)]
pub(crate) struct About {
    pub(crate) peer: Option<String>,
    pub(crate) data: Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) deadline: Option<std::time::Duration>,
}

/// One end of a wire.
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) interface: Arc<Interface>,
    pub(crate) about: About,
    codec: AtomicU8,
    runtime: OnceLock<Box<dyn Runtime>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("peer", &self.about.peer).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(
        engine: Connection,
        codec: u8,
        interface: Arc<Interface>,
        about: About,
    ) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new(engine)),
            interface,
            about,
            codec: AtomicU8::new(codec),
            runtime: OnceLock::new(),
        })
    }

    /// To be called once, before anything else.
    pub(crate) fn drive_with(&self, runtime: Box<dyn Runtime>) {
        let _ = self.runtime.set(runtime);
    }

    #[inline]
    pub(crate) fn runtime(&self) -> &dyn Runtime {
        // Set before anybody gets a handle.
        self.runtime.get().map_or(&NoRuntime, |runtime| &**runtime)
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Unlocks, and wakes the driver if it sleeps.
    #[inline]
    pub(crate) fn kick(&self, mut state: MutexGuard<'_, State>) {
        let asleep = std::mem::replace(&mut state.asleep, false);
        drop(state);
        if asleep {
            self.runtime().wake();
        }
    }

    /// The codec of this wire.
    #[inline]
    pub(crate) fn codec(&self) -> Result<Codec, String> {
        Codec::of(self.codec_number())
    }

    /// Its number, also if it is not compiled in; 0 as long as nobody named it.
    #[inline]
    pub(crate) fn codec_number(&self) -> u8 {
        self.codec.load(Ordering::Relaxed)
    }

    fn set_codec(&self, codec: u8) {
        self.codec.store(codec, Ordering::Relaxed);
    }

    /// Lets go of what came in a message and is not wanted.
    pub(crate) fn dispose(&self, handles: impl Iterator<Item = Received>, code: Code) {
        let mut handles = handles.peekable();
        if handles.peek().is_none() {
            return;
        }
        let mut state = self.lock();
        for handle in handles {
            state.engine.dispose(handle, code);
        }
        self.kick(state);
    }

    /// Remembers whom to tell when the caller gives up; `false` if that is now.
    pub(crate) fn start_running(&self, id: IncomingId, cancel: &Arc<Cancel>) -> bool {
        let mut state = self.lock();
        if state.closed.is_some() {
            drop(state);
            cancel.cancel(Code::WIRE_LOST);
            return false;
        }
        state.set_running(id, cancel.clone());
        true
    }

    /// Hands the outcome of a procedure that ran on a task to the engine.
    pub(crate) fn finish_running(self: &Arc<Self>, id: IncomingId, answer: Answer) {
        let mut refused: Vec<Give> = Vec::new();
        let mut state = self.lock();
        let cancel = state.clear_running(id);
        match answer {
            Ok((bytes, given)) => state.answer(self, id, bytes.into(), given, &mut refused),
            Err(failure) => state.engine.fail(id, &failure),
        }
        self.kick(state);
        drop(cancel);
        scope::refuse(refused);
    }
}

/// What there is before there is a driver: nothing.
struct NoRuntime;

impl Runtime for NoRuntime {
    fn now(&self) -> Instant {
        Instant::from_micros(0)
    }
    fn wake(&self) {}
    fn flush(&self, _: &Arc<Shared>) {}
    fn spawn(&self, _: BoxFuture<()>) {}
    fn spawn_blocking(&self, _: Box<dyn FnOnce() + Send>) {}
}
