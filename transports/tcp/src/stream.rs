//! A connected socket with our options on it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll},
};

use ipfi_transport::{ByteStream, Descriptors, Direction};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use crate::TcpOptions;

/// A TCP connection.
///
/// Aborting sends a reset in place of the end: the peer reads an error.
#[derive(Debug)]
pub struct Stream(TcpStream);

impl Stream {
    /// Puts `options` on a connected socket.
    pub fn new(stream: TcpStream, options: &TcpOptions) -> io::Result<Self> {
        let socket = SockRef::from(&stream);
        socket.set_tcp_nodelay(options.nodelay)?;
        if options.keepalive.is_zero() {
            socket.set_keepalive(false)?;
        } else {
            let keepalive = TcpKeepalive::new().with_time(options.keepalive);
            #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
            let keepalive = keepalive
                .with_interval(options.keepalive_interval)
                .with_retries(options.keepalive_count);
            socket.set_tcp_keepalive(&keepalive)?;
        }
        #[cfg(target_os = "linux")]
        if !options.user_timeout.is_zero() {
            socket.set_tcp_user_timeout(Some(options.user_timeout))?;
        }
        Ok(Self(stream))
    }
}

impl ByteStream for Stream {
    fn abort(&mut self) {
        let _ = self.0.set_zero_linger(); // A socket that is gone already needs no reset.
    }

    fn peer(&self) -> Option<String> {
        self.0.peer_addr().ok().map(|address| address.to_string())
    }

    fn descriptors(&self) -> Option<&dyn Descriptors> {
        Some(self)
    }
}

impl Descriptors for Stream {
    fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<()>> {
        match direction {
            Direction::Read => self.0.poll_read_ready(cx),
            Direction::Write => self.0.poll_write_ready(cx),
        }
    }

    fn try_io(
        &self,
        direction: Direction,
        f: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let interest = match direction {
            Direction::Read => Interest::READABLE,
            Direction::Write => Interest::WRITABLE,
        };
        self.0.try_io(interest, || f(self.0.as_fd()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
