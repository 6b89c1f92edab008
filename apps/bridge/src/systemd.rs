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

/// Pets the watchdog, if the unit has one, twice as often as it asks.
pub(crate) async fn watchdog() {
    let mut micros = 0;
    if !sd_notify::watchdog_enabled(false, &mut micros) || micros == 0 {
        return std::future::pending().await;
    }
    let mut ticks = tokio::time::interval(Duration::from_micros(micros / 2));
    loop {
        ticks.tick().await;
        let _ = sd_notify::notify(false, &[NotifyState::Watchdog]);
    }
}
