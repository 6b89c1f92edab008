//! Shows what passes: a hex dump with time and direction, at any level of a stack.

use std::{
    fmt::Write as _,
    fs::OpenOptions,
    io::{self, Write},
    path::PathBuf,
    pin::Pin,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{BoxStream, ByteStream, Layer, Line, Reading, Side};

/// Passes everything on and shows it.
///
/// ```text
/// 16:42:07.250113 #1 <    5  48 65 6c 6c 6f                                   Hello
/// 16:42:07.250198 #1 >    2  0d 0a                                            ..
/// 16:42:09.000001 #1 < end
/// ```
///
/// `<` is read from the link, `>` written to it; the number in front counts bytes; times are UTC.
/// Write errors of the sink are ignored: a full disk does not stop a link.
#[derive(Debug)]
pub struct Tracer<S, W> {
    inner: S,
    sink: W,
    label: String,
}

impl<S: ByteStream, W: Write + Send + Unpin> Tracer<S, W> {
    /// Shows on `sink` what passes through `inner`, with `label` in each line.
    pub fn new(inner: S, sink: W, label: impl Into<String>) -> Self {
        Self { inner, sink, label: label.into() }
    }

    fn show(&mut self, direction: char, bytes: &[u8]) {
        let text = dump(&timestamp(SystemTime::now()), &self.label, direction, bytes);
        let _ = self.sink.write_all(text.as_bytes());
    }

    fn say(&mut self, direction: char, what: &str) {
        let time = timestamp(SystemTime::now());
        let _ = writeln!(self.sink, "{time} {} {direction} {what}", self.label);
    }
}

fn dump(time: &str, label: &str, direction: char, bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(16) {
        let hex = line.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x} ");
            hex
        });
        let printable = line.iter().map(|&b| match b {
            b' '..=b'~' => char::from(b),
            _ => '.',
        });
        let printable: String = printable.collect();
        let n = line.len();
        let _ = writeln!(text, "{time} {label} {direction} {n:>4}  {hex:<48} {printable}");
    }
    text
}

/// The time of day in UTC, to the microsecond.
fn timestamp(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let day = since.as_secs() % 86_400;
    let micros = since.subsec_micros();
    format!("{:02}:{:02}:{:02}.{micros:06}", day / 3600, day / 60 % 60, day % 60)
}

impl<S: ByteStream, W: Write + Send + Unpin> AsyncRead for Tracer<S, W> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let result = Pin::new(&mut this.inner).poll_read(cx, buf);
        match &result {
            Poll::Ready(Ok(())) => match buf.filled().get(before..) {
                Some([]) | None => this.say('<', "end"),
                Some(bytes) => this.show('<', bytes),
            },
            Poll::Ready(Err(error)) => this.say('<', &crate::reason(error)),
            Poll::Pending => {}
        }
        result
    }
}

impl<S: ByteStream, W: Write + Send + Unpin> AsyncWrite for Tracer<S, W> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_write(cx, buf);
        match &result {
            Poll::Ready(Ok(n)) => this.show('>', buf.get(..*n).unwrap_or_default()),
            Poll::Ready(Err(error)) => this.say('>', &crate::reason(error)),
            Poll::Pending => {}
        }
        result
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.inner).poll_shutdown(cx);
        if result.is_ready() {
            this.say('>', "end");
        }
        result
    }
}

impl<S: ByteStream, W: Write + Send + Unpin> ByteStream for Tracer<S, W> {
    fn abort(&mut self) {
        self.say('>', "abort");
        self.inner.abort();
    }

    fn peer(&self) -> Option<String> {
        self.inner.peer()
    }

    fn line(&self) -> Option<Line> {
        self.inner.line()
    }

    fn health(&self) -> Vec<Reading> {
        self.inner.health()
    }
}

crate::options! {
    /// Options of the layer `trace+`.
    pub struct TraceOptions {
        /// Where to append the dump; `-` is standard error.
        file: PathBuf = "-",
        /// What stands in each line; by default the number of the stream.
        label: Option<String> = "",
    }
}

/// The layer `trace+`: a [`Tracer`] at any level of a stack.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Trace;

impl Trace {
    /// The layer.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Layer for Trace {
    const NAME: &'static str = "trace";
    const SUMMARY: &'static str = "shows what passes as a hex dump with time and direction";
    const EXAMPLES: &'static [&'static str] =
        &["trace+serial:/dev/ttyUSB0", "trace+arq+trace+serial:/dev/ttyUSB0,trace.file=link.log"];
    type Options = TraceOptions;

    async fn wrap(
        &self,
        inner: BoxStream,
        _: Side,
        options: &TraceOptions,
    ) -> io::Result<BoxStream> {
        static STREAMS: AtomicU32 = AtomicU32::new(1);
        let number = STREAMS.fetch_add(1, Ordering::Relaxed);
        let label = options.label.clone().unwrap_or_else(|| format!("#{number}"));
        if options.file.as_os_str() == "-" {
            return Ok(Box::new(Tracer::new(inner, io::stderr(), label)));
        }
        let file = OpenOptions::new().create(true).append(true).open(&options.file);
        let file = file.map_err(|error| {
            let path = options.file.display();
            io::Error::new(error.kind(), format!("trace file {path}: {}", crate::reason(&error)))
        })?;
        Ok(Box::new(Tracer::new(inner, file, label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dump_is_readable() {
        let bytes: Vec<u8> = (b'A'..=b'R').chain([0, 0xff]).collect();
        insta::assert_snapshot!(dump("16:42:07.250113", "#1", '<', &bytes));
    }

    #[test]
    fn time_of_day() {
        let time = UNIX_EPOCH + Duration::from_micros(86_400_000_000 * 9 + 3_723_000_004);
        assert_eq!(timestamp(time), "01:02:03.000004");
    }
}
