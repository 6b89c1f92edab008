//! One task for each wire, over any `AsyncRead + AsyncWrite`.

use std::{
    cell::Cell,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, TryLockError},
    task::{Context, Poll, Waker},
};

use ipfi_proto::Instant;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::Handle,
    time::{Instant as Time, Sleep},
};

use crate::{
    Interface, Wire, WireOptions,
    serve::BoxFuture,
    shared::{Batch, Runtime, Shared},
    sync::lock,
};

/// Bytes that are read at once; they belong to the thread, not to the wire.
const READ: usize = 64 * 1024;
/// Bytes that are written at once: a whole frame of a large message and its front.
const WRITE: usize = 136 * 1024;
/// After so many rounds without a pause, others get their turn.
const ROUNDS: u32 = 64;

thread_local! {
    static READ_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static WRITE_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// What a driver needs while it is awake.
    static WORK: Cell<Option<Box<Batch>>> = const { Cell::new(None) };
}

fn with_buffer<R>(
    place: &'static std::thread::LocalKey<Cell<Vec<u8>>>,
    size: usize,
    f: impl FnOnce(&mut [u8]) -> R,
) -> R {
    let mut buffer = place.take();
    buffer.resize(size, 0);
    let result = f(&mut buffer);
    place.set(buffer);
    result
}

pub(crate) fn spawn<S>(options: WireOptions, stream: S, interface: Arc<Interface>) -> Wire
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let io = Io { stream: Some(stream), unwritten: Vec::new(), at: 0 };
    let link = Arc::new(Link {
        io: Mutex::new(io),
        waker: Mutex::new(None),
        handle: Handle::current(),
        epoch: Time::now(),
    });
    let shared = options.build(link.now(), interface, |_| Box::new(link.clone()));
    let driver = Driver { shared: shared.clone(), link: link.clone(), sleep: None, ended: false };
    link.handle.spawn(driver);
    Wire::owned(shared)
}

/// The stream, and who is to be woken for it.
struct Link<S> {
    io: Mutex<Io<S>>,
    waker: Mutex<Option<Waker>>,
    handle: Handle,
    epoch: Time,
}

struct Io<S> {
    /// `None` when it is over.
    stream: Option<S>,
    /// What the engine gave and the stream did not take.
    unwritten: Vec<u8>,
    at: usize,
}

/// How far writing got.
enum Written {
    Everything,
    /// The stream takes no more now; the driver will be woken.
    Blocked,
    Broken(io::Error),
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Io<S> {
    /// Writes what there is.
    fn write(
        &mut self,
        shared: &Shared,
        now: impl Fn() -> Instant,
        cx: &mut Context<'_>,
    ) -> Written {
        let Some(stream) = &mut self.stream else {
            return Written::Broken(io::ErrorKind::NotConnected.into());
        };
        while let Some(rest) = self.unwritten.get(self.at..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut *stream).poll_write(cx, rest) {
                Poll::Ready(Ok(n)) if n > 0 => self.at += n,
                Poll::Ready(Ok(_)) => return Written::Broken(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Err(error)) => return Written::Broken(error),
                Poll::Pending => return Written::Blocked,
            }
        }
        if self.at > 0 {
            self.unwritten = Vec::new();
            self.at = 0;
        }
        let unwritten = &mut self.unwritten;
        let written = with_buffer(&WRITE_BUFFER, WRITE, |buffer| {
            loop {
                let mut state = shared.lock();
                let n = state.engine.poll_transmit(now(), buffer);
                drop(state);
                let mut rest = buffer.get(..n).unwrap_or_default();
                if rest.is_empty() {
                    return Written::Everything;
                }
                while !rest.is_empty() {
                    match Pin::new(&mut *stream).poll_write(cx, rest) {
                        Poll::Ready(Ok(n)) if n > 0 => rest = rest.get(n..).unwrap_or_default(),
                        Poll::Ready(Ok(_)) => {
                            return Written::Broken(io::ErrorKind::WriteZero.into());
                        }
                        Poll::Ready(Err(error)) => return Written::Broken(error),
                        Poll::Pending => {
                            *unwritten = rest.to_vec();
                            return Written::Blocked;
                        }
                    }
                }
            }
        });
        if matches!(written, Written::Everything)
            && let Poll::Ready(Err(error)) = Pin::new(stream).poll_flush(cx)
        {
            return Written::Broken(error);
        }
        written
    }
}

