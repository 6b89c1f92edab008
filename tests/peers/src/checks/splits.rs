//! The bytes cut at every place.

use anyhow::{Context, Result, ensure};
use ipfi::{Callback, Code, Receiver, channel};

use super::List;
use crate::{
    Peer,
    session::{Manner, Session},
};

pub(super) fn add(list: &mut List) {
    list.check("splits::beginning", beginning);
    list.check("splits::conversation", conversation);
}

/// From the first byte of the hello on; each cut needs a peer of its own.
async fn beginning(peer: &Peer) -> Result<()> {
    for cut in 1.. {
        let session = Session::open_cut(peer, Manner::Plain, Some(cut))?;
        let sum: i64 = session.wire.call_unchecked("add", (2, 3)).await?;
        ensure!(sum == 5, "cut after {cut} bytes: 2 + 3 = {sum}");
        let done = !session.cuts.was_reached();
        session.end().await.with_context(|| format!("cut after {cut} bytes"))?;
        if done {
            break;
        }
    }
    Ok(())
}

/// A bit of everything, over and over on one wire, each time cut at the next byte.
async fn conversation(peer: &Peer) -> Result<()> {
    let session = Session::open(peer, Manner::Plain)?;
    // Everything is bound, and the numbers are as they will be.
    round(&session).await?;
    for cut in 1.. {
        session.cuts.cut_after(cut);
        round(&session).await.with_context(|| format!("cut after {cut} bytes"))?;
        if !session.cuts.was_reached() {
            break;
        }
    }
    session.end().await
}

async fn round(session: &Session) -> Result<()> {
    let wire = &session.wire;
    let text: String = wire.call_unchecked("echo", ("a text",)).await?;
    ensure!(text == "a text");
    let failed = wire.call_unchecked::<()>("fail", (300, "oops")).await;
    ensure!(failed.is_err_and(|error| error.code() == Code(300)));
    let mut items: Receiver<u64> = wire.call_unchecked("count", (3,)).await?;
    for expected in [Some(0), Some(1), Some(2), None] {
        ensure!(items.recv().await? == expected);
    }
    let (sender, receiver) = channel::<i64>(4);
    let sum = wire.call_unchecked::<i64>("sum", (receiver,)).start();
    sender.send(40).await?;
    sender.send(2000).await?;
    drop(sender);
    ensure!(sum.await? == 2040);
    let callback: Callback<(i64,), i64> = Callback::new(|i: i64| i + 5);
    ensure!(wire.call_unchecked::<i64>("call_back", (callback, 2)).await? == 11);
    ensure!(wire.call_unchecked::<i64>("drive_sum", (3,)).await? == 3);
    drop(wire.call_unchecked::<()>("hang", ()).start());
    ensure!(wire.call_unchecked::<i64>("add", (1, 1)).await? == 2);
    Ok(())
}
