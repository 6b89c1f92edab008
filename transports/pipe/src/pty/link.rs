//! A symbolic link that goes when we go.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use crate::plain;

/// A symbolic link that goes when we go, unless somebody has changed it.
#[derive(Debug)]
pub(super) struct Link {
    path: PathBuf,
    target: PathBuf,
}

impl Link {
    /// Makes it in one step, in place of one that an earlier run left behind.
    pub(super) fn new(path: &Path, target: &Path) -> io::Result<Self> {
        may_replace(path)?;
        let new = beside(path)?;
        let _ = fs::remove_file(&new); // Of an earlier process of our number.
        std::os::unix::fs::symlink(target, &new)
            .map_err(|error| crate::path::named(path, &error))?;
        let placed = place(&new, path);
        let _ = fs::remove_file(&new); // Or what was there before.
        placed?;
        Ok(Self { path: path.into(), target: target.into() })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if fs::read_link(&self.path).is_ok_and(|target| target == self.target) {
            let _ = fs::remove_file(&self.path); // It is replaced next time.
        }
    }
}

/// Only a link that leads nowhere or to a pty.
fn may_replace(path: &Path) -> io::Result<()> {
    let refuse = |what: &str| {
        let text = format!("`{}` is {what}; choose another name for the link", path.display());
        Err(plain(io::ErrorKind::AlreadyExists, text))
    };
    match fs::read_link(path) {
        Ok(target) if target.starts_with("/dev/pts") || !path.exists() => Ok(()),
        Ok(target) => refuse(&format!("a link to `{}`", target.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) if path.is_dir() => refuse("a directory"),
        Err(_) => refuse("a file"),
    }
}

/// Moves `new` to `path`; what was there is at `new` then, or gone.
fn place(new: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => return Ok(()),
        Err(Errno::EXIST) => {}
        // A file system that knows no such thing.
        Err(Errno::INVAL | Errno::NOSYS) => return fs::rename(new, path),
        Err(error) => return Err(crate::path::named(path, &error.into())),
    }
    let swap = || renameat_with(CWD, new, CWD, path, RenameFlags::EXCHANGE);
    swap()?;
    if fs::symlink_metadata(new)?.is_symlink() {
        return Ok(());
    }
    // Somebody put a file there a moment ago. It goes back.
    swap()?;
    may_replace(path)
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A name that nobody else uses, in the same directory.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else {
        let text = format!("`{}` is not a name for a link", path.display());
        return Err(plain(io::ErrorKind::InvalidInput, text));
    };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    Ok(path.with_file_name(hidden))
}
