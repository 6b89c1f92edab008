//! Peers that have to be built before they can be started.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context, Result, ensure};

/// Where they are made of.
const SOURCES: [&str; 6] = [
    "Cargo.toml",
    "core/proto/src",
    "core/ffi/src",
    "core/ffi/include",
    "core/ffi/examples",
    "tests/peers/build",
];

/// Builds the peers in C (`peer`) and WebAssembly (`guest.wasm`), unless that was done since their sources
/// changed; gives the directory in which they are.
///
/// # Errors
///
/// A tool is missing, or the sources do not compile.
pub fn built() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let directory = root.join("target/peers");
    fs::create_dir_all(&directory)?;
    // Tests run side by side, each in a process of its own.
    let lock = File::create(directory.join("lock"))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    let done = directory.join("done");
    let finished = done.metadata().and_then(|done| done.modified()).ok();
    let mut newest = SystemTime::UNIX_EPOCH;
    for source in SOURCES {
        newest = newest.max(changed(&root.join(source))?);
    }
    if finished.is_none_or(|finished| finished < newest) {
        let output = Command::new(root.join("tests/peers/build")).arg(&directory).output()?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "tests/peers/build failed: {text}");
        File::create(done)?.set_modified(newest.max(SystemTime::now()))?;
    }
    Ok(directory)
}

/// When anything in it changed last.
fn changed(path: &Path) -> Result<SystemTime> {
    let about = path.metadata().with_context(|| path.display().to_string())?;
    let mut newest = about.modified()?;
    if about.is_dir() {
        for entry in path.read_dir()? {
            newest = newest.max(changed(&entry?.path())?);
        }
    }
    Ok(newest)
}
