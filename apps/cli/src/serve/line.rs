//! A stream that outlives the wires on it: on a serial line one peer comes after another, and
//! nothing but their bytes says so.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use ipfi_transport::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::ends::{Ends, NEXT_HELLO};

/// Bytes that are read at once.
const CHUNK: usize = 4096;

/// A stream, and what came before there was a wire for it.
pub(super) struct Line(Arc<Mutex<Inner>>);

struct Inner {
    stream: BoxStream,
    /// What came and belongs to the next wire.
    early: Vec<u8>,
    /// Where the wire that is under way ends; `None` once it has.
    ends: Option<Ends>,
    ended: bool,
    /// The number of the wire that may use the stream; what one before it has to say, nobody is there to
    /// hear any more.
    wire: u64,
    /// A wire has the stream, and may have something to write yet.
    is_shared: bool,
    /// Whoever waits until none has.
    ender: Option<Waker>,
}

impl Line {
    pub(super) fn new(stream: BoxStream) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            stream,
            early: Vec::new(),
            ends: None,
            ended: false,
            wire: 0,
            is_shared: false,
            ender: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the first byte of a peer; `false`: none will come. A wire that said hello before
    /// would say it to nobody, and whoever opens a serial port drops what came before.
    pub(super) async fn peer_arrives(&self) -> bool {
        poll_fn(|cx| {
            let mut inner = self.lock();
            if !inner.early.is_empty() {
                return Poll::Ready(true);
            }
            if inner.ended {
                return Poll::Ready(false);
            }
            let mut byte = [0];
            let mut buffer = ReadBuf::new(&mut byte);
            match Pin::new(&mut inner.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    inner.early.push(byte[0]);
                    Poll::Ready(true)
                }
                Poll::Ready(_) => Poll::Ready(false),
            }
        })
        .await
    }

    /// The stream for one wire; when that drops it, it is still there.
    pub(super) fn share(&self) -> Share {
        let mut inner = self.lock();
        inner.ends = Some(Ends::new());
        inner.is_shared = true;
        inner.wire += 1;
        Share { line: Self(self.0.clone()), wire: inner.wire }
    }

    /// Ends the line itself when the last wire on it has written all: until both sides know that it is
    /// over, or the device below is free to be opened again.
    pub(super) async fn end(self) {
        poll_fn(|cx| {
            let inner = &mut *self.lock();
            if inner.is_shared {
                inner.ender = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Pin::new(&mut inner.stream).poll_shutdown(cx).map(drop)
        })
        .await;
        poll_fn(|cx| {
            let mut chunk = [0; CHUNK];
            loop {
                let mut buffer = ReadBuf::new(&mut chunk);
                let read = Pin::new(&mut self.lock().stream).poll_read(cx, &mut buffer);
                match read {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                    Poll::Ready(_) => return Poll::Ready(()),
                }
            }
        })
        .await;
    }
}

/// The stream for one wire.
pub(super) struct Share {
    line: Line,
    wire: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut inner = self.line.lock();
        if inner.wire != self.wire {
            return;
        }
        inner.is_shared = false;
        if let Some(ender) = inner.ender.take() {
            ender.wake();
        }
    }
}

impl AsyncRead for Share {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let inner = &mut *self.line.lock();
        if inner.wire != self.wire {
            return Poll::Ready(Ok(()));
        }
        let Some(ends) = &mut inner.ends else { return Poll::Pending };
        let mut bytes = std::mem::take(&mut inner.early);
        if bytes.is_empty() {
            let mut chunk = [0; CHUNK];
            let mut buffer = ReadBuf::new(&mut chunk);
            match Pin::new(&mut inner.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    bytes.extend_from_slice(buffer.filled());
                }
                Poll::Ready(result) => {
                    inner.ended = true;
                    return Poll::Ready(result);
                }
            }
        }
        let found = ends.find(bytes.get(..buf.remaining()).unwrap_or(&bytes));
        let end = found.map_or(bytes.len(), |end| end.at).min(buf.remaining());
        inner.early = bytes.split_off(end);
        buf.put_slice(&bytes);
        if let Some(end) = found {
            inner.ends = None; // What comes now is for another wire.
            if end.in_hello {
                inner.wire += 1;
                inner.is_shared = false;
                inner.early.splice(..0, NEXT_HELLO);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Share {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.line.lock();
        if inner.wire != self.wire {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut inner.stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line.lock().stream).poll_flush(cx)
    }

    /// The wire ends, the line does not.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
