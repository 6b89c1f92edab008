//! The transports and layers that a program knows.

use std::{collections::BTreeMap, fmt, io, sync::Arc};

use crate::{
    Address, AnyTransport, BoxStream, CheckError, Description, Layer, Listener, OpenError,
    OptionError, Place, Properties, Resolver, Side, Transport,
    layer::{AnyLayer, LayeredListener, Prepared, wrap_all},
    options::nearest,
};

/// The transports and layers that a program knows: just those it was given.
///
/// ```
/// use ipfi_transport::{Memory, Registry};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let registry = Registry::new().with(Memory::new());
/// let mut listener = registry.listen(&"memory-listen:here".parse()?).await?;
/// let dialled = registry.dial(&"memory:here".parse()?).await?;
/// let accepted = listener.accept().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    transports: BTreeMap<String, Arc<dyn AnyTransport>>,
    layers: BTreeMap<String, Arc<dyn AnyLayer>>,
    resolver: Option<Arc<dyn Resolver>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("transports", &self.transports.keys())
            .field("layers", &self.layers.keys())
            .finish_non_exhaustive()
    }
}

impl Registry {
    /// No transports and no layers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a transport, in place of one of the same name.
    #[must_use]
    pub fn with<T: Transport>(mut self, transport: T) -> Self {
        self.transports.insert(T::SCHEME.into(), Arc::new(transport));
        self
    }

    /// Adds a layer, in place of one of the same name.
    #[must_use]
    pub fn with_layer<L: Layer>(mut self, layer: L) -> Self {
        self.layers.insert(L::NAME.into(), Arc::new(layer));
        self
    }

    /// Says who is asked for transports that are not here. Those that are here win.
    #[must_use]
    pub fn with_resolver(mut self, resolver: impl Resolver + 'static) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Describes every transport, then every layer, each in the order of the alphabet.
    pub fn describe(&self) -> impl Iterator<Item = Description> {
        let transports = self.transports.values().map(|t| t.describe());
        transports.chain(self.layers.values().map(|l| l.describe()))
    }

    /// Where on this machine there is something to dial, with the name of the transport.
    pub fn places(&self) -> impl Iterator<Item = (&str, Place)> {
        let named = self.transports.iter();
        named.flat_map(|(name, t)| t.places().into_iter().map(move |p| (name.as_str(), p)))
    }

    /// What the resolver finds, such as plug-ins.
    pub async fn found(&self) -> Vec<(Place, io::Result<Description>)> {
        match &self.resolver {
            Some(resolver) => resolver.list().await,
            None => Vec::new(),
        }
    }

    /// Opens a stream to a peer.
    pub async fn dial(&self, address: &Address) -> Result<BoxStream, OpenError> {
        let stack = self.stack(address).await?;
        let dialled = async {
            let stream = stack.transport.dial(&address.location, &stack.options).await?;
            wrap_all(stack.layers, stream, Side::Dial).await
        };
        dialled.await.map_err(|source| failed(address, source))
    }

    /// Starts to accept peers.
    pub async fn listen(&self, address: &Address) -> Result<Box<dyn Listener>, OpenError> {
        let stack = self.stack(address).await?;
        let listener = stack.transport.listen(&address.location, &stack.options).await;
        let listener = listener.map_err(|source| failed(address, source))?;
        if stack.layers.is_empty() {
            return Ok(listener);
        }
        Ok(Box::new(LayeredListener::new(listener, stack.layers)))
    }

    /// Dials, or waits for one peer if the address listens.
    pub async fn open(&self, address: &Address) -> Result<BoxStream, OpenError> {
        if address.listen {
            let accepted = self.listen(address).await?.accept().await;
            accepted.map_err(|source| failed(address, source))
        } else {
            self.dial(address).await
        }
    }

    /// Looks at an address without opening anything, and says what its streams are like.
    pub async fn check(&self, address: &Address) -> Result<Properties, OpenError> {
        Ok(self.stack(address).await?.properties)
    }

    /// The same for users who need every byte, such as wires of calls.
    ///
    /// ```
    /// use ipfi_transport::{Address, Memory, Noise, Registry};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let registry = Registry::new().with(Memory::new()).with_layer(Noise::new());
    /// let good: Address = "memory:here".parse()?;
    /// assert!(registry.check_reliable(&good).await.is_ok());
    /// let bad: Address = "noise+memory:here,drop=0.1".parse()?;
    /// let error = registry.check_reliable(&bad).await.unwrap_err().to_string();
    /// assert!(error.contains("may lose bytes"), "{error}");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`OpenError::Unreliable`] with the way out: a layer that mends it (`arq+serial:`), or the
    /// option `reliable` of links that never lose anything.
    pub async fn check_reliable(&self, address: &Address) -> Result<Properties, OpenError> {
        let properties = self.check(address).await?;
        if properties.reliable {
            return Ok(properties);
        }
        let mut layered = None;
        for name in self.layers.keys() {
            let mut other = address.clone();
            other.layers.insert(0, name.clone());
            if self.is_reliable(&other).await {
                layered = Some(other.to_string());
                break;
            }
        }
        let mut trusted = address.clone();
        trusted.options.push(("reliable".into(), "yes".into()));
        let can_trust = self.is_reliable(&trusted).await;
        Err(OpenError::Unreliable { address: address.to_string(), layered, can_trust })
    }

    async fn is_reliable(&self, address: &Address) -> bool {
        self.check(address).await.is_ok_and(|properties| properties.reliable)
    }

    /// Opens a stream to a peer, unless it may lose bytes: for wires of calls.
    ///
    /// # Errors
    ///
    /// As of [`check_reliable`](Self::check_reliable) and [`dial`](Self::dial).
    pub async fn dial_reliable(&self, address: &Address) -> Result<BoxStream, OpenError> {
        self.check_reliable(address).await?;
        self.dial(address).await
    }

    /// Starts to accept peers, unless their streams may lose bytes: for wires of calls.
    ///
    /// # Errors
    ///
    /// As of [`check_reliable`](Self::check_reliable) and [`listen`](Self::listen).
    pub async fn listen_reliable(&self, address: &Address) -> Result<Box<dyn Listener>, OpenError> {
        self.check_reliable(address).await?;
        self.listen(address).await
    }

    /// Dials or waits for one peer, unless the stream may lose bytes: for wires of calls.
    ///
    /// # Errors
    ///
    /// As of [`check_reliable`](Self::check_reliable) and [`open`](Self::open).
    pub async fn open_reliable(&self, address: &Address) -> Result<BoxStream, OpenError> {
        self.check_reliable(address).await?;
        self.open(address).await
    }

    async fn stack<'a>(&self, address: &'a Address) -> Result<Stack<'a>, OpenError> {
        let transport = self.transport(&address.scheme).await?;
        let layers = address.layers.iter().map(|name| self.layer(name));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let description = transport.describe();
        if address.listen && !description.listens {
            return Err(OpenError::CannotListen { scheme: address.scheme.clone() });
        }
        let option = |source| OpenError::Option { address: address.to_string(), source };

