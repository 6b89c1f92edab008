//! A whole transport.
use ipfi_transport::{BoxFuture, BoxStream, Listener, Transport, boxed};
use std::io;
use tokio::net::{UnixListener, UnixStream};

/// Sockets by their path.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "there is nothing to add")]
pub struct Sock;

impl Transport for Sock {
    const SCHEME: &'static str = "sock";
    const SUMMARY: &'static str = "a Unix socket: sock:/path";
    const LISTENS: bool = true;
    type Options = ();
    async fn dial(&self, path: &str, (): ()) -> io::Result<BoxStream> {
        Ok(boxed(UnixStream::connect(path).await?))
    }
    async fn listen(&self, path: &str, (): ()) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(Accept(UnixListener::bind(path)?)))
    }
}

struct Accept(UnixListener);

impl Listener for Accept {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async { Ok(boxed(self.0.accept().await?.0)) })
    }
}
