//! Streams within one process, for tests and for examples.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::mpsc,
};

use crate::{BoxFuture, BoxStream, ByteStream, Listener, Transport};

/// How many bytes one direction holds by default.
const DEFAULT_BUFFER: usize = 65_536;
/// The most that an address may ask for, in bytes.
const MAX_BUFFER: usize = 16 << 20;
/// How many peers may wait to be accepted.
const BACKLOG: usize = 128;

/// One end of a pair of connected streams in memory.
///
/// Unlike [`tokio::io::duplex`] it can be [aborted](ByteStream::abort).
#[derive(Debug)]
pub struct MemoryStream {
    stream: DuplexStream,
    aborted: Arc<AtomicBool>,
    peer_aborted: Arc<AtomicBool>,
}

impl MemoryStream {
    /// Two connected ends, each direction holding at most `buffer` bytes.
    #[must_use]
    pub fn pair(buffer: usize) -> (Self, Self) {
        let (a, b) = tokio::io::duplex(buffer);
        let flags = [Arc::<AtomicBool>::default(), Arc::default()];
        let [a_aborted, b_aborted] = flags;
        (
            Self { stream: a, aborted: a_aborted.clone(), peer_aborted: b_aborted.clone() },
            Self { stream: b, aborted: b_aborted, peer_aborted: a_aborted },
        )
    }

    fn cut<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() && self.peer_aborted.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        result
    }
}

impl ByteStream for MemoryStream {
    fn abort(&mut self) {
        self.aborted.store(true, Ordering::Release);
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before { result } else { self.cut(result) }
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.cut(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

crate::options! {
    /// Options of `memory:`.
    pub struct MemoryOptions {
        /// Bytes that each direction holds before the writer waits; at most 16 MiB.
        buffer: usize = "65536",
    }
}

/// The transport `memory:NAME`: streams within one process.
///
/// Names belong to the value: its clones share them, another `Memory::new()` has its own.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    listeners: Arc<Mutex<HashMap<String, mpsc::Sender<MemoryStream>>>>,
}

impl Memory {
    /// A transport on which nobody listens yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Two connected streams, without any name.
    #[must_use]
    pub fn pair() -> (MemoryStream, MemoryStream) {
        MemoryStream::pair(DEFAULT_BUFFER)
    }
}

impl Transport for Memory {
    const SCHEME: &'static str = "memory";
    const SUMMARY: &'static str = "a stream within this process, for tests";
    const EXAMPLES: &'static [&'static str] = &["memory:name", "memory-listen:name"];
    const LISTENS: bool = true;
    type Options = MemoryOptions;

    fn check(&self, _: &str, options: &MemoryOptions) -> Result<(), String> {
        match options.buffer {
            1..=MAX_BUFFER => Ok(()),
            n => Err(format!("buffer={n} is not between 1 and {MAX_BUFFER}")),
        }
    }

    async fn dial(&self, name: &str, options: MemoryOptions) -> io::Result<BoxStream> {
        let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens there");
        let listener = {
            let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
            listeners.get(name).cloned().ok_or_else(refused)?
        };
        let (here, there) = MemoryStream::pair(options.buffer);
        listener.send(there).await.map_err(|_| refused())?;
        Ok(Box::new(here))
    }

    async fn listen(&self, name: &str, _: MemoryOptions) -> io::Result<Box<dyn Listener>> {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if listeners.get(name).is_some_and(|listener| !listener.is_closed()) {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "the name is already in use; choose another one",
            ));
        }
        let (sender, receiver) = mpsc::channel(BACKLOG);
        listeners.insert(name.into(), sender);
        Ok(Box::new(MemoryListener(receiver)))
    }
}

struct MemoryListener(mpsc::Receiver<MemoryStream>);

impl Listener for MemoryListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async {
            let stream = self.0.recv().await;
            let stream = stream.ok_or_else(|| io::Error::other("the name was taken over"))?;
            Ok(Box::new(stream) as BoxStream)
        })
    }
}
