//! `unix:` and `unix-listen:`: sockets of the local domain, unix(7).

mod listen;
mod stream;

use std::{io, os::fd::OwnedFd, path::PathBuf, time::Duration};

use ipfi_transport::{BoxStream, Listener, Transport};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketType},
};
use tokio::{
    net::UnixStream,
    time::{Instant, sleep},
};

use crate::{Mode, invalid, plain};
use stream::Stream;

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
/// is removed when the listener is dropped. [`abort`](ipfi_transport::ByteStream::abort) is a plain close: these
/// sockets have no reset. Other than with TCP, a peer that still had bytes to read makes the end
/// an error.
///
/// ```
/// use ipfi_pipe::Unix;
/// use ipfi_transport::Registry;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let dir = std::env::temp_dir().join(format!("ipfi-doc-{}", std::process::id()));
/// # let dir = dir.display();
/// let registry = Registry::new().with(Unix::new());
/// let listen = format!("unix-listen:{dir},mode=600").parse()?;
/// let mut listener = registry.listen(&listen).await?;
/// let dialled = registry.dial(&format!("unix:{dir}").parse()?).await?;
/// let accepted = listener.accept().await?;
/// assert!(accepted.peer().unwrap().starts_with("pid "));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
        Ok(Box::new(listen::listen(location, options).await?))
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

#[cfg(target_os = "linux")]
fn socket() -> io::Result<OwnedFd> {
    use rustix::net::{SocketFlags, socket_with};

    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

#[cfg(not(target_os = "linux"))]
fn socket() -> io::Result<OwnedFd> {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
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
