//! Links within one machine: `unix:`, `stdio:`, `pipe:`, `exec:`, `pty:` and `file:`.
//!
//! ```
//! use ipfi_pipe::Exec;
//! use ipfi_transport::Registry;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let registry = Registry::new().with(Exec::new());
//! let mut sort = registry.dial(&"exec:sort -r".parse()?).await?;
//! sort.write_all(b"alpha\nomega\n").await?;
//! sort.shutdown().await?;
//! let mut sorted = String::new();
//! sort.read_to_string(&mut sorted).await?;
//! assert_eq!(sorted, "omega\nalpha\n");
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg(unix)]

pub mod child;
mod descriptor;
mod duplex;
mod exec;
mod file;
mod mode;
mod path;
mod pipe;
mod pty;
mod stdio;
mod unix;
mod writer;

pub use exec::{Exec, ExecOptions, Stderr};
pub use file::{Access, File, FileOptions};
pub use mode::Mode;
pub use pipe::{Pipe, PipeOptions};
pub use pty::{Eof, Pty, PtyOptions};
pub use stdio::{Key, Stdio, StdioOptions};
pub use unix::{Unix, UnixOptions};

/// An error in our own words, which already say what to do.
fn plain(kind: std::io::ErrorKind, text: impl Into<String>) -> std::io::Error {
    std::io::Error::new(kind, text.into())
}

/// A location that makes no sense.
fn invalid(reason: String) -> std::io::Error {
    plain(std::io::ErrorKind::InvalidInput, reason)
}
