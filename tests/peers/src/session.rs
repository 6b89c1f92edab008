//! A conversation with a peer through the `ipfi` crate.

use std::sync::Arc;

use anyhow::{Result, ensure};
use ipfi::{Cause, Codec, Limits, Wire, WireOptions};

use crate::{
    Peer,
    process::{PATIENCE, Process},
    service::Service,
    split::{Cuts, Pipes},
};

/// How a conversation is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it comes.
    Plain,
    /// One byte at a time, in both directions.
    Bytewise,
    /// With a host that announces the smallest limits.
    Tight,
}

impl Manner {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Bytewise, Self::Tight];

    /// In front of the name of a check.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Bytewise => "bytewise",
            Self::Tight => "tight",
        }
    }

    fn limits(self) -> Limits {
        match self {
            Self::Plain | Self::Bytewise => Limits::default(),
            Self::Tight => {
                Limits { max_message: 64 << 10, max_buffered: 1 << 20, ..Limits::smallest() }
            }
        }
    }
}

/// A wire to a peer that was just started.
pub(crate) struct Session {
    pub(crate) wire: Wire,
    pub(crate) service: Arc<Service>,
    pub(crate) cuts: Arc<Cuts>,
    manner: Manner,
    process: Process,
}

impl Session {
    pub(crate) fn open(peer: &Peer, manner: Manner) -> Result<Self> {
        Self::open_cut(peer, manner, None)
    }

    /// Cuts what goes to the peer after so many bytes, counted from the first of the hello.
    pub(crate) fn open_cut(peer: &Peer, manner: Manner, cut: Option<u64>) -> Result<Self> {
        let (process, stdin, stdout) = peer.start()?;
        let cuts = Cuts::new(manner == Manner::Bytewise);
        if let Some(cut) = cut {
            cuts.cut_after(cut);
        }
        let service = Arc::new(Service::default());
        let options = WireOptions::new().codec(Codec::MessagePack).limits(manner.limits());
        let pipes = Pipes::new(stdin, stdout, cuts.clone());
        let wire = options.spawn(pipes, service.interface());
        Ok(Self { wire, service, cuts, manner, process })
    }

    /// How much of something: less if each byte is waited for.
    pub(crate) fn many<T>(&self, plain: T, bytewise: T) -> T {
        if self.manner == Manner::Bytewise { bytewise } else { plain }
    }

    /// The longest message that may go both ways.
    pub(crate) fn large(&self) -> usize {
        self.many(60_000, 3_000)
    }

    /// Whether everything that was given to the peer came back.
    pub(crate) async fn is_clean(&self) -> Result<()> {
        self.wire.ping().await?;
        let stats = self.wire.stats();
        ensure!(stats.exported_callbacks == 0, "the peer did not release a callback");
        Ok(())
    }

    /// Closes the wire in peace; nothing may be left.
    pub(crate) async fn end(self) -> Result<()> {
        self.is_clean().await?;
        let cause = self.wire.close(Some(PATIENCE)).await;
        self.over(&cause).await
    }

    /// What there has to be when the wire was closed in peace.
    pub(crate) async fn over(self, cause: &Cause) -> Result<()> {
        ensure!(*cause == Cause::Graceful, "the wire did not end in peace: {cause}");
        self.process.exits(&[0]).await
    }

    /// What is left when the wire is over.
    pub(crate) async fn abandon(self) -> Process {
        self.wire.closed().await;
        self.process
    }
}
