//! Calls that came together are run one after another, and answered together.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use ipfi_proto::{Code, Failure, IncomingId, Instant, Received, Started};

use super::{Answer, Incoming, Procedure, Served, later, line, panicked};
use crate::{
    queue::{Admission, Permit},
    scope,
    shared::Shared,
    trace::event,
};

/// Answers up to this many bytes are put together in one buffer.
const SMALL: usize = 2048;
/// Memory that is kept from batch to batch, in bytes.
const KEEP: usize = 64 * 1024;

/// What a call is to.
pub(crate) enum Callee {
    /// A procedure of the interface.
    Procedure(usize),
    /// A callback of ours, even if it was released right after the call.
    Callback(Procedure),
    /// Nothing that could be called, and why.
    Nobody(Failure),
}

/// A call that came and was not looked at.
pub(crate) struct Job {
    pub(crate) id: IncomingId,
    pub(crate) callee: Callee,
    pub(crate) payload: Vec<u8>,
    pub(crate) handles: Vec<Received>,
    pub(crate) deadline: Option<Instant>,
}

/// A job without handles and deadline, and with its arguments among those of others.
struct SmallJob {
    id: IncomingId,
    procedure: usize,
    /// Where its arguments end; they begin where those of the one before end.
    end: usize,
}

/// Calls that came together, and their results.
#[derive(Default)]
pub(crate) struct Jobs {
    /// These came before all others.
    small: Vec<SmallJob>,
    arguments: Vec<u8>,
    others: Vec<Job>,
    replies: Vec<u8>,
    done: Vec<(IncomingId, Outcome)>,
}

/// The outcome of one job.
pub(super) enum Outcome {
    /// Its result follows that of the one before, up to here.
    Small(usize),
    Other(Box<Answer>),
    Running,
}

impl Outcome {
    pub(super) fn other(answer: Answer) -> Self {
        Self::Other(Box::new(answer))
    }
}

impl Jobs {
    pub(crate) fn is_empty(&self) -> bool {
        self.small.is_empty() && self.others.is_empty()
    }

    /// Adds a job that came before all that were added by [`push`](Self::push).
    #[inline]
    pub(crate) fn push_small(&mut self, id: IncomingId, procedure: usize, arguments: &[u8]) {
        self.arguments.extend_from_slice(arguments);
        self.small.push(SmallJob { id, procedure, end: self.arguments.len() });
    }

    pub(crate) fn push(&mut self, job: Job) {
        self.others.push(job);
    }

    /// Takes a job out, if it is there; gives the handles that came with it.
    pub(crate) fn withdraw(&mut self, call: IncomingId) -> Option<Vec<Received>> {
        if let Some(job) = self.small.iter_mut().find(|job| job.id == call) {
            // Its place stays, because others go by it.
            if job.procedure == WITHDRAWN {
                return None;
            }
            job.procedure = WITHDRAWN;
            return Some(Vec::new());
        }
        let at = self.others.iter().position(|job| job.id == call)?;
        Some(self.others.remove(at).handles)
    }

    /// Runs all of them, and hands the results to the engine under one lock.
    pub(crate) fn run(&mut self, shared: &Arc<Shared>) {
        if self.is_empty() {
            return;
        }
        let Self { small, arguments, others, replies, done } = self;
        let mut start = 0;
        for SmallJob { id, procedure, end } in small.drain(..) {
            let payload = arguments.get(start..end).unwrap_or_default();
            start = end;
            if let Some(procedure) = shared.interface.serve(procedure) {
                let call = Incoming {
                    shared,
                    payload,
                    handles: Vec::new(),
                    reply: replies,
                    deadline: None,
                    cancel: &mut None,
                };
                done.push((id, run(id, procedure, call)));
            }
        }
        for Job { id, callee, payload, handles, deadline } in others.drain(..) {
            let callback;
            let procedure = match callee {
                Callee::Procedure(index) => match shared.interface.serve(index) {
                    Some(procedure) => procedure,
                    None => continue,
                },
                Callee::Callback(procedure) => {
                    callback = procedure;
                    &callback
                }
                Callee::Nobody(failure) => {
                    shared.dispose(handles.into_iter(), failure.code);
                    done.push((id, Outcome::other(Err(failure))));
                    continue;
                }
            };
            let (payload, reply, cancel) = (&*payload, &mut *replies, &mut None);
            let call = Incoming { shared, payload, handles, reply, deadline, cancel };
            done.push((id, run(id, procedure, call)));
        }
        answer(shared, replies, done);
        for buffer in [arguments, replies] {
            buffer.clear();
            if buffer.capacity() > KEEP {
                *buffer = Vec::new();
            }
        }
    }
}

