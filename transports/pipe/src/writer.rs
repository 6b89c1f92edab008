//! Writing to what cannot be polled, such as a regular file.

use std::{
    fs::File,
    future::Future,
    io::{self, Write},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::task::{JoinHandle, spawn_blocking};

/// The most that is taken at once, in bytes.
const MOST: usize = 65_536;

/// Writes in a thread, a piece at a time.
///
/// A piece that was taken is written even if the runtime ends before the thread begins: dropping
/// sees to that. `tokio::fs::File` leaves it to the runtime, and a program that does not wait for
/// its runtime's threads loses it.
#[derive(Debug)]
pub(crate) struct Writer {
    work: Arc<Work>,
    busy: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Debug)]
struct Work {
    file: File,
    /// What was taken and not yet written.
    piece: Mutex<Vec<u8>>,
}

impl Work {
    fn write(&self) -> io::Result<()> {
        let mut piece = self.piece.lock().unwrap_or_else(PoisonError::into_inner);
        let result = (&self.file).write_all(&piece);
        piece.clear();
        result
    }
}

impl Writer {
    pub(crate) fn new(file: File) -> Self {
        Self { work: Arc::new(Work { file, piece: Mutex::default() }), busy: None }
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx))?;
        let taken = buf.get(..MOST).unwrap_or(buf);
        self.work.piece.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(taken);
        let work = self.work.clone();
        self.busy = Some(spawn_blocking(move || work.write()));
        Poll::Ready(Ok(taken.len()))
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(busy) = &mut self.busy else { return Poll::Ready(Ok(())) };
        let result = ready!(Pin::new(busy).poll(cx));
        self.busy = None;
        Poll::Ready(result.map_err(io::Error::other)?)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.busy.is_some() {
            let _ = self.work.write(); // Waits for the thread, or does its work.
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, io::Read, io::Seek};

    use super::*;

    #[test]
    fn what_was_taken_is_written_without_the_runtime() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        let mut writer = Writer::new(file.try_clone().unwrap());
        let (hold, wait) = std::sync::mpsc::channel::<()>();
        // The only thread is busy.
        runtime.spawn_blocking(move || wait.recv());
        let taken = runtime.block_on(poll_fn(|cx| writer.poll_write(cx, b"hello"))).unwrap();
        assert_eq!(taken, 5);
        runtime.shutdown_background();
        drop(writer);
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        drop(hold);
    }

    #[tokio::test]
    async fn errors_come_with_the_next_write_or_flush() {
        let full = || Writer::new(File::options().write(true).open("/dev/full").unwrap());
        let mut writer = full();
        poll_fn(|cx| writer.poll_write(cx, b"x")).await.unwrap();
        let error = poll_fn(|cx| writer.poll_flush(cx)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        poll_fn(|cx| writer.poll_write(cx, b"x")).await.unwrap();
        poll_fn(|cx| writer.poll_write(cx, b"x")).await.unwrap_err();
    }
}
