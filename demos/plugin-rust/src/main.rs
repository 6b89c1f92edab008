//! `ipfi-transport-rot13`: TCP whose letters are moved by thirteen places, for eyes over one's
//! shoulder. Text looks like gibberish on the way and is itself again at the other end.

use std::{
    io,
    pin::Pin,
    process::ExitCode,
    task::{Context, Poll, ready},
};

use ipfi_tcp::{Tcp, TcpOptions};
use ipfi_transport::{BoxFuture, BoxStream, ByteStream, Listener, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

fn main() -> ExitCode {
    ipfi_plugin_author::serve(Rot13)
}

struct Rot13;

impl Transport for Rot13 {
    const SCHEME: &'static str = "rot13";
    const SUMMARY: &'static str = "TCP whose letters are moved by thirteen places";
    const EXAMPLES: &'static [&'static str] = &["rot13:localhost:1313", "rot13-listen::1313"];
    const LISTENS: bool = true;
    type Options = TcpOptions;

    fn check(&self, location: &str, options: &TcpOptions) -> Result<(), String> {
        Tcp::new().check(location, options)
    }

    async fn dial(&self, location: &str, options: TcpOptions) -> io::Result<BoxStream> {
        Ok(Box::new(Turned(Tcp::new().dial(location, options).await?)))
    }

    async fn listen(&self, location: &str, options: TcpOptions) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(Accept(Tcp::new().listen(location, options).await?)))
    }
}

struct Accept(Box<dyn Listener>);

impl Listener for Accept {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async { Ok(Box::new(Turned(self.0.accept().await?)) as BoxStream) })
    }

    fn local(&self) -> Option<String> {
        self.0.local()
    }
}

/// A stream with every letter turned, both ways.
struct Turned(BoxStream);

fn turn(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' => (byte - b'A' + 13) % 26 + b'A',
        b'a'..=b'z' => (byte - b'a' + 13) % 26 + b'a',
        _ => byte,
    }
}

impl ByteStream for Turned {
    fn abort(&mut self) {
        self.0.abort();
    }

    fn peer(&self) -> Option<String> {
        self.0.peer()
    }
}

impl AsyncRead for Turned {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        buf.filled_mut().iter_mut().skip(before).for_each(|byte| *byte = turn(*byte));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Turned {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        // A letter is turned the same way wherever it stands, so a part may be written.
        let turned: Vec<u8> = buf.iter().map(|&byte| turn(byte)).collect();
        Pin::new(&mut self.0).poll_write(cx, &turned)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
