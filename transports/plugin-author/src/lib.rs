//! Makes a plug-in of any transport.
//!
//! A program called `ipfi-transport-tin` on `PATH`, and every program that finds plug-ins
//! understands `tin:` addresses:
//!
//! ```no_run
//! use std::{io, process::ExitCode};
//!
//! use ipfi_transport::{BoxStream, Transport, boxed};
//!
//! struct Tin;
//!
//! impl Transport for Tin {
//!     const SCHEME: &'static str = "tin";
//!     const SUMMARY: &'static str = "two tins and a string";
//!     type Options = ();
//!
//!     async fn dial(&self, location: &str, (): ()) -> io::Result<BoxStream> {
//!         Ok(boxed(tokio::net::UnixStream::connect(location).await?))
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     ipfi_plugin_author::serve(Tin)
//! }
//! ```
//!
//! [`serve`] speaks the protocol of [`ipfi_plugin`] on the command line and on standard input and
//! output, for a process that serves one stream and then ends. While it runs, standard output
//! leads nowhere for anybody else, so that a stray `println!` cannot get into the stream; write
//! to standard error.

#![cfg(unix)]

mod pipes;
mod relay;
mod run;

use std::process::ExitCode;

use ipfi_transport::Transport;

/// Runs this program as the plug-in for `transport` and gives what `main` returns.
///
/// The file must be called `ipfi-transport-` and the transport's
/// [`SCHEME`](Transport::SCHEME).
#[must_use]
#[allow(clippy::needless_pass_by_value, reason = "`serve(Tin)` reads best, and it runs once")]
pub fn serve<T: Transport>(transport: T) -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let end = runtime.block_on(run::run(&transport, &arguments));
    // A read of standard input that cannot be given up must not hold us.
    runtime.shutdown_background();
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(run::Failure::Said) => ExitCode::FAILURE,
        Err(run::Failure::Cut(error)) => {
            eprintln!("{}", ipfi_transport::reason(&error));
            ExitCode::FAILURE
        }
        Err(run::Failure::Usage) => {
            eprintln!(
                "this is a plug-in for `{scheme}:` addresses, as in `ipfi-bridge {scheme}:... \
                 stdio:`; its file must be called ipfi-transport-{scheme} and be on PATH\n\
                 usage: describe | dial LOCATION [KEY=VALUE]... | listen LOCATION [KEY=VALUE]...",
                scheme = T::SCHEME
            );
            ExitCode::from(2)
        }
    }
}
