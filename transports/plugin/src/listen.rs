//! Waits for peers through processes that each wait for one.

use std::{io, path::PathBuf, time::Duration};

use ipfi_transport::{BoxFuture, BoxStream, Listener};
use tokio::time::{Instant, sleep_until, timeout};

use crate::{process::Starting, reply::Reply};

/// How long a plug-in may take to say that it listens or cannot. One that does not say is taken
/// to listen.
const FIRST_WORD: Duration = Duration::from_secs(1);
/// The pause after a process that failed, which doubles with each.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What every process of a listener is told.
pub(crate) struct Orders {
    pub(crate) file: PathBuf,
    pub(crate) name: String,
    pub(crate) location: String,
    pub(crate) options: Vec<(String, String)>,
}

impl Orders {
    fn start(&self) -> io::Result<Starting> {
        let options: Vec<_> =
            self.options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Starting::new(&self.file, &self.name, "listen", &self.location, &options)
    }
}

/// The listener of a plug-in.
pub(crate) struct PluginListener {
    orders: Orders,
    /// The process that waits.
    waiting: Option<Starting>,
    /// It has a peer already.
    arrived: bool,
    local: Option<String>,
    pause: Duration,
    not_before: Instant,
}

impl PluginListener {
    pub(crate) async fn new(orders: Orders) -> io::Result<Self> {
        let mut waiting = orders.start()?;
        let first = timeout(FIRST_WORD, waiting.reply()).await;
        let mut listener = Self {
            orders,
            waiting: None,
            arrived: false,
            local: None,
            pause: PAUSE.0,
            not_before: Instant::now(),
        };
        match first.unwrap_or_else(|_| Ok(Reply::Listening(String::new())))? {
            Reply::Ok => listener.arrived = true,
            Reply::Error(reason) => return Err(io::Error::other(reason)),
            Reply::Listening(location) => listener.listens_at(location),
        }
        listener.waiting = Some(waiting);
        Ok(listener)
    }

    /// Later processes listen where the first one really did.
    fn listens_at(&mut self, location: String) {
        if self.local.is_none() && !location.is_empty() {
            self.orders.location.clone_from(&location);
            self.local = Some(location);
        }
    }

    async fn next(&mut self) -> io::Result<BoxStream> {
        loop {
            let waiting = match &mut self.waiting {
                Some(waiting) => waiting,
                none => {
                    sleep_until(self.not_before).await;
                    let not_before = &mut self.not_before;
                    none.insert(self.orders.start().inspect_err(|_| {
                        *not_before = Instant::now() + self.pause;
                    })?)
                }
            };
            let reply = if std::mem::take(&mut self.arrived) {
                Ok(Reply::Ok)
            } else {
                waiting.reply().await
            };
            match reply {
                Ok(Reply::Listening(location)) => self.listens_at(location),
                Ok(Reply::Ok) => {
                    let Some(ready) = self.waiting.take() else { continue };
                    self.pause = PAUSE.0;
                    // If this fails, the next call tries again and says so.
                    self.waiting = self.orders.start().ok();
                    return Ok(Box::new(ready.into_stream()?));
                }
                Ok(Reply::Error(reason)) => return Err(self.failed(io::Error::other(reason))),
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Ends a process that failed. The next one has to wait, or the two would spin.
    fn failed(&mut self, error: io::Error) -> io::Error {
        self.waiting = None;
        self.not_before = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSE.1);
        error
    }
}

impl Listener for PluginListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(self.next())
    }

    fn local(&self) -> Option<String> {
        self.local.clone()
    }
}
