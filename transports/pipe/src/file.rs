//! `file:`: a file or a device as it is.

use std::{io, os::fd::OwnedFd, path::Path};

use ipfi_transport::{BoxStream, Properties, Transport};
use rustix::fs::{FileType, OFlags, major, stat};

use crate::{
    Mode,
    duplex::Duplex,
    invalid,
    path::{kind, open_at, refuse_odd},
    plain,
};

ipfi_transport::choices! {
    /// What a file is opened for.
    pub enum Access {
        /// Both.
        ReadWrite = "read-write",
        /// What is written is refused.
        Read = "read",
        /// Reading ends when writing does.
        Write = "write",
    }
}

ipfi_transport::options! {
    /// Options of `file:`.
    pub struct FileOptions {
        /// What it is opened for.
        access: Access = "read-write",
        /// Makes the file if it is missing.
        create: bool = "no",
        /// Writes at the end.
        append: bool = "no",
        /// Empties the file first.
        truncate: bool = "no",
        /// Permissions of a file that is made, in octal, less the umask.
        mode: Option<Mode> = "",
    }
}

/// The transport `file:PATH`: a file or a device as it is.
///
/// Nothing is set on a device: see `serial:` for one that has a speed. A regular file is read from
/// its beginning, and written from its beginning too unless `append` says otherwise; neither moves
/// the other.
///
/// ```
/// use ipfi_pipe::File;
/// use ipfi_transport::Registry;
/// use tokio::io::AsyncReadExt;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let registry = Registry::new().with(File::new());
/// let mut random = registry.dial(&"file:/dev/urandom,access=read".parse()?).await?;
/// let mut seed = [0; 32];
/// random.read_exact(&mut seed).await?;
/// assert_ne!(seed, [0; 32]);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct File;

impl File {
    /// The transport.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Transport for File {
    const SCHEME: &'static str = "file";
    const SUMMARY: &'static str = "a file or a device as it is";
    const EXAMPLES: &'static [&'static str] = &[
        "file:/dev/hidraw0",
        "file:capture.bin,access=read",
        "file:log.bin,access=write,create,append",
    ];
    const EXCLUSIVE: bool = true;
    type Options = FileOptions;

    fn check(&self, location: &str, options: &FileOptions) -> Result<(), String> {
        if location.is_empty() {
            return Err("it needs a path, as in `file:/dev/hidraw0`".into());
        }
        let writes = options.create || options.append || options.truncate;
        if writes && options.access == Access::Read {
            return Err("`create`, `append` and `truncate` need access=write or read-write".into());
        }
        if options.mode.is_some() && !options.create {
            return Err("`mode` is for a file that is made; add `create`".into());
        }
        Ok(())
    }

    fn properties(&self, location: &str, _: &FileOptions) -> Properties {
        let mut properties = Properties::new(true, true);
        properties.endless = match stat(location) {
            // Not memory (major 1), such as `/dev/null` and `/dev/zero`.
            Ok(stat) => {
                FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
                    && major(stat.st_rdev) != 1
            }
            Err(_) => location.starts_with("/dev/"), // It is unplugged just now.
        };
        properties
    }

    async fn dial(&self, location: &str, options: FileOptions) -> io::Result<BoxStream> {
        self.check(location, &options).map_err(invalid)?;
        let (read, write) = open(Path::new(location), &options)?;
        Ok(Box::new(Duplex::new(read, write, location.into())?))
    }
}

type Ends = (Option<OwnedFd>, Option<OwnedFd>);

fn open(path: &Path, options: &FileOptions) -> io::Result<Ends> {
    let kind = kind(path)?;
    match kind {
        Some(kind) => refuse_odd(path, kind)?,
        None if options.create => {}
        None => {
            let text = "there is no such file; check the name or add `create`";
            return Err(plain(io::ErrorKind::NotFound, text));
        }
    }
    let mut flags = OFlags::empty();
    flags.set(OFlags::CREATE, options.create);
    flags.set(OFlags::APPEND, options.append);
    flags.set(OFlags::TRUNC, options.truncate);
    let at = |flags| open_at(path, flags, options.mode);
    Ok(match options.access {
        Access::Read => (Some(at(OFlags::RDONLY)?), None),
        Access::Write => (None, Some(at(flags | OFlags::WRONLY)?)),
        // Each direction has a place of its own in a regular file.
        Access::ReadWrite if matches!(kind, None | Some(FileType::RegularFile)) => {
            let write = at(flags | OFlags::WRONLY)?;
            (Some(at(OFlags::RDONLY)?), Some(write))
        }
        Access::ReadWrite => {
            let device = at(flags | OFlags::RDWR)?;
            (Some(device.try_clone()?), Some(device))
        }
    })
}
