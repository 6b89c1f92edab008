//! A wire of which this program is the only user: one task does everything.

mod wait;

use std::{future::poll_fn, task::Poll, time::Duration};

use ipfi::{
    Cause, Code, Limits,
    proto::{Config, Connection, Event, Instant},
};
use ipfi_transport::{BoxStream, Line};

pub(crate) use self::wait::Wait;
use crate::io::{Clock, Io};

/// The codec of this program: `MessagePack` (SPEC.md, section 3.4).
pub(crate) const CODEC: u8 = 2;
/// How long the last bytes may take at least.
const GOODBYE: Duration = Duration::from_secs(2);
/// The same for somebody who gave up, beside the time that so many bytes take.
const FAREWELL: Duration = Duration::from_millis(500);
const FAREWELL_BYTES: u32 = 128;
/// The same where nobody said hello, so that nobody may be there to hear it.
const BRIEFLY: Duration = Duration::from_millis(50);

/// A wire of which this program is the only user.
pub(crate) struct Link {
    /// The engine. Whatever is done to it takes effect in [`event`](Self::event).
    pub(crate) engine: Connection,
    io: Io,
    clock: Clock,
    /// How long the last bytes may take when the program is done.
    goodbye: Duration,
    /// And when it gave up.
    farewell: Duration,
    /// The peer said hello.
    greeted: bool,
    wait: Wait,
    /// What is awaited once it did.
    next: &'static str,
    /// The procedure that the last call was of.
    asked: String,
    echoes: bool,
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
        let turns = 2 * round_trip.unwrap_or_default();
        Self {
            engine,
            io: Io::new(stream, clock),
            clock,
            goodbye: GOODBYE + turns,
            farewell: FAREWELL + turns + time_of(FAREWELL_BYTES, line),
            greeted: false,
            wait: Wait::new("awaiting the hello"),
            next: "",
            asked: String::new(),
            echoes: false,
            closed: None,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// What somebody at a terminal is told from now on, once the peer said hello. Empty: nothing, at
    /// once.
    pub(crate) fn waits(&mut self, what: &'static str) {
        self.next = what;
        if self.greeted || what.is_empty() {
            self.wait.is_for(what);
        }
    }

    /// A call of this procedure is about to be made.
    pub(crate) fn asks(&mut self, name: &str) {
        name.clone_into(&mut self.asked);
    }

    /// The peer calls this procedure.
    pub(crate) fn is_asked(&mut self, name: &str) {
        self.echoes |= name == self.asked;
    }

    /// Whether the peer has asked what it was asked.
    pub(crate) fn echoes(&self) -> bool {
        self.echoes
    }

    /// Carries bytes until there is an event. Cancel safe. After [`Event::Closed`] it comes again.
    pub(crate) async fn event(&mut self) -> Event {
        poll_fn(|cx| {
            let mut idle = false;
            loop {
                if let Some(event) = self.engine.poll_event() {
                    match &event {
                        Event::Closed { cause } => self.closed = Some(cause.clone()),
                        Event::Hello { .. } => {
                            self.greeted = true;
                            self.wait.is_for(self.next);
                        }
                        _ => {}
                    }
                    return Poll::Ready(event);
                }
                if let Some(cause) = self.closed.clone() {
                    return Poll::Ready(Event::Closed { cause });
                }
                if idle {
                    self.wait.poll(cx, || self.io.health());
                    return Poll::Pending;
                }
                // Writing makes events as well: room, the end of the wire.
                idle = !self.io.poll(&mut self.engine, cx);
            }
        })
        .await
    }

    /// Closes in peace, if that does not take too long.
    pub(crate) async fn close(&mut self) {
        let (now, within) = (self.now(), self.goodbye);
        self.waits("saying goodbye");
        self.engine.close(now, Some(within));
        let goodbye = async {
            while !matches!(self.event().await, Event::Closed { .. }) {}
            self.written().await;
            self.io.shut_down().await;
        };
        let _ = tokio::time::timeout(2 * within, goodbye).await;
    }

    /// Leaves at once: tells the peer what was cancelled, and awaits no answer.
    pub(crate) async fn give_up(&mut self) {
        let within = if self.greeted { self.farewell } else { BRIEFLY };
        let farewell = async {
            self.written().await;
            self.engine.abort(Code::CANCELLED, "");
            self.written().await;
            self.io.shut_down().await;
        };
        let _ = tokio::time::timeout(within, farewell).await;
    }

    /// Waits until the stream has taken what there is to send.
    async fn written(&mut self) {
        poll_fn(|cx| {
            while self.io.poll(&mut self.engine, cx) {}
            if self.io.is_written() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// What a line takes for so many bytes.
fn time_of(bytes: u32, line: Option<Line>) -> Duration {
    match line.and_then(|line| line.bytes_per_second) {
        Some(rate) => Duration::from_secs(bytes.into()) / rate.max(1),
        None => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use ipfi::proto::{CallOptions, Target};

    use super::*;

    fn pair() -> (Link, Link) {
        let (a, b) = tokio::io::duplex(1 << 16);
        (Link::new(Box::new(a), GOODBYE), Link::new(Box::new(b), GOODBYE))
    }

    fn call(link: &mut Link) -> ipfi::proto::CallId {
        let target = Target::Named { name: "f".into(), fingerprint: 0 };
        let now = link.now();
        link.engine.open_call(now, &target, vec![0xc0].into(), &[], CallOptions::default()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_tells_and_waits_for_nobody() {
        let (mut client, mut server) = pair();
        let id = call(&mut client);
        tokio::select! {
            () = async { while !matches!(server.event().await, Event::Call { .. }) {} } => {}
            () = async { while !matches!(client.event().await, Event::Closed { .. }) {} } => {}
        }
        // From now on the server does nothing.
        client.engine.cancel(id, Code::CANCELLED);
        let begun = tokio::time::Instant::now();
        client.give_up().await;
        assert!(begun.elapsed() < GOODBYE, "{:?}", begun.elapsed());
        drop(client);
        let cancelled = loop {
            match server.event().await {
                Event::Cancelled { code, .. } => break code,
                Event::Closed { cause } => panic!("{cause}"),
                _ => {}
            }
        };
        assert_eq!(cancelled, Code::CANCELLED);
        let cause = loop {
            if let Event::Closed { cause } = server.event().await {
                break cause;
            }
        };
        assert_eq!(cause, Cause::Peer { code: Code::CANCELLED, text: String::new() });
    }
}
