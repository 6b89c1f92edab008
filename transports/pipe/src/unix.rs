//! `unix:` and `unix-listen:`: sockets of the local domain, unix(7).

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use ipfi_transport::{
    BoxFuture, BoxStream, ByteStream, Descriptors, Direction, Listener, Transport,
};
use listenfd::ListenFd;
use rustix::{
    fs::{FileType, FlockOperation, Mode as Permissions, OFlags, Stat},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::{UnixListener, UnixStream, unix::UCred},
    time::{Instant, sleep},
};

use crate::{Mode, invalid, plain};

/// How many peers may wait to be accepted; the system has a limit of its own
/// (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;
/// How long dialling waits for room in a listener's queue.
const QUEUE_PATIENCE: Duration = Duration::from_secs(10);

ipfi_transport::options! {
    /// Options of `unix:`.
    pub struct UnixOptions {
        /// Permissions of the socket that is listened at, in octal: who may write may connect.
        mode: Option<Mode> = "",
    }
}

/// The transport `unix:PATH` and `unix-listen:PATH`; `@NAME` is a name without a file (Linux).
///
/// A socket file that nobody listens on any more is replaced; one that is in use is not. The file
/// is removed when the listener is dropped. [`abort`](ByteStream::abort) is a plain close: these
/// sockets have no reset. Other than with TCP, a peer that still had bytes to read makes the end
/// an error.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Unix;

impl Unix {
    /// The transport.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Transport for Unix {
    const SCHEME: &'static str = "unix";
    const SUMMARY: &'static str = "a socket of the local domain: a path, or @NAME without a file";
    const EXAMPLES: &'static [&'static str] = &[
        "unix:/run/x.sock",
        "unix:@name",
        "unix-listen:/run/x.sock,mode=660",
        "unix-listen:systemd",
    ];
    const LISTENS: bool = true;
    type Options = UnixOptions;

    fn check(&self, location: &str, _: &UnixOptions) -> Result<(), String> {
        Location::parse(location).map(drop)
    }

    async fn dial(&self, location: &str, _: UnixOptions) -> io::Result<BoxStream> {
        let (Location::Path(_, address) | Location::Abstract(address)) =
            Location::parse(location).map_err(invalid)?
        else {
            return Err(invalid("`systemd` is a place to listen at, not to dial".into()));
        };
        let socket = connect(&address).await.map_err(|error| explain(error, location))?;
        let stream = UnixStream::from_std(socket.into())?;
        Ok(Box::new(Stream { stream, peer: location.into() }))
    }

    async fn listen(&self, location: &str, options: UnixOptions) -> io::Result<Box<dyn Listener>> {
        let (socket, file) = match Location::parse(location).map_err(invalid)? {
            Location::Inherited(index) => (inherited(index)?, None),
            Location::Abstract(address) => {
                if options.mode.is_some() {
                    return Err(invalid("a name without a file has no `mode`; use a path".into()));
                }
                let socket = socket()?;
                rustix::net::bind(&socket, &address).map_err(|error| in_use(error, location))?;
                rustix::net::listen(&socket, BACKLOG)?;
                (socket, None)
            }
            Location::Path(path, address) => {
                let bind = move || bind(&path, &address, options.mode);
                let bound = tokio::task::spawn_blocking(bind).await.map_err(io::Error::other)?;
                let (socket, file) = bound?;
                (socket, Some(file))
            }
        };
        let listener = UnixListener::from_std(socket.into())?;
        Ok(Box::new(Accept { listener, local: location.into(), _file: file }))
    }
}

enum Location {
    Path(PathBuf, SocketAddrUnix),
    Abstract(SocketAddrUnix),
    /// The socket that a service manager passed, counted from 0.
    Inherited(usize),
}

impl Location {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it needs a path, as in `unix:/run/x.sock`, or a name, as in `@x`".into());
        }
        if let Some(index) = text.strip_prefix("systemd")
            && (index.is_empty() || index.starts_with('='))
        {
            let index = index.strip_prefix('=').unwrap_or("0").parse();
            let index = index.map_err(|_| "`systemd=N` takes the number of a passed socket")?;
            return Ok(Self::Inherited(index));
        }
        if let Some(name) = text.strip_prefix('@') {
            return abstract_name(name).map(Self::Abstract);
        }
        let address = SocketAddrUnix::new(text).map_err(|_| {
            let len = text.len();
            format!(
                "the path has {len} bytes and a socket's may have {MAX_PATH}; use a shorter one, \
                 or one relative to the working directory"
            )
        })?;
        Ok(Self::Path(text.into(), address))
    }
}

/// `sun_path` has 108 bytes on Linux and 104 on BSD and macOS, one of which ends the path.
const MAX_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

#[cfg(target_os = "linux")]
fn abstract_name(name: &str) -> Result<SocketAddrUnix, String> {
    if name.is_empty() {
        return Err("it needs a name after `@`, as in `unix:@x`".into());
    }
    SocketAddrUnix::new_abstract_name(name.as_bytes())
        .map_err(|_| format!("the name has {} bytes and may have {MAX_PATH}", name.len()))
}

