//! One direction of a master that programs open and close.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    task::{Context, Poll, ready},
};

use rustix::io::Errno;
use tokio::io::{Interest, unix::AsyncFd};

use super::{hung_up, news::News};
use crate::descriptor::Fd;

/// One direction of the master.
///
/// While no program has the pty open, epoll reports a hang-up for ever, and the runtime takes a
/// hang-up to be final. So we do not let it watch the descriptor then, but wait for news that
/// the pty was opened.
pub(super) struct End {
    pub(super) master: OwnedFd,
    pub(super) path: PathBuf,
    interest: Interest,
    watched: Option<AsyncFd<Fd>>,
    news: Option<News>,
}

impl End {
    pub(super) fn new(master: OwnedFd, path: &Path, interest: Interest) -> io::Result<Self> {
        let mut end = Self { master, path: path.into(), interest, watched: None, news: None };
        end.watch()?;
        Ok(end)
    }

    fn watch(&mut self) -> io::Result<()> {
        self.watched = None; // Before the same file is watched again.
        let fd = Fd::new(self.master.try_clone()?)?;
        self.watched = Some(fd.register(self.interest).map_err(|(_, error)| error)?);
        Ok(())
    }

    /// Waits until the pty may be open again.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.news {
            Some(news) => ready!(news.poll(cx)).map(drop)?,
            // It may have been opened before we began to listen: look once more.
            None => self.news = Some(News::new(&self.path)?),
        }
        Poll::Ready(self.watch())
    }

    /// Runs `io` when it may work, until it does. `Ok(None)`: no program has the pty open.
    pub(super) fn poll_io(
        &mut self,
        cx: &mut Context<'_>,
        mut io: impl FnMut(&OwnedFd) -> Result<usize, Errno>,
    ) -> Poll<io::Result<Option<usize>>> {
        loop {
            let Some(watched) = &self.watched else {
                ready!(self.poll_news(cx))?;
                continue;
            };
            let mut guard = ready!(if self.interest.is_readable() {
                watched.poll_read_ready(cx)
            } else {
                watched.poll_write_ready(cx)
            })?;
            match io(&self.master) {
                Ok(n) => return Poll::Ready(Ok(Some(n))),
                Err(Errno::INTR) => {}
                Err(Errno::IO) => {
                    self.watched = None;
                    return Poll::Ready(Ok(None));
                }
                Err(Errno::AGAIN) => {
                    let ready = guard.ready();
                    guard.clear_ready();
                    drop(guard);
                    // A hang-up that the runtime remembers is over, or it is not.
                    if ready.is_read_closed() || ready.is_write_closed() {
                        if hung_up(&self.master)? {
                            self.watched = None;
                        } else {
                            self.watch()?;
                        }
                    }
                }
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}
