//! What a link has to know of the modem in each of its modes.

use std::time::Duration;

use ipfi_transport::{Line, Medium};

use crate::modem::{self, Mode};

/// What a frame of the link has besides its payload.
const HEADER: f64 = 21.0;
/// The question and the answer of a round trip (see [`Line::round_trip`]).
const QUESTION: f64 = 64.0;
/// A side that has so much to say talks for this long, or for five packets.
const LONGEST_BURST: f64 = 10.0;

/// How the modem is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// What it sends with.
    pub(crate) modem: modem::Config,
    /// The other side may send at the same time.
    pub(crate) is_full_duplex: bool,
    /// If the user knows better than the mode.
    pub(crate) guard: Option<Duration>,
    /// What the sound devices need for turning round.
    pub(crate) devices: Duration,
}

impl Manners {
    /// The line in a mode, with so many packets in a burst at most.
    pub(crate) fn line(&self, mode: Mode, packets: u32) -> Line {
        let mode = self.modem.parameters(mode);
        let time = |bytes: f64| (bytes + mode.overhead) / mode.rate;
        let size = mode.packet_in(packets);
        let packet = time(size as f64);
        let longest = LONGEST_BURST.max(5.0 * packet);
        let burst = Duration::from_secs_f64(longest.min(1.1 * f64::from(packets) * packet));
        let guard = match self.guard {
            Some(guard) => guard,
            None if self.is_full_duplex => self.devices,
            None => Duration::from_secs_f64(mode.guard).max(self.devices),
        };
        let overhead = mode.overhead.round() as u16;
        // Where packets follow each other without end the modem says when, and the link is to be there.
        let rate = if self.is_full_duplex { mode.rate * 1.03 } else { mode.rate };
        let mut line = Line::new(Some(rate.round().max(1.0) as u32), 0);
        line.medium = Some(Medium { packet: size as u16, overhead, guard, burst });
        let question = Duration::from_secs_f64(time(QUESTION + HEADER));
        line.round_trip = Some(2 * (guard + question));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slower_modes_take_longer_and_bursts_end() {
        let modem = modem::Config::new(48_000);
        let (guard, devices) = (None, Duration::ZERO);
        let manners = Manners { modem, is_full_duplex: false, guard, devices };
        let mut last = Duration::MAX;
        for mode in Mode::ALL {
            let line = manners.line(mode, u32::MAX);
            let (round_trip, medium) = (line.round_trip.unwrap(), line.medium.unwrap());
            assert!(round_trip < last, "{mode}: {round_trip:?}");
            assert!(medium.burst >= Duration::from_secs(10), "{mode}: {medium:?}");
            let one = manners.line(mode, 1).medium.unwrap();
            assert!(one.burst < medium.burst, "{mode}: {one:?}");
            last = round_trip;
        }
        let guard = Some(Duration::from_secs(1));
        let patient = Manners { guard, ..manners };
        assert_eq!(patient.line(Mode::Cable, 1).medium.unwrap().guard, Duration::from_secs(1));
    }
}
