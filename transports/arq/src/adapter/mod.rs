//! The layer `arq+`: a [`Link`] over any stream of bytes, driven by tokio.

mod driver;
mod options;
mod shared;
mod stream;

use std::boxed::Box;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::task::Poll;

use ipfi_transport::{BoxStream, Layer, Properties, Side};
use tokio::time::Instant;

use crate::{Config, Link, State};
pub use options::{ArqOptions, Correction, Escape};
use shared::Shared;
use stream::ArqStream;

/// The layer `arq+`: makes a reliable stream of a line that flips, drops and invents bytes.
///
/// Both ends of the line need it.
///
/// ```
/// use ipfi_arq::Arq;
/// use ipfi_transport::{Memory, Noise, Registry};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let registry =
///     Registry::new().with(Memory::new()).with_layer(Noise::new()).with_layer(Arq::new());
/// let mut listener = registry.listen(&"arq+memory-listen:line".parse()?).await?;
/// let bad = "arq+noise+memory:line,flip=1e-3".parse()?;
/// let (dialled, accepted) = tokio::join!(registry.dial(&bad), listener.accept());
/// let (mut dialled, mut accepted) = (dialled?, accepted?);
/// dialled.write_all(b"hello").await?;
/// dialled.shutdown().await?;
/// let mut text = String::new();
/// accepted.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Arq;

impl Arq {
    /// The layer.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Layer for Arq {
    const NAME: &'static str = "arq";
    const SUMMARY: &'static str = "repeats what a bad line loses; both ends need it";
    const EXAMPLES: &'static [&'static str] =
        &["arq+serial:/dev/ttyUSB0,baud=115200", "arq+serial:/dev/ttyS1,escape=xonxoff"];
    type Options = ArqOptions;

    async fn wrap(&self, inner: BoxStream, _: Side, options: &ArqOptions) -> io::Result<BoxStream> {
        let known = inner.line().and_then(|line| line.bytes_per_second);
        let rate = options.rate.or(known);
        connect(inner, options.config(rate), random_id()).await
    }

    fn properties(&self, below: Properties, _: &ArqOptions) -> Properties {
        Properties::new(true, below.exclusive)
    }
}

/// Runs a link over `inner` in a task of its own, and waits until the other side is found.
///
/// With [`Profile::Serial`](crate::Profile::Serial) `inner` is a stream of bytes. With the other
/// profiles each write to `inner` is one packet and must be taken whole, and each read is to give
/// one packet. Reports the errors of [`Ended`](crate::Ended) in an [`io::Error`].
pub async fn connect(inner: BoxStream, config: Config, id: u32) -> io::Result<BoxStream> {
    let peer = inner.peer();
    let (start, rate) = (Instant::now(), config.line_rate);
    let link = Link::new(config, id, crate::Instant::from_micros(0));
    let shared = Shared::new(link, start);
    tokio::spawn(driver::run(inner, shared.clone()));
    let stream = ArqStream::new(shared.clone(), peer, rate);
    poll_fn(|cx| {
        let mut state = shared.lock();
        if let Some(error) = state.error() {
            return Poll::Ready(Err(error));
        }
        if state.link.state() == State::Connecting || state.is_failing() {
            state.opener = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    })
    .await?;
    Ok(Box::new(stream))
}

/// An id that no session before had, but for one chance in four thousand millions.
#[must_use]
pub fn random_id() -> u32 {
    let random = RandomState::new().hash_one(std::process::id());
    u32::try_from(random >> 32).unwrap_or(1)
}
