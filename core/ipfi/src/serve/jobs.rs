//! Calls that came together are run one after another, and answered together.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use ipfi_proto::{Code, Failure, IncomingId, Instant, Received, Started};

use super::{Answer, Cancel, Incoming, Procedure, Served, later, line, panicked};
use crate::{
    queue::{Admission, Permit},
    scope::{self, Give},
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
    /// Its arguments are still coming.
    pub(crate) coming: bool,
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

    /// A result that was not put with the others yet.
    pub(super) fn result(bytes: Vec<u8>, given: Vec<Give>, replies: &mut Vec<u8>) -> Self {
        if !given.is_empty() || bytes.len() > SMALL {
            return Self::other(Ok((bytes, given)));
        }
        replies.extend_from_slice(&bytes);
        Self::Small(replies.len())
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
                let outcome =
                    run(shared, id, procedure, (payload, Vec::new(), None, None), replies);
                done.push((id, outcome));
            }
        }
        for Job { id, callee, payload, handles, deadline, coming } in others.drain(..) {
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
            let message = (&*payload, handles, deadline, coming.then_some(id));
            done.push((id, run(shared, id, procedure, message, replies)));
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

/// What came with a call. Not one struct with the rest: what was just written in pieces is slow to
/// copy as a whole.
pub(super) type Message<'a> = (&'a [u8], Vec<Received>, Option<Instant>, Option<IncomingId>);

fn run(
    shared: &Arc<Shared>,
    id: IncomingId,
    procedure: &Procedure,
    message: Message<'_>,
    reply: &mut Vec<u8>,
) -> Outcome {
    match shared.interface.admit(procedure) {
        Admission::Now(permit) => run_now(shared, id, procedure, message, None, permit, reply),
        Admission::Later(ticket) => {
            line::wait(shared, id, procedure, message, ticket);
            Outcome::Running
        }
        Admission::Never(bounds) => {
            shared.dispose(message.1.into_iter(), Code::REFUSED);
            let failure = Failure::new(Code::REFUSED, Started::No);
            Outcome::other(Err(failure.with_text(bounds)))
        }
    }
}

#[inline]
pub(super) fn run_now(
    shared: &Arc<Shared>,
    id: IncomingId,
    procedure: &Procedure,
    (payload, handles, deadline, coming): Message<'_>,
    mut cancel: Option<Arc<Cancel>>,
    permit: Permit,
    reply: &mut Vec<u8>,
) -> Outcome {
    let start = reply.len();
    let served = catch_unwind(AssertUnwindSafe(|| {
        let (reply, cancel) = (&mut *reply, &mut cancel);
        procedure(Incoming { shared, payload, handles, coming, reply, deadline, cancel })
    }));
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
        Served::Later(future, told) => later(shared, id, future, told, cancel, permit, reply),
        Served::Blocking(work) => {
            let cancel = cancel.unwrap_or_default();
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
