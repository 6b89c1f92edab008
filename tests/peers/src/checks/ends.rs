//! How wires end.

use anyhow::{Context, Result, ensure};
use ipfi::{Code, Receiver};

use super::List;
use crate::{
    Peer,
    raw::{Frame, HELLO, Raw, bind, call, frame, head},
    session::{Manner, Session},
};

pub(super) fn add(list: &mut List) {
    list.check("ends::told_to_leave", told_to_leave);
    list.check("ends::what_runs_is_finished", what_runs_is_finished);
    list.check("ends::by_force", by_force);
    list.check("ends::anywhere", anywhere);
    list.check("ends::while_everything_runs", while_everything_runs);
}

async fn told_to_leave(peer: &Peer) -> Result<()> {
    for manner in Manner::ALL {
        let session = Session::open(peer, manner)?;
        ensure!(session.wire.call_unchecked::<i64>("add", (1, 2)).await? == 3);
        session.wire.call_unchecked::<()>("leave", ()).await?;
        let cause = session.wire.closed().await;
        session.over(&cause).await?;
    }
    Ok(())
}

/// After GOAWAY with code 0 the wire goes on for what runs, and no further.
async fn what_runs_is_finished(peer: &Peer) -> Result<()> {
    let start = [&HELLO[..], &bind(0, "hang"), &bind(1, "leave"), &bind(2, "add")].concat();
    let (mut raw, _) = Raw::greet(peer, &start).await?;
    raw.send(&[call(0, 0, &[0x90]), call(1, 1, &[0x90])].concat()).await?;
    let mut words = vec![raw.expect().await?, raw.expect().await?];
    words.retain(|word| !matches!(word, Frame::Answer { call: 1, .. }));
    let away = |word: &Frame| matches!(word, Frame::Other { head: head::GOAWAY, fields } if fields.starts_with(&[0]));
    ensure!(words.len() == 1 && words.iter().all(away), "{words:02x?} instead of GOAWAY");
    // New calls are refused, and `hang` still hangs.
    raw.send(&call(1, 2, &[0x92, 1, 2])).await?;
    let failure = raw.failure(1).await?;
    ensure!(failure == (5, 0), "{failure:?}");
    ensure!(raw.fence(1).await?.is_empty(), "more words than were asked for");
    raw.send(&[3, head::CANCEL, 0, 1]).await?;
    let failure = raw.failure(0).await?;
    ensure!(failure == (1, 1), "{failure:?}");
    let frames = raw.rest(&[0]).await?;
    ensure!(frames == [Frame::Other { head: head::BYE, fields: vec![] }], "{frames:02x?}");
    Ok(())
}

async fn by_force(peer: &Peer) -> Result<()> {
    let session = Session::open(peer, Manner::Plain)?;
    let items: Receiver<u64> = session.wire.call_unchecked("count", (1_000_000_000,)).await?;
    let hanging = session.wire.call_unchecked::<()>("hang", ()).start();
    ensure!(session.wire.call_unchecked::<i64>("add", (1, 2)).await? == 3);
    session.wire.abort(Code(300), "enough");
    let process = session.abandon().await;
    drop((items, hanging));
    process.exits(&[0, 1]).await
}

/// The bytes to the peer end at every place of a conversation.
async fn anywhere(peer: &Peer) -> Result<()> {
    let open = frame(&[&[head::OPEN, 0, 2, 0, 1, 1, 0x91, 0]]);
    let bytes = [&HELLO[..], &bind(0, "sum"), &open, &[3, 0x80, 1, 5]].concat();
    for len in 0..=bytes.len() {
        let mut raw = Raw::start(peer)?;
        raw.send(bytes.get(..len).unwrap_or_default()).await?;
        raw.hang_up();
        raw.hello().await?;
        raw.rest(&[0, 1]).await.with_context(|| format!("after {len} bytes"))?;
    }
    Ok(())
}

async fn while_everything_runs(peer: &Peer) -> Result<()> {
    let start = [
        &HELLO[..],
        &bind(0, "hang"),
        &bind(1, "relay"),
        &bind(2, "call_back"),
        &bind(3, "drive_stop"),
        &call(0, 0, &[0x90]),
        &frame(&[&[head::OPEN, 1, 2, 1, 2, 1, 4 + 2, 0x92, 0, 1]]),
        &frame(&[&[head::OPEN, 2, 2, 2, 1, 0, 0x92, 0, 100]]),
        &call(3, 3, &[0x91, 100]),
    ];
    let (mut raw, _) = Raw::greet(peer, &start.concat()).await?;
    raw.fence(1).await?;
    raw.hang_up();
    raw.rest(&[0, 1]).await.map(drop)
}
