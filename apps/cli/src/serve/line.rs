//! A stream that outlives the wires on it: on a serial line one peer comes after another, and
//! nothing but their bytes says so.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use ipfi_transport::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream, and what came before there was a wire for it.
pub(super) struct Line(Arc<Mutex<Inner>>);

struct Inner {
    stream: BoxStream,
    first: Option<u8>,
    ended: bool,
}

impl Line {
    pub(super) fn new(stream: BoxStream) -> Self {
        Self(Arc::new(Mutex::new(Inner { stream, first: None, ended: false })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the first byte of a peer; `false`: none will come. A wire that said hello before
    /// would say it to nobody, and whoever opens a serial port drops what came before.
    pub(super) async fn peer_arrives(&self) -> bool {
        poll_fn(|cx| {
            let mut inner = self.lock();
            if inner.first.is_some() {
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
                    inner.first = Some(byte[0]);
                    Poll::Ready(true)
                }
                Poll::Ready(_) => Poll::Ready(false),
            }
        })
        .await
    }

    /// The stream for one wire; when that drops it, it is still there.
    pub(super) fn share(&self) -> Share {
        Share(Self(self.0.clone()))
    }
}

/// The stream for one wire.
pub(super) struct Share(Line);

impl AsyncRead for Share {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock();
        if let Some(first) = inner.first.take() {
            buf.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut inner.stream).poll_read(cx, buf);
        if matches!(&read, Poll::Ready(Err(_))) || (read.is_ready() && buf.filled().len() == before)
        {
            inner.ended = true;
        }
        read
    }
}

impl AsyncWrite for Share {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.lock().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_flush(cx)
    }

    /// The wire ends, the line does not.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
