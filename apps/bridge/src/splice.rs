//! Bytes between two descriptors without a copy through this program: `splice(2)` by way of a
//! pipe.

use std::{
    io,
    os::fd::OwnedFd,
    task::{Context, Poll, ready},
};

use ipfi_transport::{ByteStream, Direction};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use crate::relay::Broken;

/// What the pipe holds, in bytes, if the system allows it. Larger pieces mean fewer switches
/// between reading and writing; beyond this, figures stay the same.
const PIPE: usize = 1 << 20;

/// One direction of a relay.
#[derive(Debug)]
pub(crate) struct Splice {
    read: OwnedFd,
    write: OwnedFd,
    held: usize,
}

/// Why splicing does not go on.
#[derive(Debug)]
pub(crate) enum Stuck {
    Broken(Broken),
    /// The kernel cannot splice these two. What was read already is here.
    Unsupported(Vec<u8>),
}

impl Splice {
    /// A pipe for these two, if both have descriptors and there are enough of them.
    pub(crate) fn new(from: &dyn ByteStream, to: &dyn ByteStream) -> Option<Self> {
        from.descriptors()?;
        to.descriptors()?;
        let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
        let _ = fcntl_setpipe_size(&write, PIPE); // The default of 64 KiB works too.
        Some(Self { read, write, held: 0 })
    }

    /// Moves some bytes; says how many arrived. Zero is the end.
    ///
    /// The pipe is filled only when it is empty: a full pipe and an empty socket give the same
    /// error, and taking one for the other would wait for a wake-up that never comes.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &dyn ByteStream,
        to: &dyn ByteStream,
        ended: bool,
    ) -> Poll<Result<usize, Stuck>> {
        let (Some(from), Some(to)) = (from.descriptors(), to.descriptors()) else {
            return Poll::Ready(Err(self.give_up()));
        };
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        while self.held == 0 {
            if ended {
                return Poll::Ready(Ok(0));
            }
            ready!(from.poll_ready(cx, Direction::Read)).map_err(cut_from)?;
            let mut fill = |fd: std::os::fd::BorrowedFd<'_>| {
                Ok(splice(fd, None, &self.write, None, PIPE, flags)?)
            };
            match from.try_io(Direction::Read, &mut fill) {
                Ok(0) => return Poll::Ready(Ok(0)),
                Ok(n) => self.held = n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    return Poll::Ready(Err(self.give_up()));
                }
                Err(error) => return Poll::Ready(Err(cut_from(error))),
            }
        }
        loop {
            ready!(to.poll_ready(cx, Direction::Write)).map_err(cut_to)?;
            let mut empty = |fd: std::os::fd::BorrowedFd<'_>| {
                Ok(splice(&self.read, None, fd, None, self.held, flags)?)
            };
            match to.try_io(Direction::Write, &mut empty) {
                Ok(0) => return Poll::Ready(Err(cut_to(io::ErrorKind::WriteZero.into()))),
                Ok(n) => {
                    self.held -= n.min(self.held);
                    return Poll::Ready(Ok(n));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    return Poll::Ready(Err(self.give_up()));
                }
                Err(error) => return Poll::Ready(Err(cut_to(error))),
            }
        }
    }

    /// Takes what is in the pipe, for somebody else to write.
    fn give_up(&mut self) -> Stuck {
        let mut rest = vec![0; self.held];
        let mut at = 0;
        while let Some(room @ [_, ..]) = rest.get_mut(at..) {
            match rustix::io::read(&self.read, room) {
                Ok(0) | Err(_) => break,
                Ok(n) => at += n,
            }
        }
        rest.truncate(at);
        self.held = 0;
        Stuck::Unsupported(rest)
    }
}

fn cut_from(error: io::Error) -> Stuck {
    Stuck::Broken(Broken::From(error))
}

fn cut_to(error: io::Error) -> Stuck {
    Stuck::Broken(Broken::To(error))
}
