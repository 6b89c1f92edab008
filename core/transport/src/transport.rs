//! The contract that a link fulfils.

use std::{future::Future, io, pin::Pin, sync::Arc};

use crate::{BoxStream, OptionError, OptionSpec, Options};

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A kind of link, such as TCP or a serial port.
///
/// A whole transport is about 30 lines; see the `custom-transport` demo.
///
/// ```
/// use ipfi_transport::{BoxStream, Transport, boxed};
/// use std::io;
///
/// /// Every byte comes back.
/// struct Echo;
///
/// impl Transport for Echo {
///     const SCHEME: &'static str = "echo";
///     const SUMMARY: &'static str = "every byte comes back";
///     type Options = ();
///
///     async fn dial(&self, _: &str, (): ()) -> io::Result<BoxStream> {
///         let (here, there) = tokio::io::duplex(4096);
///         tokio::spawn(async move {
///             let (mut read, mut write) = tokio::io::split(there);
///             tokio::io::copy(&mut read, &mut write).await
///         });
///         Ok(boxed(here))
///     }
/// }
/// ```
pub trait Transport: Send + Sync + 'static {
    /// The part of an address before the colon, such as `tcp`. A name as in
    /// [`is_name`](crate::is_name).
    const SCHEME: &'static str;
    /// One line of help.
    const SUMMARY: &'static str;
    /// Addresses to copy, for help.
    const EXAMPLES: &'static [&'static str] = &[];
    /// Whether every byte arrives, once and in order. A link that is not reliable goes under
    /// `arq+` before procedures are called over it.
    const RELIABLE: bool = true;
    /// Whether there is just one stream at a location at a time: a serial port, standard input.
    const EXCLUSIVE: bool = false;
    /// Whether a stream never ends by itself: a device. One that is lost is worth reopening.
    const ENDLESS: bool = false;
    /// Whether [`listen`](Self::listen) is implemented.
    const LISTENS: bool = false;
    /// What may follow the location in an address.
    type Options: Options;

    /// Opens a stream to `location`.
    fn dial(
        &self,
        location: &str,
        options: Self::Options,
    ) -> impl Future<Output = io::Result<BoxStream>> + Send;

    /// Starts to accept peers at `location`. Most point-to-point links cannot.
    fn listen(
        &self,
        location: &str,
        options: Self::Options,
    ) -> impl Future<Output = io::Result<Box<dyn Listener>>> + Send {
        let _ = (location, options);
        async { Err(io::Error::new(io::ErrorKind::Unsupported, "this transport cannot listen")) }
    }

    /// Looks at a location without opening anything. The error says what is wrong with it.
    fn check(&self, location: &str, options: &Self::Options) -> Result<(), String> {
        let _ = (location, options);
        Ok(())
    }

    /// What a stream with these options is like; by default what the constants say.
    fn properties(&self, location: &str, options: &Self::Options) -> Properties {
        let _ = (location, options);
        let reliable = Self::RELIABLE;
        Properties { reliable, exclusive: Self::EXCLUSIVE, endless: Self::ENDLESS }
    }

    /// Where on this machine there is something to dial, such as the serial ports it has.
    fn places(&self) -> Vec<Place> {
        Vec::new()
    }
}

/// Waits for peers to arrive.
pub trait Listener: Send {
    /// Waits for the next peer. Cancel safe: a peer that arrives while nobody waits is kept for
    /// the next call.
    ///
    /// An error concerns one peer or the system's resources; the listener goes on.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxStream>>;

    /// Where it really listens, such as the port that the system chose for port 0.
    fn local(&self) -> Option<String> {
        None
    }
}

/// What a stream is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Properties {
    /// Every byte arrives, once and in order, or the stream ends with an error.
    pub reliable: bool,
    /// There is just one such stream at a time.
    pub exclusive: bool,
    /// It never ends by itself: a device.
    pub endless: bool,
}

impl Properties {
    /// What a stream is like; not endless.
    #[must_use]
    pub fn new(reliable: bool, exclusive: bool) -> Self {
        Self { reliable, exclusive, endless: false }
    }
}

/// A location that is there to be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The location, as in an address.
    pub location: String,
    /// What is there, in a few words.
    pub about: String,
}

impl Place {
    /// A location and what is there.
    #[must_use]
    pub fn new(location: impl Into<String>, about: impl Into<String>) -> Self {
        Self { location: location.into(), about: about.into() }
    }
}

