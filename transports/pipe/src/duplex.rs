//! A stream made of two descriptors: one to read from and one to write to.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use ipfi_transport::{ByteStream, Descriptors, Direction};
use rustix::fs::{FileType, fstat};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd},
};

use crate::{descriptor::Fd, writer::Writer};

/// One direction.
#[derive(Debug)]
pub(crate) enum Half {
    /// The kernel says when it is ready.
    Polled(AsyncFd<Fd>),
    /// A regular file, or a device such as `/dev/null`, for which there is no such thing as
    /// ready: a thread reads it.
    Reading(File),
    /// The same, written by a thread.
    Writing(Writer),
}

impl Half {
    pub(crate) fn new(fd: OwnedFd, direction: Direction) -> io::Result<Self> {
        let interest = match direction {
            Direction::Read => Interest::READABLE,
            Direction::Write => Interest::WRITABLE,
        };
        match Fd::new(fd)?.register(interest) {
            Ok(fd) => Ok(Self::Polled(fd)),
            Err((fd, error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                // epoll_ctl(2): EPERM means that the file cannot be polled.
                let file = std::fs::File::from(fd.as_fd().try_clone_to_owned()?);
                Ok(match direction {
                    Direction::Read => Self::Reading(File::from_std(file)),
                    Direction::Write => Self::Writing(Writer::new(file)),
                })
            }
            Err((_, error)) => Err(error),
        }
    }

    /// Whether `splice(2)` can move bytes through it.
    fn splices(&self) -> bool {
        let Self::Polled(fd) = self else { return false };
        let kind = fstat(fd.get_ref()).map(|stat| FileType::from_raw_mode(stat.st_mode));
        matches!(kind, Ok(FileType::Fifo | FileType::Socket))
    }

    fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<()>> {
        let Self::Polled(fd) = self else { return Poll::Ready(Ok(())) };
        let guard = match direction {
            Direction::Read => fd.poll_read_ready(cx),
            Direction::Write => fd.poll_write_ready(cx),
        };
        guard.map_ok(|mut guard| guard.retain_ready())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let fd = match self {
            Self::Polled(fd) => fd,
            Self::Reading(file) => return Pin::new(file).poll_read(cx, buf),
            Self::Writing(_) => return Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        };
        loop {
            let mut guard = ready!(fd.poll_read_ready(cx))?;
            let read =
                |fd: &AsyncFd<Fd>| Ok(rustix::io::read(fd.get_ref(), buf.initialize_unfilled())?);
            match guard.try_io(read) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => {
                    buf.advance(result?);
                    return Poll::Ready(Ok(()));
                }
                Err(_would_block) => {}
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let fd = match self {
            Self::Polled(fd) => fd,
            Self::Writing(writer) => return writer.poll_write(cx, buf),
            Self::Reading(_) => return Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        };
        loop {
            let mut guard = ready!(fd.poll_write_ready(cx))?;
            match guard.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), buf)?)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return Poll::Ready(result),
                Err(_would_block) => {}
            }
        }
    }
}

/// A stream made of two descriptors, or of one.
///
/// Without one to write to, writing fails. Without one to read from, reading waits until writing
/// has finished, so that a one-way stream ends when its one way does.
#[derive(Debug)]
pub(crate) struct Duplex {
    read: Option<Half>,
    write: Option<Half>,
    peer: String,
    ended: bool,
    finished: bool,
    reader: Option<Waker>,
    splices: bool,
}

impl Duplex {
    pub(crate) fn new(
        read: Option<OwnedFd>,
        write: Option<OwnedFd>,
        peer: String,
    ) -> io::Result<Self> {
        let read = read.map(|fd| Half::new(fd, Direction::Read)).transpose()?;
        let write = write.map(|fd| Half::new(fd, Direction::Write)).transpose()?;
        let splices = [&read, &write].into_iter().all(|h| h.as_ref().is_some_and(Half::splices));
        let (ended, finished, reader) = (false, false, None);
        Ok(Self { read, write, peer, ended, finished, reader, splices })
    }

    /// Whether the end was read.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    fn half(&self, direction: Direction) -> io::Result<&Half> {
        let half = match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        };
        half.as_ref().ok_or_else(|| self.no_writer())
    }

    fn no_writer(&self) -> io::Error {
        let text = if self.finished {
            "writing has already finished".to_owned()
        } else {
            format!("{} is only for reading", self.peer)
        };
        io::Error::new(io::ErrorKind::BrokenPipe, text)
    }
}

impl ByteStream for Duplex {
    fn abort(&mut self) {
        if let Some(Half::Polled(fd)) = &self.write {
            // A TCP socket that was handed to us sends a reset; others have nothing like it.
            let _ = rustix::net::sockopt::set_socket_linger(fd.get_ref(), Some(Duration::ZERO));
        }
    }

    fn peer(&self) -> Option<String> {
        Some(self.peer.clone())
    }

    fn descriptors(&self) -> Option<&dyn Descriptors> {
        if self.splices { Some(self) } else { None }
    }
}

impl Descriptors for Duplex {
    fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<()>> {
        self.half(direction)?.poll_ready(cx, direction)
    }

    fn try_io(
        &self,
        direction: Direction,
        f: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let interest = match direction {
            Direction::Read => Interest::READABLE,
            Direction::Write => Interest::WRITABLE,
        };
        match self.half(direction)? {
            Half::Polled(fd) => fd.try_io(interest, |fd| f(fd.as_fd())),
            Half::Reading(_) | Half::Writing(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl AsyncRead for Duplex {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ended || buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let this = &mut *self;
        match &mut this.read {
            Some(half) => {
                let before = buf.filled().len();
                ready!(half.poll_read(cx, buf))?;
                // A named pipe that has ended can have another writer: that is another stream.
                this.ended = buf.filled().len() == before;
                Poll::Ready(Ok(()))
            }
            None if this.finished => Poll::Ready(Ok(())),
            None => {
                this.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.write {
            Some(half) => half.poll_write(cx, buf),
            None => Poll::Ready(Err(self.no_writer())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.write {
            Some(Half::Writing(writer)) => writer.poll_flush(cx),
            Some(Half::Polled(_) | Half::Reading(_)) | None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        if let Some(Half::Polled(fd)) = &self.write {
            // A socket may have other descriptors, ours for reading among them.
            let _ = rustix::net::shutdown(fd.get_ref(), rustix::net::Shutdown::Write);
        }
        self.write = None;
        self.finished = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(()))
    }
}
