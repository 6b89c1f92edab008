//! What a link gives: an ordered stream of bytes in both directions.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An ordered stream of bytes in both directions.
///
/// * Reading 0 bytes means that the peer has finished sending, cleanly. It stays so: a stream that
///   has ended reads 0 for ever.
/// * An error on reading means that the stream was *cut*: bytes may be missing.
/// * `poll_shutdown` finishes one direction (half-close): everything written before arrives, then
///   the peer reads 0. Reading goes on. It never blocks the thread.
/// * `poll_flush` starts what is buffered on its way; it does not wait for the wire.
/// * Dropping closes both directions. What was written and flushed still arrives; use
///   [`abort`](Self::abort) first to say that the stream was cut.
///
/// Turn any reader and writer into one with [`boxed`].
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes the end an error for the peer, as a TCP reset does: "cut", not "finished".
    ///
    /// Call it right before dropping. Links that cannot tell the difference (a serial line)
    /// ignore it.
    fn abort(&mut self) {}

    /// Who is at the other end, for people: `192.0.2.1:50000`.
    fn peer(&self) -> Option<String> {
        None
    }

    /// What is known of the physical line, for layers that time themselves by it.
    fn line(&self) -> Option<Line> {
        None
    }

    /// How the link fares, for meters: retransmissions, round trip, signal.
    fn health(&self) -> Vec<Reading> {
        Vec::new()
    }

    /// The descriptors below, if bytes pass through them unchanged, for zero-copy relays.
    #[cfg(unix)]
    fn descriptors(&self) -> Option<&dyn Descriptors> {
        None
    }
}

/// A stream of any transport.
pub type BoxStream = Box<dyn ByteStream>;

impl<T: ByteStream + ?Sized> ByteStream for Box<T> {
    fn abort(&mut self) {
        (**self).abort();
    }

    fn peer(&self) -> Option<String> {
        (**self).peer()
    }

    fn line(&self) -> Option<Line> {
        (**self).line()
    }

    fn health(&self) -> Vec<Reading> {
        (**self).health()
    }

    #[cfg(unix)]
    fn descriptors(&self) -> Option<&dyn Descriptors> {
        (**self).descriptors()
    }
}

impl ByteStream for tokio::io::DuplexStream {}

/// The state of a physical line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// The rate of the line in bytes a second, if it has one.
    pub bytes_per_second: Option<u32>,
    /// Bytes written that still wait in the kernel's queue.
    pub queued: usize,
    /// Whether somebody talks, on a medium on which one may talk at a time and that can be
    /// listened to: this side, the other one or a stranger. Then `queued` says nothing.
    pub carrier: Option<bool>,
    /// The medium as it is used at present, where turns are taken.
    pub medium: Option<Medium>,
    /// How long a question of 64 bytes and as long an answer take, where that is more than the rate
    /// says.
    pub round_trip: Option<Duration>,
}

impl Line {
    /// A line of this rate, in bytes a second, and this queue, in bytes.
    #[must_use]
    pub fn new(bytes_per_second: Option<u32>, queued: usize) -> Self {
        Self { bytes_per_second, queued, carrier: None, medium: None, round_trip: None }
    }
}

/// A medium on which one may talk at a time, as a modem uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "properties of a medium, all to be given")]
pub struct Medium {
    /// The largest packet worth sending, bytes.
    pub packet: u16,
    /// What each packet costs besides its own bytes, as the number of bytes that take as long.
    pub overhead: u16,
    /// The pause between one side's packets and the other's.
    pub guard: Duration,
    /// The longest that one side may talk.
    pub burst: Duration,
}

/// One figure of a link's health, with its name.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// A short name such as `rtt` or `retransmitted`.
    pub name: &'static str,
    /// The figure.
    pub value: Value,
}

impl Reading {
    /// A figure with its name.
    #[must_use]
    pub fn new(name: &'static str, value: Value) -> Self {
        Self { name, value }
    }
}

/// A figure with its unit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// How many.
    Count(u64),
    /// Bytes a second.
    Rate(f64),
    /// A ratio between 0 and 1, or in decibels where the name says so.
    Number(f64),
    /// A mode or a state.
    Text(String),
    /// A span of time.
    Time(Duration),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(n) => write!(f, "{n}"),
            Self::Rate(r) => write!(f, "{r:.0} B/s"),
            Self::Number(x) => write!(f, "{x:.3}"),
            Self::Text(text) => f.write_str(text),
            Self::Time(t) if t.as_secs() < 10 => write!(f, "{:.1} ms", t.as_secs_f64() * 1e3),
            Self::Time(t) if t.as_secs() < 120 => write!(f, "{} s", t.as_secs()),
            Self::Time(t) => write!(f, "{} min {} s", t.as_secs() / 60, t.as_secs() % 60),
        }
    }
}

/// Which way bytes go, seen from the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a stream has two directions")]
pub enum Direction {
    /// From the link.
    Read,
    /// To the link.
    Write,
}

/// The kernel's descriptors below a stream, for relays that need not copy.
///
/// Nothing may be buffered in the stream itself.
#[cfg(unix)]
pub trait Descriptors {
    /// Waits until the descriptor of this direction may be ready.
    fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<()>>;

    /// Runs `f` on the descriptor of this direction. `WouldBlock` makes the next
    /// [`poll_ready`](Self::poll_ready) wait.
    fn try_io(
        &self,
        direction: Direction,
        f: &mut dyn FnMut(std::os::fd::BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize>;
}

/// Makes a [`BoxStream`] of anything that reads and writes.
///
/// The result has no way to [`abort`](ByteStream::abort); implement [`ByteStream`] for a type of
/// your own to give it one. Two halves are joined with [`tokio::io::join`].
///
/// ```
/// let (a, _b) = tokio::io::duplex(64);
/// let stream: ipfi_transport::BoxStream = ipfi_transport::boxed(a);
/// ```
pub fn boxed<T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: T) -> BoxStream {
    Box::new(Plain(stream))
}

struct Plain<T>(T);

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for Plain<T> {}

impl<T: AsyncRead + Unpin> AsyncRead for Plain<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Plain<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
