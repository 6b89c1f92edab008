//! Calls that are given up.

use std::time::Duration;

use anyhow::{Result, ensure};
use ipfi::{Callback, Code};

use super::{List, calls::failure};
use crate::session::Session;

pub(super) fn add(list: &mut List) {
    list.talk("cancel::dropped", dropped);
    list.talk("cancel::deadline", deadline);
    list.talk("cancel::while_calling_back", while_calling_back);
    list.talk("cancel::over_and_over", over_and_over);
}

async fn dropped(session: &Session) -> Result<()> {
    for n in 1..=3u32 {
        let hanging = session.wire.call_unchecked::<()>("hang", ()).start();
        ensure!(session.wire.call_unchecked::<i64>("add", (1, 2)).await? == 3);
        drop(hanging);
        let cancelled: u32 = session.wire.call_unchecked("cancelled", ()).await?;
        ensure!(cancelled == n, "the peer saw {cancelled} of {n} calls cancelled");
    }
    Ok(())
}

async fn deadline(session: &Session) -> Result<()> {
    let mut cancelled: u32 = 0;
    // On a busy machine the time may be over before the peer has heard of the call.
    for millis in [20, 200, 2000] {
        let soon = Duration::from_millis(millis);
        let outcome = session.wire.call_unchecked::<()>("hang", ()).deadline(soon).await;
        let (code, _, _) = failure(outcome)?;
        ensure!(code == Code::DEADLINE, "{code}");
        cancelled = session.wire.call_unchecked("cancelled", ()).await?;
        if cancelled > 0 {
            break;
        }
    }
    ensure!(cancelled == 1, "the peer saw {cancelled} calls cancelled");
    // One that is met does no harm.
    let late = Duration::from_secs(60);
    ensure!(session.wire.call_unchecked::<i64>("add", (1, 2)).deadline(late).await? == 3);
    Ok(())
}

/// A procedure that waits for its caller's callback is given up, and lets go of everything.
async fn while_calling_back(session: &Session) -> Result<()> {
    let (called, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let callback: Callback<(i64,), i64> = Callback::new(move |i: i64| {
        let _ = called.send(i);
        std::future::pending::<i64>()
    });
    let waiting = session.wire.call_unchecked::<i64>("call_back", (callback, 3)).start();
    ensure!(calls.recv().await == Some(0), "the callback was not called");
    drop(waiting);
    // The callback is dropped when the peer has released it.
    ensure!(calls.recv().await.is_none(), "the callback was called once more");
    Ok(())
}

async fn over_and_over(session: &Session) -> Result<()> {
    let n = session.many(200, 20);
    for _ in 0..n {
        drop(session.wire.call_unchecked::<()>("hang", ()).start());
    }
    let hanging: Vec<_> =
        (0..8).map(|_| session.wire.call_unchecked::<()>("hang", ()).start()).collect();
    ensure!(session.wire.call_unchecked::<i64>("add", (1, 2)).await? == 3);
    drop(hanging);
    ensure!(session.wire.call_unchecked::<i64>("add", (1, 2)).await? == 3);
    Ok(())
}
