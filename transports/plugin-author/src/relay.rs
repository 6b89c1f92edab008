//! Bytes between the host and the stream, and how each end is passed on.

use std::io;

use ipfi_transport::{BoxStream, ByteStream};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    signal::unix::Signal,
    task::yield_now,
};

use crate::{
    pipes::{Input, Output},
    run::Failure,
};

/// How many bytes are read at once.
const BUFFER: usize = 64 << 10;

/// Copies both ways until both have ended. An error means that the stream was cut.
pub(crate) async fn relay(
    stream: BoxStream,
    mut input: Input,
    output: Output,
    mut cut: Signal,
) -> Result<(), Failure> {
    let (mut from_peer, mut to_peer) = split(stream);
    let result = {
        let up = async {
            copy(&mut input, &mut to_peer).await?;
            // A host that cuts us signals first and closes then: by now the signal is here, but
            // the runtime may not have looked yet, and finishing would say that all is well.
            yield_now().await;
            to_peer.shutdown().await
        };
        let both = async { tokio::try_join!(up, down(&mut from_peer, output)).map(drop) };
        tokio::select! {
            biased;
            _ = cut.recv() => Err(Failure::Said),
            result = both => result.map_err(Failure::Cut),
        }
    };
    let mut stream = from_peer.unsplit(to_peer);
    if result.is_err() {
        // What broke one direction has broken both.
        stream.abort();
    }
    result
}

/// From the peer to the host. Ends, without an error, also when the host has left. Then our end is
/// closed, which is the half-close for the host.
async fn down(from: &mut (impl AsyncRead + Unpin), mut output: Output) -> io::Result<()> {
    let mut buf = vec![0; BUFFER];
    loop {
        let n = tokio::select! {
            n = from.read(&mut buf) => n?,
            () = output.closed() => return Ok(()),
        };
        let Some(bytes) = buf.get(..n).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        let writer = output.writer();
        if writer.write_all(bytes).await.is_err() || writer.flush().await.is_err() {
            return Ok(());
        }
    }
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut buf = vec![0; BUFFER];
    loop {
        let n = from.read(&mut buf).await?;
        let Some(bytes) = buf.get(..n).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        to.write_all(bytes).await?;
        to.flush().await?;
    }
}