/// What a transport or a layer says of itself, for help.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// Its name in an address.
    pub name: String,
    /// Whether it is a layer on top of transports.
    pub layer: bool,
    /// One line.
    pub summary: String,
    /// Addresses to copy.
    pub examples: Vec<String>,
    /// Whether every byte arrives, unless an option says otherwise.
    pub reliable: bool,
    /// Whether `NAME-listen:` works.
    pub listens: bool,
    /// Every option.
    pub options: Vec<OptionSpec>,
}

impl Description {
    /// A transport that only dials, without options; the fields are public.
    #[must_use]
    pub fn new(name: &str, summary: &str) -> Self {
        Self {
            name: name.into(),
            layer: false,
            summary: summary.into(),
            examples: Vec::new(),
            reliable: true,
            listens: false,
            options: Vec::new(),
        }
    }
}

/// Options as they stand in an address.
pub type Pairs<'a> = &'a [(&'a str, &'a str)];

/// The object-safe face of [`Transport`], which a [`Registry`](crate::Registry) stores.
///
/// Every transport has it. Implement it yourself only for a transport whose name or options are
/// known at run time, such as a plug-in.
pub trait AnyTransport: Send + Sync {
    /// What it says of itself.
    fn describe(&self) -> Description;
    /// Looks at a location and options without opening anything.
    fn check(&self, location: &str, options: Pairs<'_>) -> Result<Properties, CheckError>;
    /// Opens a stream.
    fn dial<'a>(
        &'a self,
        location: &'a str,
        options: Pairs<'a>,
    ) -> BoxFuture<'a, io::Result<BoxStream>>;
    /// Starts to accept peers.
    fn listen<'a>(
        &'a self,
        location: &'a str,
        options: Pairs<'a>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Listener>>>;
    /// Where there is something to dial.
    fn places(&self) -> Vec<Place> {
        Vec::new()
    }
}

/// Why an address cannot be used with a transport.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The location.
    #[error("{0}")]
    Location(String),
    /// An option.
    #[error(transparent)]
    Option(#[from] OptionError),
}

impl From<CheckError> for io::Error {
    fn from(error: CheckError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

fn read<T: Transport>(options: Pairs<'_>) -> Result<T::Options, OptionError> {
    T::Options::from_pairs(options.iter().copied())
}

impl<T: Transport> AnyTransport for T {
    fn describe(&self) -> Description {
        Description {
            name: T::SCHEME.into(),
            layer: false,
            summary: T::SUMMARY.into(),
            examples: T::EXAMPLES.iter().map(|&e| e.into()).collect(),
            reliable: T::RELIABLE,
            listens: T::LISTENS,
            options: T::Options::specs(),
        }
    }

    fn check(&self, location: &str, options: Pairs<'_>) -> Result<Properties, CheckError> {
        let options = read::<T>(options)?;
        Transport::check(self, location, &options).map_err(CheckError::Location)?;
        Ok(self.properties(location, &options))
    }

    fn dial<'a>(
        &'a self,
        location: &'a str,
        options: Pairs<'a>,
    ) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            let options = read::<T>(options).map_err(CheckError::from)?;
            Transport::dial(self, location, options).await
        })
    }

    fn listen<'a>(
        &'a self,
        location: &'a str,
        options: Pairs<'a>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let options = read::<T>(options).map_err(CheckError::from)?;
            Transport::listen(self, location, options).await
        })
    }

    fn places(&self) -> Vec<Place> {
        Transport::places(self)
    }
}

/// Finds transports that no program was built with, such as plug-ins.
pub trait Resolver: Send + Sync {
    /// The transport of this name, if there is one.
    fn resolve<'a>(
        &'a self,
        scheme: &'a str,
    ) -> BoxFuture<'a, io::Result<Option<Arc<dyn AnyTransport>>>>;

    /// Where it looks, for the message when there is none: "there is no `ipfi-transport-x` on
    /// PATH".
    fn looked_for(&self, scheme: &str) -> String;

    /// Every transport that it finds, with the place where, for help. One that cannot be
    /// described gives the reason.
    fn list(&self) -> BoxFuture<'_, Vec<(Place, io::Result<Description>)>> {
        Box::pin(async { Vec::new() })
    }
}
