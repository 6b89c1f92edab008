//! The pipes of a process as a stream that is cut where the runner says.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    process::{ChildStdin, ChildStdout},
};

/// Where the bytes are cut.
#[derive(Debug)]
pub(crate) struct Cuts {
    /// Everywhere, in both directions.
    bytewise: AtomicBool,
    /// Before this byte of those that go to the peer; counted from 0.
    at: AtomicU64,
    written: AtomicU64,
}

impl Cuts {
    pub(crate) fn new(bytewise: bool) -> Arc<Self> {
        Arc::new(Self { bytewise: bytewise.into(), at: u64::MAX.into(), written: 0.into() })
    }

    /// Cuts after `offset` more bytes.
    pub(crate) fn cut_after(&self, offset: u64) {
        self.at.store(self.written.load(Ordering::SeqCst) + offset, Ordering::SeqCst);
    }

    /// Whether as many bytes were sent.
    pub(crate) fn was_reached(&self) -> bool {
        self.written.load(Ordering::SeqCst) >= self.at.load(Ordering::SeqCst)
    }
}

/// Two pipes as one stream.
pub(crate) struct Pipes {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: ChildStdout,
    pub(crate) cuts: Arc<Cuts>,
    /// Nothing more is written before the peer has read everything.
    draining: bool,
}

impl Pipes {
    pub(crate) fn new(stdin: ChildStdin, stdout: ChildStdout, cuts: Arc<Cuts>) -> Self {
        Self { stdin: Some(stdin), stdout, cuts, draining: false }
    }

    /// Whether the peer has read all that was written. There is nothing that tells when, so whoever
    /// asks asks again; it takes as long as the peer needs to wake up.
    fn is_drained(stdin: &ChildStdin) -> io::Result<bool> {
        if rustix::io::ioctl_fionread(stdin)? == 0 {
            return Ok(true);
        }
        // Whoever is gone reads nothing any more: writing will say so.
        let mut fds = [PollFd::new(stdin, PollFlags::empty())];
        poll(&mut fds, Some(&Timespec::default()))?;
        Ok(fds.iter().any(|fd| fd.revents().contains(PollFlags::ERR)))
    }
}

impl AsyncWrite for Pipes {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(stdin) = &mut this.stdin else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        if this.draining {
            if !Self::is_drained(stdin)? {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            this.draining = false;
        }
        let written = this.cuts.written.load(Ordering::SeqCst);
        let ahead = this.cuts.at.load(Ordering::SeqCst).saturating_sub(written);
        let ahead = usize::try_from(ahead).unwrap_or(usize::MAX);
        let most = match ahead {
            _ if this.cuts.bytewise.load(Ordering::SeqCst) => 1,
            0 => usize::MAX,
            _ => ahead,
        };
        let bytes = bytes.get(..most).unwrap_or(bytes);
        let result = Pin::new(stdin).poll_write(cx, bytes);
        if let Poll::Ready(Ok(n)) = result {
            this.cuts.written.fetch_add(n as u64, Ordering::SeqCst);
            this.draining = n == most;
        }
        result
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stdin = None;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Pipes {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.cuts.bytewise.load(Ordering::SeqCst) {
            return Pin::new(&mut this.stdout).poll_read(cx, buffer);
        }
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        let result = Pin::new(&mut this.stdout).poll_read(cx, &mut one);
        buffer.put_slice(one.filled());
        result
    }
}
