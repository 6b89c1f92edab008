//! Serving whoever comes.

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use ipfi_transport::{ByteStream, Listener};
use tokio::sync::{Semaphore, watch};

use crate::{Interface, Wire, WireOptions};

/// Wires at once by default.
const MAX_WIRES: usize = 10_000;
/// A pause after the system had no resources to accept somebody.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts peers from any listener and serves all of them the same interface.
///
/// ```
/// use ipfi::{Interface, Server, Wire};
/// use ipfi_transport::{Memory, Transport};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let memory = Memory::new();
/// let listener = memory.listen("here", Default::default()).await?;
/// let interface = Interface::new().procedure("add", |a: i64, b: i64| a + b);
/// let server = Server::new(interface).max_wires(100);
/// let stop = server.stopper();
/// let serving = tokio::spawn(server.serve(listener));
///
/// let wire = Wire::spawn(memory.dial("here", Default::default()).await?, Interface::new());
/// assert_eq!(wire.call::<i64>("add", (2, 3)).await?, 5);
/// stop.stop();
/// serving.await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Server {
    interface: Arc<Interface>,
    options: WireOptions,
    max_wires: usize,
    drain: Duration,
    stop: Arc<watch::Sender<bool>>,
}

/// Stops a [`Server`]; clones stop the same one.
#[derive(Clone)]
pub struct Stopper(Arc<watch::Sender<bool>>);

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stopper").field(&*self.0.borrow()).finish()
    }
}

impl Stopper {
    /// Accepts nobody any more and closes all wires in peace.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Server {
    /// A server of this interface with default [options](WireOptions).
    #[must_use]
    pub fn new(interface: impl Into<Arc<Interface>>) -> Self {
        Self {
            interface: interface.into(),
            options: WireOptions::new(),
            max_wires: MAX_WIRES,
            drain: Duration::from_secs(10),
            stop: Arc::new(watch::Sender::new(false)),
        }
    }

    /// How its wires behave.
    #[must_use]
    pub fn options(mut self, options: WireOptions) -> Self {
        self.options = options;
        self
    }

    /// At most so many wires at once; further peers wait to be accepted. Default 10,000.
    #[must_use]
    pub fn max_wires(mut self, max: usize) -> Self {
        self.max_wires = max.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// How long calls that run may take after [`Stopper::stop`]. Default 10 s.
    #[must_use]
    pub fn drain(mut self, within: Duration) -> Self {
        self.drain = within;
        self
    }

    /// What stops it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Serves until it is stopped and all wires are closed.
    pub async fn serve(self, mut listener: Box<dyn Listener>) {
        let wires = Arc::new(Semaphore::new(self.max_wires));
        let mut stop = self.stop.subscribe();
        let mut stopped = pin!(async move {
            // An error would mean that nobody can stop us, but we hold a sender ourselves.
            let _ = stop.wait_for(|stop| *stop).await;
        });
        loop {
            let accept = async {
                let permit = wires.clone().acquire_owned().await;
                (listener.accept().await, permit)
            };
            let Some((accepted, permit)) = unless(stopped.as_mut(), accept).await else { break };
            match accepted {
                Ok(stream) => {
                    let mut options = self.options.clone().line(stream.line());
                    if let Some(peer) = stream.peer() {
                        options = options.peer(peer);
                    }
                    let wire = options.spawn(stream, self.interface.clone());
                    tokio::spawn(attend(wire, self.stop.subscribe(), self.drain, permit));
                }
                // One peer, or no resources now: either way the next may do better.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    if unless(stopped.as_mut(), tokio::time::sleep(PAUSE)).await.is_none() {
                        break;
                    }
                }
            }
        }
        drop(listener);
        // Each wire holds one until it is closed.
        let all = u32::try_from(self.max_wires).unwrap_or(u32::MAX);
        let _ = wires.acquire_many(all).await;
    }
}

/// Holds a wire until the peer closes it, or all are to close.
async fn attend<P>(wire: Wire, mut stop: watch::Receiver<bool>, drain: Duration, permit: P) {
    let stopped = pin!(async {
        let _ = stop.wait_for(|stop| *stop).await;
    });
    if unless(stopped, wire.closed()).await.is_none() {
        wire.close(Some(drain)).await;
    }
    drop(permit);
}

/// A future, unless another is ready before.
async fn unless<T>(
    mut stop: Pin<&mut impl Future<Output = ()>>,
    f: impl Future<Output = T>,
) -> Option<T> {
    let mut f = pin!(f);
    poll_fn(|cx| {
        if stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        f.as_mut().poll(cx).map(Some)
    })
    .await
}
