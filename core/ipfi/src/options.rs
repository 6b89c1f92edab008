//! How one end of a wire behaves.

use std::{any::Any, sync::Arc, time::Duration};

use ipfi_proto::{Config, Connection, Limits, SharedBudget};

use crate::{
    Codec, Interface,
    shared::{About, Runtime, Shared},
    wire::Wire,
};

/// How one end of a wire behaves; then makes the wire.
///
/// ```
/// use ipfi::{Limits, WireOptions};
/// use std::time::Duration;
/// let options = WireOptions::new()
///     .limits(Limits { max_calls: 16, ..Limits::default() })
///     .keepalive(Duration::from_secs(30))
///     .serve_only();
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct WireOptions {
    config: Config,
    about: About,
}

impl std::fmt::Debug for WireOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireOptions")
            .field("config", &self.config)
            .field("peer", &self.about.peer)
            .finish_non_exhaustive()
    }
}

impl Default for WireOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl WireOptions {
    /// Default limits, the default codec, no time-outs but the one of the handshake.
    #[must_use]
    pub fn new() -> Self {
        #[cfg(feature = "bincode")]
        let codec = 1;
        #[cfg(all(not(feature = "bincode"), feature = "msgpack"))]
        let codec = 2;
        #[cfg(not(any(feature = "bincode", feature = "msgpack")))]
        let codec = 0;
        Self { config: Config::default().with_codec(codec), about: About::default() }
    }

    /// What the peer may make this side hold.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config = self.config.with_limits(limits);
        self
    }

    /// How values are written. Both sides must agree, or one must follow the other.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.config = self.config.with_codec(codec.number());
        self
    }

    /// Values are written as the peer says. Until its first bytes came, nothing can be called from
    /// this side: for servers.
    #[must_use]
    pub fn codec_of_peer(mut self) -> Self {
        self.config = self.config.with_codec(0);
        self
    }

    /// This side calls nothing, neither procedures nor callbacks.
    #[must_use]
    pub fn serve_only(mut self) -> Self {
        self.config = self.config.with_serve_only();
        self
    }

    /// How many bytes a second the wire carries, if that is known and buffers hide it.
    #[must_use]
    pub fn speed(mut self, bytes_per_second: u64) -> Self {
        self.config = self.config.with_speed(bytes_per_second);
        self
    }

    /// How long a short question and its answer take on the wire, if that is more than its speed
    /// says: where turns are taken. Time-outs allow for several of them.
    #[must_use]
    pub fn round_trip(mut self, round_trip: Duration) -> Self {
        self.config = self.config.with_round_trip(round_trip);
        self
    }

    /// Speed and round trip as a stream knows them: for what
    /// [`ByteStream::line`](ipfi_transport::ByteStream::line) gives.
    ///
    /// ```
    /// use ipfi::WireOptions;
    /// use ipfi_transport::{ByteStream, Memory};
    /// let (here, _there) = Memory::pair();
    /// let options = WireOptions::new().line(here.line());
    /// # let _ = options;
    /// ```
    #[cfg(feature = "tokio")]
    #[must_use]
    pub fn line(mut self, line: Option<ipfi_transport::Line>) -> Self {
        let Some(line) = line else { return self };
        if let Some(rate) = line.bytes_per_second {
            self = self.speed(rate.into());
        }
        match line.round_trip {
            Some(round_trip) => self.round_trip(round_trip),
            None => self,
        }
    }

    /// Asks the peer for a sign of life after this time of silence.
    #[must_use]
    pub fn keepalive(mut self, silence: Duration) -> Self {
        self.config = self.config.with_keepalive(silence);
        self
    }

    /// Closes the wire when nothing was open on it for this long.
    #[must_use]
    pub fn idle_timeout(mut self, idle: Duration) -> Self {
        self.config = self.config.with_idle_timeout(idle);
        self
    }

    /// A cap on what all peers together make this process hold.
    #[must_use]
    pub fn budget(mut self, budget: Arc<SharedBudget>) -> Self {
        self.config = self.config.with_budget(budget);
        self
    }

    /// A deadline for every call from this side that names no other.
    #[must_use]
    pub fn deadline(mut self, timeout: Duration) -> Self {
        self.about.deadline = Some(timeout);
        self
    }

    /// Who is at the other end, for people and for [`Context::peer`](crate::Context::peer).
    #[must_use]
    pub fn peer(mut self, name: impl Into<String>) -> Self {
        self.about.peer = Some(name.into());
        self
    }

    /// Something of yours that procedures get from [`Context::data`](crate::Context::data).
    #[must_use]
    pub fn data<T: Any + Send + Sync>(mut self, data: T) -> Self {
        self.about.data = Some(Arc::new(data));
        self
    }

    /// Makes the wire over any stream, on a task of the tokio runtime of this thread.
    ///
    /// Set `TCP_NODELAY` on TCP streams first.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[cfg(feature = "tokio")]
    pub fn spawn<S>(self, stream: S, interface: impl Into<Arc<Interface>>) -> Wire
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        crate::driver::tokio::spawn(self, stream, interface.into())
    }

    /// Makes the wire over a reader and a writer, on two threads: no asynchronous runtime. The same
    /// handles work with `.wait()` instead of `.await`.
    ///
    /// The threads end when the wire does; the reading one only when its read returns.
    ///
    /// # Errors
    ///
    /// The system starts no more threads.
    ///
    /// ```
    /// use ipfi::{Interface, WireOptions};
    /// use std::io::pipe;
    ///
    /// let (there_reads, here_writes) = pipe()?;
    /// let (here_reads, there_writes) = pipe()?;
    /// let server = Interface::new().procedure("add", |a: i64, b: i64| a + b);
    /// let _server = WireOptions::new().start(there_reads, there_writes, server)?;
    /// let wire = WireOptions::new().start(here_reads, here_writes, Interface::new())?;
    /// let five: i64 = wire.call("add", (2, 3)).wait().map_err(std::io::Error::other)?;
    /// assert_eq!(five, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "blocking")]
    pub fn start<R, W>(
        self,
        reader: R,
        writer: W,
        interface: impl Into<Arc<Interface>>,
    ) -> std::io::Result<Wire>
    where
        R: std::io::Read + Send + 'static,
        W: std::io::Write + Send + 'static,
    {
        crate::driver::blocking::start(self, reader, writer, interface.into())
    }

    pub(crate) fn build(
        self,
        now: ipfi_proto::Instant,
        interface: Arc<Interface>,
        runtime: impl FnOnce(&Arc<Shared>) -> Box<dyn Runtime>,
    ) -> Arc<Shared> {
        crate::memory::keep_what_is_freed();
        let codec = self.config.codec;
        let mut config = self.config;
        config.partial_arguments = interface.any_takes_arguments();
        let engine = Connection::new(config, now);
        let shared = Shared::new(engine, codec, interface, self.about);
        shared.drive_with(runtime(&shared));
        shared
    }
}
