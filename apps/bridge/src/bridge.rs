//! One bridge: which ends listen, which are devices, and what follows from it.

use std::{io, sync::Arc};

use ipfi_app::Stop;
use ipfi_transport::{Address, BoxStream, Description, Listener, OpenError, Properties, Registry};

use crate::{
    exit::BridgeError,
    hub::Hub,
    log,
    port::Port,
    queue::{Sender, queue},
    relay::Manner,
    session,
    settings::{OnLoss, Settings},
    stats::Stats,
};

/// A bridge that has been checked and can be run.
#[derive(Clone, Debug)]
pub(crate) struct Bridge {
    pub(crate) registry: Registry,
    pub(crate) a: End,
    pub(crate) b: End,
    pub(crate) settings: Settings,
    pub(crate) stats: Arc<Stats>,
}

/// One end as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) address: Address,
    pub(crate) properties: Properties,
}

impl Bridge {
    /// Checks two addresses, without opening them.
    pub(crate) async fn check(
        registry: &Registry,
        name: &str,
        a: &str,
        b: &str,
        settings: Settings,
    ) -> Result<Self, BridgeError> {
        let a = End::check(registry, a, &settings).await?;
        let b = End::check(registry, b, &settings).await?;
        if settings.show_morse && [&a, &b].iter().all(|end| end.address.option(SHOW).is_none()) {
            let text = "--show-morse: neither end goes by Morse, as `morse:` does";
            return Err(BridgeError::Config(text.into()));
        }
        let stats = Stats::new(name, a.address.to_string(), b.address.to_string());
        Ok(Self { registry: registry.clone(), a, b, settings, stats: Arc::new(stats) })
    }

    /// Opens both ends and returns what carries bytes between them until they end.
    pub(crate) async fn open(self: &Arc<Self>) -> Result<Running, BridgeError> {
        Ok(match (self.a.address.listen, self.b.address.listen) {
            (true, true) => {
                let (a, b) = (self.listen(&self.a).await?, self.listen(&self.b).await?);
                Running::Meet(a, b)
            }
            (true, false) if self.b.properties.exclusive => {
                let device = self.first(&self.b).await?;
                Running::Hub(self.listen(&self.a).await?, device, Facing::B)
            }
            (false, true) if self.a.properties.exclusive => {
                let device = self.first(&self.a).await?;
                Running::Hub(self.listen(&self.b).await?, device, Facing::A)
            }
            (true, false) => Running::Serve(self.listen(&self.a).await?, Facing::B),
            (false, true) => Running::Serve(self.listen(&self.b).await?, Facing::A),
            (false, false) => Running::Both(self.first(&self.a).await?, self.first(&self.b).await?),
        })
    }

    /// Carries bytes until the ends end, one is lost for good, or it is time to stop.
    pub(crate) async fn run(
        self: Arc<Self>,
        running: Running,
        stop: Stop,
    ) -> Result<(), BridgeError> {
        match running {
            Running::Meet(a, b) => session::meet(&self, a, b, stop).await,
            Running::Serve(listener, facing) => session::serve(&self, listener, facing, stop).await,
            Running::Hub(listener, first, facing) => {
                Hub::new(self, facing).run(listener, first, stop).await
            }
            Running::Both(a, b) if self.has_device() => self.ports(a, b, stop).await,
            Running::Both(a, b) => session::pair(&self, a, b, stop).await,
        }
    }

    fn has_device(&self) -> bool {
        self.a.properties.endless || self.b.properties.endless
    }

    /// Two ends that are dialled, at least one of them a device: each is reopened by itself.
    async fn ports(
        self: Arc<Self>,
        a: Option<BoxStream>,
        b: Option<BoxStream>,
        stop: Stop,
    ) -> Result<(), BridgeError> {
        let (to_a, from_b) = queue();
        let (to_b, from_a) = queue();
        let mut port_a = Port::new(self.clone(), Facing::A, from_b, stop.clone());
        let mut port_b = Port::new(self.clone(), Facing::B, from_a, stop);
        let (to_a, to_b) = (Straight(Some(to_a)), Straight(Some(to_b)));
        let (a, b) = tokio::join!(port_a.run(a, to_b), port_b.run(b, to_a));
        a.and(b)
    }

