//! What stands between a transport and its user: `arq+serial:`, `trace+tcp:`.

use std::{future::Future, io, sync::Arc, task::Poll};

use crate::{
    BoxFuture, BoxStream, Description, Listener, OptionError, Options, Properties, transport::Pairs,
};

/// Which end of a stream we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a stream has two ends")]
pub enum Side {
    /// We went to the peer.
    Dial,
    /// The peer came to us.
    Listen,
}

/// Something that wraps a stream: error correction, a trace, faults to test with.
///
/// The stream that comes out passes on what it does not change: `abort`, `peer`, `line`.
pub trait Layer: Send + Sync + 'static {
    /// The part of an address before the plus sign, such as `arq`.
    const NAME: &'static str;
    /// One line of help.
    const SUMMARY: &'static str;
    /// Addresses to copy, for help.
    const EXAMPLES: &'static [&'static str] = &[];
    /// What may follow the location in an address. An option that the transport has too is
    /// written `name.key=value` for the layer.
    type Options: Options;

    /// Wraps a stream. May talk to the peer; other peers of a listener do not wait for it.
    fn wrap(
        &self,
        inner: BoxStream,
        side: Side,
        options: &Self::Options,
    ) -> impl Future<Output = io::Result<BoxStream>> + Send;

    /// Looks at options without a stream. The error says what is wrong with one.
    fn check(&self, options: &Self::Options) -> Result<(), OptionError> {
        let _ = options;
        Ok(())
    }

    /// What the result is like, given what is below.
    fn properties(&self, below: Properties, options: &Self::Options) -> Properties {
        let _ = options;
        below
    }
}

/// The object-safe face of [`Layer`].
pub(crate) trait AnyLayer: Send + Sync {
    fn describe(&self) -> Description;
    fn knows(&self, key: &str) -> bool;
    fn prepare(self: Arc<Self>, options: Pairs<'_>) -> Result<Arc<dyn Prepared>, OptionError>;
}

/// A layer together with its options.
pub(crate) trait Prepared: Send + Sync {
    fn wrap(
        self: Arc<Self>,
        inner: BoxStream,
        side: Side,
    ) -> BoxFuture<'static, io::Result<BoxStream>>;
    fn properties(&self, below: Properties) -> Properties;
}

impl<L: Layer> AnyLayer for L {
    fn describe(&self) -> Description {
        let mut description = Description::new(L::NAME, L::SUMMARY);
        description.layer = true;
        description.listens = true;
        description.examples = L::EXAMPLES.iter().map(|&e| e.into()).collect();
        description.options = L::Options::specs();
        description
    }

    fn knows(&self, key: &str) -> bool {
        L::Options::knows(key)
    }

    fn prepare(self: Arc<Self>, options: Pairs<'_>) -> Result<Arc<dyn Prepared>, OptionError> {
        let options = L::Options::from_pairs(options.iter().copied())?;
        self.check(&options)?;
        Ok(Arc::new(WithOptions { layer: self, options }))
    }
}

struct WithOptions<L: Layer> {
    layer: Arc<L>,
    options: L::Options,
}

impl<L: Layer> Prepared for WithOptions<L> {
    fn wrap(
        self: Arc<Self>,
        inner: BoxStream,
        side: Side,
    ) -> BoxFuture<'static, io::Result<BoxStream>> {
        Box::pin(async move { self.layer.wrap(inner, side, &self.options).await })
    }

    fn properties(&self, below: Properties) -> Properties {
        self.layer.properties(below, &self.options)
    }
}

/// Puts layers, outermost first, on a stream.
pub(crate) async fn wrap_all(
    layers: Vec<Arc<dyn Prepared>>,
    mut stream: BoxStream,
    side: Side,
) -> io::Result<BoxStream> {
    for layer in layers.into_iter().rev() {
        stream = layer.wrap(stream, side).await?;
    }
    Ok(stream)
}

/// How many peers may be in the middle of their layers' handshakes at once.
const MAX_WRAPPING: usize = 128;

/// A listener whose streams get layers.
pub(crate) struct LayeredListener {
    inner: Box<dyn Listener>,
    layers: Vec<Arc<dyn Prepared>>,
    wrapping: Vec<BoxFuture<'static, io::Result<BoxStream>>>,
}

impl LayeredListener {
    pub(crate) fn new(inner: Box<dyn Listener>, layers: Vec<Arc<dyn Prepared>>) -> Self {
        Self { inner, layers, wrapping: Vec::new() }
    }
}

impl Listener for LayeredListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async move {
            loop {
                // Handshakes of layers go on beside the wait for the next peer.
                let Self { inner, wrapping, .. } = self;
                let room = wrapping.len() < MAX_WRAPPING;
                let mut accept = inner.accept();
                let event = std::future::poll_fn(|cx| {
                    for i in 0..wrapping.len() {
                        let ready = wrapping.get_mut(i).map(|w| w.as_mut().poll(cx));
                        if let Some(Poll::Ready(stream)) = ready {
                            drop(wrapping.swap_remove(i));
                            return Poll::Ready(Event::Wrapped(stream));
                        }
                    }
                    if room { accept.as_mut().poll(cx).map(Event::Arrived) } else { Poll::Pending }
                })
                .await;
                drop(accept);
                match event {
                    Event::Wrapped(stream) => return stream,
                    Event::Arrived(stream) => {
                        let wrapped = wrap_all(self.layers.clone(), stream?, Side::Listen);
                        self.wrapping.push(Box::pin(wrapped));
                    }
                }
            }
        })
    }

    fn local(&self) -> Option<String> {
        self.inner.local()
    }
}

enum Event {
    Arrived(io::Result<BoxStream>),
    Wrapped(io::Result<BoxStream>),
}
