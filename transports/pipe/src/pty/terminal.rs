//! The stream to whatever program has the pty open.

use std::{
    future::Future,
    io,
    os::fd::OwnedFd,
    path::Path,
    pin::Pin,
    task::{Context, Poll, ready},
};

use ipfi_transport::ByteStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    runtime::Handle,
};

use super::{drain::drain, end::End, link::Link};
use crate::plain;

/// The stream to whatever program has the pty open.
pub(super) struct Terminal {
    read: End,
    write: End,
    peer: String,
    close: bool,
    ended: bool,
    drain: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Something was written that may not have been read.
    dirty: bool,
    _link: Option<Link>,
}

impl Terminal {
    pub(super) fn new(
        master: OwnedFd,
        path: &Path,
        peer: String,
        close: bool,
        link: Option<Link>,
    ) -> io::Result<Self> {
        let read = End::new(master.try_clone()?, path, Interest::READABLE)?;
        let write = End::new(master, path, Interest::WRITABLE)?;
        let (ended, drain, dirty) = (false, None, false);
        Ok(Self { read, write, peer, close, ended, drain, dirty, _link: link })
    }
}

impl ByteStream for Terminal {
    fn peer(&self) -> Option<String> {
        Some(self.peer.clone())
    }
}

impl AsyncRead for Terminal {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while !self.ended {
            let room = buf.initialize_unfilled();
            let read = self.read.poll_io(cx, |fd| read_burst(fd, room));
            match ready!(read)? {
                Some(n) if n > 0 => {
                    buf.advance(n);
                    break;
                }
                Some(_) | None => self.ended = self.close,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Terminal {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.ended || self.drain.is_some() {
            let text = "the program has closed the pty, or writing has finished";
            return Poll::Ready(Err(plain(io::ErrorKind::BrokenPipe, text)));
        }
        loop {
            let write = self.write.poll_io(cx, |fd| rustix::io::write(fd, buf));
            if let Some(n) = ready!(write)? {
                self.dirty = true;
                return Poll::Ready(Ok(n));
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.drain.is_none() {
            let master = self.write.master.try_clone()?;
            self.drain = Some(Box::pin(drain(master, self.write.path.clone())));
        }
        if self.dirty
            && let Some(drain) = &mut self.drain
        {
            ready!(drain.as_mut().poll(cx));
            self.dirty = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.dirty
            && let Ok(runtime) = Handle::try_current()
            && let Ok(master) = self.write.master.try_clone()
        {
            runtime.spawn(drain(master, self.write.path.clone()));
        }
    }
}

/// Reads as much as there is: the kernel gives at most 4 KiB at a time, and whoever relays it pays for
/// each piece.
fn read_burst(fd: &OwnedFd, room: &mut [u8]) -> Result<usize, rustix::io::Errno> {
    let mut filled = 0;
    while filled < room.len() {
        match rustix::io::read(fd, &mut room[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(_) if filled > 0 => break, // It comes again.
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
