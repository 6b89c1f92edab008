//! Between an engine and a byte stream.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use ipfi::proto::{Connection, Instant};
use ipfi_transport::{BoxStream, ByteStream, Line, Reading};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant as Time, Sleep},
};

/// Bytes that are read or written at once.
const CHUNK: usize = 16 * 1024;

/// One clock for all the wires of this program, so that times of one mean the same to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Time);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Time::now())
    }

    pub(crate) fn now(self) -> Instant {
        Instant::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    pub(crate) fn time(self, at: Instant) -> Time {
        self.0 + std::time::Duration::from_micros(at.as_micros())
    }
}

/// What gives bytes to send, and takes those that came: an engine, or something around one.
pub(crate) trait Engine {
    /// `None`: it is over, and nothing is to be sent any more.
    fn connection(&mut self) -> Option<&mut Connection>;

    /// As [`Connection::poll_transmit`].
    fn transmit(&mut self, now: Instant, buffer: &mut [u8]) -> usize {
        self.connection().map_or(0, |engine| engine.poll_transmit(now, buffer))
    }
}

impl Engine for Connection {
    fn connection(&mut self) -> Option<&mut Connection> {
        Some(self)
    }
}

/// A byte stream, and what an engine gave for it that it has not taken yet.
pub(crate) struct Io {
    stream: BoxStream,
    unwritten: Vec<u8>,
    at: usize,
    received: u64,
    /// Nothing more will be read or can be written.
    ended: bool,
    broken: bool,
    sleep: Option<Pin<Box<Sleep>>>,
    buffer: Vec<u8>,
    clock: Clock,
}

impl Io {
    pub(crate) fn new(stream: BoxStream, clock: Clock) -> Self {
        Self {
            stream,
            unwritten: Vec::new(),
            at: 0,
            received: 0,
            ended: false,
            broken: false,
            sleep: None,
            buffer: vec![0; CHUNK],
            clock,
        }
    }

    /// Moves what can be moved now. `true`: something came or time passed, so there may be events,
    /// and it is to be polled again. `false`: the task will be woken.
    pub(crate) fn poll(&mut self, engine: &mut impl Engine, cx: &mut Context<'_>) -> bool {
        let events = engine.connection().is_some_and(|engine| self.read(engine, cx));
        self.write(engine, cx);
        events || engine.connection().is_some_and(|engine| self.late(engine, cx))
    }

    fn write(&mut self, engine: &mut impl Engine, cx: &mut Context<'_>) {
        let mut stream = Pin::new(&mut self.stream);
        let mut flush = false;
        while !self.broken {
            match self.unwritten.get(self.at..) {
                Some(rest) if !rest.is_empty() => match stream.as_mut().poll_write(cx, rest) {
                    Poll::Ready(Ok(n)) if n > 0 => {
                        self.at += n;
                        flush = true;
                    }
                    Poll::Ready(_) => {
                        self.broken = true;
                        self.ended = true;
                        if let Some(engine) = engine.connection() {
                            engine.receive_end();
                        }
                    }
                    Poll::Pending => return,
                },
                _ => {
                    let n = engine.transmit(self.clock.now(), &mut self.buffer);
                    self.unwritten.clear();
                    self.at = 0;
                    match self.buffer.get(..n) {
                        Some(bytes) if n > 0 => self.unwritten.extend_from_slice(bytes),
                        _ => break,
                    }
                }
            }
        }
        if flush && !self.broken {
            let _ = stream.poll_flush(cx);
        }
    }

    fn read(&mut self, engine: &mut Connection, cx: &mut Context<'_>) -> bool {
        if self.ended {
            return false;
        }
        let mut buffer = ReadBuf::new(&mut self.buffer);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                self.received += buffer.filled().len() as u64;
                // A violation is told by an event as well.
                let _ = engine.receive(self.clock.now(), buffer.filled());
            }
            Poll::Ready(_) => {
                self.ended = true;
                engine.receive_end();
            }
        }
        true
    }

    fn late(&mut self, engine: &mut Connection, cx: &mut Context<'_>) -> bool {
        let Some(timeout) = engine.poll_timeout() else {
            self.sleep = None;
            return false;
        };
        let at = self.clock.time(timeout);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        let late = sleep.as_mut().poll(cx).is_ready();
        if late {
            engine.handle_timeout(self.clock.now());
        }
        late
    }

    /// What is known of the line below.
    pub(crate) fn line(&self) -> Option<Line> {
        self.stream.line()
    }

    /// How many bytes have come.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// How the link fares.
    pub(crate) fn health(&self) -> Vec<Reading> {
        self.stream.health()
    }

    /// Whether everything that the engine gave was written, or never can be.
    pub(crate) fn is_written(&self) -> bool {
        self.broken || self.at >= self.unwritten.len()
    }

    /// Ends our direction of the stream.
    pub(crate) async fn shut_down(&mut self) {
        let _ = self.stream.shutdown().await; // It may have ended.
    }

    pub(crate) fn into_stream(self) -> BoxStream {
        self.stream
    }
}
