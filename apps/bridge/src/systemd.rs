//! systemd: `READY=1` when all bridges are up, and the watchdog.

use std::time::Duration;

use sd_notify::NotifyState;

/// Says that all bridges are up. Without systemd it does nothing.
pub(crate) fn ready() {
    let _ = sd_notify::notify(false, &[NotifyState::Ready]);
}

/// Says that the program is on its way out.
pub(crate) fn stopping() {
    let _ = sd_notify::notify(false, &[NotifyState::Stopping]);
}

/// Pets the watchdog, if the unit has one, twice as often as it asks (`sd_watchdog_enabled(3)`).
pub(crate) async fn watchdog() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    let Some(micros @ 2..) = number("WATCHDOG_USEC").filter(|_| is_ours) else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval(Duration::from_micros(micros / 2));
    loop {
        ticks.tick().await;
        let _ = sd_notify::notify(false, &[NotifyState::Watchdog]);
    }
}
