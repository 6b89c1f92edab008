//! Locks and waiting.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};

/// Locks. A panic elsewhere while it was locked does not matter: nothing is left half done by code
/// of ours, and code of others never runs under a lock.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers who to wake, without cloning what is there already.
#[inline]
pub(crate) fn set_waker(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        _ => *place = Some(cx.waker().clone()),
    }
}

/// Those who wait for the same thing: mostly one.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Waiters {
    /// Remembers one more, without cloning who is there already.
    #[inline]
    pub(crate) fn add(&mut self, cx: &Context<'_>) {
        match &self.first {
            None => self.first = Some(cx.waker().clone()),
            Some(first) if first.will_wake(cx.waker()) => {}
            Some(_) => self.add_other(cx.waker()),
        }
    }

    #[cold]
    fn add_other(&mut self, waker: &Waker) {
        if !self.others.iter().any(|other| other.will_wake(waker)) {
            self.others.push(waker.clone());
        }
    }

    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(crate) fn wake(self) {
        for waker in self {
            waker.wake();
        }
    }
}

impl IntoIterator for Waiters {
    type Item = Waker;
    type IntoIter = std::iter::Chain<std::option::IntoIter<Waker>, std::vec::IntoIter<Waker>>;

    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.others)
    }
}

/// Blocks this thread until a future is ready. Needs no runtime.
///
/// All handles work with it, whatever drives their wire; most have a `wait` of their own. Do not
/// call it on a thread of an asynchronous runtime.
///
/// ```
/// assert_eq!(ipfi::wait(async { 2 + 3 }), 5);
/// ```
pub fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }

        fn wake_by_ref(self: &Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