impl<S> Link<S> {
    fn now(&self) -> Instant {
        let micros = self.epoch.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Runtime for Arc<Link<S>> {
    fn now(&self) -> Instant {
        Link::now(self)
    }

    fn wake(&self) {
        if let Some(waker) = &*lock(&self.waker) {
            waker.wake_by_ref();
        }
    }

    fn flush(&self, shared: &Arc<Shared>) {
        // The driver itself holds this lock for no longer than a read or a write takes.
        let waker = lock(&self.waker).clone();
        if let Some(waker) = waker {
            match self.io.try_lock() {
                Ok(mut io) => {
                    let mut cx = Context::from_waker(&waker);
                    match io.write(shared, || Link::now(self), &mut cx) {
                        Written::Everything | Written::Blocked => return,
                        Written::Broken(_) => {}
                    }
                }
                Err(TryLockError::WouldBlock | TryLockError::Poisoned(_)) => {}
            }
        }
        let state = shared.lock();
        shared.kick(state);
    }

    fn spawn(&self, future: BoxFuture<()>) {
        self.handle.spawn(future);
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.handle.spawn_blocking(work);
    }
}

/// The task of a wire.
struct Driver<S> {
    shared: Arc<Shared>,
    link: Arc<Link<S>>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Nothing more will be read.
    ended: bool,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Driver<S> {
    /// Reads once and hands it to the engine; `false` if there is nothing now.
    fn read(&mut self, work: &mut Batch, cx: &mut Context<'_>) -> bool {
        if self.ended {
            return false;
        }
        with_buffer(&READ_BUFFER, READ, |buffer| {
            let mut buffer = ReadBuf::new(buffer);
            let read = match &mut lock(&self.link.io).stream {
                Some(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
                None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            };
            let read = match read {
                Poll::Pending => return false,
                Poll::Ready(read) => read,
            };
            let mut state = self.shared.lock();
            match read {
                Ok(()) if !buffer.filled().is_empty() => {
                    state.receive(self.link.now(), buffer.filled(), &self.shared, work);
                    return true;
                }
                Ok(()) => state.engine.receive_end(),
                Err(error) => state.engine.receive_error(&error.to_string()),
            }
            self.ended = true;
            state.process(&self.shared, work);
            true
        })
    }

    /// Everything that can be done now; `true` when the wire is over.
    fn go(&mut self, work: &mut Batch, cx: &mut Context<'_>) -> bool {
        let mut rounds = 0;
        loop {
            let mut progress = self.read(work, cx);
            progress |= !work.is_empty();
            work.settle();
            work.jobs.run(&self.shared);
            let written = lock(&self.link.io).write(&self.shared, || self.link.now(), cx);
            if progress {
                rounds += 1;
                if rounds < ROUNDS {
                    continue;
                }
                cx.waker().wake_by_ref();
                return false;
            }
            let mut state = self.shared.lock();
            state.process(&self.shared, work);
            if !work.is_empty() {
                continue;
            }
            let closed = state.engine.is_closed();
            match written {
                Written::Broken(_) if closed => return true,
                Written::Broken(error) => {
                    self.ended = true;
                    state.engine.receive_error(&error.to_string());
                    continue;
                }
                Written::Everything if state.engine.wants_transmit() => continue,
                Written::Everything if closed => return true,
                // A stream that takes nothing any more does not keep a wire alive.
                Written::Blocked if closed && self.ended => return true,
                Written::Everything | Written::Blocked => {}
            }
            let timeout = state.engine.poll_timeout();
            state.asleep = true;
            drop(state);
            if !self.late(timeout, cx) {
                return false;
            }
            let mut state = self.shared.lock();
            state.asleep = false;
            state.engine.handle_timeout(self.link.now());
        }
    }

    /// Whether it is time; else makes sure that we are woken when it is.
    fn late(&mut self, timeout: Option<Instant>, cx: &mut Context<'_>) -> bool {
        let Some(timeout) = timeout else {
            self.sleep = None;
            return false;
        };
        let at = self.link.epoch + std::time::Duration::from_micros(timeout.as_micros());
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                if sleep.deadline() != at {
                    sleep.as_mut().reset(at);
                }
                sleep
            }
            None => self.sleep.insert(Box::pin(tokio::time::sleep_until(at))),
        };
        sleep.as_mut().poll(cx).is_ready()
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Future for Driver<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        crate::sync::set_waker(&mut lock(&this.link.waker), cx);
        let mut work = WORK.take().unwrap_or_default();
        let over = this.go(&mut work, cx);
        WORK.set(Some(work));
        if !over {
            return Poll::Pending;
        }
        let mut io = lock(&this.link.io);
        match io.stream.as_mut().map(|stream| Pin::new(stream).poll_shutdown(cx)) {
            Some(Poll::Pending) => Poll::Pending,
            Some(Poll::Ready(_)) | None => {
                io.stream = None;
                Poll::Ready(())
            }
        }
    }
}

impl<S> Driver<S> {
    /// Everybody who waits learns that it is over, also when the runtime drops the driver.
    fn leave(&self) {
        let mut batch = Batch::default();
        let mut state = self.shared.lock();
        state.engine.receive_end();
        state.process(&self.shared, &mut batch);
        drop(state);
        batch.settle();
        lock(&self.link.io).stream = None;
        *lock(&self.link.waker) = None;
    }
}

impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        self.leave();
    }
}
