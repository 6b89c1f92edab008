//! Streams in every direction.

use anyhow::{Context, Result, ensure};
use ipfi::{Code, Receiver, channel};
use rmpv::Value;

use super::{List, calls::failure};
use crate::session::Session;

pub(super) fn add(list: &mut List) {
    list.talk("streams::from_the_peer", from_the_peer);
    list.talk("streams::into_ours", into_ours);
    list.talk("streams::to_the_peer", to_the_peer);
    list.talk("streams::both_ways", both_ways);
    list.talk("streams::large_items", large_items);
    list.talk("streams::stopped", stopped);
    list.talk("streams::unread", unread);
    list.talk("streams::ended_with_an_error", ended_with_an_error);
    list.talk("streams::given_in_items", given_in_items);
    list.talk("streams::many", many);
}

/// Reads 0, 1, 2 ... to the end.
async fn counts(mut items: Receiver<u64>, n: u64) -> Result<()> {
    for expected in 0..n {
        let item = items.recv().await?.context("the stream ended early")?;
        ensure!(item == expected, "item {item} instead of {expected}");
    }
    ensure!(items.recv().await?.is_none(), "more than {n} items");
    Ok(())
}

async fn from_the_peer(session: &Session) -> Result<()> {
    for n in [0, 1, 300, session.many(20_000, 600)] {
        let items: Receiver<u64> = session.wire.call_unchecked("count", (n,)).await?;
        counts(items, n).await?;
    }
    Ok(())
}

async fn into_ours(session: &Session) -> Result<()> {
    for n in [0, 1, session.many(5000, 300)] {
        let (sender, receiver) = channel::<u64>(4);
        let sent = session.wire.call_unchecked::<u64>("count_into", (n, sender)).start();
        counts(receiver, n).await?;
        let sent = sent.await?;
        ensure!(sent == n, "{sent} instead of {n}");
    }
    Ok(())
}

async fn to_the_peer(session: &Session) -> Result<()> {
    for n in [0, 1, session.many(20_000, 600)] {
        let (sender, receiver) = channel::<i64>(4);
        let sum = session.wire.call_unchecked::<i64>("sum", (receiver,)).start();
        for i in 0..n {
            sender.send(i - 100).await?;
        }
        sender.finish().await?;
        let sum = sum.await?;
        ensure!(sum == (0..n).map(|i| i - 100).sum(), "the sum is {sum}");
    }
    Ok(())
}

/// Sends values through `relay`, each when the one before came back.
async fn both_ways(session: &Session) -> Result<()> {
    let (sender, receiver) = channel::<Value>(4);
    let (back, mut items) = channel::<Value>(4);
    let count = session.wire.call_unchecked::<u64>("relay", (receiver, back)).start();
    let values = [Value::Nil, Value::from("text"), Value::from(-1), Value::Binary(vec![1; 300])];
    for value in &values {
        sender.send(value.clone()).await?;
        let item = items.recv().await?.context("the stream ended early")?;
        ensure!(item == *value, "{value} came back as {item}");
    }
    drop(sender);
    ensure!(items.recv().await?.is_none(), "more items than were sent");
    let count = count.await?;
    ensure!(count == values.len() as u64, "{count} items");
    Ok(())
}

async fn large_items(session: &Session) -> Result<()> {
    // Before its hello came, the peer may take less than it must.
    session.wire.ping().await?;
    let (sender, receiver) = channel::<Value>(1);
    let (back, mut items) = channel::<Value>(1);
    let count = session.wire.call_unchecked::<u64>("relay", (receiver, back)).start();
    let sizes = [900, 1100, 3000, session.large(), 10];
    let send = async {
        for size in sizes {
            sender.send(Value::Binary(vec![size.to_le_bytes()[0]; size])).await?;
        }
        drop(sender);
        anyhow::Ok(())
    };
    let read = async {
        for size in sizes {
            let item = items.recv().await?.context("the stream ended early")?;
            ensure!(
                item == Value::Binary(vec![size.to_le_bytes()[0]; size]),
                "an item of {size} is another"
            );
        }
        ensure!(items.recv().await?.is_none(), "more items than were sent");
        Ok(())
    };
    tokio::try_join!(send, read)?;
    ensure!(count.await? == sizes.len() as u64);
    Ok(())
}

