//! `ipfi bench ADDRESS NAME`: calls a second, and how long each takes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use clap::Args;
use hdrhistogram::{Histogram, iterators::IterationValue};
use ipfi::{
    Code,
    proto::{CallId, CallOptions, Event, Failure},
};
use ipfi_transport::Registry;

use crate::{
    cache::Cache,
    call::{Procedure, of_words},
    client::{Client, after, until},
    connect::{Peer, decline},
    exit::Error,
    link::Link,
    log,
    output::Output,
    ping::span,
    time,
};

/// The arguments of `ipfi bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    peer: Peer,

    /// Which procedure; one without streams and callbacks
    name: String,

    /// Arguments, as of `ipfi call`
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    words: Vec<String>,

    /// Calls that are under way at once
    #[arg(long, short, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    concurrency: u32,

    /// For how long
    #[arg(long, short, value_name = "TIME", default_value = "3s", value_parser = time)]
    duration: Duration,

    /// Ends after so many calls
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    calls: Option<u64>,

    /// Gives a call up when it takes longer, and the bench when the way to the first one does
    #[arg(long, value_name = "TIME", value_parser = time)]
    deadline: Option<Duration>,

    /// Prints the figures as a JSON object
    #[arg(long)]
    json: bool,
}

/// What was measured.
struct Figures {
    /// In microseconds.
    latencies: Histogram<u64>,
    failures: u64,
    /// Calls that were given up.
    unanswered: u64,
    first_failure: Option<Failure>,
    took: Duration,
}

/// Calls that are measured.
pub(crate) struct Measuring<'a> {
    args: &'a Bench,
    figures: Figures,
    under_way: BTreeMap<CallId, Instant>,
}

impl<'a> Measuring<'a> {
    pub(crate) fn new(args: &'a Bench) -> Result<Self, Error> {
        let figures = Figures {
            // Three digits up to an hour.
            latencies: Histogram::new_with_bounds(1, 3_600_000_000, 3)
                .map_err(|error| Error::Usage(error.to_string()))?,
            failures: 0,
            unanswered: 0,
            first_failure: None,
            took: Duration::ZERO,
        };
        Ok(Self { args, figures, under_way: BTreeMap::new() })
    }
}

impl Client for Measuring<'_> {
    async fn work(
        &mut self,
        registry: &Registry,
        link: &mut Option<Link>,
        _: &mut Output,
    ) -> Result<(), Error> {
        let args = self.args;
        let arrival = async {
            let link = args.peer.open(registry, link).await?;
            let procedure = Procedure::find(&args.peer, link, &Cache::new(), &args.name).await?;
            Ok((link, procedure))
        };
        let late = || Error::late(&args.name);
        let (link, procedure) = until(after(args.deadline), late, arrival).await?;
        self.measure(link, &procedure).await
    }

    fn conclude(&mut self, result: Result<(), Error>, out: &mut Output) -> Result<(), Error> {
        let figures = &mut self.figures;
        figures.unanswered += self.under_way.len() as u64;
        if figures.latencies.is_empty() && figures.failures + figures.unanswered == 0 {
            return result;
        }
        out.print(&if self.args.json { json(figures) } else { text(self.args, figures) });
        match result {
            // Whoever has seen enough still sees the figures.
            Err(Error::Interrupted) if !figures.latencies.is_empty() => {}
            result => result?,
        }
        match &figures.first_failure {
            Some(failure) => Err(Error::failed(&self.args.name, failure)),
            None => Ok(()),
        }
    }
}

