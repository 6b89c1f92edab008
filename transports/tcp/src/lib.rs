//! `tcp:` and `tcp-listen:`: the Transmission Control Protocol (RFC 9293).
//!
//! ```
//! use ipfi_tcp::Tcp;
//! use ipfi_transport::Registry;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let registry = Registry::new().with(Tcp::new());
//! let mut listener = registry.listen(&"tcp-listen:127.0.0.1:0".parse()?).await?;
//! let address = format!("tcp:{}", listener.local().unwrap()).parse()?;
//! let dialled = registry.dial(&address).await?;
//! let accepted = listener.accept().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod dial;
mod listen;
mod location;
mod options;
mod stream;

pub use options::{Family, TcpOptions};
pub use stream::Stream;

use std::io;

use ipfi_transport::{BoxStream, Listener, Transport};
use location::Location;

/// The transport `tcp:HOST:PORT`, and `tcp-listen:[HOST]:PORT`.
///
/// Small pieces leave at once (`TCP_NODELAY`), and a peer that vanished is noticed after 30
/// seconds, idle or not (`SO_KEEPALIVE`, `TCP_USER_TIMEOUT`; RFC 5482). Dialling tries every
/// address that the name has, IPv6 and IPv4 by turns (Happy Eyeballs, RFC 8305).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Tcp;

impl Tcp {
    /// The transport.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Transport for Tcp {
    const SCHEME: &'static str = "tcp";
    const SUMMARY: &'static str = "a TCP connection";
    const EXAMPLES: &'static [&'static str] = &[
        "tcp:example.org:7000",
        "tcp:[2001:db8::1]:7000,bind=2001:db8::2",
        "tcp-listen:127.0.0.1:7000",
        "tcp-listen::7000",
        "tcp-listen:systemd",
    ];
    const LISTENS: bool = true;
    type Options = TcpOptions;

    fn check(&self, location: &str, _: &TcpOptions) -> Result<(), String> {
        Location::parse(location).map(drop)
    }

    async fn dial(&self, location: &str, options: TcpOptions) -> io::Result<BoxStream> {
        let stream = dial::dial(&Location::parse(location).map_err(invalid)?, &options).await?;
        Ok(Box::new(Stream::new(stream, &options)?))
    }

    async fn listen(&self, location: &str, options: TcpOptions) -> io::Result<Box<dyn Listener>> {
        let location = Location::parse(location).map_err(invalid)?;
        Ok(Box::new(listen::listen(&location, options).await?))
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}
