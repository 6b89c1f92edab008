//! `ipfi gateway LISTEN TARGET`: many clients share one slow wire, call by call.

mod answers;
mod hub;
mod news;
mod pace;
mod peer;
mod relay;
mod stats;
#[cfg(test)]
mod tests;
mod turns;

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use ipfi::{
    Limits,
    proto::{Config, Connection},
};
use ipfi_transport::{Address, BoxStream, Listener, Registry, reason};
use tokio::{io::AsyncWriteExt, sync::Notify, task::JoinSet};

pub(crate) use self::hub::WhileDown;
use self::{
    hub::{Hub, Policy},
    peer::{Key, Peer, TARGET},
    stats::Now,
};
use ipfi_app::{Backoff, Stop};

use crate::{
    connect::check,
    exit::Error,
    io::{Clock, Engine, Io},
    link::CODEC,
    log, time,
};

/// Between two tries to accept when the system has no resources.
const PAUSE: Duration = Duration::from_millis(50);
/// How long the slow wire may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// What the streams of a client may hold before they are on the slow wire, in bytes.
const WINDOW: usize = 16 << 10;
/// After so many rounds without a pause, others get their turn.
const ROUNDS: u32 = 64;

/// The arguments of `ipfi gateway`.
#[derive(Debug, Args)]
pub(crate) struct Gateway {
    /// Where clients come, such as `tcp-listen:0.0.0.0:7000`
    #[arg(value_name = "LISTEN")]
    listen: String,

    /// The wire that they share, such as `arq+serial:/dev/ttyUSB0,baud=115200`
    #[arg(value_name = "TARGET")]
    target: String,

    /// What callers get while the shared wire is down
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    while_down: WhileDown,

    /// Calls that a client may have open or waiting at once; 8 and twice that and so on
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(8..=131_072))]
    max_calls: u32,

    /// Streams that a client may have open at once; 8 and twice that and so on
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(8..=131_072))]
    max_streams: u32,

    /// What a client may make the gateway hold, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20)]
    max_buffered: usize,

    /// Clients at once; further ones wait to be accepted
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    max_clients: u32,

    /// Asks the shared wire for a sign of life after this time of silence; `0` never
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    keepalive: Duration,

    /// How long calls may go on after the program was asked to stop
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    drain: Duration,

    /// Prints totals at the end and on SIGUSR1 in this form
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    stats: StatsForm,
}

/// The form of statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum StatsForm {
    /// For people
    #[default]
    Text,
    /// An object on a line of standard error
    Json,
    /// Nothing at the end
    None,
}

/// A gateway that runs.
#[derive(Clone)]
pub(crate) struct Shared {
    hub: Arc<Mutex<Hub>>,
    clock: Clock,
    begun: Instant,
    /// The shared wire has ended.
    down: Arc<Notify>,
    form: StatsForm,
}

