//! `pty:`: a pseudo-terminal, pty(7), that another program opens as if it were a serial port.

mod drain;
mod end;
mod link;
mod news;
mod terminal;

use std::{io, os::fd::AsFd, path::PathBuf};

use ipfi_transport::{BoxStream, Properties, Transport};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, chmod, fcntl_getfl, fcntl_setfl},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

use crate::{Mode, invalid, path::open_at};
use link::Link;
use news::News;
use terminal::Terminal;

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
///
/// ```
/// use ipfi_pipe::Pty;
/// use ipfi_transport::Registry;
/// use std::io::Write;
/// use tokio::io::AsyncReadExt;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let link = std::env::temp_dir().join(format!("ipfi-doc-tty-{}", std::process::id()));
/// # let link = link.display();
/// let registry = Registry::new().with(Pty::new());
/// let mut device = registry.dial(&format!("pty:{link}").parse()?).await?;
/// for command in ["on", "of"] {
///     // Another program, again and again.
///     std::fs::File::options().write(true).open(link.to_string())?.write_all(command.as_bytes())?;
///     let mut bytes = [0; 2];
///     device.read_exact(&mut bytes).await?;
///     assert_eq!(bytes, command.as_bytes());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        #[cfg(target_os = "linux")]
        let flags = flags | OpenptFlags::CLOEXEC;
        let master = openpt(flags)?;
        #[cfg(not(target_os = "linux"))]
        rustix::io::fcntl_setfd(&master, rustix::io::FdFlags::CLOEXEC)?;
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
        let close = options.eof == Eof::Close;
        Ok(Box::new(Terminal::new(master, &path, peer, close, link)?))
    }
}

/// Whether the kernel says that no program has it open; not before one has had.
fn hung_up(master: impl AsFd) -> io::Result<bool> {
    Ok(poll_now(master, PollFlags::empty())?.contains(PollFlags::HUP))
}

/// What is the case at this moment.
fn poll_now(fd: impl AsFd, flags: PollFlags) -> io::Result<PollFlags> {
    let mut fds = [PollFd::new(&fd, flags)];
    poll(&mut fds, Some(&Timespec::default()))?;
    Ok(fds.first().map_or(PollFlags::empty(), PollFd::revents))
}
