//! `stdio:`: our own standard input and output as one stream.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, ready},
};

use ipfi_transport::{BoxStream, ByteStream, Descriptors, OptionValue, Transport};
use rustix::{
    fs::{FileType, Mode as Permissions, OFlags, fstat, open},
    stdio::{dup2_stdin, dup2_stdout, stdin, stdout},
    termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{duplex::Duplex, invalid, plain};

/// A key that is held down together with Ctrl, as in `^]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a key is a byte")]
pub struct Key(pub u8);

impl OptionValue for Key {
    const PLACEHOLDER: &'static str = "^KEY";

    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_uppercase().as_bytes() {
            [b'^', key @ b'@'..=b'_'] => Ok(Self(key - b'@')),
            _ => Err("a caret and a key, as in ^] or ^X".into()),
        }
    }
}

ipfi_transport::options! {
    /// Options of `stdio:`.
    pub struct StdioOptions {
        /// Passes every key of a terminal on at once, Ctrl-C too, and shows none by itself.
        raw: bool = "no",
        /// The key that ends the input of a raw terminal.
        escape: Option<Key> = "^]",
    }
}

/// The transport `stdio:`: our own standard input and output as one stream.
///
/// There is one such stream at a time. A terminal keeps its line mode unless the option `raw`
/// changes it, and gets it back. Pipes and terminals are opened anew where `/proc` allows it,
/// because `O_NONBLOCK` would reach every process that shares them; else it is undone at the end.
/// Finishing closes the standard output of the process, and dropping closes both, so that the
/// neighbours in a pipeline notice; a terminal stays.
///
/// ```no_run
/// use ipfi_pipe::Stdio;
/// use ipfi_transport::Registry;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let registry = Registry::new().with(Stdio::new());
/// let mut shell = registry.dial(&"stdio:,raw".parse()?).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Stdio;

impl Stdio {
    /// The transport.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

/// There is a stream.
static IN_USE: AtomicBool = AtomicBool::new(false);
/// There was a stream, and it closed our standard input or output.
static CLOSED: AtomicBool = AtomicBool::new(false);

impl Transport for Stdio {
    const SCHEME: &'static str = "stdio";
    const SUMMARY: &'static str = "standard input and output";
    const EXAMPLES: &'static [&'static str] = &["stdio:", "stdio:,raw", "stdio:,raw,escape=^X"];
    const EXCLUSIVE: bool = true;
    type Options = StdioOptions;

    fn check(&self, location: &str, _: &StdioOptions) -> Result<(), String> {
        if location.is_empty() { Ok(()) } else { Err("it takes none; write `stdio:`".into()) }
    }

    async fn dial(&self, location: &str, options: StdioOptions) -> io::Result<BoxStream> {
        self.check(location, &options).map_err(invalid)?;
        let claim = Claim::new()?;
        let read = private(stdin(), OFlags::RDONLY)?;
        let write = private(stdout(), OFlags::WRONLY)?;
        let pipes = Duplex::new(Some(read), Some(write), "standard input and output".into())?;
        let terminal = options.raw && isatty(stdin());
        let raw = terminal.then(Raw::new).transpose()?;
        let escape = options.escape.filter(|_| terminal).map(|key| key.0);
        Ok(Box::new(Standard { pipes, escape, escaped: false, _raw: raw, _claim: claim }))
    }
}

/// The right to be the stream.
struct Claim;

impl Claim {
    fn new() -> io::Result<Self> {
        if CLOSED.load(Ordering::Acquire) {
            let text = "an earlier stream has closed standard input and output; use a socket";
            return Err(plain(io::ErrorKind::NotConnected, text));
        }
        if IN_USE.swap(true, Ordering::AcqRel) {
            let text = "another stream has standard input and output; use them once";
            return Err(plain(io::ErrorKind::ResourceBusy, text));
        }
        Ok(Self)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if ends_by_closing(stdin()) {
            close(|null| Ok(dup2_stdin(null)?));
        }
        if ends_by_closing(stdout()) {
            close(|null| Ok(dup2_stdout(null)?));
        }
        IN_USE.store(false, Ordering::Release);
    }
}

/// Whether somebody at the other end notices that it is closed.
fn ends_by_closing(fd: BorrowedFd<'_>) -> bool {
    let kind = fstat(fd).map(|stat| FileType::from_raw_mode(stat.st_mode));
    matches!(kind, Ok(FileType::Fifo | FileType::Socket))
}

/// Puts `/dev/null` in place of a descriptor that others of the process may still use.
fn close(replace: impl FnOnce(OwnedFd) -> io::Result<()>) {
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Permissions::empty());
    // Without it the descriptor stays open until the process ends.
    let _ = null.map_err(io::Error::from).and_then(replace);
    CLOSED.store(true, Ordering::Release);
}

/// The same pipe or terminal as an open file of its own if possible, and else a copy.
fn private(fd: BorrowedFd<'_>, access: OFlags) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;

    let kind = FileType::from_raw_mode(fstat(fd)?.st_mode);
    // To open the master of a pty is to make another one.
    let terminal = isatty(fd) && rustix::pty::ptsname(fd, Vec::new()).is_err();
    if kind == FileType::Fifo || terminal {
        let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        if let Ok(anew) = open(path, flags, Permissions::empty()) {
            return Ok(anew);
        }
    }
    fd.try_clone_to_owned()
}

/// The terminal as it was, which it is again at the end.
struct Raw(Termios);

impl Raw {
    fn new() -> io::Result<Self> {
        let was = tcgetattr(stdin())?;
        let mut raw = was.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(was))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0); // It may have been closed.
    }
}

/// Standard input and output. The fields are dropped in this order.
struct Standard {
    pipes: Duplex,
    escape: Option<u8>,
    escaped: bool,
    _raw: Option<Raw>,
    _claim: Claim,
}

impl ByteStream for Standard {
    fn abort(&mut self) {
        self.pipes.abort();
    }

    fn peer(&self) -> Option<String> {
        self.pipes.peer()
    }

    fn descriptors(&self) -> Option<&dyn Descriptors> {
        self.pipes.descriptors()
    }
}

impl AsyncRead for Standard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.escaped {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.pipes).poll_read(cx, buf))?;
        let typed = buf.filled().iter().skip(before);
        if let Some(escape) = self.escape
            && let Some(at) = typed.copied().position(|byte| byte == escape)
        {
            buf.set_filled(before + at);
            self.escaped = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Standard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipes).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.pipes).poll_shutdown(cx))?;
        if ends_by_closing(stdout()) {
            close(|null| Ok(dup2_stdout(null)?));
        }
        Poll::Ready(Ok(()))
    }
}
