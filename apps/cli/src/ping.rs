//! `ipfi ping ADDRESS`: round trips.

use std::time::Duration;

use clap::Args;
use ipfi::proto::Event;
use ipfi_transport::Registry;

use crate::{
    connect::{Peer, decline},
    exit::Error,
    link::Link,
    log, time,
};

/// The arguments of `ipfi ping`.
#[derive(Debug, Args)]
pub(crate) struct Ping {
    #[command(flatten)]
    peer: Peer,

    /// How many round trips
    #[arg(long, short = 'n', value_name = "N", default_value_t = 5)]
    count: u32,

    /// From one answer to the next question
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = time)]
    interval: Duration,

    /// Gives up when one takes longer
    #[arg(long, value_name = "TIME", value_parser = time)]
    deadline: Option<Duration>,
}

pub(crate) async fn run(args: &Ping, registry: &Registry) -> Result<(), Error> {
    let mut link = args.peer.open(registry).await?;
    let mut times = Vec::new();
    let result = tokio::select! {
        result = measure(args, &mut link, &mut times) => result,
        _ = tokio::signal::ctrl_c() => Err(Error::Interrupted),
    };
    link.close().await;
    if !times.is_empty() {
        log::print(&summary(&mut times))?;
    }
    match result {
        // Whoever has seen enough still sees the figures.
        Err(Error::Interrupted) if !times.is_empty() => Ok(()),
        result => result,
    }
}

async fn measure(args: &Ping, link: &mut Link, times: &mut Vec<Duration>) -> Result<(), Error> {
    // Before its hello the peer is not there to be measured.
    let hello = until(link, args, |event| matches!(event, Event::Hello { .. }).then_some(()));
    hello.await?;
    for n in 1..=args.count {
        if n > 1 {
            let pause = tokio::time::sleep(args.interval);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    event = link.event() => match event {
                        Event::Closed { cause } => return Err(Error::lost(&args.peer.address, &cause)),
                        event => decline(link, event),
                    },
                }
            }
        }
        link.engine.ping(link.now());
        let pong = until(link, args, |event| match event {
            Event::Pong { round_trip } => Some(*round_trip),
            _ => None,
        });
        let waiting = async {
            match args.deadline {
                Some(deadline) => tokio::time::timeout(deadline, pong).await.unwrap_or_else(|_| {
                    Err(Error::Deadline(format!(
                        "`{}`: no answer within {}",
                        args.peer.address,
                        span(deadline)
                    )))
                }),
                None => pong.await,
            }
        };
        let round_trip = waiting.await?;
        times.push(round_trip);
        log::print(&format!("{n}: {}", span(round_trip)))?;
    }
    Ok(())
}

async fn until<T>(
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
