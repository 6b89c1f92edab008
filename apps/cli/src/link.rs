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
/// How long the last bytes may take at least.
const GOODBYE: Duration = Duration::from_secs(2);

/// A wire of which this program is the only user.
pub(crate) struct Link {
    /// The engine. Whatever is done to it takes effect in [`event`](Self::event).
    pub(crate) engine: Connection,
    io: Io,
    clock: Clock,
    /// How long the last bytes may take when the program is done.
    goodbye: Duration,
    closed: Option<Cause>,
}

impl Link {
    /// A wire on which the peer's hello is awaited for so long.
    pub(crate) fn new(stream: BoxStream, patience: Duration) -> Self {
        let clock = Clock::new();
        let limits = Limits { handshake_timeout: Some(patience), ..Limits::default() };
        let mut config = Config::default().with_limits(limits).with_codec(CODEC);
        let line = stream.line();
        if let Some(rate) = line.and_then(|line| line.bytes_per_second) {
            config = config.with_speed(rate.into());
        }
        let round_trip = line.and_then(|line| line.round_trip);
        if let Some(round_trip) = round_trip {
            config = config.with_round_trip(round_trip);
        }
        let engine = Connection::new(config, clock.now());
        let goodbye = GOODBYE + 2 * round_trip.unwrap_or_default();
        Self { engine, io: Io::new(stream, clock), clock, goodbye, closed: None }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// What the link below says of itself that matters to somebody who waits: ` (answer-in 12 s, ...)`.
    pub(crate) fn outlook(&self) -> String {
        const WANTED: [&str; 8] = [
            "answer-in",
            "to-send",
            "sending-for",
            "hearing-for",
            "mode",
            "snr-dB",
            "margin-dB",
            "goodput",
        ];
        let health = self.io.health();
        if !health.iter().any(|reading| WANTED[..4].contains(&reading.name)) {
            return String::new();
        }
        let told = WANTED.iter().filter_map(|name| {
            let reading = health.iter().find(|reading| reading.name == *name)?;
            Some(format!("{name} {}", reading.value))
        });
        format!(" ({})", told.collect::<Vec<_>>().join(", "))
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
        let (now, within) = (self.now(), self.goodbye);
        self.engine.close(now, Some(within));
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
        let _ = tokio::time::timeout(2 * within, goodbye).await;
    }
}
