//! An end that outlives its stream: lost, it is reopened, and what was on its way goes on.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use ipfi_app::{Backoff, DRAIN, Stop};
use ipfi_transport::{BoxStream, ByteStream, reason};
use tokio::{
    io::AsyncWrite,
    time::{Instant, sleep, timeout},
};

use crate::{
    bridge::{Bridge, Facing},
    exit::BridgeError,
    log,
    queue::{CHUNK, Receiver},
    relay::{LOOK, poll_read},
    session::dial,
    settings::WhileDown,
    stats::{Counted, add},
};

/// Where a port puts what it reads.
pub(crate) trait Outlet: Send {
    /// Takes a chunk, or makes the port wait. What nobody wants any more is dropped.
    fn deliver(&mut self, chunk: Bytes) -> impl Future<Output = ()> + Send;
    /// There is nothing more to come, because it is finished or because it was cut.
    fn end(&mut self, cut: bool);
}

/// An end that is there for as long as the bridge is.
pub(crate) struct Port {
    bridge: Arc<Bridge>,
    facing: Facing,
    inbox: Receiver,
    /// Taken from the inbox and not yet written as a whole.
    writing: Bytes,
    /// Read and not yet delivered.
    reading: Bytes,
    stop: Stop,
}

/// How a stream of a port ended.
enum Ending {
    /// Everything has been said, or it is time to stop.
    Finished,
    /// The stream is gone.
    Lost(String),
}

impl Port {
    pub(crate) fn new(bridge: Arc<Bridge>, facing: Facing, inbox: Receiver, stop: Stop) -> Self {
        Self { bridge, facing, inbox, writing: Bytes::new(), reading: Bytes::new(), stop }
    }

    /// Carries bytes between the end and the rest of the bridge until either is finished.
    pub(crate) async fn run(
        &mut self,
        first: Option<BoxStream>,
        mut outlet: impl Outlet,
    ) -> Result<(), BridgeError> {
        let mut stream = first;
        let result = loop {
            let open = match stream.take() {
                Some(stream) => stream,
                None => match self.reopen().await {
                    Some(stream) => stream,
                    None => break Ok(()),
                },
            };
            let bridge = self.bridge.clone();
            let end = bridge.end(self.facing);
            match self.carry(open, &mut outlet).await {
                Ending::Finished => break Ok(()),
                Ending::Lost(_) if self.inbox.is_cut() => break Ok(()), // the other end tells
                Ending::Lost(reason) => {
                    add(&bridge.stats.cut, 1);
                    let address = end.address.to_string();
                    if !bridge.retries(end) {
                        break Err(BridgeError::Lost { address, reason });
                    }
                    log::say(&format!("{}lost {address}: {reason}; reopening", bridge.prefix()));
                }
            }
        };
        outlet.end(result.is_err());
        result
    }

    /// Opens the end again, however long it takes; nothing if there is no point any more.
    async fn reopen(&mut self) -> Option<BoxStream> {
        let bridge = self.bridge.clone();
        let address = &bridge.end(self.facing).address;
        let _down = Counted::new(&bridge.stats.down);
        let since = Instant::now();
        let mut backoff = Backoff::new();
        let (mut tries, mut last) = (0_u32, String::new());
        if bridge.settings.while_down == WhileDown::Discard {
            add(&bridge.stats.discarded, self.writing.len());
            self.writing.clear();
        }
        let stream = loop {
            self.meanwhile(sleep(backoff.next())).await?;
            tries += 1;
            add(&bridge.stats.tries, 1);
            match self.meanwhile(dial(&bridge, self.facing)).await? {
                Ok(stream) => break stream,
                Err(reason) => {
                    log::detail(|| {
                        let said = if reason == last { "as before" } else { &reason };
                        format!("{}try {tries}: {said}", bridge.prefix())
                    });
                    last = reason;
                }
            }
            if self.writing.is_empty() && self.inbox.is_finished() {
                return None;
            }
        };
        let took = since.elapsed().as_secs_f64();
        let tries = if tries == 1 { "1 try".into() } else { format!("{tries} tries") };
        log::say(&format!("{}{address} is back after {took:.1} s, {tries}", bridge.prefix()));
        Some(stream)
    }

    /// Waits for something while the end is down; nothing if it is time to stop.
    async fn meanwhile<T>(&mut self, what: impl Future<Output = T>) -> Option<T> {
        let discards = self.bridge.settings.while_down == WhileDown::Discard;
        let mut what = std::pin::pin!(what);
        loop {
            tokio::select! {
                done = &mut what => return Some(done),
                Some(chunk) = self.inbox.recv(), if discards => {
                    add(&self.bridge.stats.discarded, chunk.len());
                }
                () = self.stop.requested() => return None,
            }
        }
    }

