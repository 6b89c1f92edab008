//! News that a file was opened.

use std::{
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{Sleep, sleep},
};

use crate::descriptor::Fd;

/// How often we look where the system cannot tell us.
const LOOK: Duration = Duration::from_millis(100);

/// News that a file was opened.
pub(super) enum News {
    /// The kernel says so, inotify(7).
    Told(AsyncFd<Fd>),
    /// It does not: other systems, or no more inotify instances for this user. It may have been.
    Looking(Pin<Box<Sleep>>),
}

impl News {
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        match inotify(path) {
            Ok(fd) => {
                let fd = Fd::new(fd)?.register(Interest::READABLE);
                Ok(Self::Told(fd.map_err(|(_, error)| error)?))
            }
            Err(_) => Ok(Self::Looking(Box::pin(sleep(LOOK)))),
        }
    }

    /// Waits until the file was opened (`true`) or may have been.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self {
            Self::Told(fd) => loop {
                let mut guard = ready!(fd.poll_read_ready(cx))?;
                // What the events say does not matter: we asked for one kind.
                let read =
                    guard.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut [0_u8; 4096])?));
                if let Ok(result) = read {
                    return Poll::Ready(result.map(|_| true));
                }
            },
            Self::Looking(timer) => {
                ready!(timer.as_mut().poll(cx));
                timer.set(sleep(LOOK));
                Poll::Ready(Ok(false))
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn inotify(path: &Path) -> io::Result<std::os::fd::OwnedFd> {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

    let fd = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    add_watch(&fd, path, WatchFlags::OPEN)?;
    Ok(fd)
}

#[cfg(not(target_os = "linux"))]
fn inotify(_: &Path) -> io::Result<std::os::fd::OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}