#[cfg(not(target_os = "linux"))]
fn abstract_name(name: &str) -> Result<SocketAddrUnix, String> {
    Err(format!("names without a file are Linux's own; use a path such as `/tmp/{name}`"))
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

/// Connects, and waits while the queue of the listener is full: the kernel refuses then, and does
/// not say when there is room.
async fn connect(address: &SocketAddrUnix) -> io::Result<OwnedFd> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let socket = socket()?;
        match rustix::net::connect(&socket, address) {
            Ok(()) => return Ok(socket),
            Err(Errno::AGAIN) if start.elapsed() < QUEUE_PATIENCE => sleep(pause).await,
            Err(error) => return Err(error.into()),
        }
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

fn explain(error: io::Error, location: &str) -> io::Error {
    let text = match Errno::from_io_error(&error) {
        Some(Errno::CONNREFUSED) if !location.starts_with('@') => {
            "nothing listens on it; start the program that should (or it is not a socket)"
        }
        Some(Errno::NOENT | Errno::CONNREFUSED) => {
            "there is no such socket; start the program that listens there"
        }
        Some(Errno::AGAIN) => "its queue is full: the program that listens there accepts nobody",
        Some(Errno::PROTOTYPE) => "that socket is not one of streams; use another one",
        _ => return error,
    };
    plain(error.kind(), text)
}

/// Binds to a path, in place of a socket that nobody listens on.
fn bind(path: &Path, address: &SocketAddrUnix, mode: Option<Mode>) -> io::Result<(OwnedFd, File)> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = match rustix::fs::open(directory, flags, Permissions::empty()) {
        Ok(directory) => directory,
        Err(Errno::NOENT) => {
            let text = format!("there is no directory `{}`; make it first", directory.display());
            return Err(plain(io::ErrorKind::NotFound, text));
        }
        Err(error) => return Err(error.into()),
    };
    // One at a time, or two that find the same dead socket would remove each other's new one.
    // Where a directory cannot be locked, that risk remains.
    let _ = rustix::fs::flock(&directory, FlockOperation::LockExclusive);
    remove_stale(path, address)?;

    let socket = socket()?;
    if let Some(mode) = mode {
        // Linux takes the permissions of the file from those of the socket, less the umask, so
        // it is never open to more than it should be. The rest comes from chmod, before anybody
        // can connect: that needs listen.
        let _ = rustix::fs::fchmod(&socket, mode.into());
    }
    rustix::net::bind(&socket, address)?;
    let file = File { path: path.into(), stat: rustix::fs::lstat(path)? };
    if let Some(mode) = mode {
        rustix::fs::chmod(path, mode.into())?;
    }
    rustix::net::listen(&socket, BACKLOG)?;
    Ok((socket, file))
}

fn remove_stale(path: &Path, address: &SocketAddrUnix) -> io::Result<()> {
    let stat = match rustix::fs::lstat(path) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        let text = "something that is not a socket has this name; choose another one";
        return Err(plain(io::ErrorKind::AlreadyExists, text));
    }
    match rustix::net::connect(socket()?, address) {
        Err(Errno::CONNREFUSED) => Ok(rustix::fs::unlink(path)?),
        Err(Errno::NOENT) => Ok(()),
        Err(Errno::ACCESS) => Err(plain(
            io::ErrorKind::PermissionDenied,
            "a socket that we may not use has this name; choose another one",
        )),
        // Connected, or its queue is full.
        Ok(()) | Err(_) => Err(plain(
            io::ErrorKind::AddrInUse,
            "another program listens there; stop it or choose another path",
        )),
    }
}

fn in_use(error: Errno, location: &str) -> io::Error {
    match error {
        Errno::ADDRINUSE => plain(
            io::ErrorKind::AddrInUse,
            format!("another program listens at `{location}`; stop it or choose another name"),
        ),
        error => error.into(),
    }
}

/// Takes a socket that a service manager passed (systemd's `LISTEN_FDS`), each at most once.
fn inherited(index: usize) -> io::Result<OwnedFd> {
    static PASSED: Mutex<Option<ListenFd>> = Mutex::new(None);
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let passed = passed.get_or_insert_with(ListenFd::from_env);
    let socket = passed.take_unix_listener(index)?.ok_or_else(|| {
        let text = format!(
            "the service manager passed no socket {index}; add it to the `.socket` unit, or give \
             a path"
        );
        plain(io::ErrorKind::NotFound, text)
    })?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// The file of a socket, which goes when the listener goes.
struct File {
    path: PathBuf,
    stat: Stat,
}

impl Drop for File {
    fn drop(&mut self) {
        let ours = rustix::fs::lstat(&self.path)
            .is_ok_and(|now| (now.st_dev, now.st_ino) == (self.stat.st_dev, self.stat.st_ino));
        if ours {
            let _ = rustix::fs::unlink(&self.path); // It is found to be stale next time.
        }
    }
}

/// A listening socket.
struct Accept {
    listener: UnixListener,
    local: String,
    _file: Option<File>,
}

impl Listener for Accept {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async {
            let (stream, _) = self.listener.accept().await?;
            let peer = stream.peer_cred().map_or_else(|_| self.local.clone(), |peer| who(&peer));
            Ok(Box::new(Stream { stream, peer }) as BoxStream)
        })
    }

    fn local(&self) -> Option<String> {
        Some(self.local.clone())
    }
}

/// A peer has no address, but the kernel knows who it is.
fn who(peer: &UCred) -> String {
    match peer.pid() {
        Some(pid) => format!("pid {pid}, uid {}", peer.uid()),
        None => format!("uid {}", peer.uid()),
    }
}

/// A connected socket.
struct Stream {
    stream: UnixStream,
    peer: String,
}

impl ByteStream for Stream {
    fn peer(&self) -> Option<String> {
        Some(self.peer.clone())
    }

    fn descriptors(&self) -> Option<&dyn Descriptors> {
        Some(self)
    }
}

impl Descriptors for Stream {
    fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<()>> {
        match direction {
            Direction::Read => self.stream.poll_read_ready(cx),
            Direction::Write => self.stream.poll_write_ready(cx),
        }
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
        self.stream.try_io(interest, || f(self.stream.as_fd()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
