//! Sockets as streams of packets: each read and each write is one datagram.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ipfi_transport::ByteStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// The socket of one who dials.
pub(crate) struct Connected {
    socket: UdpSocket,
    peer: SocketAddr,
    /// Somebody has answered: an error from the network is a loss like any other.
    met: bool,
}

impl Connected {
    pub(crate) fn new(socket: UdpSocket, peer: SocketAddr) -> Self {
        Self { socket, peer, met: false }
    }
}

impl ByteStream for Connected {
    fn peer(&self) -> Option<String> {
        Some(self.peer.to_string())
    }
}

impl AsyncRead for Connected {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match ready!(this.socket.poll_recv(cx, buf)) {
                // An empty datagram would look like an end.
                Ok(()) if buf.filled().is_empty() => {}
                Ok(()) => {
                    this.met = true;
                    return Poll::Ready(Ok(()));
                }
                Err(error) if !this.met => return Poll::Ready(Err(error)),
                Err(_) => {}
            }
        }
    }
}

impl AsyncWrite for Connected {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(self.socket.poll_send(cx, buf));
        if self.met { Poll::Ready(Ok(buf.len())) } else { Poll::Ready(result) }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// One peer's part of a listener's socket.
pub(crate) struct Accepted {
    pub(crate) socket: Arc<UdpSocket>,
    pub(crate) peer: SocketAddr,
    /// The number of the session, told to the listener when it is over.
    pub(crate) number: u64,
    pub(crate) incoming: mpsc::Receiver<Vec<u8>>,
    pub(crate) gone: mpsc::UnboundedSender<(SocketAddr, u64)>,
}

impl ByteStream for Accepted {
    fn peer(&self) -> Option<String> {
        Some(self.peer.to_string())
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(datagram) = ready!(self.incoming.poll_recv(cx)) {
            let length = datagram.len().min(buf.remaining());
            buf.put_slice(datagram.get(..length).unwrap_or_default());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Accepted {
    /// A datagram for which the system has no room is lost, as it might be anywhere.
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let _ = self.socket.try_send_to(buf, self.peer);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Accepted {
    fn drop(&mut self) {
        // A listener that has gone needs not be told.
        let _ = self.gone.send((self.peer, self.number));
    }
}
