//! `udp:` and `udp-listen:`: a reliable stream of bytes in UDP datagrams (RFC 768).
//!
//! What TCP does, by the protocol of `transports/arq`: for paths on which TCP is not let through.
//!
//! ```
//! use ipfi_transport::Registry;
//! use ipfi_udp::Udp;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let registry = Registry::new().with(Udp::new());
//! let mut listener = registry.listen(&"udp-listen:127.0.0.1:0".parse()?).await?;
//! let address = format!("udp:{}", listener.local().unwrap()).parse()?;
//! let (dialled, accepted) = tokio::join!(registry.dial(&address), listener.accept());
//! let (dialled, accepted) = (dialled?, accepted?);
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cookie;
mod listen;
mod packets;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipfi_arq::{Config, connect, random_id};
use ipfi_transport::{BoxStream, Listener, Transport};
use tokio::net::{UdpSocket, lookup_host};

use packets::Connected;

ipfi_transport::options! {
    /// Options of `udp:` and `udp-listen:`.
    pub struct UdpOptions {
        /// Looks for the other end for this long; none: for ever.
        connect: Option<Duration> = "10s",
        /// Gives the other end up after this long without an answer.
        dead: Duration = "15s",
        /// Asks a silent other end whether it is there after this long; none: never.
        keepalive: Option<Duration> = "5s",
        /// The most bytes of a datagram, 256 to 1452. 1200 fit through every path of today.
        datagram: u16 = "1200",
        /// The most peers that a listener has at a time.
        peers: usize = "1024",
    }
}

impl UdpOptions {
    fn config(&self) -> Config {
        let mut config = Config::datagrams(self.datagram - Config::DATAGRAM_OVERHEAD);
        config.connect_timeout = self.connect;
        config.dead_after = self.dead;
        config.keepalive = self.keepalive;
        config
    }
}

/// The transport `udp:HOST:PORT`, and `udp-listen:[HOST]:PORT`.
///
/// A listener keeps nothing about an address before the peer has proved that it is there.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Udp;

impl Udp {
    /// The transport.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Transport for Udp {
    const SCHEME: &'static str = "udp";
    const SUMMARY: &'static str = "a reliable stream in UDP datagrams";
    const EXAMPLES: &'static [&'static str] =
        &["udp:example.org:7000", "udp-listen:127.0.0.1:7000", "udp-listen::7000"];
    const LISTENS: bool = true;
    type Options = UdpOptions;

    fn check(&self, location: &str, options: &UdpOptions) -> Result<(), String> {
        let port = location.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(_))) {
            return Err("it takes HOST:PORT, as in example.org:7000 or [2001:db8::1]:7000".into());
        }
        if !(256..=1452).contains(&options.datagram) {
            return Err("datagram takes 256 to 1452 bytes".into());
        }
        Ok(())
    }

    async fn dial(&self, location: &str, options: UdpOptions) -> io::Result<BoxStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in lookup_host(location).await? {
            match dial(address, &options).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn listen(&self, location: &str, options: UdpOptions) -> io::Result<Box<dyn Listener>> {
        let socket = match location.strip_prefix(':') {
            None => UdpSocket::bind(location).await?,
            Some(port) => {
                let port = port.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
                match UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).await {
                    Ok(socket) => socket,
                    Err(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).await?,
                }
            }
        };
        Ok(Box::new(listen::start(socket, options.config(), options.peers)?))
    }
}

async fn dial(address: SocketAddr, options: &UdpOptions) -> io::Result<BoxStream> {
    let socket = match address {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?,
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await?,
    };
    socket.connect(address).await?;
    connect(Box::new(Connected::new(socket, address)), options.config(), random_id()).await
}
