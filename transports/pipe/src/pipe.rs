//! `pipe:`: named pipes, fifo(7), or a pair of files.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use ipfi_transport::{BoxStream, Transport};
use rustix::{
    fs::{FileType, Mode as Permissions, OFlags, chmod, open},
    io::Errno,
};
use tokio::time::sleep;

use crate::{
    Mode,
    duplex::Duplex,
    invalid,
    path::{kind, named, open_at, refuse_odd},
    plain,
};

/// The longest pause between two looks for a reader: the kernel tells nobody of its arrival.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

ipfi_transport::options! {
    /// Options of `pipe:`.
    pub struct PipeOptions {
        /// The named pipe or file to write to. A file is overwritten.
        out: Option<PathBuf> = "",
        /// Makes the named pipes that are missing; they stay.
        create: bool = "no",
        /// Permissions of the named pipes that are made, in octal.
        mode: Option<Mode> = "",
        /// Goes on reading when a writer has closed, with what the next one writes.
        keep: bool = "no",
    }
}

/// The transport `pipe:IN,out=OUT`: reads from one named pipe and writes to another.
///
/// The peer has them the other way round. Dialling waits until somebody reads from `OUT`; reading
/// waits for the first writer to `IN` and ends with the last one, or never with `keep`. Either may
/// be a regular file. Either may be left out: `pipe:IN` takes nothing, and reading from
/// `pipe:,out=OUT` ends when writing does.
///
/// A pipe cannot tell "cut" from "finished".
///
/// ```
/// use ipfi_pipe::Pipe;
/// use ipfi_transport::Registry;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let dir = std::env::temp_dir();
/// # let [a, b] = ["a", "b"].map(|x| dir.join(format!("ipfi-doc-{x}-{}", std::process::id())));
/// # let (a, b) = (a.display(), b.display());
/// let registry = Registry::new().with(Pipe::new());
/// let (here, there) = (format!("pipe:{a},out={b},create"), format!("pipe:{b},out={a},create"));
/// let (here, there) = (here.parse()?, there.parse()?);
/// let (mut here, mut there) = tokio::try_join!(registry.dial(&here), registry.dial(&there))?;
/// here.write_all(b"hello").await?;
/// here.shutdown().await?;
/// let mut text = String::new();
/// there.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// # std::fs::remove_file(a.to_string())?;
/// # std::fs::remove_file(b.to_string())?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Pipe;

impl Pipe {
    /// The transport.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Transport for Pipe {
    const SCHEME: &'static str = "pipe";
    const SUMMARY: &'static str = "named pipes, one to read from and one to write to";
    const EXAMPLES: &'static [&'static str] = &[
        "pipe:/run/in,out=/run/out,create,mode=600",
        "pipe:/run/commands,keep",
        "pipe:,out=/run/log",
        "pipe:requests.bin,out=answers.bin",
    ];
    const EXCLUSIVE: bool = true;
    type Options = PipeOptions;

    fn check(&self, location: &str, options: &PipeOptions) -> Result<(), String> {
        if location.is_empty() && options.out.is_none() {
            return Err("it needs a pipe to read from, or `out=` and one to write to".into());
        }
        if location.is_empty() && options.keep {
            return Err("`keep` needs a pipe to read from".into());
        }
        Ok(())
    }

    async fn dial(&self, location: &str, options: PipeOptions) -> io::Result<BoxStream> {
        self.check(location, &options).map_err(invalid)?;
        let input = Some(Path::new(location)).filter(|path| !path.as_os_str().is_empty());
        let output = options.out.as_deref();
        if options.create {
            for path in input.iter().chain(&output) {
                create(path, options.mode)?;
            }
        }
        // First the end that never waits, on which the peer may wait.
        let read = input.map(|path| open_reader(path, &options)).transpose()?;
        let write = match output {
            Some(path) => Some(open_writer(path).await?),
            None => None,
        };
        let peer = match output {
            Some(output) => format!("{location} and {}", output.display()),
            None => location.to_owned(),
        };
        Ok(Box::new(Duplex::new(read, write, peer)?))
    }
}

/// Makes a named pipe if there is nothing, in no moment open to more than it should be.
fn create(path: &Path, mode: Option<Mode>) -> io::Result<()> {
    let fail = |error: Errno| named(path, &error.into());
    let first = mode.map_or(Permissions::from_raw_mode(0o666), Into::into);
    match make(path, first) {
        Ok(()) => match mode {
            Some(mode) => chmod(path, mode.into()).map_err(fail), // What the umask took away.
            None => Ok(()),
        },
        Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(fail(error)),
    }
}

#[cfg(not(target_os = "macos"))]
fn make(path: &Path, mode: Permissions) -> Result<(), Errno> {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, mode)
}

/// rustix has no such call there.
#[cfg(target_os = "macos")]
fn make(path: &Path, _: Permissions) -> Result<(), Errno> {
    if path.exists() { Err(Errno::EXIST) } else { Err(Errno::NOTSUP) }
}

/// What is there to open.
fn look(path: &Path) -> io::Result<FileType> {
    let kind = kind(path)?.ok_or_else(|| {
        let path = path.display();
        plain(
            io::ErrorKind::NotFound,
            format!("there is no `{path}`; check the name or add `create`"),
        )
    })?;
    refuse_odd(path, kind)?;
    Ok(kind)
}

fn open_reader(path: &Path, options: &PipeOptions) -> io::Result<OwnedFd> {
    // A pipe that we could write to ourselves never ends.
    let keep = look(path)? == FileType::Fifo && options.keep;
    open_at(path, if keep { OFlags::RDWR } else { OFlags::RDONLY }, None)
}

/// Opens, and waits for a reader: open(2) says `ENXIO` as long as there is none.
async fn open_writer(path: &Path) -> io::Result<OwnedFd> {
    look(path)?;
    let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NONBLOCK;
    let flags = flags | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut pause = Duration::from_millis(1);
    loop {
        match open(path, flags, Permissions::empty()) {
            Err(Errno::NXIO) if look(path)? == FileType::Fifo => sleep(pause).await,
            result => return result.map_err(|error| named(path, &error.into())),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