    /// Carries bytes for as long as one stream lives.
    async fn carry(&mut self, stream: BoxStream, outlet: &mut impl Outlet) -> Ending {
        let bridge = self.bridge.clone();
        let end = bridge.end(self.facing);
        let (endless, reopens) = (end.properties.endless, bridge.retries(end));
        let sent = bridge.stats.sent_to(self.facing);
        let (arrived, departed) = (AtomicU64::new(0), AtomicU64::new(0));
        let has_health = !stream.health().is_empty();
        let stream = Shared::new(stream);
        let look = || {
            bridge.stats.set_health(self.facing, stream.get(|stream| stream.health()));
        };
        let mut stop = self.stop.clone();
        let (writing, inbox, reading) = (&mut self.writing, &mut self.inbox, &mut self.reading);

        let mut write = Box::pin(stream.write_from(inbox, writing, [sent, &departed]));
        let mut read = Box::pin(async {
            let mut buf = BytesMut::new();
            loop {
                if reading.is_empty() {
                    if stream.read(&mut buf).await? == 0 {
                        return Ok::<_, io::Error>(());
                    }
                    *reading = buf.split().freeze();
                    add(&arrived, reading.len());
                }
                outlet.deliver(reading.clone()).await;
                reading.clear();
                // Who was given it sends it on while the next piece gathers.
                tokio::task::yield_now().await;
            }
        });
        let watch = async {
            loop {
                look();
                sleep(LOOK).await;
            }
        };
        let lost = |error: io::Error| {
            if bridge.has_seen_enough(end, &error) {
                Ending::Finished
            } else {
                Ending::Lost(reason(&error))
            }
        };
        let linger = bridge.settings.linger;

        let ending = tokio::select! {
            ended = &mut read => match ended {
                Err(error) => lost(error),
                Ok(()) if endless || reopens => Ending::Lost("the other end closed it".into()),
                Ok(()) => {
                    // The rest of the bridge hears of the end and finishes what it has to say.
                    drop(read);
                    outlet.end(false);
                    let written = tokio::select! {
                        written = until_silent(&mut write, linger, &departed) => written,
                        () = stop.and_drained() => None,
                    };
                    match written {
                        Some(Err(error)) => lost(error),
                        Some(Ok(())) | None => {
                            let _ = timeout(DRAIN, stream.shutdown()).await;
                            Ending::Finished
                        }
                    }
                }
            },
            written = &mut write => match written {
                Err(error) => {
                    stream.abort();
                    lost(error)
                }
                Ok(()) => {
                    // A device cannot be told the end, but it may have an answer.
                    if !endless {
                        let _ = timeout(DRAIN, stream.shutdown()).await;
                    }
                    let ended = tokio::select! {
                        ended = until_silent(&mut read, linger, &arrived) => ended,
                        () = stop.requested() => None,
                    };
                    match ended {
                        Some(Err(error)) => lost(error),
                        Some(Ok(())) | None => Ending::Finished,
                    }
                }
            },
            () = watch, if has_health => Ending::Finished,
            () = stop.requested() => {
                // What is queued for this end still goes out; nothing new comes in.
                drop(read);
                outlet.end(false);
                let _ = timeout(DRAIN, async {
                    if write.await.is_ok() {
                        let _ = stream.shutdown().await;
                    }
                }).await;
                Ending::Finished
            }
        };
        if has_health {
            look();
        }
        ending
    }
}

/// Waits for `work` for as long as it moves bytes at least once in `linger`; zero is for ever.
pub(crate) async fn until_silent<F: Future + Unpin>(
    work: &mut F,
    linger: Duration,
    moved: &AtomicU64,
) -> Option<F::Output> {
    if linger.is_zero() {
        return Some(work.await);
    }
    loop {
        let before = moved.load(Relaxed);
        if let Ok(done) = timeout(linger, &mut *work).await {
            return Some(done);
        }
        if before == moved.load(Relaxed) {
            return None;
        }
    }
}

/// A stream that is read and written by turns within one task.
pub(crate) struct Shared(Mutex<BoxStream>);

impl Shared {
    pub(crate) fn new(stream: BoxStream) -> Self {
        Self(Mutex::new(stream))
    }

    pub(crate) fn get<T>(&self, f: impl FnOnce(&mut BoxStream) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads at most a chunk; 0 is the end.
    pub(crate) async fn read(&self, buf: &mut BytesMut) -> io::Result<usize> {
        buf.reserve(CHUNK.min(4096)); // Grows to what arrives; an idle end holds little.
        std::future::poll_fn(|cx| self.get(|stream| poll_read(stream, cx, buf))).await
    }

    /// Writes what comes from `inbox` until nothing can come any more. `chunk` is what has been
    /// taken from it and not yet been written; whoever gives up finds it there.
    pub(crate) async fn write_from(
        &self,
        inbox: &mut Receiver,
        chunk: &mut Bytes,
        counters: [&AtomicU64; 2],
    ) -> io::Result<()> {
        loop {
            self.write_all(chunk, counters).await?;
            *chunk = match inbox.try_recv() {
                Some(next) => next,
                None => {
                    self.flush().await?;
                    match inbox.recv().await {
                        Some(next) => next,
                        None if inbox.is_cut() => return Err(io::ErrorKind::ConnectionReset.into()),
                        None => return Ok(()),
                    }
                }
            };
        }
    }

    /// Writes all of `chunk`, taking from it what has been written.
    async fn write_all(&self, chunk: &mut Bytes, counters: [&AtomicU64; 2]) -> io::Result<()> {
        while !chunk.is_empty() {
            let write = |cx: &mut std::task::Context<'_>| {
                self.get(|stream| Pin::new(stream).poll_write(cx, chunk))
            };
            let n = std::future::poll_fn(write).await?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            for counter in counters {
                add(counter, n);
            }
            chunk.advance(n);
        }
        Ok(())
    }

    async fn flush(&self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.get(|stream| Pin::new(stream).poll_flush(cx))).await
    }

    pub(crate) async fn shutdown(&self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.get(|stream| Pin::new(stream).poll_shutdown(cx))).await
    }

    pub(crate) fn abort(&self) {
        self.get(ByteStream::abort);
    }
}
