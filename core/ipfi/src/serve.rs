//! Running procedures: at once in the driver if they are ready at once, else on a task.

mod jobs;
mod line;

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Poll, Waker},
};

use ipfi_proto::{Code, Failure, IncomingId, Instant, Received, Started};

use self::jobs::Outcome;
pub(crate) use self::jobs::{Callee, Job, Jobs};
use crate::{queue::Permit, scope::Give, shared::Shared, sync::lock};

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
pub(crate) type Answer = Result<(Vec<u8>, Vec<Give>), Failure>;

/// A procedure whose types are forgotten.
pub(crate) type Procedure = Arc<dyn Fn(Incoming<'_>) -> Served + Send + Sync>;

/// What came of a call so far.
pub(crate) enum Served {
    /// The result was appended to [`Incoming::reply`].
    Done(Vec<Give>),
    Failed(Failure),
    /// It goes on. The flag says whether it sees to cancelling itself.
    Later(BoxFuture<Answer>, bool),
    /// It is for a thread of its own.
    Blocking(Box<dyn FnOnce() -> Answer + Send>),
}

/// A call, as a procedure sees it.
pub(crate) struct Incoming<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) payload: &'a [u8],
    pub(crate) handles: Vec<Received>,
    /// The arguments are to be had from the engine, by this.
    pub(crate) coming: Option<IncomingId>,
    pub(crate) reply: &'a mut Vec<u8>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) cancel: &'a mut Option<Arc<Cancel>>,
}

impl Incoming<'_> {
    /// What tells the procedure that nobody waits for it any more.
    pub(crate) fn cancel(&mut self) -> Arc<Cancel> {
        self.cancel.get_or_insert_with(Arc::default).clone()
    }
}

/// Tells a running procedure that nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Cancel {
    /// `u32::MAX` as long as somebody does.
    code: AtomicU32,
    wakers: Mutex<Vec<Waker>>,
}

impl Default for Cancel {
    fn default() -> Self {
        Self { code: AtomicU32::new(u32::MAX), wakers: Mutex::default() }
    }
}

impl Cancel {
    pub(crate) fn code(&self) -> Option<Code> {
        match self.code.load(Ordering::Acquire) {
            u32::MAX => None,
            code => Some(Code(code)),
        }
    }

    /// Wakes on cancelling.
    pub(crate) fn register(&self, waker: &Waker) -> Option<Code> {
        let mut wakers = lock(&self.wakers);
        if !wakers.iter().any(|other| other.will_wake(waker)) {
            wakers.push(waker.clone());
        }
        drop(wakers);
        self.code()
    }

    pub(crate) fn cancel(&self, code: Code) {
        let free =
            self.code.compare_exchange(u32::MAX, code.0, Ordering::AcqRel, Ordering::Acquire);
        if free.is_ok() {
            for waker in std::mem::take(&mut *lock(&self.wakers)) {
                waker.wake();
            }
        }
    }
}

/// Tries a future once, and gives it a task of its own if it is not ready.
fn later(
    shared: &Arc<Shared>,
    id: IncomingId,
    mut future: BoxFuture<Answer>,
    told: bool,
    cancel: Option<Arc<Cancel>>,
    permit: Permit,
    reply: &mut Vec<u8>,
) -> Outcome {
    // The task polls it again with a waker that means something.
    let mut nobody = std::task::Context::from_waker(Waker::noop());
    let first = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut nobody)));
    match first {
        Ok(Poll::Ready(Ok((bytes, given)))) => return Outcome::result(bytes, given, reply),
        Ok(Poll::Ready(failed)) => return Outcome::other(failed),
        Err(panic) => return Outcome::other(Err(panicked(&*panic))),
        Ok(Poll::Pending) => {}
    }
    let cancel = cancel.unwrap_or_default();
    // If the wire ended meanwhile, one that sees to that itself still has to be told.
    if shared.start_running(id, &cancel) || told {
        let task = Running {
            shared: shared.clone(),
            id,
            future: Some(future),
            told,
            cancel,
            _permit: permit,
        };
        shared.runtime().spawn(Box::pin(task));
    }
    Outcome::Running
}

/// A procedure on a task of its own.
struct Running {
    shared: Arc<Shared>,
    id: IncomingId,
    future: Option<BoxFuture<Answer>>,
    /// It has a `Context` and is told; others are dropped.
    told: bool,
    cancel: Arc<Cancel>,
    _permit: Permit,
}

impl Future for Running {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<()> {
        if !self.told
            && let Some(code) = self.cancel.register(cx.waker())
        {
            self.future = None;
            let answer = Err(Failure::new(code, Started::Yes));
            self.shared.finish_running(self.id, answer);
            return Poll::Ready(());
        }
        let Some(future) = &mut self.future else { return Poll::Ready(()) };
        let answer = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(answer)) => answer,
            Err(panic) => Err(panicked(&*panic)),
        };
        self.future = None;
        self.shared.finish_running(self.id, answer);
        Poll::Ready(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The runtime is shutting down.
        if self.future.take().is_some() {
            let answer = Err(Failure::new(Code::CANCELLED, Started::Yes));
            self.shared.finish_running(self.id, answer);
        }
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Failure::new(Code::PANICKED, Started::Yes).with_text(text)
}

/// A flag that is set once.
#[derive(Debug, Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    pub(crate) fn set(&self) -> bool {
        self.0.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
