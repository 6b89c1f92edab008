//! A descriptor that the runtime watches.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tokio::io::{
    Interest,
    unix::{AsyncFd, AsyncFdRegisterError},
};

/// A descriptor that does not block while we have it.
///
/// `O_NONBLOCK` belongs to the open file, which other processes may share: a shell must find its
/// terminal as it was. Dropping puts it back.
#[derive(Debug)]
pub(crate) struct Fd {
    fd: OwnedFd,
    was: Option<OFlags>,
}

impl Fd {
    /// Makes it so.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        let flags = fcntl_getfl(&fd)?;
        let changed = !flags.contains(OFlags::NONBLOCK);
        if changed {
            fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
        }
        Ok(Self { fd, was: changed.then_some(flags) })
    }
}

impl Fd {
    /// Asks the runtime to say when it is ready. What cannot be watched comes back.
    #[allow(
        deprecated,
        reason = "its successor is unsafe, which this project forbids; what it asks for holds: \
                  the descriptor is ours alone, and open and the same until we are dropped"
    )]
    pub(crate) fn register(self, interest: Interest) -> Result<AsyncFd<Self>, (Self, io::Error)> {
        AsyncFd::try_with_interest(self, interest).map_err(AsyncFdRegisterError::into_parts)
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        if let Some(flags) = self.was {
            let _ = fcntl_setfl(&self.fd, flags); // Nobody is left to tell.
        }
    }
}

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
