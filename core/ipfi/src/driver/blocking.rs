//! Two threads for each wire, over any `Read` and `Write`: no asynchronous runtime.

use std::{
    io::{Read, Write},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Instant as Time,
};

use ipfi_proto::Instant;

use super::pool;
use crate::{
    Interface, Wire, WireOptions,
    serve::BoxFuture,
    shared::{Batch, Runtime, Shared},
    sync::lock,
};

/// Bytes that are read or written at once.
const BUFFER: usize = 64 * 1024;
/// For those who look at threads.
const NAME: &str = "ipfi wire";

pub(crate) fn start<R, W>(
    options: WireOptions,
    reader: R,
    writer: W,
    interface: Arc<Interface>,
) -> std::io::Result<Wire>
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    let link =
        Arc::new(Link { signal: Mutex::new(false), changed: Condvar::new(), epoch: Time::now() });
    let shared = options.build(link.now(), interface, |_| Box::new(link.clone()));
    let writing = Writing { shared: shared.clone(), link: link.clone() };
    let reading = Reading { shared: shared.clone(), link };
    thread::Builder::new().name(NAME.into()).spawn(move || writing.run(writer))?;
    thread::Builder::new().name(NAME.into()).spawn(move || reading.run(reader))?;
    Ok(Wire::owned(shared))
}

/// How the writing thread is woken.
struct Link {
    signal: Mutex<bool>,
    changed: Condvar,
    epoch: Time,
}

impl Link {
    fn now(&self) -> Instant {
        let micros = self.epoch.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn wake(&self) {
        *lock(&self.signal) = true;
        self.changed.notify_one();
    }

    /// Waits for a wake, or for a point in time.
    fn wait(&self, until: Option<Instant>) {
        let mut signal = lock(&self.signal);
        while !std::mem::replace(&mut *signal, false) {
            let Some(until) = until else {
                signal = match self.changed.wait(signal) {
                    Ok(signal) => signal,
                    Err(_) => return,
                };
                continue;
            };
            let left = until - self.now();
            if left.is_zero() {
                return;
            }
            signal = match self.changed.wait_timeout(signal, left) {
                Ok((signal, _)) => signal,
                Err(_) => return,
            };
        }
    }
}

impl Runtime for Arc<Link> {
    fn now(&self) -> Instant {
        Link::now(self)
    }

    fn wake(&self) {
        Link::wake(self);
    }

    fn flush(&self, shared: &Arc<Shared>) {
        // Writing may block, so it is left to the thread that is there for it.
        let state = shared.lock();
        shared.kick(state);
    }

    fn spawn(&self, future: BoxFuture<()>) {
        pool::spawn(future);
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        pool::run(work);
    }
}

/// The thread that reads and runs procedures that are ready at once.
struct Reading {
    shared: Arc<Shared>,
    link: Arc<Link>,
}

impl Reading {
    fn run(self, mut reader: impl Read) {
        let mut buffer = vec![0; BUFFER];
        let mut batch = Batch::default();
        loop {
            let read = match reader.read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read,
            };
            let mut state = self.shared.lock();
            match read.map(|n| buffer.get(..n).unwrap_or_default()) {
                Ok([]) => state.engine.receive_end(),
                Ok(bytes) => state.receive(self.link.now(), bytes, &self.shared, &mut batch),
                Err(error) => state.engine.receive_error(&error.to_string()),
            }
            if state.engine.is_closed() {
                state.process(&self.shared, &mut batch);
            }
            let closed = state.engine.is_closed();
            self.shared.kick(state);
            settle(&self.shared, &mut batch);
            let state = self.shared.lock();
            self.shared.kick(state);
            if closed {
                return;
            }
        }
    }
}

fn settle(shared: &Arc<Shared>, batch: &mut Batch) {
    while !batch.is_empty() {
        batch.settle();
        batch.jobs.run(shared);
        shared.lock().process(shared, batch);
    }
}

/// The thread that writes and watches the time.
struct Writing {
    shared: Arc<Shared>,
    link: Arc<Link>,
}

impl Writing {
    fn run(self, mut writer: impl Write) {
        let mut buffer = vec![0; BUFFER];
        let mut batch = Batch::default();
        loop {
            let mut state = self.shared.lock();
            state.process(&self.shared, &mut batch);
            let n = state.engine.poll_transmit(self.link.now(), &mut buffer);
            if n > 0 || !batch.is_empty() {
                drop(state);
                // Jobs are the reader's; here there are only those that it left.
                settle(&self.shared, &mut batch);
                let bytes = buffer.get(..n).unwrap_or_default();
                if let Err(error) = writer.write_all(bytes).and_then(|()| writer.flush()) {
                    self.shared.lock().engine.receive_error(&error.to_string());
                }
                continue;
            }
            if state.engine.is_closed() {
                return;
            }
            let timeout = state.engine.poll_timeout();
            state.asleep = true;
            drop(state);
            self.link.wait(timeout);
            let mut state = self.shared.lock();
            state.asleep = false;
            if timeout.is_some_and(|at| at <= self.link.now()) {
                state.engine.handle_timeout(self.link.now());
            }
        }
    }
}

/// A panic in a driver would be ours; still everybody who waits learns of it.
fn leave(shared: &Arc<Shared>) {
    let mut batch = Batch::default();
    let mut state = shared.lock();
    state.engine.receive_end();
    state.process(shared, &mut batch);
    shared.kick(state);
    batch.settle();
}

impl Drop for Reading {
    fn drop(&mut self) {
        leave(&self.shared);
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        leave(&self.shared);
    }
}
