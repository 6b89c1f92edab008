//! Bytes from one stream to another, both ways, until they end.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    sync::atomic::AtomicU64,
    task::{Context, Poll, ready},
    time::Duration,
};

use ipfi_transport::{BoxStream, ByteStream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep_until},
};

#[cfg(target_os = "linux")]
use ipfi_app::{DRAIN, Stop};

use crate::splice::Splice;
use crate::{queue::CHUNK, stats::add};

/// How often streams are asked how they fare.
pub(crate) const LOOK: Duration = Duration::from_secs(1);
/// How many chunks one direction may move before others get their turn.
const TURNS: usize = 16;

/// What is copied at once, in bytes. Half of it costs a quarter more CPU, twice of it saves none.
const COPY: usize = 2 * CHUNK;

thread_local! {
    /// All relays of a thread read into the same buffer, so that an idle one holds none.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; COPY].into());
}

/// Which of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    A,
    B,
}

/// How a relay ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Both directions ended.
    Finished,
    /// Nothing moved for longer than allowed.
    TimedOut,
    /// One stream was cut; the other one has been told.
    Cut(End, io::Error),
}

/// How patient a relay is (zero is for ever), and whether it may splice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// After one direction has ended.
    pub(crate) linger: Duration,
    /// While both are open.
    pub(crate) idle: Duration,
    pub(crate) splices: bool,
}

/// Relays both ways until both directions have ended or one stream is cut.
///
/// The end of a direction passes through as the end, a cut as a cut. `look` is shown the streams once a
/// second, and when all is over, if one of them knows how it fares.
pub(crate) async fn relay(
    a: &mut BoxStream,
    b: &mut BoxStream,
    manner: Manner,
    counters: (&AtomicU64, &AtomicU64),
    stop: &mut Stop,
    look: impl Fn(&BoxStream, &BoxStream),
) -> Verdict {
    let mut there = Way::new(counters.0, manner.splices);
    let mut back = Way::new(counters.1, manner.splices);
    let mut last = Instant::now();
    let mut stopping = false;
    let has_health = !a.health().is_empty() || !b.health().is_empty();
    let mut next_look = last;
    let verdict = loop {
        let limit = match there.is_done() || back.is_done() {
            _ if stopping => DRAIN,
            true => manner.linger,
            false => manner.idle,
        };
        let progress = std::future::poll_fn(|cx| poll(cx, a, b, &mut there, &mut back));
        tokio::select! {
            biased;
            progress = progress => match progress {
                Progress::Ended(verdict) => break verdict,
                Progress::Moved => last = Instant::now(),
            },
            () = sleep_until(last + limit), if !limit.is_zero() => break Verdict::TimedOut,
            () = sleep_until(next_look), if has_health => {
                look(a, b);
                next_look = Instant::now() + LOOK;
            }
            () = stop.requested(), if !stopping => {
                stopping = true;
                last = Instant::now();
                there.end();
                back.end();
            }
        }
    };
    if has_health {
        look(a, b);
    }
    match &verdict {
        Verdict::Cut(End::A, _) => b.abort(),
        Verdict::Cut(End::B, _) => a.abort(),
        Verdict::Finished | Verdict::TimedOut => {}
    }
    verdict
}

enum Progress {
    Moved,
    Ended(Verdict),
}

/// Moves what can be moved, both ways.
fn poll(
    cx: &mut Context<'_>,
    a: &mut BoxStream,
    b: &mut BoxStream,
    there: &mut Way<'_>,
    back: &mut Way<'_>,
) -> Poll<Progress> {
    let before = (there.moved, back.moved, there.state, back.state);
    let cut = |broken: Broken, from, to| match broken {
        Broken::From(error) => Poll::Ready(Progress::Ended(Verdict::Cut(from, error))),
        Broken::To(error) => Poll::Ready(Progress::Ended(Verdict::Cut(to, error))),
    };
    if let Poll::Ready(Err(broken)) = there.poll(cx, a, b) {
        return cut(broken, End::A, End::B);
    }
    if let Poll::Ready(Err(broken)) = back.poll(cx, b, a) {
        return cut(broken, End::B, End::A);
    }
    if there.is_done() && back.is_done() {
        return Poll::Ready(Progress::Ended(Verdict::Finished));
    }
    if before == (there.moved, back.moved, there.state, back.state) {
        Poll::Pending
    } else {
        Poll::Ready(Progress::Moved)
    }
}

/// Which stream of a direction broke.
#[derive(Debug)]
pub(crate) enum Broken {
    From(io::Error),
    To(io::Error),
}

/// One direction.
struct Way<'a> {
    /// Read but not written yet.
    held: Vec<u8>,
    at: usize,
    /// How many reads in a row filled the buffer.
    full_reads: u32,
    /// Whether bulk is worth a try with splice.
    splices: bool,
    #[cfg(target_os = "linux")]
    splice: Option<Splice>,
    unflushed: bool,
    state: State,
    moved: u64,
    counter: &'a AtomicU64,
}

