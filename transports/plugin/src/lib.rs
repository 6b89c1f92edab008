//! Links that other programs bring: `x:` runs `ipfi-transport-x`, if there is one on `PATH`.
//!
//! A plug-in is an executable in any language. Three calls make the whole protocol:
//!
//! ```text
//! ipfi-transport-NAME describe                  prints a Manifest
//! ipfi-transport-NAME dial   LOCATION [K=V]...  prints "ok" or "error TEXT"; after "ok",
//!                                               standard input and output are the stream
//! ipfi-transport-NAME listen LOCATION [K=V]...  prints "listening LOCATION", then "ok" when a
//!                                               peer is there, or "error TEXT"
//! ```
//!
//! * `NAME` matches `[a-z][a-z0-9-]*`. Transports that the program was built with win, and only
//!   the directories of `PATH` are searched, not the current one.
//! * One process serves one peer. A listener keeps one process waiting and starts the next as soon
//!   as a peer is there; that one is told to listen where the first one said it does. A process
//!   gives up what it listens on before it says `ok`.
//! * The end of standard input is a half-close from us, and closing standard output one from the
//!   peer. A stream has ended cleanly when the process has exited with status 0; any other status
//!   means that it was cut.
//! * SIGTERM means that we cut the stream: the plug-in passes that on if it can, as a TCP reset
//!   say, and exits. After a second comes SIGKILL.
//! * Standard error is for people; each line is passed on with the plug-in's name in front.
//! * Lines have at most 4096 bytes, and `describe` takes at most 5 seconds and 64 KiB.
//!
//! In Rust the crate `ipfi-plugin-author` makes a plug-in of any
//! [`Transport`](ipfi_transport::Transport) in one line; the demo `plugin-python` is one in Python.
//!
//! ```
//! use ipfi_plugin::Plugins;
//! use ipfi_transport::Registry;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let registry = Registry::new().with_resolver(Plugins::new());
//! let error = registry.dial(&"pigeon:home".parse()?).await.err().unwrap();
//! assert!(error.to_string().contains("no `ipfi-transport-pigeon` on PATH"));
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(all(feature = "host", unix))]
mod find;
#[cfg(all(feature = "host", unix))]
mod host;
#[cfg(all(feature = "host", unix))]
mod listen;
mod manifest;
#[cfg(all(feature = "host", unix))]
mod process;
mod reply;
mod text;

#[cfg(all(feature = "host", unix))]
pub use host::Plugins;
pub use manifest::{MAX_MANIFEST, Manifest, ManifestError};
pub use reply::{NotAReply, Reply};
pub use text::MAX_LINE;
