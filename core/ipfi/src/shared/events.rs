//! What the engine says, put into the tables.

use std::{sync::Arc, task::Waker};

use ipfi_proto::{CallId, Called, Code, Direct, Event, Failure, IncomingId, Instant, Started};

use super::{Shared, State, calls::Calls, state::Bound};
use crate::{
    serve::{Callee, Cancel, Job, Jobs, Procedure},
    trace::event,
};

/// What is to be done once the lock is open again.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) jobs: Jobs,
    wakers: Vec<Waker>,
    cancelled: Vec<(Arc<Cancel>, Code)>,
    /// Of others, so it is dropped without the lock.
    garbage: Vec<Procedure>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
            && self.wakers.is_empty()
            && self.cancelled.is_empty()
            && self.garbage.is_empty()
    }

    /// Does everything but the jobs.
    pub(crate) fn settle(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
        for (cancel, code) in self.cancelled.drain(..) {
            cancel.cancel(code);
        }
        self.garbage.clear();
    }
}

impl State {
    /// Takes bytes that came, and what follows from them.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        bytes: &[u8],
        shared: &Shared,
        batch: &mut Batch,
    ) {
        let Self { engine, bound, calls, .. } = self;
        // A violation is told by an event as well.
        let _ = engine.receive_with(now, bytes, &mut Tables { bound, calls, batch });
        self.process(shared, batch);
    }

    /// Takes all events of the engine, and items that wait for it.
    pub(crate) fn process(&mut self, shared: &Shared, batch: &mut Batch) {
        loop {
            while let Some(event) = self.engine.poll_event() {
                self.take(shared, event, batch);
            }
            if self.has_unsent_arguments() {
                batch.wakers.extend(self.arguments_sent());
            }
            if self.full.is_empty() {
                return;
            }
            for (id, outlet) in std::mem::take(&mut self.full) {
                batch.wakers.extend(outlet.drain(&mut self.engine, id));
            }
        }
    }

    #[inline]
    fn take(&mut self, shared: &Shared, event: Event, batch: &mut Batch) {
        match event {
            Event::Call { call, called, payload, handles, deadline, .. } => {
                self.register(&handles);
                let callee = match called {
                    Called::Procedure(number) => match self.bound.get(number as usize) {
                        Some(Ok(index)) => Callee::Procedure(*index),
                        other => nobody(other),
                    },
                    Called::Callback(id) => match self.exported(id) {
                        Some(procedure) => Callee::Callback(procedure),
                        None => Callee::Nobody(Failure::new(Code::NO_SUCH_CALLBACK, Started::No)),
                    },
                    Called::Named { name, fingerprint } => {
                        match shared.interface.find(&name, fingerprint) {
                            Ok(index) => Callee::Procedure(index),
                            Err((code, text)) => {
                                let failure = Failure::new(code, Started::No);
                                Callee::Nobody(failure.with_text(text))
                            }
                        }
                    }
                    _ => Callee::Nobody(Failure::new(Code::NO_SUCH_PROCEDURE, Started::No)),
                };
                let coming = false;
                batch.jobs.push(Job { id: call, callee, payload, handles, deadline, coming });
            }
            Event::Answer { call, payload, handles } => {
                self.register(&handles);
                batch.wakers.extend(self.calls.complete(call, Ok((payload, handles))));
            }
            Event::Failed { call, failure } => {
                batch.wakers.extend(self.calls.complete(call, Err(failure)));
            }
            Event::Readable(id) => {
                let slot = self.stream_mut(id);
                batch.wakers.extend(slot.and_then(|slot| slot.waker.take()));
            }
            Event::Writable(id) => {
                if let Some(outlet) = self.stream_mut(id).and_then(|slot| slot.outlet.clone()) {
                    self.full.push((id, outlet));
                }
            }
            other => self.take_rare(shared, other, batch),
        }
    }

    #[cold]
    fn take_rare(&mut self, shared: &Shared, event: Event, batch: &mut Batch) {
        match event {
            Event::Hello { codec, .. } => {
                event!(debug, peer = shared.about.peer, codec, "wire is open");
                let _ = codec;
                shared.set_codec(self.engine.codec());
            }
            Event::Bound { name, fingerprint, .. } => {
                event!(debug, peer = shared.about.peer, name, "peer uses a procedure");
                let found = shared.interface.find(&name, fingerprint);
                self.bound.push(found.map_err(|(code, text)| (code, text.into())));
            }
            Event::Opened { call, called, deadline, .. } => {
                let index = match called {
                    Called::Procedure(number) => match self.bound.get(number as usize) {
                        Some(Ok(index)) => *index,
                        _ => return,
                    },
                    Called::Named { name, fingerprint } => {
                        match shared.interface.find(&name, fingerprint) {
                            Ok(index) => index,
                            Err(_) => return,
                        }
                    }
                    _ => return,
                };
                if shared.interface.takes_arguments(index) && self.engine.take_arguments(call) {
                    let callee = Callee::Procedure(index);
                    let (payload, handles) = (Vec::new(), Vec::new());
                    let coming = true;
                    batch.jobs.push(Job { id: call, callee, payload, handles, deadline, coming });
                }
            }
            Event::Arguments(call) => batch.wakers.extend(self.part_came(call)),
            Event::Cancelled { call, code } => {
                event!(trace, peer = shared.about.peer, %code, "peer cancelled a call");
                if let Some(cancel) = self.running(call) {
                    batch.cancelled.push((cancel, code));
                } else if let Some(handles) = batch.jobs.withdraw(call) {
                    for handle in handles {
                        self.engine.dispose(handle, code);
                    }
                    self.engine.fail(call, &Failure::new(code, Started::No));
                }
            }
            Event::Stopped { stream, code } => {
                if let Some(slot) = self.stream_mut(stream) {
                    match slot.outlet.take() {
                        Some(outlet) => {
                            self.remove_stream(stream);
                            let (waiters, left) = outlet.end(code, None);
                            batch.wakers.extend(waiters);
                            self.engine.discard(&left);
                        }
                        None => slot.stopped = Some(code),
                    }
                }
            }
            Event::Released(id) => batch.garbage.extend(self.unexport(id)),
            Event::Closed { cause } => {
                event!(debug, peer = shared.about.peer, %cause, "wire is closed");
                for slot in std::mem::take(&mut self.streams).into_iter().flatten() {
                    batch.wakers.extend(slot.waker);
                    if let Some(outlet) = slot.outlet {
                        // What is left went with the wire.
                        let (waiters, _) = outlet.end(Code::WIRE_LOST, Some(&cause));
                        batch.wakers.extend(waiters);
                    }
                }
                batch.wakers.append(&mut self.close_wakers);
                batch.wakers.extend(self.parts_lost());
                batch.garbage.extend(self.drain_exports());
                let running = self.drain_running();
                batch.cancelled.extend(running.map(|cancel| (cancel, Code::WIRE_LOST)));
                self.closed = Some(cause);
            }
            Event::Pong { round_trip } => {
                self.pong = Some(round_trip);
                batch.wakers.append(&mut self.pong_wakers);
            }
            _ => {}
        }
    }
}

/// Where the engine puts small calls and answers.
struct Tables<'a> {
    bound: &'a [Bound],
    calls: &'a mut Calls,
    batch: &'a mut Batch,
}

impl Direct for Tables<'_> {
    #[inline]
    fn call(&mut self, id: IncomingId, procedure: u32, payload: &[u8]) {
        match self.bound.get(procedure as usize) {
            Some(Ok(index)) => self.batch.jobs.push_small(id, *index, payload),
            other => {
                let callee = nobody(other);
                let (payload, handles) = (Vec::new(), Vec::new());
                let (deadline, coming) = (None, false);
                self.batch.jobs.push(Job { id, callee, payload, handles, deadline, coming });
            }
        }
    }

    #[inline]
    fn answer(&mut self, call: CallId, payload: &[u8]) {
        self.batch.wakers.extend(self.calls.complete_small(call, payload));
    }
}

/// Whom the peer calls by a number that stands for nothing.
#[cold]
fn nobody(bound: Option<&Bound>) -> Callee {
    Callee::Nobody(match bound {
        Some(Err((code, text))) => Failure::new(*code, Started::No).with_text(&**text),
        Some(Ok(_)) | None => Failure::new(Code::NO_SUCH_PROCEDURE, Started::No),
    })
}
