//! A link over a modem, and the task that carries its sound.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use ipfi_transport::{BoxStream, ByteStream, Line, Reading};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::air::BLOCK;
use super::desk::Desk;
use super::shared::Place;
use super::station::Station;
use crate::channel::Channel;

/// Carries a station's sound through a simulated air until the link has gone.
pub(crate) async fn on_air(mut station: Station, mut place: Place, mut weather: Option<Channel>) {
    let mut out = vec![0.0; BLOCK];
    let mut received = Vec::new();
    while !station.is_over() {
        match place.exchange(&out).await {
            Ok(heard) => {
                received.clear();
                match &mut weather {
                    Some(weather) => weather.process(&heard, &mut received),
                    None => received.extend_from_slice(&heard),
                }
            }
            Err(error) => {
                station.end(error.to_string());
                return;
            }
        }
        station.step(&received, &mut out);
    }
}

/// A reliable stream by sound.
pub(crate) struct MorseStream {
    link: BoxStream,
    desk: Desk,
}

impl MorseStream {
    pub(crate) fn new(link: BoxStream, desk: Desk) -> Self {
        Self { link, desk }
    }
}

impl ByteStream for MorseStream {
    fn abort(&mut self) {
        self.link.abort();
    }

    fn peer(&self) -> Option<String> {
        self.link.peer()
    }

    fn line(&self) -> Option<Line> {
        let mut line = self.desk.line();
        // Who may talk is settled below.
        (line.carrier, line.medium) = (None, None);
        Some(line)
    }

    fn health(&self) -> Vec<Reading> {
        let mut readings = self.desk.health();
        readings.extend(self.link.health());
        readings
    }
}

impl AsyncRead for MorseStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_read(cx, buf)
    }
}

impl AsyncWrite for MorseStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.link).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.link).poll_shutdown(cx)
    }
}