async fn stopped(session: &Session) -> Result<()> {
    for read in [0, 1, session.many(1000, 30)] {
        let mut items: Receiver<u64> =
            session.wire.call_unchecked("count", (1_000_000_000,)).await?;
        for expected in 0..read {
            ensure!(items.recv().await? == Some(expected));
        }
        drop(items);
        let (sender, mut items) = channel::<u64>(1);
        let sent =
            session.wire.call_unchecked::<u64>("count_into", (1_000_000_000, sender)).start();
        for expected in 0..read {
            ensure!(items.recv().await? == Some(expected));
        }
        drop(items);
        let sent = sent.await?;
        ensure!((read..1_000_000_000).contains(&sent), "{sent} items sent, {read} read");
    }
    // The same in the middle: `relay` loses the stream on which it sends.
    let (sender, receiver) = channel::<u64>(1);
    let (back, items) = channel::<u64>(1);
    let count = session.wire.call_unchecked::<u64>("relay", (receiver, back)).start();
    drop(items);
    while sender.send(7).await.is_ok() {}
    ensure!(count.await.is_err(), "relay did not notice");
    Ok(())
}

/// A stream that nobody reads holds up nothing else.
async fn unread(session: &Session) -> Result<()> {
    let mut items: Receiver<u64> = session.wire.call_unchecked("count", (1_000_000_000,)).await?;
    let (sender, receiver) = channel::<i64>(1);
    let sum = session.wire.call_unchecked::<i64>("sum", (receiver,)).start();
    for i in 0..session.many(3000, 100) {
        sender.send(i).await?;
        if i % 100 == 0 {
            ensure!(session.wire.call_unchecked::<i64>("add", (i, 1)).await? == i + 1);
        }
    }
    drop(sender);
    sum.await?;
    ensure!(items.recv().await? == Some(0));
    Ok(())
}

async fn ended_with_an_error(session: &Session) -> Result<()> {
    let (sender, receiver) = channel::<i64>(4);
    let sum = session.wire.call_unchecked::<i64>("sum", (receiver,)).start();
    sender.send(1).await?;
    sender.send(2).await?;
    sender.fail(Code(300), "no more");
    let (code, _, _) = failure(sum.await)?;
    ensure!(code == Code(300), "the stream ended with code 300, sum failed with {}", code.0);
    // Something else than an integer is not the end of the wire.
    let (sender, receiver) = channel::<&str>(4);
    let sum = session.wire.call_unchecked::<i64>("sum", (receiver,)).start();
    let _ = sender.send("text").await;
    drop(sender);
    ensure!(sum.await.is_err(), "sum added a text");
    Ok(())
}

/// `sum` takes the places of streams for numbers; what is in them it has to let go.
async fn given_in_items(session: &Session) -> Result<()> {
    let (sender, receiver) = channel::<Receiver<u8>>(4);
    let sum = session.wire.call_unchecked::<i64>("sum", (receiver,)).start();
    let mut kept = Vec::new();
    for _ in 0..5 {
        let (inner, given) = channel::<u8>(1);
        sender.send(given).await?;
        kept.push(inner);
    }
    drop(sender);
    let sum = sum.await?;
    ensure!(sum == 0, "the sum of five places 0 is {sum}");
    for inner in kept {
        // Ends when the peer has let go.
        while inner.send(1).await.is_ok() {}
    }
    Ok(())
}

async fn many(session: &Session) -> Result<()> {
    let n = session.many(200, 10);
    let counting = (0..8).map(|_| session.wire.call_unchecked::<Receiver<u64>>("count", (n,)));
    let mut receivers = Vec::new();
    for call in counting {
        receivers.push(call.await?);
    }
    for receiver in receivers {
        counts(receiver, n).await?;
    }
    // One after another: the numbers are used again.
    for _ in 0..session.many(100, 10) {
        let items: Receiver<u64> = session.wire.call_unchecked("count", (2,)).await?;
        counts(items, 2).await?;
    }
    Ok(())
}