/// How far a direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Nothing more comes in; what is held still goes out.
    Ended,
    /// The end has been passed on.
    Done,
}

/// After this many full buffers in a row a direction carries bulk and is worth two pipes.
#[cfg(target_os = "linux")]
const BULK: u32 = 2;

impl<'a> Way<'a> {
    fn new(counter: &'a AtomicU64, splices: bool) -> Self {
        Self {
            held: Vec::new(),
            at: 0,
            full_reads: 0,
            splices,
            #[cfg(target_os = "linux")]
            splice: None,
            unflushed: false,
            state: State::Open,
            moved: 0,
            counter,
        }
    }

    fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Nothing more comes in.
    fn end(&mut self) {
        if !self.is_done() {
            self.state = State::Ended;
        }
    }

    fn count(&mut self, n: usize) {
        self.moved += n as u64;
        add(self.counter, n);
    }

    /// Ready when the direction has ended, and its end has been passed on.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut BoxStream,
        to: &mut BoxStream,
    ) -> Poll<Result<(), Broken>> {
        if self.is_done() {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..TURNS {
            #[cfg(target_os = "linux")]
            if let Some(splice) = &mut self.splice {
                let n = match ready!(splice.poll(cx, &**from, &**to, self.state == State::Ended)) {
                    Ok(n) => n,
                    Err(crate::splice::Stuck::Broken(broken)) => {
                        return Poll::Ready(Err(broken));
                    }
                    Err(crate::splice::Stuck::Unsupported(held)) => {
                        self.splice = None;
                        self.splices = false;
                        self.held = held;
                        continue;
                    }
                };
                self.count(n);
                if n > 0 {
                    continue;
                }
                self.splice = None;
                self.end();
            }
            ready!(self.poll_held(cx, to)).map_err(Broken::To)?;
            if self.state == State::Ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx)).map_err(Broken::To)?;
                self.state = State::Done;
                return Poll::Ready(Ok(()));
            }
            #[cfg(target_os = "linux")]
            if self.splices && self.full_reads >= BULK {
                self.splice = Splice::new(&**from, &**to);
                self.splices = self.splice.is_some();
                if self.splices {
                    continue;
                }
            }
            ready!(self.poll_chunk(cx, from, to))?;
        }
        cx.waker().wake_by_ref(); // There may be more; others first.
        Poll::Pending
    }

    /// Writes what is held.
    fn poll_held(&mut self, cx: &mut Context<'_>, to: &mut BoxStream) -> Poll<io::Result<()>> {
        while let Some(rest @ [_, ..]) = self.held.get(self.at..) {
            let n = ready!(Pin::new(&mut *to).poll_write(cx, rest))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.at += n;
            self.unflushed = true;
            self.count(n);
        }
        self.held = Vec::new();
        self.at = 0;
        Poll::Ready(Ok(()))
    }

    /// Reads once and writes what came; holds what cannot be written now.
    fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut BoxStream,
        to: &mut BoxStream,
    ) -> Poll<Result<(), Broken>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut chunk = ReadBuf::new(scratch);
            match Pin::new(from).poll_read(cx, &mut chunk) {
                Poll::Ready(read) => read.map_err(Broken::From)?,
                Poll::Pending => {
                    if self.unflushed && Pin::new(to).poll_flush(cx).is_ready() {
                        self.unflushed = false; // A failure shows at the next write.
                    }
                    return Poll::Pending;
                }
            }
            let full = chunk.remaining() == 0;
            self.full_reads = if full { self.full_reads + 1 } else { 0 };
            let chunk = chunk.filled();
            if chunk.is_empty() {
                self.end();
                return Poll::Ready(Ok(()));
            }
            let written = match Pin::new(to).poll_write(cx, chunk) {
                Poll::Ready(written) => written.map_err(Broken::To)?,
                Poll::Pending => 0,
            };
            if written > 0 {
                self.unflushed = true;
                self.count(written);
            }
            self.held.extend_from_slice(chunk.get(written..).unwrap_or_default());
            Poll::Ready(Ok(()))
        })
    }
}

/// Reads at most a chunk into a buffer; 0 is the end.
pub(crate) fn poll_read<S: ByteStream + ?Sized>(
    stream: &mut S,
    cx: &mut Context<'_>,
    buf: &mut bytes::BytesMut,
) -> Poll<io::Result<usize>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut chunk = ReadBuf::new(scratch.get_mut(..CHUNK).unwrap_or_default());
        ready!(Pin::new(stream).poll_read(cx, &mut chunk))?;
        buf.extend_from_slice(chunk.filled());
        Poll::Ready(Ok(chunk.filled().len()))
    })
}
