//! Signals: stop, stop at once, and print statistics.

use tokio::sync::watch;

use crate::{Exit, log};

/// Becomes true when the program is asked to stop.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Something that can be asked to stop, and what it waits on.
    pub(crate) fn channel() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Waits until it is time to stop. Cancel safe.
    pub(crate) async fn requested(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await; // The sender lives as long as the program.
    }

    pub(crate) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

/// Acts on signals until the program ends.
#[cfg(unix)]
pub(crate) async fn run(stop: watch::Sender<bool>, print_stats: impl Fn()) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut usr1 = signal(SignalKind::user_defined1())?;
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = usr1.recv() => {
                print_stats();
                continue;
            }
        }
        if stop.send_replace(true) {
            std::process::exit(Exit::Interrupted.code().into());
        }
        log::say("stopping when what runs is done; once more to stop at once");
    }
}

/// Acts on signals until the program ends.
#[cfg(not(unix))]
pub(crate) async fn run(stop: watch::Sender<bool>, _: impl Fn()) -> std::io::Result<()> {
    loop {
        tokio::signal::ctrl_c().await?;
        if stop.send_replace(true) {
            std::process::exit(Exit::Interrupted.code().into());
        }
        log::say("stopping when what runs is done; once more to stop at once");
    }
}