        // Each option goes to the one that is named before the dot, else to the transport if it
        // knows it, else to the outermost layer that does.
        let mut own = Vec::new();
        let mut of_layers = vec![Vec::new(); layers.len()];
        for (key, value) in &address.options {
            let (owner, key) = match key.split_once('.') {
                Some((owner, key)) => (Some(owner), key),
                None => (None, key.as_str()),
            };
            let known = match owner {
                Some(owner) => owner == address.scheme,
                None => description.options.iter().any(|spec| spec.key == key),
            };
            if known {
                own.push((key, value.as_str()));
                continue;
            }
            let mut taken = false;
            for ((name, layer), options) in address.layers.iter().zip(&layers).zip(&mut of_layers) {
                let its = match owner {
                    Some(owner) => owner == name,
                    None => !taken && layer.knows(key),
                };
                if its {
                    options.push((key, value.as_str()));
                    taken = true;
                }
            }
            if !taken {
                let of_layers = layers.iter().flat_map(|layer| layer.describe().options);
                let known: Vec<_> = description.options.into_iter().chain(of_layers).collect();
                return Err(option(OptionError::unknown(key, &known)));
            }
        }

        let mut properties =
            transport.check(&address.location, &own).map_err(|error| match error {
                CheckError::Location(reason) => OpenError::Location {
                    scheme: address.scheme.clone(),
                    location: address.location.clone(),
                    reason,
                },
                CheckError::Option(source) => option(source),
            })?;
        let mut prepared = Vec::new();
        for (layer, options) in layers.into_iter().zip(of_layers).rev() {
            let layer = layer.prepare(&options).map_err(option)?;
            properties = layer.properties(properties);
            prepared.insert(0, layer);
        }
        Ok(Stack { transport, options: own, layers: prepared, properties })
    }

    async fn transport(&self, scheme: &str) -> Result<Arc<dyn AnyTransport>, OpenError> {
        if let Some(transport) = self.transports.get(scheme) {
            return Ok(transport.clone());
        }
        let mut looked_for = String::new();
        if let Some(resolver) = &self.resolver {
            let found = resolver.resolve(scheme).await.map_err(|source| OpenError::Io {
                address: format!("{scheme}:"),
                listen: false,
                source,
            })?;
            if let Some(transport) = found {
                return Ok(transport);
            }
            looked_for = format!(", and {}", resolver.looked_for(scheme));
        }
        Err(OpenError::UnknownTransport {
            scheme: scheme.into(),
            guess: nearest(scheme, self.transports.keys().map(String::as_str)).map(Into::into),
            known: self.transports.keys().cloned().collect(),
            looked_for,
        })
    }

    fn layer(&self, name: &str) -> Result<Arc<dyn AnyLayer>, OpenError> {
        self.layers.get(name).cloned().ok_or_else(|| OpenError::UnknownLayer {
            name: name.into(),
            guess: nearest(name, self.layers.keys().map(String::as_str)).map(Into::into),
            known: self.layers.keys().cloned().collect(),
        })
    }
}

/// An address, ready to be opened.
struct Stack<'a> {
    transport: Arc<dyn AnyTransport>,
    options: Vec<(&'a str, &'a str)>,
    layers: Vec<Arc<dyn Prepared>>,
    properties: Properties,
}

fn failed(address: &Address, source: io::Error) -> OpenError {
    OpenError::Io { address: address.to_string(), listen: address.listen, source }
}
