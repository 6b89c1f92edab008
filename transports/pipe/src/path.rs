//! Opening what has a name in the file system.

use std::{io, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{FileType, Mode as Permissions, OFlags, RawMode, open, stat},
    io::Errno,
};

use crate::{Mode, plain};

/// Opens without waiting for anybody, and without making a terminal ours.
pub(crate) fn open_at(path: &Path, flags: OFlags, mode: Option<Mode>) -> io::Result<OwnedFd> {
    let mode = mode.map_or(Permissions::from_raw_mode(0o666), Into::into);
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    open(path, flags, mode).map_err(|error| match error {
        Errno::NOENT if flags.contains(OFlags::CREATE) => {
            plain(io::ErrorKind::NotFound, "there is no such directory; make it first")
        }
        error => named(path, &error.into()),
    })
}

/// What is there; nothing is not an error.
pub(crate) fn kind(path: &Path) -> io::Result<Option<FileType>> {
    match stat(path) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode as RawMode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(named(path, &error.into())),
    }
}

/// An error that says which of several paths it is about.
pub(crate) fn named(path: &Path, error: &io::Error) -> io::Error {
    let reason = ipfi_transport::reason(error);
    plain(error.kind(), format!("`{}`: {reason}", path.display()))
}

/// Refuses what cannot be read and written as a stream of bytes.
pub(crate) fn refuse_odd(path: &Path, kind: FileType) -> io::Result<()> {
    let path = path.display();
    #[allow(clippy::wildcard_enum_match_arm, reason = "the others can")]
    let text = match kind {
        FileType::Directory => format!("`{path}` is a directory; name a file in it"),
        FileType::Socket => format!("`{path}` is a socket; write `unix:{path}`"),
        _ => return Ok(()),
    };
    Err(plain(io::ErrorKind::InvalidInput, text))
}
