//! What the driver and the stream share.

use std::io;
use std::string::String;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use crate::{Ended, Link, State as LinkState};

/// One link, between its driver and its stream.
#[derive(Clone)]
pub(crate) struct Shared {
    state: Arc<Mutex<State>>,
    start: Instant,
}

pub(crate) struct State {
    pub(crate) link: Link,
    /// What became of the stream below, if it ended before the link did.
    pub(crate) failure: Option<(io::ErrorKind, String)>,
    /// The driver has let go of the stream below: a device may be opened again.
    pub(crate) gone: bool,
    /// The application has dropped its end.
    pub(crate) dropped: bool,
    pub(crate) driver: Option<Waker>,
    /// Whoever waits for the other side to be found.
    pub(crate) opener: Option<Waker>,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
    pub(crate) goodput: Goodput,
}

/// Bytes of the stream a second, over the time between two looks.
#[derive(Debug, Default)]
pub(crate) struct Goodput {
    since: Duration,
    bytes: u64,
    rate: f64,
}

/// Who looks more often sees the same again.
const LEAST_BETWEEN_LOOKS: Duration = Duration::from_millis(500);

impl Goodput {
    /// `bytes` in all have come through both ways by `now`.
    pub(crate) fn look(&mut self, now: Duration, bytes: u64) -> f64 {
        let passed = now.saturating_sub(self.since);
        let is_first = self.since.is_zero() && !passed.is_zero();
        if is_first || passed >= LEAST_BETWEEN_LOOKS {
            let more = u32::try_from(bytes - self.bytes).unwrap_or(u32::MAX);
            self.rate = f64::from(more) / passed.as_secs_f64();
        }
        if passed >= LEAST_BETWEEN_LOOKS {
            (self.since, self.bytes) = (now, bytes);
        }
        self.rate
    }
}

impl Shared {
    pub(crate) fn new(link: Link, start: Instant) -> Self {
        let state = State {
            link,
            failure: None,
            gone: false,
            dropped: false,
            driver: None,
            opener: None,
            reader: None,
            writer: None,
            goodput: Goodput::default(),
        };
        Self { state: Arc::new(Mutex::new(state)), start }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> crate::Instant {
        crate::Instant::from_micros(0) + self.start.elapsed()
    }

    /// The moment of the link in the runtime's time.
    pub(crate) fn at(&self, at: crate::Instant) -> Instant {
        let since = at - crate::Instant::from_micros(0);
        self.start.checked_add(since).unwrap_or_else(|| self.start + FAR)
    }
}

/// Later than any program runs.
const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

impl State {
    /// Whether the stream has ended badly, though the driver may still have the stream below.
    pub(crate) fn is_failing(&self) -> bool {
        self.failure.is_some() || matches!(self.link.state(), LinkState::Failed(_))
    }

    /// The error to report, once a device below can be opened again.
    pub(crate) fn error(&self) -> Option<io::Error> {
        if !self.gone {
            return None;
        }
        match (self.link.state(), &self.failure) {
            (LinkState::Failed(cause), _) => Some(to_io(cause)),
            (_, Some((kind, text))) => Some(io::Error::new(*kind, text.clone())),
            (_, None) => None,
        }
    }

    /// Whether both sides have finished and the driver has left.
    pub(crate) fn is_closed(&self) -> bool {
        self.gone && self.link.state() == LinkState::Closed
    }

    pub(crate) fn fail(&mut self, error: &io::Error) {
        self.failure.get_or_insert_with(|| (error.kind(), ipfi_transport::reason(error)));
    }

    /// Wakes whoever has something to do.
    pub(crate) fn wake(&mut self) {
        let link_state = self.link.state();
        let over = self.gone || self.is_failing() || link_state != LinkState::Open;
        if self.gone || link_state != LinkState::Connecting {
            wake(&mut self.opener);
        }
        if over || self.link.readable() > 0 || self.link.has_arrived() {
            wake(&mut self.reader);
        }
        if over || self.link.writable() > 0 || self.link.is_finished() {
            wake(&mut self.writer);
        }
    }

    pub(crate) fn wake_driver(&mut self) {
        wake(&mut self.driver);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

pub(crate) fn to_io(cause: Ended) -> io::Error {
    let kind = match cause {
        Ended::Aborted => io::ErrorKind::ConnectionAborted,
        Ended::ConnectTimedOut | Ended::TimedOut => io::ErrorKind::TimedOut,
        Ended::Incompatible { .. } | Ended::LoopedBack => io::ErrorKind::InvalidData,
        Ended::PeerRestarted | Ended::Reset { .. } => io::ErrorKind::ConnectionReset,
    };
    io::Error::new(kind, cause)
}
