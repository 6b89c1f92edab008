//! How many procedures of an interface run at once, and the line of calls that wait for their turn.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use crate::sync::{lock, set_waker};

/// Calls that wait if nobody says how many.
const WAITING: usize = 1024;

/// At most so many run, and so many wait.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) max: Option<u32>,
    pub(crate) max_waiting: usize,
    line: Arc<Mutex<Line>>,
}

impl Default for Bound {
    fn default() -> Self {
        Self { max: None, max_waiting: WAITING, line: Arc::default() }
    }
}

#[derive(Debug, Default)]
struct Line {
    running: u32,
    waiting: VecDeque<Arc<Mutex<Turn>>>,
}

#[derive(Debug, Default)]
struct Turn {
    has_come: bool,
    waker: Option<Waker>,
}

/// Whether a call may run.
pub(crate) enum Admission {
    Now(Permit),
    /// When its turn comes.
    Later(Ticket),
    /// There are too many in line already: the bounds, in words.
    Never(String),
}

/// One of those that run. By default, one that does not count.
#[derive(Debug, Default)]
pub(crate) struct Permit(Option<Arc<Mutex<Line>>>);

/// A place in line: ready when the turn has come.
#[derive(Debug)]
pub(crate) struct Ticket {
    line: Arc<Mutex<Line>>,
    turn: Arc<Mutex<Turn>>,
}

impl Bound {
    #[inline]
    pub(crate) fn admit(&self) -> Admission {
        match self.max {
            None => Admission::Now(Permit::default()),
            Some(max) => self.admit_below(max),
        }
    }

    fn admit_below(&self, max: u32) -> Admission {
        let mut line = lock(&self.line);
        if line.running < max && line.waiting.is_empty() {
            line.running += 1;
            return Admission::Now(Permit(Some(self.line.clone())));
        }
        if line.waiting.len() >= self.max_waiting {
            return Admission::Never(format!("{max} may run and {} wait", self.max_waiting));
        }
        let turn = Arc::<Mutex<Turn>>::default();
        line.waiting.push_back(turn.clone());
        drop(line);
        Admission::Later(Ticket { line: self.line.clone(), turn })
    }
}

/// One is over: the next may run.
fn leave(line: &Mutex<Line>) {
    let mut line = lock(line);
    let Some(next) = line.waiting.pop_front() else {
        line.running -= 1;
        return;
    };
    // Under both locks, so that nobody leaves the line while he is called.
    let mut turn = lock(&next);
    turn.has_come = true;
    let waker = turn.waker.take();
    drop(turn);
    drop(line);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Future for Ticket {
    type Output = Permit;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        let mut turn = lock(&self.turn);
        if std::mem::take(&mut turn.has_come) {
            return Poll::Ready(Permit(Some(self.line.clone())));
        }
        set_waker(&mut turn.waker, cx);
        Poll::Pending
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut line = lock(&self.line);
        line.waiting.retain(|other| !Arc::ptr_eq(other, &self.turn));
        let unused = std::mem::take(&mut lock(&self.turn).has_come);
        drop(line);
        if unused {
            leave(&self.line);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(line) = &self.0 {
            leave(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(bound: &Bound) -> Permit {
        match bound.admit() {
            Admission::Now(permit) => permit,
            Admission::Later(_) | Admission::Never(_) => panic!("it has to wait"),
        }
    }

    fn later(bound: &Bound) -> Ticket {
        match bound.admit() {
            Admission::Later(ticket) => ticket,
            Admission::Now(_) | Admission::Never(_) => panic!("it does not wait"),
        }
    }

    fn has_come(ticket: &mut Ticket) -> Option<Permit> {
        match Pin::new(ticket).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    #[test]
    fn first_come_first_served_and_who_leaves_is_not_missed() {
        let bound = Bound { max: Some(1), max_waiting: 3, ..Bound::default() };
        let running = now(&bound);
        let [mut first, second, mut third] = [later(&bound), later(&bound), later(&bound)];
        assert!(matches!(bound.admit(), Admission::Never(_)));
        assert!(has_come(&mut first).is_none());
        drop(second);
        let mut fourth = later(&bound);
        drop(running);
        let running = has_come(&mut first).unwrap();
        assert!(has_come(&mut third).is_none());
        drop(running);
        // Called, and gone without having run.
        drop(third);
        let running = has_come(&mut fourth).unwrap();
        let waiting = later(&bound);
        drop(running);
        drop(waiting);
        drop(now(&bound));
        assert_eq!(lock(&bound.line).running, 0);
    }
}
