//! What every transport must do, as a suite that any transport can run, also a stranger's.
//!
//! ```
//! use ipfi_transport::{Memory, Registry, conformance::Suite};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let registry = Registry::new().with(Memory::new());
//! Suite::new().run_listener(&registry, &"memory-listen:here".parse()?).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The rules are those of `embedded-io-async` and of TCP: see [`ByteStream`](crate::ByteStream).

mod checks;

use std::{fmt, future::Future, io, pin::Pin, task::Poll, time::Duration};

use tokio::time::timeout;

use crate::{Address, BoxStream, Listener, Registry};

/// Runs the checks on pairs of connected streams.
#[derive(Clone, Debug)]
pub struct Suite {
    volume: usize,
    patience: Duration,
    half_close: bool,
    aborts: bool,
    ends: bool,
}

/// The two ends of a stream.
pub type Pair = (BoxStream, BoxStream);

impl Default for Suite {
    fn default() -> Self {
        Self::new()
    }
}

impl Suite {
    /// Every check, with 1 MiB for each transfer and 30 seconds for each check.
    #[must_use]
    pub fn new() -> Self {
        Self {
            volume: 1 << 20,
            patience: Duration::from_secs(30),
            half_close: true,
            aborts: true,
            ends: true,
        }
    }

    /// How many bytes a transfer takes. Choose few for a slow link.
    #[must_use]
    pub fn volume(mut self, bytes: usize) -> Self {
        self.volume = bytes.max(16);
        self
    }

    /// How long one check may take before it counts as hanging.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// For links on which one direction cannot end before the other.
    #[must_use]
    pub fn without_half_close(mut self) -> Self {
        self.half_close = false;
        self
    }

    /// For links that cannot tell "cut" from "finished".
    #[must_use]
    pub fn without_abort(mut self) -> Self {
        self.aborts = false;
        self
    }

    /// For links that never end by themselves, such as a serial line.
    #[must_use]
    pub fn without_end(mut self) -> Self {
        self.ends = false;
        self.half_close = false;
        self.aborts = false;
        self
    }

    /// Runs every check on a fresh pair that `connect` makes.
    pub async fn run<F, Fut>(&self, mut connect: F) -> Result<(), Failure>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = io::Result<Pair>>,
    {
        for (name, needs, check) in checks::ALL {
            if !self.has(*needs) {
                continue;
            }
            let pair = timeout(self.patience, connect()).await;
            let pair = pair.map_err(|_| Failure::new(name, "connecting hangs"))?;
            let pair = pair.map_err(|e| Failure::new(name, format!("cannot connect: {e}")))?;
            self.watch(name, check(pair, self.volume)).await?;
        }
        Ok(())
    }

    /// Listens at `address`, runs every check over it, and those that concern listeners.
    pub async fn run_listener(
        &self,
        registry: &Registry,
        address: &Address,
    ) -> Result<(), Failure> {
        let listener = registry.listen(address).await;
        let mut listener = listener.map_err(|e| Failure::new("listen", e.to_string()))?;
        let mut peer = address.clone();
        peer.listen = false;
        peer.location = listener.local().unwrap_or(peer.location);

        self.watch("accept_is_cancel_safe", accept_is_cancel_safe(registry, &mut listener, &peer))
            .await?;

        let listener = std::cell::RefCell::new(listener);
        self.run(|| connect(registry, &listener, &peer)).await
    }

    fn has(&self, needs: checks::Needs) -> bool {
        match needs {
            checks::Needs::Nothing => true,
            checks::Needs::Ends => self.ends,
            checks::Needs::HalfClose => self.half_close,
            checks::Needs::Aborts => self.aborts,
        }
    }

    async fn watch(
        &self,
        name: &'static str,
        check: impl Future<Output = Result<(), String>>,
    ) -> Result<(), Failure> {
        match timeout(self.patience, check).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(Failure::new(name, reason)),
            Err(_) => Err(Failure::new(name, "it hangs")),
        }
    }
}

