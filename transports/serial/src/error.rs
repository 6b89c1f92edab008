//! Why a port cannot be opened.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Why a port cannot be opened. The text says the way out.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub(crate) enum Error {
    #[error("the driver of `{path}` makes {actual} baud of {wanted}; use a rate that it can do")]
    Baud { path: PathBuf, wanted: u32, actual: u32 },
    #[error(
        "`{path}` is in use{}; stop that program, or share the port with lock=no on both sides",
        by(.holder.as_deref())
    )]
    Busy { path: PathBuf, holder: Option<String> },
    #[error("the driver of `{path}` does not do {wanted}; it makes {actual} of it")]
    Framing { path: PathBuf, wanted: String, actual: String },
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{} ports are USB {id}: say which, {}", .locations.len(), .locations.join(" or "))]
    ManyUsb { id: String, locations: Vec<String> },
    #[error(
        "there is no device `{path}`; `ipfi-bridge ports` lists those there are, and \
         `serial:by-id=NAME` finds an adapter under any number"
    )]
    NoDevice { path: PathBuf },
    #[error("there is no hardware behind `{path}`; `ipfi-bridge ports` lists the ports there are")]
    NoHardware { path: PathBuf },
    #[error(
        "no port is called `{name}` in `/dev/serial/{kind}` now; `ipfi-bridge ports` lists them"
    )]
    NoSuchName { kind: &'static str, name: String },
    #[error("no port is USB {id} now; `ipfi-bridge ports` lists them")]
    NoSuchUsb { id: String },
    #[error("`{path}` is {what}, not a serial port{instead}")]
    NotAPort { path: PathBuf, what: &'static str, instead: &'static str },
    #[error("you may not use `{path}`; {}", way_in(.group))]
    Permission { path: PathBuf, group: String },
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// Sorts what the system said when `path` was opened.
    pub(crate) fn opening(path: &Path, error: io::Error) -> Self {
        use rustix::io::Errno;
        let path = path.to_owned();
        match Errno::from_io_error(&error) {
            Some(Errno::NOENT) => Self::NoDevice { path },
            Some(Errno::ACCESS | Errno::PERM) => {
                let group = group(&path).unwrap_or_else(|| "dialout".into());
                Self::Permission { path, group }
            }
            Some(Errno::BUSY) => Self::busy(path),
            Some(Errno::IO | Errno::NODEV | Errno::NXIO) => Self::NoHardware { path },
            Some(Errno::NOTTY) => Self::other_device(path),
            _ => Self::Io(error),
        }
    }

    pub(crate) fn busy(path: PathBuf) -> Self {
        let holder = holder(&path);
        Self::Busy { path, holder }
    }

    pub(crate) fn other_device(path: PathBuf) -> Self {
        let (what, instead) = ("a device of another kind", "; `file:` opens it as it is");
        Self::NotAPort { path, what, instead }
    }

    fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Baud { .. } | Self::Framing { .. } | Self::NotAPort { .. } | Self::Usage(_) => {
                io::ErrorKind::InvalidInput
            }
            Self::Busy { .. } => io::ErrorKind::ResourceBusy,
            Self::Io(error) => error.kind(),
            Self::ManyUsb { .. }
            | Self::NoDevice { .. }
            | Self::NoHardware { .. }
            | Self::NoSuchName { .. }
            | Self::NoSuchUsb { .. } => io::ErrorKind::NotFound,
            Self::Permission { .. } => io::ErrorKind::PermissionDenied,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        if let Error::Io(error) = error {
            return error;
        }
        Self::new(error.kind(), error)
    }
}

fn by(holder: Option<&str>) -> String {
    holder.map(|holder| format!(" by {holder}")).unwrap_or_default()
}

fn way_in(group: &str) -> String {
    if group == "root" {
        return "it belongs to root alone: run as root or give it a group by a udev rule".into();
    }
    format!(
        "join the group that owns it, {group} (`sudo usermod -aG {group} $USER`), and log in again"
    )
}

/// The name of the group that owns a file.
fn group(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let id = fs::metadata(path).ok()?.gid().to_string();
    let groups = fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    })
}

/// Who has a device, as far as we may see: `minicom (process 812)`.
fn holder(path: &Path) -> Option<String> {
    let id = locker(path).or_else(|| opener(path))?;
    if id == std::process::id() {
        return Some("this program".into());
    }
    let name = fs::read_to_string(format!("/proc/{id}/comm")).ok()?;
    Some(format!("{} (process {id})", name.trim()))
}

/// The process that locked a file with `flock` (`proc_locks(5)`).
fn locker(path: &Path) -> Option<u32> {
    let stat = rustix::fs::stat(path).ok()?;
    let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    let file = format!("{major:02x}:{minor:02x}:{}", stat.st_ino);
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        match fields.as_slice() {
            [_, "FLOCK", _, _, id, at, ..] if *at == file => id.parse().ok(),
            _ => None,
        }
    })
}

/// A process that has a file open.
fn opener(path: &Path) -> Option<u32> {
    let device = path.canonicalize().ok()?;
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.into_iter().find_map(|process| {
        let mut open = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        open.find(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == device))?;
        process.file_name().to_str()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn what_the_system_says_in_words() {
        let path = Path::new("/dev/null");
        let errors = [Errno::NOENT, Errno::PERM, Errno::NXIO, Errno::NOTTY, Errno::NOMEM]
            .map(|errno| Error::opening(path, errno.into()));
        let mut lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let path = path.to_owned();
        lines
            .push(Error::Baud { path: path.clone(), wanted: 250_000, actual: 115_200 }.to_string());
        let (wanted, actual) = ("m71".into(), "n81".into());
        lines.push(Error::Framing { path, wanted, actual }.to_string());
        insta::assert_snapshot!(lines.join("\n"));
        assert_eq!(
            io::Error::from(errors.into_iter().nth(1).unwrap()).kind(),
            io::ErrorKind::PermissionDenied
        );
    }
}
