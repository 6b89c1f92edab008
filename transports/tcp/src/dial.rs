//! Dialling: every address of a name, IPv6 and IPv4 by turns.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::{TcpSocket, TcpStream, lookup_host},
    task::JoinSet,
    time::timeout,
};

use crate::{Family, TcpOptions, location::Location};

/// How long one address is tried alone before the next one is tried too (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

pub(crate) async fn dial(location: &Location, options: &TcpOptions) -> io::Result<TcpStream> {
    let Location::Host { host, port } = location else {
        return Err(crate::invalid("`systemd` is for listening".into()));
    };
    let host = if host.is_empty() { "localhost" } else { host };
    let limit = options.connect_timeout;
    let dialled = timeout(limit, async {
        let addresses = resolve(host, *port, options).await?;
        race(by_turns(addresses), options.bind).await
    });
    dialled.await.unwrap_or_else(|_| {
        let text = format!("nobody answered within {limit:?}; connect-timeout= sets another limit");
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    })
}

/// The addresses of a host, in the order that the system prefers.
pub(crate) async fn resolve(
    host: &str,
    port: u16,
    options: &TcpOptions,
) -> io::Result<Vec<SocketAddr>> {
    let found = lookup_host((host, port)).await.map_err(|error| {
        let text = format!("there is no host `{host}`: {}", ipfi_transport::reason(&error));
        io::Error::new(io::ErrorKind::NotFound, text)
    })?;
    let wanted = |address: &SocketAddr| {
        options.bind.is_none_or(|bind| bind.is_ipv4() == address.is_ipv4())
            && match options.family {
                Family::Any => true,
                Family::V4 => address.is_ipv4(),
                Family::V6 => address.is_ipv6(),
            }
    };
    let addresses: Vec<_> = found.filter(wanted).collect();
    if addresses.is_empty() {
        let text = format!("`{host}` has no address of the wanted kind; see family= and bind=");
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    Ok(addresses)
}

/// Puts the two families by turns, the first one's first (RFC 8305, section 4).
fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first_is_v4);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = Vec::new();
    loop {
        match (first.next(), second.next()) {
            (None, None) => return turns,
            (a, b) => turns.extend(a.into_iter().chain(b)),
        }
    }
}

/// Tries the addresses, each a little after the one before or as soon as that one failed. The
/// first to connect wins and the others are dropped.
async fn race(addresses: Vec<SocketAddr>, bind: Option<IpAddr>) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        attempts.spawn(connect(address, bind));
        if let Ok(Some(done)) = timeout(ATTEMPT_DELAY, attempts.join_next()).await {
            match done.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
    }
    while let Some(done) = attempts.join_next().await {
        match done.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn connect(address: SocketAddr, bind: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(ip) = bind {
        socket.bind(SocketAddr::new(ip, 0))?;
    }
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let parse = |text: &str| text.split(' ').map(|a| a.parse().unwrap()).collect::<Vec<_>>();
        assert_eq!(
            by_turns(parse("[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1 2.2.2.2:1")),
            parse("[::1]:1 1.1.1.1:1 [::2]:1 2.2.2.2:1 [::3]:1"),
        );
    }

    #[tokio::test]
    async fn a_dead_address_does_not_hide_a_live_one() {
        let live = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = {
            let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            gone.local_addr().unwrap()
        };
        let addresses = vec![dead, live.local_addr().unwrap()];
        let stream = race(addresses, None).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live.local_addr().unwrap());
        let refused = race(vec![dead], None).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
