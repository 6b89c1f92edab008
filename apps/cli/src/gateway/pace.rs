//! How much may wait below, in front of a slow line.

use std::time::Duration;

use ipfi_transport::Line;

/// What a line carries in this time may wait below the gateway, in the layers and in the system: so
/// little that nobody waits long for what others were given before, and so much that a program which
/// is late does not let the line fall idle.
const AHEAD: Duration = Duration::from_millis(50);
/// The grain of timers.
const LEAST_PAUSE: Duration = Duration::from_millis(1);
/// But a call of some size.
const LEAST: usize = 64;

/// Holds clients back as long as a line has enough to do.
///
/// What has left the gateway is carried in the order in which it left: only what waits in the gateway
/// can be overtaken by somebody who had less.
#[derive(Debug)]
pub(super) struct Pace {
    room: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { room: usize::MAX }
    }
}

impl Pace {
    /// Learns what waits below. Of a line that does not say how fast it is, nothing is known.
    pub(super) fn look(&mut self, line: Option<Line>) {
        let ahead = line.and_then(ahead);
        self.room = match (line, ahead) {
            (Some(line), Some(ahead)) => ahead.saturating_sub(line.queued),
            _ => usize::MAX,
        };
    }

    /// Bytes that may be given now.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    pub(super) fn fed(&mut self, bytes: usize) {
        self.room = self.room.saturating_sub(bytes);
    }

    /// How long until half of what may wait has gone, if nothing more may be given now.
    pub(super) fn pause(&self, line: Line) -> Option<Duration> {
        let (ahead, rate) = (ahead(line)?, line.bytes_per_second?);
        let too_many = u32::try_from(line.queued.saturating_sub(ahead / 2)).unwrap_or(u32::MAX);
        let wait = Duration::from_secs(1) * too_many / rate.max(1);
        (self.room == 0).then_some(wait.max(LEAST_PAUSE))
    }
}

/// How much may wait below. Where turns are taken a burst is to be full: nothing is held back.
fn ahead(line: Line) -> Option<usize> {
    let rate = u64::from(line.bytes_per_second.filter(|_| line.round_trip.is_none())?);
    let bytes = rate * u64::try_from(AHEAD.as_millis()).unwrap_or(u64::MAX) / 1000;
    Some(usize::try_from(bytes).unwrap_or(usize::MAX).max(LEAST))
}
