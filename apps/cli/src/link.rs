//! A wire of which this program is the only user: one task does everything.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use ipfi::{
    Cause, Limits,
    proto::{Config, Connection, Event, Instant},
};
use ipfi_transport::BoxStream;
use tokio::io::AsyncWriteExt;

use crate::io::{Clock, Io};

/// The codec of this program: `MessagePack` (SPEC.md, section 3.4).
pub(crate) const CODEC: u8 = 2;
/// How long the last bytes may take when the program is done.
const GOODBYE: Duration = Duration::from_secs(2);

/// A wire of which this program is the only user.
pub(crate) struct Link {
    /// The engine. Whatever is done to it takes effect in [`event`](Self::event).
    pub(crate) engine: Connection,
    io: Io,
    clock: Clock,
    closed: Option<Cause>,
}

impl Link {
    /// A wire on which the peer's hello is awaited for so long.
    pub(crate) fn new(stream: BoxStream, patience: Duration) -> Self {
        let clock = Clock::new();
        let limits = Limits { handshake_timeout: Some(patience), ..Limits::default() };
        let mut config = Config::default().with_limits(limits).with_codec(CODEC);
        if let Some(rate) = stream.line().and_then(|line| line.bytes_per_second) {
            config = config.with_speed(rate.into());
        }
        let engine = Connection::new(config, clock.now());
        Self { engine, io: Io::new(stream, clock), clock, closed: None }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Carries bytes until there is an event. Cancel safe. After [`Event::Closed`] it comes again.
    pub(crate) async fn event(&mut self) -> Event {
        poll_fn(|cx| {
            let mut idle = false;
            loop {
                if let Some(event) = self.engine.poll_event() {
                    if let Event::Closed { cause } = &event {
                        self.closed = Some(cause.clone());
                    }
                    return Poll::Ready(event);
                }
                if let Some(cause) = self.closed.clone() {
                    return Poll::Ready(Event::Closed { cause });
                }
                if idle {
                    return Poll::Pending;
                }
                // Writing makes events as well: room, the end of the wire.
                idle = !self.io.poll(&mut self.engine, cx);
            }
        })
        .await
    }

    /// Closes in peace, if that does not take too long.
    pub(crate) async fn close(mut self) {
        let now = self.now();
        self.engine.close(now, Some(GOODBYE));
        let goodbye = async {
            while !matches!(self.event().await, Event::Closed { .. }) {}
            let Self { mut engine, mut io, .. } = self;
            poll_fn(|cx| {
                while io.poll(&mut engine, cx) {}
                if io.is_written() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            let mut stream = io.into_stream();
            let _ = Pin::new(&mut stream).shutdown().await;
        };
        let _ = tokio::time::timeout(2 * GOODBYE, goodbye).await;
    }
}
