//! `ipfi ping ADDRESS`: round trips.

use std::time::Duration;

use clap::Args;
use ipfi::proto::Event;
use ipfi_transport::Registry;
use tokio::time::timeout;

use crate::{
    client::{Client, after, until},
    connect::{Peer, decline},
    exit::Error,
    link::Link,
    output::Output,
    time,
};

/// The arguments of `ipfi ping`.
#[derive(Debug, Args)]
pub(crate) struct Ping {
    #[command(flatten)]
    peer: Peer,

    /// How many round trips
    #[arg(long, short = 'n', value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,

    /// From one answer to the next question
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = time)]
    interval: Duration,

    /// Gives up when an answer takes longer, or the way to the first question
    #[arg(long, value_name = "TIME", value_parser = time)]
    deadline: Option<Duration>,
}

/// Round trips that are measured.
pub(crate) struct Pinging<'a> {
    args: &'a Ping,
    times: Vec<Duration>,
}

impl<'a> Pinging<'a> {
    pub(crate) fn new(args: &'a Ping) -> Self {
        Self { args, times: Vec::new() }
    }

    fn late(&self) -> Error {
        let within = span(self.args.deadline.unwrap_or_default());
        Error::Deadline(format!("`{}`: no answer within {within}", self.args.peer.address))
    }
}

impl Client for Pinging<'_> {
    async fn work(
        &mut self,
        registry: &Registry,
        link: &mut Option<Link>,
        out: &mut Output,
    ) -> Result<(), Error> {
        let args = self.args;
        // Before its hello the peer is not there to be measured.
        let arrival = async {
            let link = args.peer.open(registry, link).await?;
            let is_hello = |event: &Event| matches!(event, Event::Hello { .. }).then_some(());
            event(link, args, is_hello).await?;
            Ok(link)
        };
        let link = until(after(args.deadline), || self.late(), arrival).await?;
        link.waits("waiting");
        for n in 1..=args.count {
            if n > 1 {
                let lost = event(link, args, |_| None::<()>);
                if let Ok(lost) = timeout(args.interval, lost).await {
                    lost?;
                }
            }
            link.engine.ping(link.now());
            let pong = event(link, args, |event| match event {
                Event::Pong { round_trip } => Some(*round_trip),
                _ => None,
            });
            let round_trip = until(after(args.deadline), || self.late(), pong).await?;
            // One that came too late may be seen before the time is.
            if args.deadline.is_some_and(|deadline| round_trip > deadline) {
                return Err(self.late());
            }
            self.times.push(round_trip);
            out.print(&format!("{n}: {}", span(round_trip)));
            out.finish().await?;
        }
        Ok(())
    }

    fn conclude(&mut self, result: Result<(), Error>, out: &mut Output) -> Result<(), Error> {
        if self.times.is_empty() {
            return result;
        }
        out.print(&summary(&mut self.times));
        match result {
            // Whoever has seen enough still sees the figures.
            Err(Error::Interrupted) => Ok(()),
            result => result,
        }
    }
}

/// Waits for an event.
async fn event<T>(
    link: &mut Link,
    args: &Ping,
    wanted: impl Fn(&Event) -> Option<T>,
) -> Result<T, Error> {
    loop {
        let event = link.event().await;
        if let Some(wanted) = wanted(&event) {
            return Ok(wanted);
        }
        match event {
            Event::Closed { cause } => return Err(Error::lost(&args.peer.address, &cause)),
            event => decline(link, event),
        }
    }
}

fn summary(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let of = |time: Option<&Duration>| span(time.copied().unwrap_or_default());
    let (first, last) = (of(times.first()), of(times.last()));
    let median = of(times.get(times.len() / 2));
    let trips = if times.len() == 1 { "round trip" } else { "round trips" };
    format!("{} {trips}: minimum {first}, median {median}, maximum {last}", times.len())
}

/// A time with three digits: `0.043 ms`, `12.1 ms`, `3.20 s`.
pub(crate) fn span(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        ..1.0 => format!("{ms:.3} ms"),
        ..10.0 => format!("{ms:.2} ms"),
        ..100.0 => format!("{ms:.1} ms"),
        ..1000.0 => format!("{ms:.0} ms"),
        ..10_000.0 => format!("{:.2} s", ms / 1e3),
        ..100_000.0 => format!("{:.1} s", ms / 1e3),
        _ => format!("{:.0} s", ms / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_the_middle_one() {
        let mut times: Vec<_> = [30, 10, 20, 50, 40].map(Duration::from_millis).into();
        assert_eq!(
            summary(&mut times),
            "5 round trips: minimum 10.0 ms, median 30.0 ms, maximum 50.0 ms"
        );
        let spans = [43, 4300, 43_000, 430_000, 4_300_000, 43_000_000, 430_000_000];
        assert_eq!(
            spans.map(|us| span(Duration::from_micros(us))),
            ["0.043 ms", "4.30 ms", "43.0 ms", "430 ms", "4.30 s", "43.0 s", "430 s"]
        );
    }
}
