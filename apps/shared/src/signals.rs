//! Signals: stop, stop at once, and print statistics.

use std::time::Duration;

use tokio::sync::watch;

/// The exit code of a program that was stopped at once: 128 and the number of SIGINT.
const STOPPED: i32 = 130;

/// How long dropping what runs may take when the program is stopped at once.
const LAST_RESORT: Duration = Duration::from_secs(2);

/// How long draining may take after the program was asked to stop.
pub const DRAIN: Duration = Duration::from_secs(5);

/// Becomes true when the program is asked to stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Something that can be asked to stop, and what it waits on.
    #[must_use]
    pub fn channel() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Waits until it is time to stop. Cancel safe.
    pub async fn requested(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await; // The sender lives as long as the program.
    }

    /// Waits until it is time to stop and what was under way had its chance.
    pub async fn and_drained(&mut self) {
        self.requested().await;
        tokio::time::sleep(DRAIN).await;
    }

    /// Whether it is time to stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

/// Acts on signals: the first interrupt, SIGTERM or SIGHUP asks the program to stop and calls
/// `say_stopping`, SIGUSR1 prints statistics. Returns at the second one: then all that runs is to be
/// dropped, which ends the processes that it started, and the program to end with code 130.
///
/// SIGHUP, the end of a terminal, is none where it was ignored from the start, as by `nohup`.
///
/// From the call on, not only when the future is polled: whatever the program does first, no signal
/// finds it unprepared. To be called in a runtime.
#[cfg(unix)]
pub fn run(
    stop: watch::Sender<bool>,
    say_stopping: impl Fn(),
    print_stats: impl Fn(),
) -> impl Future<Output = std::io::Result<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = signal(SignalKind::interrupt());
    let terminate = signal(SignalKind::terminate());
    let hangup = may_hang_up().then(|| signal(SignalKind::hangup()));
    let usr1 = signal(SignalKind::user_defined1());
    async move {
        let (mut interrupt, mut terminate, mut usr1) = (interrupt?, terminate?, usr1?);
        let mut hangup = hangup.transpose()?;
        let mut hung_up = async || match &mut hangup {
            Some(hangup) => hangup.recv().await,
            None => std::future::pending().await,
        };
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hung_up() => {}
                _ = usr1.recv() => {
                    print_stats();
                    continue;
                }
            }
            if stop.send_replace(true) {
                leave_soon();
                return Ok(());
            }
            say_stopping();
        }
    }
}

/// Acts on signals until the second one.
#[cfg(not(unix))]
pub async fn run(
    stop: watch::Sender<bool>,
    say_stopping: impl Fn(),
    _: impl Fn(),
) -> std::io::Result<()> {
    loop {
        tokio::signal::ctrl_c().await?;
        if stop.send_replace(true) {
            leave_soon();
            return Ok(());
        }
        say_stopping();
    }
}

/// Whether SIGHUP has an effect now (proc(5): the mask of what is ignored, signal 1 first). Where
/// nobody knows it is left alone.
#[cfg(unix)]
fn may_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 0)
}

/// Ends the program even if something cannot be dropped, such as a file on a device that hangs.
fn leave_soon() {
    std::thread::spawn(|| {
        std::thread::sleep(LAST_RESORT);
        std::process::exit(STOPPED);
    });
}
