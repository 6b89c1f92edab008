//! `ipfi bench ADDRESS NAME`: calls a second, and how long each takes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use clap::Args;
use hdrhistogram::{Histogram, iterators::IterationValue};
use ipfi::{
    Code,
    proto::{CallOptions, Event, Failure, Target},
};
use ipfi_transport::Registry;

use crate::{
    cache::Cache,
    call::{Procedure, of_words},
    connect::{Peer, decline},
    exit::Error,
    link::Link,
    log,
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
    #[arg(long, short = 'n', value_name = "N")]
    calls: Option<u64>,

    /// Prints the figures as a JSON object
    #[arg(long)]
    json: bool,
}

/// What was measured.
struct Figures {
    /// In microseconds.
    latencies: Histogram<u64>,
    failures: u64,
    first_failure: Option<Failure>,
    took: Duration,
}

pub(crate) async fn run(args: &Bench, registry: &Registry) -> Result<(), Error> {
    let mut link = args.peer.open(registry).await?;
    let mut figures = Figures {
        // Three digits up to an hour.
        latencies: Histogram::new_with_bounds(1, 3_600_000_000, 3)
            .map_err(|error| Error::Usage(error.to_string()))?,
        failures: 0,
        first_failure: None,
        took: Duration::ZERO,
    };
    let result = measure(args, &mut link, &mut figures).await;
    link.close().await;
    log::progress("");
    if figures.latencies.is_empty() && figures.failures == 0 {
        return result;
    }
    let text = if args.json { json(&figures) } else { text(args, &figures) };
    log::print(&text)?;
    result?;
    match &figures.first_failure {
        Some(failure) => Err(Error::failed(&args.name, failure)),
        None => Ok(()),
    }
}

async fn measure(args: &Bench, link: &mut Link, figures: &mut Figures) -> Result<(), Error> {
    let procedure = Procedure::find(&args.peer, link, &Cache::new(), &args.name).await?;
    let arguments = of_words(&args.name, &procedure.signature, &args.words, false)?;
    if !arguments.given.is_empty() {
        let why = "takes a stream or a callback, and only calls without them can be measured";
        return Err(Error::Usage(format!("`{}` {why}", args.name)));
    }
    let target = link.engine.bind(&args.name, procedure.fingerprint);
    let most = args.calls.unwrap_or(u64::MAX);
    let begun = Instant::now();
    let mut under_way = BTreeMap::new();
    let mut opened = 0_u64;
    let mut ticks = tokio::time::interval(Duration::from_millis(500));
    let end = tokio::time::sleep(args.duration);
    tokio::pin!(end);
    let mut more = true;
    while more || !under_way.is_empty() {
        while more && opened < most && under_way.len() < args.concurrency as usize {
            let call = open(link, &target, &arguments.payload);
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
                continue;
            }
            _ = tokio::signal::ctrl_c() => {
                for call in std::mem::take(&mut under_way).into_keys() {
                    link.engine.cancel(call, Code::CANCELLED);
                }
                more = false;
                continue;
            }
            _ = ticks.tick() => {
                let rate = rate(figures.latencies.len(), begun.elapsed());
                log::progress(&format!("{} calls, {rate} a second", figures.latencies.len()));
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
                    figures.failures += 1;
                    figures.first_failure.get_or_insert(failure);
                }
            }
            Event::Closed { cause } => return Err(Error::lost(&args.peer.address, &cause)),
            event => decline(link, event),
        }
    }
    Ok(())
}

fn open(
    link: &mut Link,
    target: &Target,
    payload: &[u8],
) -> Result<ipfi::proto::CallId, ipfi::proto::CallError> {
    let now = link.now();
    link.engine.open_call(now, target, payload.into(), &[], CallOptions::default())
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
    let Figures { latencies, failures, took, .. } = figures;
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
    let Figures { latencies, failures, took, .. } = figures;
    let quantiles = MARKS.map(|(_, part)| latencies.value_at_quantile(part));
    let [median, p90, p99, p999, maximum] = quantiles;
    serde_json::json!({
        "calls": latencies.len(),
        "failed": failures,
        "seconds": took.as_secs_f64(),
        "microseconds": {
            "minimum": latencies.min(), "median": median, "p90": p90, "p99": p99, "p999": p999,
            "maximum": maximum,
        },
    })
    .to_string()
}
