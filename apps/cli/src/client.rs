//! What every command does that talks to a peer: it hears from its first moment on that it is to
//! stop, whatever it waits for, and it ends in order.

use std::{io, time::Duration};

use ipfi_transport::Registry;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    exit::{Error, Exit},
    link::Link,
    log,
    output::Output,
};

/// How long a command that gave up waits for whoever reads its output.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A command that talks to a peer.
pub(crate) trait Client {
    /// Does what it is there for. This is dropped in the middle when somebody interrupts it; the
    /// peer in `link` is told.
    async fn work(
        &mut self,
        registry: &Registry,
        link: &mut Option<Link>,
        out: &mut Output,
    ) -> Result<(), Error>;

    /// Says what there is to say at the end, however that came.
    fn conclude(&mut self, result: Result<(), Error>, _: &mut Output) -> Result<(), Error> {
        result
    }
}

/// Runs a command to its end: until it is done, or somebody interrupts it. Who does so again does
/// not wait for goodbyes.
pub(crate) async fn run(mut client: impl Client, registry: &Registry) -> Exit {
    let mut out = Output::new();
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(source) => {
            return tell(Err(Error::Io { what: "signals".into(), source }), false, &mut out).await;
        }
    };
    let mut link = None;
    let result = tokio::select! {
        result = client.work(registry, &mut link, &mut out) => result,
        () = signals.next() => {
            log::clear_line();
            Err(Error::Interrupted)
        }
    };
    log::progress("");
    // A call that has its answer ends in peace.
    let answered =
        matches!(result, Ok(()) | Err(Error::Refused(_) | Error::Remote(_) | Error::Lost { .. }));
    // Who stopped it reads no more of what it says.
    let hurry = matches!(result, Err(Error::Interrupted | Error::Deadline(_) | Error::Io { .. }));
    let result = client.conclude(result, &mut out);
    let mut exit = None;
    let telling = async { exit = Some(tell(result, hurry, &mut out).await) };
    let goodbye = async {
        match &mut link {
            Some(link) if answered => link.close().await,
            Some(link) => link.give_up().await,
            None => {}
        }
    };
    tokio::select! {
        _ = async { tokio::join!(telling, goodbye) } => {}
        () = signals.next() => {}
    }
    exit.unwrap_or(Exit::Interrupted)
}

/// Writes what is unwritten, and what went wrong.
async fn tell(result: Result<(), Error>, hurry: bool, out: &mut Output) -> Exit {
    let written = finish(out, hurry).await;
    let Err(error) = result.and_then(|()| written.map_err(Error::from)) else { return Exit::Done };
    let exit = error.exit();
    if !matches!(exit, Exit::Done | Exit::Interrupted) {
        out.discard();
        out.report(&log::mistake(&error.to_string()));
        let _ = finish(out, hurry).await;
    }
    exit
}

async fn finish(out: &mut Output, hurry: bool) -> io::Result<()> {
    if hurry {
        timeout(LAST_WORDS, out.finish()).await.unwrap_or(Ok(()))
    } else {
        out.finish().await
    }
}

/// Does something until a deadline, and fails with `late` when that has passed.
pub(crate) async fn until<T>(
    deadline: Option<Instant>,
    late: impl FnOnce() -> Error,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match deadline {
        Some(at) => timeout_at(at, work).await.unwrap_or_else(|_| Err(late())),
        None => work.await,
    }
}

/// The moment that is so long from now; `None`: it never comes.
pub(crate) fn after(deadline: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(deadline?)
}

/// Ctrl-C, and being asked to stop.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// From now on they do not end the program.
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one. Cancel safe.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