impl Measuring<'_> {
    async fn measure(&mut self, link: &mut Link, procedure: &Procedure) -> Result<(), Error> {
        let Self { args, figures, under_way } = self;
        let arguments = of_words(&args.name, &procedure.signature, &args.words, false)?;
        if !arguments.given.is_empty() {
            let why = "takes a stream or a callback, and only calls without them can be measured";
            return Err(Error::Usage(format!("`{}` {why}", args.name)));
        }
        link.waits("");
        let target = link.engine.bind(&args.name, procedure.fingerprint);
        let most = args.calls.unwrap_or(u64::MAX);
        let begun = Instant::now();
        let mut opened = 0_u64;
        let mut ticks = tokio::time::interval(Duration::from_millis(500));
        let end = tokio::time::sleep(args.duration);
        tokio::pin!(end);
        let mut more = true;
        while more || !under_way.is_empty() {
            while more && opened < most && under_way.len() < args.concurrency as usize {
                let options = CallOptions { deadline: args.deadline, ..CallOptions::default() };
                let now = link.now();
                let payload = (&arguments.payload[..]).into();
                let call = link.engine.open_call(now, &target, payload, &[], options);
                under_way.insert(
                    call.map_err(|e| Error::Refused(format!("`{}`: {e}", args.name)))?,
                    Instant::now(),
                );
                opened += 1;
            }
            more &= opened < most;
            let event = tokio::select! {
                event = link.event() => event,
                () = &mut end, if more => {
                    more = false;
                    figures.took = begun.elapsed();
                    continue;
                }
                _ = ticks.tick() => {
                    log::progress(&so_far(figures, begun.elapsed(), more, under_way.len()));
                    continue;
                }
            };
            figures.took = begun.elapsed();
            match event {
                Event::Answer { call, handles, .. } => {
                    for handle in handles {
                        link.engine.dispose(handle, Code::DROPPED);
                    }
                    if let Some(since) = under_way.remove(&call) {
                        let us = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
                        figures.latencies.saturating_record(us.max(1));
                    }
                }
                // Why the wire ended comes next.
                Event::Failed { failure, .. } if failure.code == Code::WIRE_LOST => {}
                Event::Failed { call, failure } => {
                    if under_way.remove(&call).is_some() {
                        match failure.code {
                            Code::DEADLINE => figures.unanswered += 1,
                            _ => figures.failures += 1,
                        }
                        figures.first_failure.get_or_insert(failure);
                    }
                }
                Event::Closed { cause } => return Err(Error::lost(&args.peer.address, &cause)),
                event => decline(link, event),
            }
        }
        Ok(())
    }
}

/// For somebody who waits.
fn so_far(figures: &Figures, elapsed: Duration, more: bool, under_way: usize) -> String {
    let calls = figures.latencies.len();
    if more {
        format!("{calls} calls, {} a second", rate(calls, elapsed))
    } else {
        format!("{calls} calls, waiting for {under_way} more; Ctrl-C ends that")
    }
}

/// In a second, with three digits.
fn rate(calls: u64, took: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let rate = calls as f64 / took.as_secs_f64().max(1e-6);
    if rate < 100.0 { format!("{rate:.2}") } else { format!("{rate:.0}") }
}

const MARKS: [(&str, f64); 5] =
    [("median", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("99.9 %", 0.999), ("maximum", 1.0)];

fn text(args: &Bench, figures: &Figures) -> String {
    use std::fmt::Write;
    let Figures { latencies, failures, unanswered, took, .. } = figures;
    let mut text = format!(
        "{} calls in {}: {} a second, {} at once",
        latencies.len(),
        span(*took),
        rate(latencies.len(), *took),
        args.concurrency
    );
    if *failures > 0 {
        let _ = write!(text, "; {failures} failed");
    }
    if *unanswered > 0 {
        let _ = write!(text, "; {unanswered} unanswered");
    }
    if latencies.is_empty() {
        return text;
    }
    let of = |us| span(Duration::from_micros(us));
    let _ = write!(text, "\n  {:>9}  {}", "minimum", of(latencies.min()));
    for (name, part) in MARKS {
        let _ = write!(text, "\n  {name:>9}  {}", of(latencies.value_at_quantile(part)));
    }
    // Each line up to twice the time of the one before.
    let buckets: Vec<_> = latencies.iter_log(1, 2.0).collect();
    let most =
        buckets.iter().map(IterationValue::count_since_last_iteration).max().unwrap_or(1).max(1);
    for bucket in buckets {
        let count = bucket.count_since_last_iteration();
        if count > 0 {
            let bar = usize::try_from((count * 40).div_ceil(most)).unwrap_or(0);
            let up_to = of(bucket.value_iterated_to() + 1);
            let _ = write!(text, "\n  < {up_to:>8} {} {count}", "#".repeat(bar));
        }
    }
    text
}

fn json(figures: &Figures) -> String {
    let Figures { latencies, failures, unanswered, took, .. } = figures;
    let quantiles = MARKS.map(|(_, part)| latencies.value_at_quantile(part));
    let [median, p90, p99, p999, maximum] = quantiles;
    serde_json::json!({
        "calls": latencies.len(),
        "failed": failures,
        "unanswered": unanswered,
        "seconds": took.as_secs_f64(),
        "microseconds": {
            "minimum": latencies.min(), "median": median, "p90": p90, "p99": p99, "p999": p999,
            "maximum": maximum,
        },
    })
    .to_string()
}
