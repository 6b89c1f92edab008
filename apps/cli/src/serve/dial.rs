//! Serves at an address that dials: for whoever is at the other end.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use ipfi::{Cause, Interface, WireOptions};
use ipfi_app::{Backoff, Stop};
use ipfi_transport::{Address, OpenError, Registry};

use super::line::Line;
use crate::log;

/// Whoever was there for longer may come back soon.
const LASTING: Duration = Duration::from_secs(5);
/// How long the end of a line may take, besides two round trips where turns are taken.
const GOODBYE: Duration = Duration::from_secs(3);

/// Serves one peer after another at an address that dials, until it is stopped: as `ipfi serve`
/// does, for programs with procedures of their own.
///
/// A plain serial line stays open from one peer to the next, for nothing but their bytes tells them
/// apart; what else ended is opened again, at once if it ended in peace, else after waits that grow
/// to 5 s. What runs when it is stopped has `drain` to finish.
///
/// # Errors
///
/// An address that is wrong, or that cannot be opened the first time. That nobody answers yet is
/// no error.
pub async fn serve(
    registry: &Registry,
    address: &Address,
    interface: Arc<Interface>,
    options: &WireOptions,
    drain: Duration,
    mut stop: Stop,
) -> Result<(), OpenError> {
    let mut bare = address.clone();
    bare.layers.clear();
    bare.options.clear();
    let device = registry.check(&bare).await.is_ok_and(|below| below.endless);
    let exclusive = registry.check(address).await?.exclusive;
    let mut backoff = Backoff::new();
    let (mut first, mut alone) = (true, false);
    loop {
        let opened = tokio::select! {
            opened = registry.open(address) => opened,
            () = stop.requested() => return Ok(()),
        };
        let stream = match opened {
            Ok(stream) => stream,
            Err(error) if error.is_usage() || first && !is_nobody(&error) => return Err(error),
            Err(error) => {
                if first && !alone {
                    log::say(&format!("waiting for somebody at {address}"));
                }
                alone = true;
                log::detail(|| error.to_string());
                tokio::select! {
                    () = tokio::time::sleep(backoff.next()) => continue,
                    () = stop.requested() => return Ok(()),
                }
            }
        };
        if first {
            log::say(&format!("serving at {address}"));
        }
        first = false;
        // Frames follow the speed of the line, or others wait for those of one.
        let begun = Instant::now();
        let properties = stream.line();
        let options = options.clone().line(properties);
        let round_trip = properties.and_then(|line| line.round_trip).unwrap_or_default();
        // On a line without sessions, one peer after another speaks on the same stream.
        let line = Line::new(stream);
        let mut in_peace = false;
        loop {
            let arrived = tokio::select! {
                arrived = line.peer_arrives() => arrived,
                () = stop.requested() => break,
            };
            if !arrived {
                break;
            }
            let wire = options.clone().spawn(line.share(), interface.clone());
            let cause = tokio::select! {
                cause = wire.closed() => cause,
                () = stop.requested() => wire.close(Some(drain)).await,
            };
            log::detail(|| format!("the peer at {address} has gone: {cause}"));
            in_peace = cause == Cause::Graceful;
            if stop.is_requested() || !device || !address.layers.is_empty() {
                break;
            }
        }
        if device {
            // A layer may have to tell the other side that this is the end, and has the device until then.
            let _ = tokio::time::timeout(GOODBYE + 2 * round_trip, line.end()).await;
        }
        if stop.is_requested() || exclusive && !device {
            return Ok(()); // standard input has no second peer
        }
        if in_peace || begun.elapsed() > LASTING {
            backoff = Backoff::new();
        }
        if in_peace {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next()) => {}
            () = stop.requested() => return Ok(()),
        }
    }
}

/// The line is there, and nobody at its other end.
fn is_nobody(error: &OpenError) -> bool {
    matches!(error, OpenError::Io { source, .. } if source.kind() == io::ErrorKind::TimedOut)
}
