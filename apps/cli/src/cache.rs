//! Descriptions that were fetched before, so that a slow wire carries each only once.
//!
//! In `$XDG_CACHE_HOME/ipfi` (else `~/.cache/ipfi`) there is a file for each description, named by its
//! hash, and one for each address that holds the hash that was seen there last.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ipfi::Description;

pub(crate) struct Cache {
    dir: Option<PathBuf>,
}

impl Cache {
    /// The one of this user.
    pub(crate) fn new() -> Self {
        let absolute = |name| {
            let path = PathBuf::from(std::env::var_os(name)?);
            path.is_absolute().then_some(path)
        };
        let dir = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
        Self { dir: dir.map(|dir| dir.join("ipfi")) }
    }

    /// What was seen last at this address.
    pub(crate) fn find(&self, address: &str) -> Option<Description> {
        let dir = self.dir.as_deref()?;
        let hash = fs::read_to_string(of_address(dir, address)).ok()?;
        let hash = u64::from_str_radix(hash.trim(), 16).ok()?;
        let text = fs::read_to_string(of_hash(dir, hash)).ok()?;
        let description: Description = serde_json::from_str(&text).ok()?;
        (description.hash == hash).then_some(description)
    }

    /// Keeps it. A cache that cannot be written is no error.
    pub(crate) fn keep(&self, address: &str, description: &Description) {
        let Some(dir) = self.dir.as_deref() else { return };
        let kept = || -> io::Result<()> {
            fs::create_dir_all(dir)?;
            let path = of_hash(dir, description.hash);
            if !path.exists() {
                write(&path, &serde_json::to_string(description)?)?;
            }
            write(&of_address(dir, address), &format!("{:016x}\n", description.hash))
        };
        let _ = kept();
    }

    /// The description seen at this address is not true any more.
    pub(crate) fn forget(&self, address: &str) {
        if let Some(dir) = self.dir.as_deref() {
            let _ = fs::remove_file(of_address(dir, address));
        }
    }
}

fn of_hash(dir: &Path, hash: u64) -> PathBuf {
    dir.join(format!("{hash:016x}.json"))
}

fn of_address(dir: &Path, address: &str) -> PathBuf {
    // FNV-1a, 64 bits (RFC 9923).
    let hash = address.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    dir.join(format!("{hash:016x}.at"))
}

/// All or nothing: another process may read it at the same time.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension(std::process::id().to_string());
    fs::write(&new, text)?;
    fs::rename(new, path)
}