impl Shared {
    pub(crate) fn new(args: &Gateway) -> Self {
        let limits = Limits {
            max_calls: args.max_calls,
            max_streams: args.max_streams,
            max_callbacks: 64,
            max_bindings: 64,
            max_buffered: args.max_buffered,
            max_message: args.max_buffered / 4,
            message_window: 64 << 10,
            stream_window: WINDOW,
            ..Limits::default()
        };
        let policy = Policy { while_down: args.while_down, limits };
        Self {
            hub: Arc::new(Mutex::new(Hub::new(policy))),
            clock: Clock::new(),
            begun: Instant::now(),
            down: Arc::new(Notify::new()),
            form: args.stats,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints what was done so far.
    pub(crate) fn print_stats(&self) {
        let hub = self.lock();
        let now = Now {
            up: hub.target.is_some(),
            clients: hub.clients.len(),
            waiting: hub.clients.values().map(|client| client.backlog.waiting()).sum(),
            open: hub.target.as_ref().map_or(0, |target| target.calls.len()),
            names: hub.clients.values().chain(&hub.target).map(Peer::names).sum(),
        };
        let text = match self.form {
            StatsForm::Json => hub.stats.json(now, self.begun.elapsed()),
            StatsForm::Text | StatsForm::None => hub.stats.text(now, self.begun.elapsed()),
        };
        drop(hub);
        log::report(&text);
    }

    /// Tells the device that this is the end; `false`: it is not there.
    fn say_goodbye(&self) -> bool {
        let mut hub = self.lock();
        let Some(target) = hub.target.as_mut() else { return false };
        target.engine.close(self.clock.now(), Some(GOODBYE));
        target.wake();
        true
    }

    /// Carries the bytes of one wire to its end.
    async fn carry(&self, key: Key, stream: BoxStream) {
        let mut io = Io::new(stream, self.clock);
        let mut rest = pin!(tokio::time::sleep(Duration::ZERO));
        poll_fn(|cx| {
            let mut hub = self.lock();
            if let Some(peer) = hub.peer(key) {
                peer.waker = Some(cx.waker().clone());
            }
            for _ in 0..ROUNDS {
                if key == TARGET {
                    hub.look(io.line(), io.received(), self.clock.now());
                }
                let moved = io.poll(&mut OfHub { hub: &mut hub, key }, cx);
                let learned = hub.relay(key, self.clock.now());
                if moved || learned {
                    continue;
                }
                if key == TARGET
                    && let Some(wait) = hub.pause(io.line())
                {
                    rest.as_mut().reset(tokio::time::Instant::now() + wait);
                    if rest.as_mut().poll(cx).is_ready() {
                        continue;
                    }
                }
                let over = hub.peer(key).is_none_or(|peer| peer.engine.is_closed());
                return if over && io.is_written() { Poll::Ready(()) } else { Poll::Pending };
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        self.lock().remove(key);
        let _ = tokio::time::timeout(GOODBYE, io.into_stream().shutdown()).await;
    }
}

/// One wire of the hub, as I/O sees it.
struct OfHub<'a> {
    hub: &'a mut Hub,
    key: Key,
}

impl Engine for OfHub<'_> {
    fn connection(&mut self) -> Option<&mut Connection> {
        self.hub.peer(self.key).map(|peer| &mut peer.engine)
    }

    fn transmit(&mut self, now: ipfi::proto::Instant, buffer: &mut [u8]) -> usize {
        self.hub.transmit(self.key, now, buffer)
    }
}

pub(crate) async fn run(
    args: &Gateway,
    registry: &Registry,
    shared: Shared,
    mut stop: Stop,
) -> Result<(), Error> {
    let target = check(registry, &args.target).await?;
    let listen = check(registry, &args.listen).await?;
    if !listen.listen {
        return Err(Error::Usage(format!(
            "clients come to an address that listens, such as `{}-listen:`, not to `{listen}`",
            listen.scheme
        )));
    }
    let listener = registry.listen(&listen).await?;
    log::say(&format!("listening at {}", listen.to_dial(listener.local())));
    let result = tokio::select! {
        result = keep_up(args, registry, &target, &shared) => result,
        () = serve(args, &shared, listener, &mut stop) => Ok(()),
    };
    let wanted = args.stats == StatsForm::Json || !log::is_quiet();
    if args.stats != StatsForm::None && wanted {
        shared.print_stats();
    }
    result
}

/// Keeps the shared wire open, for ever.
async fn keep_up(
    args: &Gateway,
    registry: &Registry,
    target: &Address,
    shared: &Shared,
) -> Result<(), Error> {
    let mut backoff = Backoff::new();
    let mut codec = CODEC;
    let mut away = false;
    loop {
        match registry.open(target).await {
            Ok(stream) => {
                away = false;
                let mut config = Config::default().with_codec(codec);
                let line = stream.line();
                if let Some(rate) = line.and_then(|line| line.bytes_per_second) {
                    config = config.with_speed(rate.into());
                }
                if let Some(round_trip) = line.and_then(|line| line.round_trip) {
                    config = config.with_round_trip(round_trip);
                }
                if !args.keepalive.is_zero() {
                    config = config.with_keepalive(args.keepalive);
                }
                shared.lock().connect(config, shared.clock.now());
                log::say(&format!("`{target}` is open"));
                let begun = Instant::now();
                shared.carry(TARGET, stream).await;
                shared.down.notify_one();
                let hub = shared.lock();
                log::say(&format!("lost `{target}`: {}", hub.why_down));
                // A device that insists on a codec says so by its hello.
                codec = hub.codec_of_device.unwrap_or(codec);
                drop(hub);
                if begun.elapsed() > GOODBYE {
                    backoff = Backoff::new();
                }
            }
            Err(error) if error.is_usage() => return Err(error.into()),
            // Once for each time that it is away.
            Err(error) if !std::mem::replace(&mut away, true) => {
                log::say(&format!("{error}; trying again"));
            }
            Err(error) => log::detail(|| error.to_string()),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Accepts clients until it is time to stop, and then waits until what runs is done.
async fn serve(args: &Gateway, shared: &Shared, mut listener: Box<dyn Listener>, stop: &mut Stop) {
    let mut clients = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if clients.len() < args.max_clients as usize => accepted,
            Some(_) = clients.join_next() => continue,
            () = stop.requested() => break,
        };
        match accepted {
            Ok(stream) => {
                let name = stream.peer().unwrap_or_else(|| "a client".into());
                log::detail(|| format!("{name} has come"));
                let key = shared.lock().add(shared.clock.now());
                let shared = shared.clone();
                clients.spawn(async move {
                    shared.carry(key, stream).await;
                    log::detail(|| format!("{name} has gone"));
                });
            }
            Err(error) => {
                log::detail(|| format!("cannot accept a client: {}", reason(&error)));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    shared.lock().close(shared.clock.now(), args.drain);
    while clients.join_next().await.is_some() {}
    if shared.say_goodbye() {
        let _ = tokio::time::timeout(2 * GOODBYE, shared.down.notified()).await;
    }
}
