//! Listening at a path, at a name, or with a socket that was passed.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ipfi_transport::{BoxFuture, BoxStream, Listener};
use listenfd::ListenFd;
use rustix::{
    fs::{FileType, FlockOperation, Mode as Permissions, OFlags, Stat},
    io::Errno,
    net::SocketAddrUnix,
};
use tokio::net::{UnixListener, unix::UCred};

use super::{Location, Stream, UnixOptions, socket};
use crate::{Mode, invalid, plain};

/// How many peers may wait to be accepted; the system has a limit of its own
/// (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

pub(super) async fn listen(location: &str, options: UnixOptions) -> io::Result<Accept> {
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
    Ok(Accept { listener, local: location.into(), _file: file })
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
pub(super) struct Accept {
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
