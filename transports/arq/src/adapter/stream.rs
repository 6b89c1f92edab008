//! The stream that the application holds.

use std::io;
use std::pin::Pin;
use std::string::String;
use std::task::{Context, Poll};
use std::vec::Vec;

use ipfi_transport::{ByteStream, Line, Reading, Value};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::shared::{Shared, to_io};
use crate::{State, WriteError};

/// Codes of an abort, as seen by the other side.
const ABORTED: u8 = 2;

pub(crate) struct ArqStream {
    shared: Shared,
    peer: Option<String>,
    /// Bytes a second of the line, if known.
    rate: Option<u32>,
    finished: bool,
}

impl ArqStream {
    pub(crate) fn new(shared: Shared, peer: Option<String>, rate: Option<u32>) -> Self {
        Self { shared, peer, rate, finished: false }
    }
}

impl AsyncRead for ArqStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut state = self.shared.lock();
        match state.link.read(buf.initialize_unfilled()) {
            Ok(Some(count)) if count > 0 => {
                buf.advance(count);
                state.wake_driver();
                return Poll::Ready(Ok(()));
            }
            // Once this side has finished too, the end is reported when the farewells are said:
            // the program may exit on it.
            Ok(Some(_)) if !self.finished || state.is_closed() => return Poll::Ready(Ok(())),
            Ok(_) | Err(_) => {}
        }
        if let Some(error) = state.error() {
            let complete = state.link.has_arrived();
            return Poll::Ready(if complete { Ok(()) } else { Err(error) });
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for ArqStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.shared.lock();
        if let Some(error) = state.error() {
            return Poll::Ready(Err(error));
        }
        if !state.is_failing() {
            match state.link.write(buf) {
                Ok(0) if !buf.is_empty() => {}
                Ok(count) => {
                    state.wake_driver();
                    return Poll::Ready(Ok(count));
                }
                Err(WriteError::Finished) => {
                    return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
                }
                Err(WriteError::Ended(cause)) => return Poll::Ready(Err(to_io(cause))),
            }
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// What was written is on its way; there is no waiting for it to arrive before
    /// [`poll_shutdown`](Self::poll_shutdown).
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = self.shared.lock();
        Poll::Ready(state.error().map_or(Ok(()), Err))
    }

    /// Waits until the other side has everything, and, if it has finished as well, until both
    /// know that all is done.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut state = this.shared.lock();
        if !core::mem::replace(&mut this.finished, true) {
            state.link.finish();
            state.wake_driver();
        }
        let over = state.is_closed() || (state.gone && state.link.is_finished());
        if over || (state.link.is_finished() && !state.link.has_arrived()) {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = state.error() {
            return Poll::Ready(Err(error));
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl ByteStream for ArqStream {
    fn abort(&mut self) {
        let now = self.shared.now();
        let mut state = self.shared.lock();
        state.link.abort(now, ABORTED, "the other program broke off");
        state.wake_driver();
    }

    fn peer(&self) -> Option<String> {
        self.peer.clone()
    }

    fn line(&self) -> Option<Line> {
        let rate = self.rate?;
        let now = self.shared.now();
        Some(Line::new(Some(rate), self.shared.lock().link.queued(now)))
    }

    fn health(&self) -> Vec<Reading> {
        let now = self.shared.now() - crate::Instant::from_micros(0);
        let mut state = self.shared.lock();
        let statistics = state.link.statistics();
        let through = statistics.bytes_delivered + statistics.bytes_read;
        let goodput = state.goodput.look(now, through);
        let outlook = state.link.outlook(crate::Instant::from_micros(0) + now);
        drop(state);
        let errors = 1.0 / approximate(statistics.bytes_per_error.max(1));
        let sent = approximate(statistics.wire_bytes_sent.max(1));
        let mut readings = Vec::from([
            Reading::new("goodput", Value::Rate(goodput)),
            Reading::new(
                "efficiency",
                Value::Number(approximate(statistics.bytes_delivered) / sent),
            ),
            Reading::new("retransmitted", Value::Count(statistics.frames_repeated)),
            Reading::new("bad-frames", Value::Count(statistics.frames_bad)),
            Reading::new("skipped-bytes", Value::Count(statistics.bytes_skipped)),
            Reading::new("frame", Value::Count(statistics.payload_size as u64)),
            Reading::new("byte-errors", Value::Number(errors)),
        ]);
        let correction = statistics.error_correction.into();
        readings.push(Reading::new("fec", Value::Text(correction)));
        if let Some(round_trip) = statistics.round_trip {
            readings.push(Reading::new("rtt", Value::Time(round_trip)));
        }
        if let Some(outlook) = outlook {
            readings.push(Reading::new("to-send", Value::Count(outlook.to_send)));
            readings.push(Reading::new("answer-in", Value::Time(outlook.answered_in)));
        }
        readings
    }
}

impl Drop for ArqStream {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if state.link.state() == State::Connecting {
            let now = self.shared.now();
            state.link.abort(now, ABORTED, "the other program broke off");
        }
        state.link.finish();
        state.dropped = true;
        state.wake_driver();
    }
}

#[allow(clippy::cast_precision_loss, reason = "figures for a meter")]
fn approximate(count: u64) -> f64 {
    count as f64
}
