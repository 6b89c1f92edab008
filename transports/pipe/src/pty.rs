//! `pty:`: a pseudo-terminal, pty(7), that another program opens as if it were a serial port.

mod link;
mod news;

use std::{
    future::Future,
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use ipfi_transport::{BoxStream, ByteStream, Properties, Transport};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, chmod, fcntl_getfl, fcntl_setfl},
    io::{Errno, ioctl_fionread},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd},
    runtime::Handle,
    time::sleep,
};

use crate::{Mode, descriptor::Fd, invalid, path::open_at, plain};
use link::Link;
use news::News;

ipfi_transport::choices! {
    /// What it means that no program has the pty open any more.
    pub enum Eof {
        /// That one will open it again.
        Wait = "wait",
        /// That the stream has ended.
        Close = "close",
    }
}

ipfi_transport::options! {
    /// Options of `pty:`.
    pub struct PtyOptions {
        /// A symbolic link to the pty, which goes when the stream does; the location says the same.
        link: Option<PathBuf> = "",
        /// Permissions of the pty, in octal.
        mode: Option<Mode> = "",
        /// Neither echo nor line mode nor signals; the other program may still change that.
        raw: bool = "yes",
        /// Waits until a program has opened it.
        wait: bool = "no",
        /// What it means that no program has it open any more: wait for another, or the end.
        eof: Eof = "wait",
    }
}

/// The transport `pty:[LINK]`: a pseudo-terminal that another program opens as if it were a serial
/// port.
///
/// Programs come and go, and the stream stays. While there is none, the kernel keeps about 20 KiB
/// of what is written for the next one, and then writing waits. One direction cannot end before
/// the other. The kernel throws away what the program has not read when we close, hence finishing
/// and dropping wait until it has, or has read nothing for a second.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Pty;

impl Pty {
    /// The transport.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Transport for Pty {
    const SCHEME: &'static str = "pty";
    const SUMMARY: &'static str = "a pseudo-terminal: a serial port for another program";
    const EXAMPLES: &'static [&'static str] =
        &["pty:/tmp/modem", "pty:/run/gps,mode=660,wait", "pty:,eof=close"];
    const EXCLUSIVE: bool = true;
    type Options = PtyOptions;

    fn check(&self, location: &str, options: &PtyOptions) -> Result<(), String> {
        if !location.is_empty() && options.link.is_some() {
            return Err("a location is the link too; give one of the two".into());
        }
        Ok(())
    }

    fn properties(&self, _: &str, options: &PtyOptions) -> Properties {
        let mut properties = Properties::new(true, true);
        properties.endless = options.eof == Eof::Wait;
        properties
    }

    async fn dial(&self, location: &str, options: PtyOptions) -> io::Result<BoxStream> {
        self.check(location, &options).map_err(invalid)?;
        let link = Some(PathBuf::from(location)).filter(|link| !link.as_os_str().is_empty());
        let link = link.or(options.link);

        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        // Before there are copies, which share it.
        fcntl_setfl(&master, fcntl_getfl(&master)? | OFlags::NONBLOCK)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let path = ptsname(&master, Vec::new())?;
        let path = PathBuf::from(path.into_string().map_err(io::Error::other)?);
        if options.raw {
            // It is the same terminal from either end, and opening the other one would be noticed.
            let mut termios = tcgetattr(&master)?;
            termios.make_raw();
            tcsetattr(&master, OptionalActions::Now, &termios)?;
        }
        if let Some(mode) = options.mode {
            chmod(&path, mode.into())?;
        }
        let peer = match &link {
            Some(link) => format!("{} ({})", link.display(), path.display()),
            None => path.display().to_string(),
        };
        let mut news = None;
        if options.wait {
            // From the first opening and closing on, the kernel tells whether it is open.
            drop(open_at(&path, OFlags::RDWR, None)?);
            news = Some(News::new(&path)?);
        }
        let link = link.map(|link| Link::new(&link, &path)).transpose()?;
        if let Some(mut news) = news {
            while hung_up(&master)? {
                if std::future::poll_fn(|cx| news.poll(cx)).await? {
                    break; // It may have gone again, but what it wrote is there.
                }
            }
        }
        let read = End::new(master.try_clone()?, &path, Interest::READABLE)?;
        let write = End::new(master, &path, Interest::WRITABLE)?;
        let (ended, drain, dirty) = (false, None, false);
        let close = options.eof == Eof::Close;
        Ok(Box::new(Terminal { read, write, peer, close, ended, drain, dirty, _link: link }))
    }
}

/// Whether the kernel says that no program has it open; not before one has had.
fn hung_up(master: impl AsFd) -> io::Result<bool> {
    let mut fds = [PollFd::new(&master, PollFlags::empty())];
    poll(&mut fds, Some(&Timespec::default()))?;
    Ok(fds.iter().any(|fd| fd.revents().contains(PollFlags::HUP)))
}

/// One direction of the master.
///
/// While no program has the pty open, epoll reports a hang-up for ever, and the runtime takes a
/// hang-up to be final. So we do not let it watch the descriptor then, but wait for news that
/// the pty was opened.
struct End {
    master: OwnedFd,
    path: PathBuf,
    interest: Interest,
    watched: Option<AsyncFd<Fd>>,
    news: Option<News>,
}

impl End {
    fn new(master: OwnedFd, path: &Path, interest: Interest) -> io::Result<Self> {
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
    fn poll_io(
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

/// The stream to whatever program has the pty open.
struct Terminal {
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
            let read = self.read.poll_io(cx, |fd| rustix::io::read(fd, &mut *room));
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

/// How often we look whether everything was read.
const LOOK: Duration = Duration::from_millis(5);
/// How many looks must find nothing: the kernel moves bytes from one queue to another.
const LOOKS: u32 = 3;
/// How many looks without any change mean that nobody reads: a second.
const PATIENCE: u32 = 200;

/// Keeps the master open until the other program has read everything.
async fn drain(master: OwnedFd, path: PathBuf) {
    if hung_up(&master).unwrap_or(true) {
        return;
    }
    let Ok(slave) = open_at(&path, OFlags::RDONLY, None) else { return };
    let (mut before, mut same) = (0, 0);
    loop {
        let Ok(left) = ioctl_fionread(&slave) else { return };
        same = if left == before { same + 1 } else { 0 };
        before = left;
        if same >= if left == 0 { LOOKS } else { PATIENCE } {
            return;
        }
        sleep(LOOK).await;
    }
}
