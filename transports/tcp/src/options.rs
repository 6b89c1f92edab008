//! What may follow the location.

use std::{net::IpAddr, time::Duration};

ipfi_transport::choices! {
    /// Which version of the Internet Protocol.
    pub enum Family {
        /// Either.
        Any = "any",
        /// IPv4.
        V4 = "4",
        /// IPv6.
        V6 = "6",
    }
}

ipfi_transport::options! {
    /// Options of `tcp:` and `tcp-listen:`.
    pub struct TcpOptions {
        /// Sends small pieces at once (TCP_NODELAY).
        nodelay: bool = "yes",
        /// Asks a silent peer for a sign of life after this long; `0s` for never.
        keepalive: Duration = "15s",
        /// Asks again after this long.
        keepalive_interval: Duration = "5s",
        /// Gives up after this many questions.
        keepalive_count: u32 = "3",
        /// Gives up when sent bytes stay unacknowledged for this long (TCP_USER_TIMEOUT); `0s` for
        /// the system's own time, many minutes.
        user_timeout: Duration = "30s",
        /// Gives up dialling after this long, all addresses together.
        connect_timeout: Duration = "10s",
        /// Dials from this address of ours.
        bind: Option<IpAddr> = "",
        /// Which version of IP: any, 4 or 6.
        family: Family = "any",
        /// How many peers the kernel lets wait to be accepted.
        backlog: u32 = "1024",
        /// Lets several processes listen at the same port (SO_REUSEPORT).
        reuse_port: bool = "no",
    }
}
