//! The task between a link and the stream below it.

use std::boxed::Box;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{vec, vec::Vec};

use ipfi_transport::{BoxStream, Medium};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::shared::{Shared, State};
use crate::{HalfDuplex, State as LinkState};

/// Bytes that are read or written at once.
const PIECE: usize = 4096;
/// Rounds without giving other tasks their turn.
const ROUNDS: usize = 32;
/// How soon to look again at a queue in the system that is too long.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// A program that has dropped its end and is still sent to waits this long before it resets.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the stream below may take to close.
const CLOSING: Duration = Duration::from_secs(5);

/// Carries bytes until the link has nothing to send any more.
pub(crate) async fn run(inner: BoxStream, shared: Shared) {
    let mut driver = Driver {
        inner,
        timer: Box::pin(sleep_until(Instant::now())),
        received: vec![0; PIECE],
        out: Vec::with_capacity(PIECE),
        written: 0,
        must_flush: false,
        emptied: false,
        flushed_since: None,
    };
    poll_fn(|cx| driver.poll(cx, &shared)).await;
    if shared.lock().failure.is_none() {
        let close = poll_fn(|cx| Pin::new(&mut driver.inner).poll_shutdown(cx));
        // The peer has all it is going to have; a device that hangs is left to itself.
        let _ = tokio::time::timeout(CLOSING, close).await;
    }
    drop(driver);
    let mut state = shared.lock();
    state.gone = true;
    state.wake();
}

struct Driver {
    inner: BoxStream,
    timer: Pin<Box<Sleep>>,
    received: Vec<u8>,
    /// Bytes of the link that the stream below has not taken yet.
    out: Vec<u8>,
    written: usize,
    must_flush: bool,
    /// What had arrived when the program dropped its end has been thrown away.
    emptied: bool,
    /// Since when the other side has all from a program that has dropped its end.
    flushed_since: Option<crate::Instant>,
}

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Poll<()> {
        for _ in 0..ROUNDS {
            let worked = self.work(cx, shared);
            let mut state = shared.lock();
            let moved = match worked {
                Ok(moved) => moved,
                Err(error) => {
                    state.fail(&error);
                    state.wake();
                    return Poll::Ready(());
                }
            };
            state.wake();
            if state.link.is_done() && self.written == self.out.len() {
                return Poll::Ready(());
            }
            if moved {
                continue;
            }
            state.driver = Some(cx.waker().clone());
            let wake_at = self.wake_at(shared, &state);
            drop(state);
            let Some(wake_at) = wake_at else { return Poll::Pending };
            self.timer.as_mut().reset(wake_at);
            ready!(self.timer.as_mut().poll(cx));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Does what can be done now; says whether that was anything.
    ///
    /// What has arrived comes first: on a busy machine the answer that the link waits for may have
    /// been there for a while when the time for it is up.
    fn work(&mut self, cx: &mut Context<'_>, shared: &Shared) -> io::Result<bool> {
        let mut moved = false;
        for _ in 0..ROUNDS {
            if !self.take_in(cx, shared)? {
                break;
            }
            moved = true;
        }
        moved |= self.fill(shared);
        while self.written < self.out.len() {
            let rest = self.out.get(self.written..).unwrap_or_default();
            match Pin::new(&mut self.inner).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(result) => self.written += result?,
                Poll::Pending => break,
            }
            self.must_flush = true;
            moved = true;
        }
        if self.must_flush
            && let Poll::Ready(result) = Pin::new(&mut self.inner).poll_flush(cx)
        {
            result?;
            self.must_flush = false;
        }
        Ok(moved)
    }

    /// Says whether there was anything to read.
    fn take_in(&mut self, cx: &mut Context<'_>, shared: &Shared) -> io::Result<bool> {
        let mut buf = ReadBuf::new(&mut self.received);
        let Poll::Ready(result) = Pin::new(&mut self.inner).poll_read(cx, &mut buf) else {
            return Ok(false);
        };
        result?;
        let mut state = shared.lock();
        if !buf.filled().is_empty() {
            state.link.receive(shared.now(), buf.filled());
            return Ok(true);
        }
        if matches!(state.link.state(), LinkState::Closing | LinkState::Closed) {
            // The other side was content, and has left.
            state.link.leave();
            return Ok(false);
        }
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the line has ended"))
    }

    /// Lets the link act, and takes what it has to send if all before is written.
    fn fill(&mut self, shared: &Shared) -> bool {
        let now = shared.now();
        let mut state = shared.lock();
        if let Some(line) = self.inner.line() {
            if let (Some(rate), Some(medium)) = (line.bytes_per_second, line.medium) {
                let Medium { packet, overhead, guard, burst } = medium;
                state.link.set_medium(
                    rate,
                    packet,
                    HalfDuplex { guard, burst, preamble: overhead },
                );
            }
            match line.carrier {
                // What is queued in a modem is on its way as the link expects.
                Some(busy) => state.link.set_carrier(now, busy),
                None => state.link.set_queued(now, line.queued),
            }
        }
        if state.link.poll_timeout().is_some_and(|at| at <= now) {
            state.link.handle_timeout(now);
        }
        self.let_go(now, &mut state);
        if self.written < self.out.len() {
            return false;
        }
        self.written = 0;
        self.out.resize(PIECE, 0);
        let count = state.link.poll_transmit(now, &mut self.out);
        self.out.truncate(count);
        count > 0
    }

    /// A program that has dropped its end takes no more: what arrives is thrown away, and a peer
    /// that goes on sending is told.
    fn let_go(&mut self, now: crate::Instant, state: &mut State) {
        if !state.dropped {
            return;
        }
        let mut nowhere = [0; 512];
        let mut came_late = false;
        while let Ok(Some(1..)) = state.link.read(&mut nowhere) {
            came_late = self.emptied;
        }
        self.emptied = true;
        if state.link.is_finished() && state.link.state() == LinkState::Open {
            let since = *self.flushed_since.get_or_insert(now);
            if came_late || now >= since + PATIENCE {
                state.link.abort(now, 1, "the program has closed the stream");
            }
        }
    }

    fn wake_at(&self, shared: &Shared, state: &State) -> Option<Instant> {
        let now = shared.now();
        let patience = self.flushed_since.map(|since| since + PATIENCE).filter(|at| *at > now);
        let is_writing = self.written < self.out.len();
        // What is due already could not be done: the stream below, or its queue, has no room.
        let due = state.link.poll_timeout().map(|at| if at > now { at } else { now + LOOK_AGAIN });
        let due = due.filter(|_| !is_writing || state.link.poll_timeout() > Some(now));
        [due, patience].into_iter().flatten().min().map(|at| shared.at(at))
    }
}