    pub(crate) async fn listen(&self, end: &End) -> Result<Box<dyn Listener>, BridgeError> {
        let listener = self.registry.listen(&end.address).await?;
        let reach = end.address.to_dial(listener.local());
        log::say(&format!("{}listening at {reach}", self.prefix()));
        Ok(listener)
    }

    /// Opens an end for the first time. With an explicit `retry` it may come later.
    async fn first(&self, end: &End) -> Result<Option<BoxStream>, BridgeError> {
        match self.registry.dial(&end.address).await {
            Ok(stream) => {
                log::say(&format!("{}opened {}", self.prefix(), end.address));
                Ok(Some(stream))
            }
            Err(error) if self.settings.on_loss == Some(OnLoss::Retry) && !error.is_usage() => {
                log::say(&format!("{}{error}; trying again until it works", self.prefix()));
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether an end that was lost is opened again.
    pub(crate) fn retries(&self, end: &End) -> bool {
        let reopens = end.properties.endless || !end.properties.exclusive;
        match self.settings.on_loss {
            Some(OnLoss::Exit) => false,
            Some(OnLoss::Retry) => reopens,
            None => reopens && self.has_device(),
        }
    }

    /// Whether an error only says that whoever read our output, as `head` does, has seen enough.
    pub(crate) fn has_seen_enough(&self, end: &End, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::BrokenPipe && end.properties.exclusive && !self.retries(end)
    }

    pub(crate) fn end(&self, facing: Facing) -> &End {
        match facing {
            Facing::A => &self.a,
            Facing::B => &self.b,
        }
    }

    pub(crate) fn manner(&self) -> Manner {
        let Settings { linger, idle, no_splice, .. } = self.settings;
        Manner { linger, idle, splices: !no_splice }
    }

    /// Whether an end writes letters to standard error as they come.
    pub(crate) fn shows(&self) -> bool {
        [&self.a, &self.b].iter().any(|end| end.address.option(SHOW).is_some())
    }

    /// What stands before log lines when there are many bridges.
    pub(crate) fn prefix(&self) -> String {
        match self.stats.name.as_str() {
            "" => String::new(),
            name => format!("{name}: "),
        }
    }
}

impl End {
    async fn check(
        registry: &Registry,
        text: &str,
        settings: &Settings,
    ) -> Result<Self, BridgeError> {
        let parsed: Result<Address, _> = text.parse();
        let mut address = parsed.map_err(|error| BridgeError::Config(error.to_string()))?;
        if let Some(file) = &settings.trace {
            address.layers.insert(0, "trace".into());
            if file != "-" && address.option("trace.file").is_none() {
                address.options.push(("trace.file".into(), file.clone()));
            }
        }
        let shows = |description: Description| {
            let options = &description.options;
            description.name == address.scheme && options.iter().any(|option| option.key == SHOW)
        };
        if settings.show_morse && registry.describe().any(shows) && address.option(SHOW).is_none() {
            address.options.push((SHOW.into(), "yes".into()));
        }
        let properties = registry.check(&address).await?;
        Ok(Self { address, properties })
    }
}

/// The option of transports that write what they carry as letters.
const SHOW: &str = "show";

/// Which end of the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Facing {
    A,
    B,
}

/// A bridge whose ends are open.
pub(crate) enum Running {
    /// Both are dialled; one that is not there yet is nothing.
    Both(Option<BoxStream>, Option<BoxStream>),
    /// One listens; the other, of which there is only one, stays open.
    Hub(Box<dyn Listener>, Option<BoxStream>, Facing),
    /// Both listen.
    Meet(Box<dyn Listener>, Box<dyn Listener>),
    /// One listens; the other one, facing us here, is dialled for each peer.
    Serve(Box<dyn Listener>, Facing),
}

/// Everything that one port reads goes to the other one.
struct Straight(Option<Sender>);

impl crate::port::Outlet for Straight {
    async fn deliver(&mut self, chunk: bytes::Bytes) {
        if let Some(sender) = &self.0
            && sender.send(chunk).await.is_err()
        {
            self.0 = None;
        }
    }

    fn end(&mut self, cut: bool) {
        if let Some(sender) = self.0.take()
            && cut
        {
            sender.cut();
        }
    }
}

/// What to say of an error when opening.
pub(crate) fn why(error: &OpenError) -> String {
    if let OpenError::Io { source, .. } = error {
        return ipfi_transport::reason(source);
    }
    error.to_string()
}