/// No interface has as many procedures.
const WITHDRAWN: usize = usize::MAX - 1;

fn answer(shared: &Arc<Shared>, replies: &[u8], done: &mut Vec<(IncomingId, Outcome)>) {
    let mut refused = Vec::new();
    let mut start = 0;
    let mut state = shared.lock();
    for (id, outcome) in done.drain(..) {
        match outcome {
            Outcome::Small(end) => {
                let reply = replies.get(start..end).unwrap_or_default();
                start = end;
                // If nobody waits any more, nobody waits any more.
                let _ = state.engine.answer(Instant::from_micros(0), id, reply.into(), &[]);
            }
            Outcome::Other(answer) => match *answer {
                Ok((bytes, given)) => state.answer(shared, id, bytes.into(), given, &mut refused),
                Err(failure) => state.engine.fail(id, &failure),
            },
            Outcome::Running => {}
        }
    }
    drop(state);
    scope::refuse(refused);
}

fn run(id: IncomingId, procedure: &Procedure, call: Incoming<'_>) -> Outcome {
    match call.shared.interface.admit() {
        Admission::Now(permit) => run_now(id, procedure, call, permit),
        Admission::Later(ticket) => {
            line::wait(id, procedure, call, ticket);
            Outcome::Running
        }
        Admission::Never => {
            call.shared.dispose(call.handles.into_iter(), Code::REFUSED);
            let failure = Failure::new(Code::REFUSED, Started::No);
            Outcome::other(Err(failure.with_text("too many calls wait already")))
        }
    }
}

#[inline]
pub(super) fn run_now(
    id: IncomingId,
    procedure: &Procedure,
    call: Incoming<'_>,
    permit: Permit,
) -> Outcome {
    let Incoming { shared, payload, handles, reply, deadline, cancel } = call;
    let start = reply.len();
    let incoming = Incoming { shared, payload, handles, reply, deadline, cancel };
    let served = catch_unwind(AssertUnwindSafe(|| procedure(incoming)));
    let served = served.unwrap_or_else(|panic| Served::Failed(panicked(&*panic)));
    if let Served::Done(given) = served {
        if given.is_empty() && reply.len() - start <= SMALL {
            return Outcome::Small(reply.len());
        }
        return Outcome::other(Ok((reply.split_off(start), given)));
    }
    reply.truncate(start);
    match served {
        Served::Done(_) => Outcome::Running,
        Served::Failed(failure) => {
            event!(debug, peer = shared.about.peer, %failure, "call failed");
            Outcome::other(Err(failure))
        }
        Served::Later(future, told) => later(shared, id, future, told, cancel.take(), permit),
        Served::Blocking(work) => {
            let cancel = cancel.take().unwrap_or_default();
            if !shared.start_running(id, &cancel) {
                return Outcome::Running;
            }
            let shared_by_thread = shared.clone();
            shared.runtime().spawn_blocking(Box::new(move || {
                let answer = catch_unwind(AssertUnwindSafe(work));
                let answer = answer.unwrap_or_else(|panic| Err(panicked(&*panic)));
                shared_by_thread.finish_running(id, answer);
                drop(permit);
            }));
            Outcome::Running
        }
    }
}
