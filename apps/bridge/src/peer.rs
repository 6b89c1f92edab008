//! One of the peers that a hub serves.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use bytes::{Bytes, BytesMut};
use ipfi_app::Stop;
use ipfi_transport::{BoxStream, reason};
use tokio::sync::Notify;

use crate::{
    bridge::{Bridge, Facing},
    hub::Peers,
    log,
    port::{Shared, until_silent},
    queue::{Receiver, Sender},
    stats::{Counted, add},
};

/// What the hub tells a peer, and what the peer tells the hub.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    finished: AtomicBool,
    leave: Notify,
    cut: AtomicBool,
}

impl Signal {
    /// Makes the peer leave with a cut.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Relaxed);
        self.leave.notify_one();
    }

    /// Makes the peer leave in peace.
    pub(crate) fn give_way(&self) {
        self.leave.notify_one();
    }

    /// Whether the peer has finished sending.
    pub(crate) fn has_finished(&self) -> bool {
        self.finished.load(Relaxed)
    }
}

/// A peer and where its bytes are counted.
pub(crate) struct Peer {
    pub(crate) bridge: Arc<Bridge>,
    /// Which end of the bridge the peer's bytes go to.
    pub(crate) far: Facing,
    pub(crate) peers: Arc<Peers>,
    pub(crate) signal: Arc<Signal>,
    pub(crate) name: String,
}

const FINISHED: &str = "has finished";
const SILENT: &str = "was silent for too long";

impl Peer {
    /// Carries bytes between the peer and the rest of the bridge until it leaves.
    pub(crate) async fn run(
        self,
        stream: BoxStream,
        inbox: Receiver,
        outbox: Sender,
        mut stop: Stop,
    ) {
        let stats = &self.bridge.stats;
        add(&stats.peers, 1);
        let _active = Counted::new(&stats.active);
        let stream = Shared::new(stream);
        let how = {
            let carried = self.carry(&stream, inbox, outbox, stop.clone());
            tokio::select! {
                result = carried => match result {
                    Ok(how) => how.into(),
                    Err(error) => {
                        add(&stats.cut, 1);
                        stream.abort();
                        format!("was cut: {}", reason(&error))
                    }
                },
                () = self.signal.leave.notified() => "had to leave".into(),
                () = stop.and_drained() => "had to leave".into(),
            }
        };
        if self.signal.cut.load(Relaxed) {
            stream.abort();
        }
        log::detail(|| format!("{}{} {how}", self.bridge.prefix(), self.name));
    }

    /// Carries bytes; says how it ended.
    async fn carry(
        &self,
        stream: &Shared,
        mut inbox: Receiver,
        outbox: Sender,
        mut stop: Stop,
    ) -> io::Result<&'static str> {
        let settings = &self.bridge.settings;
        let sent = match self.far {
            Facing::A => &self.bridge.stats.a_to_b,
            Facing::B => &self.bridge.stats.b_to_a,
        };
        let moved = &AtomicU64::new(0);
        let mut write = Box::pin(async move {
            stream.write_from(&mut inbox, &mut Bytes::new(), [sent, moved]).await?;
            stream.shutdown().await
        });
        let mut read = Box::pin(async move {
            let mut buf = BytesMut::new();
            loop {
                let n = stream.read(&mut buf).await?;
                if n == 0 || outbox.send(buf.split().freeze()).await.is_err() {
                    return Ok::<_, io::Error>(());
                }
                add(moved, n);
            }
        });
        // Half-closed, a pair lasts for as long as a byte comes once in a while.
        tokio::select! {
            ended = until_silent(&mut read, settings.idle, moved) => {
                let Some(ended) = ended else { return Ok(SILENT) };
                ended?;
                drop(read); // What goes to the far end has one writer less.
                self.signal.finished.store(true, Relaxed);
                self.peers.finished.notify_one();
                match until_silent(&mut write, settings.linger, moved).await {
                    Some(written) => written.map(|()| FINISHED),
                    None => Ok(FINISHED),
                }
            }
            written = &mut write => {
                written?;
                match until_silent(&mut read, settings.linger, moved).await {
                    Some(ended) => ended.map(|()| FINISHED),
                    None => Ok(FINISHED),
                }
            }
            () = stop.requested() => {
                drop(read);
                write.await.map(|()| FINISHED)
            }
        }
    }
}