#[allow(clippy::await_holding_refcell_ref, reason = "one check at a time connects")]
async fn connect(
    registry: &Registry,
    listener: &std::cell::RefCell<Box<dyn Listener>>,
    peer: &Address,
) -> io::Result<Pair> {
    let mut listener = listener.borrow_mut();
    let (dialled, accepted) = both(registry.dial(peer), listener.accept()).await;
    Ok((dialled?, accepted?))
}

async fn accept_is_cancel_safe(
    registry: &Registry,
    listener: &mut Box<dyn Listener>,
    peer: &Address,
) -> Result<(), String> {
    // Given up at its first wait, as `select!` does, before and after a peer is there.
    give_up(listener.accept()).await;
    let dial = async {
        let stream = registry.dial(peer).await;
        stream.map_err(|e| e.to_string())
    };
    let accept = async {
        for _ in 0..3 {
            if let Some(stream) = give_up(listener.accept()).await {
                return stream.map_err(|e| e.to_string());
            }
        }
        listener.accept().await.map_err(|e| e.to_string())
    };
    let (dialled, accepted) = both(dial, accept).await;
    checks::greet(dialled?, accepted?).await
}

/// Polls once and drops.
async fn give_up<T>(future: Pin<Box<dyn Future<Output = T> + Send + '_>>) -> Option<T> {
    let mut future = future;
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Runs two futures at once until both are done.
async fn both<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (std::pin::pin!(a), std::pin::pin!(b));
    let (mut x, mut y) = (None, None);
    std::future::poll_fn(move |cx| {
        if x.is_none()
            && let Poll::Ready(value) = a.as_mut().poll(cx)
        {
            x = Some(value);
        }
        if y.is_none()
            && let Poll::Ready(value) = b.as_mut().poll(cx)
        {
            y = Some(value);
        }
        match (x.take(), y.take()) {
            (Some(x), Some(y)) => Poll::Ready((x, y)),
            (one, other) => {
                (x, y) = (one, other);
                Poll::Pending
            }
        }
    })
    .await
}

/// A check that a transport does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Which check.
    pub check: &'static str,
    /// What went wrong.
    pub reason: String,
}

impl Failure {
    fn new(check: &'static str, reason: impl Into<String>) -> Self {
        Self { check, reason: reason.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "does not conform: {}: {}", self.check, self.reason)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, Noise, Trace, boxed};

    #[tokio::test]
    async fn memory_conforms() {
        let registry = Registry::new().with(Memory::new());
        let address = "memory-listen:x".parse().unwrap();
        Suite::new().run_listener(&registry, &address).await.unwrap();
    }

    #[tokio::test]
    async fn memory_conforms_a_byte_at_a_time() {
        let registry = Registry::new().with(Memory::new());
        let address = "memory-listen:x,buffer=1".parse().unwrap();
        Suite::new().volume(4096).run_listener(&registry, &address).await.unwrap();
    }

    #[tokio::test]
    async fn layers_conform() {
        let registry =
            Registry::new().with(Memory::new()).with_layer(Trace::new()).with_layer(Noise::new());
        let address = "trace+noise+memory-listen:x,file=/dev/null".parse().unwrap();
        Suite::new().volume(65_536).run_listener(&registry, &address).await.unwrap();
    }

    #[tokio::test]
    async fn a_clean_end_in_place_of_an_abort_is_found() {
        let pair = || async {
            let (a, b) = tokio::io::duplex(1024);
            Ok((boxed(a), boxed(b)))
        };
        let failure = Suite::new().run(pair).await.unwrap_err();
        assert_eq!(failure.check, "an_abort_is_not_a_clean_end");
        Suite::new().without_abort().run(pair).await.unwrap();
    }

    #[tokio::test]
    async fn a_line_that_lies_is_found() {
        let registry = Registry::new().with(Memory::new()).with_layer(Noise::new());
        for fault in ["drop=1e-3", "flip=1e-4", "insert=1e-3", "duplicate=1e-3"] {
            let address = format!("noise+memory-listen:{fault},{fault}").parse().unwrap();
            let suite = Suite::new().patience(Duration::from_millis(500));
            let failure = suite.run_listener(&registry, &address).await.unwrap_err();
            assert_eq!(failure.check, "order", "{fault}: {failure}");
        }
    }
}
