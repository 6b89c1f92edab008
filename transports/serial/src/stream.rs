//! A serial line as a stream of bytes.

use std::{
    future::Future,
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use ipfi_transport::{ByteStream, Line};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    drain::{Drain, Step},
    port::OpenPort,
};

/// A serial line, until its device is gone.
pub(crate) struct SerialStream {
    state: State,
    drain: Drain,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Who waits in the other direction and must learn that the device is gone: once its
    /// descriptor is closed, the system wakes nobody.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

enum State {
    Open(OpenPort),
    /// The message.
    Gone(String),
}

impl SerialStream {
    pub(crate) fn new(port: OpenPort) -> Self {
        let options = &port.options;
        let drain = Drain::new(options.bytes_per_second(), options.drain, Instant::now());
        Self { state: State::Open(port), drain, alarm: None, reader: None, writer: None }
    }

    /// The port, or the error that every use of it gets now.
    fn port(&mut self) -> io::Result<&mut OpenPort> {
        match &mut self.state {
            State::Open(port) => Ok(port),
            State::Gone(message) => Err(gone(message)),
        }
    }

    /// Closes the descriptor and wakes whoever waits.
    fn lose(&mut self, reason: &str) -> io::Error {
        if let State::Open(port) = &self.state {
            let message = format!("the device `{}` is gone: {reason}", port.path.display());
            let state = std::mem::replace(&mut self.state, State::Gone(message));
            if let State::Open(port) = state {
                port.close_at_once();
            }
        }
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
        match &self.state {
            State::Gone(message) => gone(message),
            State::Open(_) => io::ErrorKind::ConnectionReset.into(),
        }
    }

    fn lose_by(&mut self, error: &io::Error) -> io::Error {
        self.lose(&ipfi_transport::reason(error))
    }
}

/// A line that lost its device was cut; it did not end.
fn gone(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, message)
}

fn remember(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

impl AsyncRead for SerialStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        // The kernel hands out at most 4 KiB at a time: take all there is. Asking for what is not
        // there yet would make a pty wait for it within the kernel, while this thread could be
        // passing on what it has.
        while buf.remaining() > 0 {
            if buf.filled().len() > before && self.port()?.arrived().is_ok_and(|n| n == 0) {
                break;
            }
            let filled = buf.filled().len();
            match self.port()?.poll_read(cx, buf) {
                Poll::Pending if filled > before => break,
                Poll::Pending => {
                    remember(&mut self.reader, cx);
                    return Poll::Pending;
                }
                // What was read counts; the next call meets the same end again.
                _ if buf.filled().len() == filled && filled > before => break,
                Poll::Ready(Ok(())) if buf.filled().len() == filled => {
                    return Poll::Ready(Err(self.lose("it hung up")));
                }
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.lose_by(&error))),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SerialStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(self.port().map(|_| 0));
        }
        match self.port()?.poll_write(cx, buf) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(self.lose("it takes no bytes"))),
            Poll::Ready(Ok(len)) => {
                self.drain.wrote(len, Instant::now());
                Poll::Ready(Ok(len))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.lose_by(&error))),
            Poll::Pending => {
                remember(&mut self.writer, cx);
                Poll::Pending
            }
        }
    }

    /// The driver sends by itself.
    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.port().map(drop))
    }

    /// Waits until the line has sent everything. Nobody at the other end can tell.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if let Some(alarm) = &mut this.alarm {
                ready!(alarm.as_mut().poll(cx));
                this.alarm = None;
            }
            let port = this.port()?;
            let (is_pty, queued) = (port.is_pty, port.queued());
            let queued = match queued {
                Ok(0) if is_pty => return Poll::Ready(Ok(())),
                Ok(queued) => queued,
                Err(error) => return Poll::Ready(Err(this.lose_by(&error))),
            };
            match this.drain.step(queued, Instant::now()) {
                Step::Done => return Poll::Ready(Ok(())),
                Step::Stalled => return Poll::Ready(Err(stalled(&this.port()?.path, queued))),
                Step::Wait(until) => this.alarm = Some(Box::pin(sleep_until(until))),
            }
        }
    }
}

fn stalled(path: &Path, queued: usize) -> io::Error {
    let path = path.display();
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("`{path}` does not take the last {queued} bytes; is the other end's flow stopped?"),
    )
}

impl ByteStream for SerialStream {
    fn peer(&self) -> Option<String> {
        match &self.state {
            State::Open(port) => Some(port.path.display().to_string()),
            State::Gone(_) => None,
        }
    }

    fn line(&self) -> Option<Line> {
        match &self.state {
            State::Open(port) => {
                let rate = port.options.bytes_per_second();
                Some(Line::new(Some(rate), port.queued().unwrap_or(0)))
            }
            State::Gone(_) => None,
        }
    }
}

impl Drop for SerialStream {
    /// Closing a line waits in the kernel until it has sent everything, for up to 30 seconds:
    /// that is no business of the runtime's threads.
    fn drop(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Gone(String::new()));
        let State::Open(port) = state else { return };
        let busy = !port.is_pty && self.drain.is_busy(port.queued().unwrap_or(0), Instant::now());
        if busy && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(port));
        }
    }
}
