//! Threads for procedures of blocking wires: as many as there is to do, and gone when idle.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use crate::{serve::BoxFuture, sync::lock};

/// How long a thread waits for more to do.
const IDLE: Duration = Duration::from_secs(10);
/// More threads than this are never started; what comes then waits.
const MAX: usize = 512;

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    work: VecDeque<Work>,
    threads: usize,
    idle: usize,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue { work: VecDeque::new(), threads: 0, idle: 0 });
static MORE: Condvar = Condvar::new();

/// Runs something that may block.
pub(super) fn run(work: Work) {
    let mut queue = lock(&QUEUE);
    queue.work.push_back(work);
    if queue.work.len() <= queue.idle {
        MORE.notify_one();
    } else if queue.threads < MAX {
        let spawned = thread::Builder::new().name("ipfi worker".into()).spawn(work_on);
        queue.threads += usize::from(spawned.is_ok());
    }
}

fn work_on() {
    let mut queue = lock(&QUEUE);
    loop {
        if let Some(work) = queue.work.pop_front() {
            drop(queue);
            // It catches its own panics.
            work();
            queue = lock(&QUEUE);
            continue;
        }
        queue.idle += 1;
        let (guard, wait) = MORE.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner);
        queue = guard;
        queue.idle -= 1;
        if wait.timed_out() && queue.work.is_empty() {
            queue.threads -= 1;
            return;
        }
    }
}

/// A future that runs whenever it is woken.
struct Task {
    future: Mutex<State>,
}

enum State {
    /// Waits to be woken.
    Idle(BoxFuture<()>),
    /// Is being polled; `true` if it was woken meanwhile.
    Polled(bool),
    /// Waits for a thread.
    Queued(BoxFuture<()>),
    Done,
}

/// Runs a future.
pub(super) fn spawn(future: BoxFuture<()>) {
    let task = Arc::new(Task { future: Mutex::new(State::Idle(future)) });
    task.wake();
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let mut state = lock(&self.future);
        match std::mem::replace(&mut *state, State::Done) {
            State::Idle(future) => {
                *state = State::Queued(future);
                drop(state);
                run(Box::new(move || self.poll()));
            }
            State::Polled(_) => *state = State::Polled(true),
            other @ (State::Queued(_) | State::Done) => *state = other,
        }
    }
}

impl Task {
    fn poll(self: Arc<Self>) {
        let waker = Waker::from(self.clone());
        let mut cx = Context::from_waker(&waker);
        let mut state = lock(&self.future);
        let State::Queued(mut future) = std::mem::replace(&mut *state, State::Polled(false)) else {
            return;
        };
        drop(state);
        let poll = future.as_mut().poll(&mut cx);
        let mut state = lock(&self.future);
        let woken = matches!(*state, State::Polled(true));
        match poll {
            Poll::Ready(()) => *state = State::Done,
            Poll::Pending if woken => {
                *state = State::Queued(future);
                drop(state);
                let again = self.clone();
                run(Box::new(move || again.poll()));
            }
            Poll::Pending => *state = State::Idle(future),
        }
    }
}
