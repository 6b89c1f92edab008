//! Listening.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use ipfi_transport::{BoxFuture, BoxStream, Listener};
use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::{Family, Stream, TcpOptions, dial::resolve, location::Location};

pub(crate) async fn listen(location: &Location, options: TcpOptions) -> io::Result<Accept> {
    let socket = match location {
        Location::Inherited(index) => inherited(*index)?,
        Location::Host { host, port } if host.is_empty() && options.family != Family::V4 => {
            // Both families with one socket, where the machine has IPv6 at all.
            let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, *port));
            match bind(any, &options, options.family == Family::V6) {
                Err(error)
                    if options.family == Family::Any
                        && error.kind() != io::ErrorKind::AddrInUse =>
                {
                    bind(([0, 0, 0, 0], *port).into(), &options, false)?
                }
                bound => bound?,
            }
        }
        Location::Host { host, port } => {
            let host = if host.is_empty() { "0.0.0.0" } else { host };
            let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
            let mut bound = None;
            for address in resolve(host, *port, &options).await? {
                match bind(address, &options, true) {
                    Ok(socket) => {
                        bound = Some(socket);
                        break;
                    }
                    Err(error) => failure = error,
                }
            }
            bound.ok_or(failure)?
        }
    };
    Ok(Accept { listener: TcpListener::from_std(socket)?, options })
}

fn bind(
    address: SocketAddr,
    options: &TcpOptions,
    only_v6: bool,
) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // Connections of an earlier run that linger in TIME_WAIT do not keep the port busy.
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    if options.reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Takes a socket that a service manager passed (systemd's `LISTEN_FDS`), each at most once.
fn inherited(index: usize) -> io::Result<std::net::TcpListener> {
    static PASSED: Mutex<Option<ListenFd>> = Mutex::new(None);
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let passed = passed.get_or_insert_with(ListenFd::from_env);
    let socket = passed.take_tcp_listener(index)?.ok_or_else(|| {
        let text = format!(
            "the service manager passed no socket {index}; add it to the `.socket` unit, or give \
             a host and a port"
        );
        io::Error::new(io::ErrorKind::NotFound, text)
    })?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A listening socket.
pub(crate) struct Accept {
    listener: TcpListener,
    options: TcpOptions,
}

impl Listener for Accept {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async {
            let (stream, _) = self.listener.accept().await?;
            Ok(Box::new(Stream::new(stream, &self.options)?) as BoxStream)
        })
    }

    fn local(&self) -> Option<String> {
        self.listener.local_addr().ok().map(|address| address.to_string())
    }
}
