//! Limits: those of the host, which the peer has to keep, and those of the peer, which it has to
//! enforce.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};

use super::List;
use crate::{
    Peer,
    raw::{Frame, HELLO, Raw, SMALL_HELLO, bind, call, frame, head, integer, take},
};

pub(super) fn add(list: &mut List) {
    list.check("limits::calls_of_the_host", calls_of_the_host);
    list.check("limits::window_of_arguments", window_of_arguments);
    list.check("limits::window_of_results", window_of_results);
    list.check("limits::credit", credit);
    list.check("limits::credit_is_given", credit_is_given);
    list.check("limits::message_of_the_host", message_of_the_host);
    list.check("limits::message_of_the_peer", message_of_the_peer);
    list.check("limits::all_calls_of_the_peer", all_calls_of_the_peer);
}

/// An integer of `MessagePack`: a number below 65,536.
fn number(n: u16) -> Vec<u8> {
    [&[0xcd][..], &n.to_be_bytes()].concat()
}

/// A wire on which procedure 0 is `name` and the host takes little.
async fn small(peer: &Peer, name: &str) -> Result<Raw> {
    Ok(Raw::greet(peer, &[&SMALL_HELLO[..], &bind(0, name)].concat()).await?.0)
}

/// The number of the call that a frame of the peer opens.
fn opened(frame: &Frame) -> Result<Option<u64>> {
    match frame {
        Frame::Call { call, .. } => Ok(Some(*call)),
        Frame::Other { head: head::OPEN, fields } => take(&mut fields.as_slice()).map(Some),
        _ => Ok(None),
    }
}

/// The host takes 8 calls at once, and answers them one by one, the last first.
async fn calls_of_the_host(peer: &Peer) -> Result<()> {
    const CALLS: u16 = 30;
    let mut raw = small(peer, "drive_many").await?;
    raw.send(&call(0, 0, &[&[0x91][..], &number(CALLS)].concat())).await?;
    let mut open = BTreeSet::new();
    let mut seen = 0;
    while seen < CALLS {
        let frame = raw.expect().await?;
        if let Some(number) = opened(&frame)? {
            ensure!(number < 8, "call {number}, though the host takes 8");
            ensure!(open.insert(number), "call {number} is open already");
            seen += 1;
        }
        if open.len() == 8 || seen == CALLS {
            for frame in raw.fence(1).await? {
                ensure!(opened(&frame)?.is_none(), "more than 8 calls at once");
            }
            while let Some(number) = open.pop_last() {
                raw.send(&frame_answer(number, &[1])).await?;
                if seen < CALLS {
                    break;
                }
            }
        }
    }
    let sum = raw.answer(0).await?;
    ensure!(sum == [30], "the sum of {CALLS} ones is {sum:02x?}");
    raw.leaves().await
}

fn frame_answer(number: u64, result: &[u8]) -> Vec<u8> {
    frame(&[&[head::RESULT], &integer(number), &[0], result])
}

/// The host takes frames of 1024 bytes, and 4096 of a message before it admits more.
async fn window_of_arguments(peer: &Peer) -> Result<()> {
    const LEN: u16 = 20_000;
    let mut raw = small(peer, "drive_large").await?;
    raw.send(&call(0, 0, &[&[0x91][..], &number(LEN)].concat())).await?;
    let mut came = 0;
    let mut allowed = 4096;
    let mut called = None;
    // The array, the header of the bytes, the bytes.
    let whole = 1 + 3 + usize::from(LEN);
    while came < whole {
        let frame = raw.expect().await?;
        if let Some(call) = opened(&frame)? {
            ensure!(called.replace(call).is_none(), "two calls");
        }
        came += frame.message()?;
        ensure!(frame.message()? <= 1024, "a frame that is too long");
        ensure!(came <= allowed, "{came} bytes, though only {allowed} were admitted");
        let Some(call) = called else { bail!("unexpected: {frame:02x?}") };
        if came == allowed {
            for frame in raw.fence(1).await? {
                ensure!(frame.message()? == 0, "more than was admitted");
            }
            raw.send(&frame_admit(head::ADMIT_ARGUMENTS, call, 3000)).await?;
            allowed += 3000;
        }
    }
    let Some(called) = called else { bail!("no call") };
    let value = [&[0xc5][..], &LEN.to_be_bytes(), &vec![0; LEN.into()]].concat();
    // Other bytes than the peer sent, in parts.
    let (last, parts) = value.split_at(value.len() - 500);
    for part in last.chunks(900) {
        raw.send(&frame(&[&[head::RESULT], &integer(called), &[1], part])).await?;
    }
    raw.send(&frame(&[&[head::RESULT], &integer(called), &[0], parts])).await?;
    match raw.expect().await? {
        Frame::Answer { .. } => bail!("zeros were taken for what was sent"),
        _ => raw.leaves().await,
    }
}

fn frame_admit(head: u8, call: u64, bytes: u64) -> Vec<u8> {
    frame(&[&[head], &integer(call), &integer(bytes)])
}

async fn window_of_results(peer: &Peer) -> Result<()> {
    let start = [&SMALL_HELLO[..], &bind(0, "echo")].concat();
    let (mut raw, hello) = Raw::greet(peer, &start).await?;
    let value = [&[0xc5][..], &10_000u16.to_be_bytes(), &[5; 10_000]].concat();
    let arguments = [&[0x91][..], &value].concat();
    // The peer may take less than this at once: ADMIT_ARGUMENTS says when it has room.
    let mut sent = 0;
    let mut allowed = 4096 << (hello[5] & 15);
    let mut chunks = arguments.chunks(900).peekable();
    let mut result = 0;
    let mut may = 4096;
    while let Some(chunk) = chunks.next() {
        while sent + chunk.len() > allowed {
            if let Some(Frame::Other { head: head::ADMIT_ARGUMENTS, fields }) = raw.next().await? {
                let rest = &mut fields.as_slice();
                ensure!(take(rest)? == 4);
                allowed += usize::try_from(take(rest)?)?;
            }
        }
        let more = u8::from(chunks.peek().is_some());
        let front: &[u8] =
            if sent == 0 { &[head::OPEN, 4, more, 0] } else { &[head::ARGUMENTS, 4, more] };
        raw.send(&frame(&[front, chunk])).await?;
        sent += chunk.len();
    }
    while result < value.len() {
        let frame = raw.expect().await?;
        result += frame.message()?;
        ensure!(frame.message()? <= 1024, "a frame that is too long");
        ensure!(result <= may, "{result} bytes, though only {may} were admitted");
        if result == may {
            for frame in raw.fence(1).await? {
                ensure!(frame.message()? == 0, "more than was admitted");
            }
            raw.send(&frame_admit(head::ADMIT_RESULT, 4, 1500)).await?;
            may += 1500;
        }
    }
    raw.leaves().await
}

/// What items cost that are in a frame.
fn cost(frame: &Frame) -> Result<(u64, usize)> {
    match frame {
        Frame::Items { stream, payload } => Ok((*stream, payload.len())),
        Frame::Other { head: head::ITEM, fields } => {
            let rest = &mut fields.as_slice();
            let stream = take(rest)?;
            Ok((stream, rest.len()))
        }
        _ => Ok((0, 0)),
    }
}

/// The host lets 1024 bytes of items come, and then says how many more.
async fn credit(peer: &Peer) -> Result<()> {
    let mut raw = small(peer, "count_into").await?;
    // OPEN 0 with stream 0, on which the peer sends.
    let arguments = [&[0x92, 0xce][..], &1_000_000_000u32.to_be_bytes(), &[0]].concat();
    raw.send(&frame(&[&[head::OPEN, 0, 2, 0, 1, 2], &arguments])).await?;
    let mut allowed = 1024;
    let mut came = 0;
    for _ in 0..4 {
        for frame in raw.fence(1).await? {
            came += cost(&frame)?.1;
        }
        // The fence may have been faster than the items.
        while came + 20 < allowed {
            came += cost(&raw.expect().await?)?.1;
        }
        for frame in raw.fence(2).await? {
            came += cost(&frame)?.1;
        }
        ensure!(came <= allowed, "{came} bytes of items, though there was credit for {allowed}");
        raw.send(&frame(&[&[head::CREDIT], &integer(0), &integer(700)])).await?;
        allowed += 700;
    }
    // STOP: the peer ends the stream and answers.
    raw.send(&[3, head::STOP, 0, 1]).await?;
    let (mut ended, mut answered) = (false, false);
    while !(ended && answered) {
        match raw.expect().await? {
            Frame::Other { head: head::END, fields } => ended = fields.first() == Some(&1),
            Frame::Answer { call: 0, .. } => answered = true,
            frame => ensure!(cost(&frame)?.1 > 0, "unexpected: {frame:02x?}"),
        }
    }
    raw.leaves().await
}

/// The peer reads far more than its window, so it has to give credit.
async fn credit_is_given(peer: &Peer) -> Result<()> {
    let (mut raw, hello) = Raw::greet(peer, &[&HELLO[..], &bind(0, "sum")].concat()).await?;
    let window = 1024usize << (hello[6] & 15);
    raw.send(&frame(&[&[head::OPEN, 0, 2, 0, 1, 1, 0x91, 0]])).await?;
    let items = [1, 1].repeat(100);
    let mut credit = window;
    let mut sent = 0u64;
    while sent < 3 * window as u64 {
        if credit < items.len() {
            if let Some(Frame::Other { head: head::CREDIT, fields }) = raw.next().await? {
                let rest = &mut fields.as_slice();
                ensure!(take(rest)? == 1, "credit for another stream");
                credit += usize::try_from(take(rest)?)?;
            }
            continue;
        }
        raw.send(&frame(&[&[0x80], &items])).await?;
        credit -= items.len();
        sent += items.len() as u64;
    }
    raw.send(&[3, head::END, 0, 0]).await?;
    let mut answer = None;
    while answer.is_none() {
        if let Frame::Answer { call: 0, result } = raw.expect().await? {
            answer = Some(result);
        }
    }
    let mut expected = Vec::new();
    ipfi::Codec::MessagePack.encode(&(sent / 2), &mut expected).map_err(anyhow::Error::msg)?;
    ensure!(answer == Some(expected), "the sum of {} ones is {answer:02x?}", sent / 2);
    raw.leaves().await
}

/// The host takes messages of 65,536 bytes: what is longer never leaves the peer.
async fn message_of_the_host(peer: &Peer) -> Result<()> {
    let mut raw = small(peer, "drive_large").await?;
    let arguments = [&[0x91, 0xce][..], &70_000u32.to_be_bytes()].concat();
    raw.send(&call(0, 0, &arguments)).await?;
    let (code, _) = raw.failure(0).await?;
    ensure!(code == 12, "code {code}");
    raw.leaves().await
}

/// Arguments beyond the peer's largest message are an error of their call: at once if their length was
/// told, and at the latest when they pass the window.
async fn message_of_the_peer(peer: &Peer) -> Result<()> {
    let (mut raw, hello) = Raw::greet(peer, &[&HELLO[..], &bind(0, "add")].concat()).await?;
    let most = 4096u64 << (hello[5] >> 4);
    let window = 4096usize << (hello[5] & 15);
    raw.send(&frame(&[&[head::OPEN, 0, 0x81, 0], &integer(most + 1)])).await?;
    let words = raw.fence(1).await?;
    if words.is_empty() {
        for _ in 0..=window / 1000 {
            raw.send(&frame(&[&[head::ARGUMENTS, 0, 1], &[0xc0; 1000]])).await?;
        }
        match raw.expect().await? {
            Frame::Other { head: head::GOAWAY, fields } if fields.starts_with(&[36]) => {
                return raw.rest(&[1]).await.map(drop);
            }
            Frame::Other { head: head::ERROR, fields } if fields.starts_with(&[0, 0, 12]) => {}
            other => bail!("{other:02x?}"),
        }
    } else {
        let refusal = |word: &Frame| matches!(word, Frame::Other { head: head::ERROR, fields } if fields.starts_with(&[0, 0, 12]));
        ensure!(words.iter().any(refusal), "{words:02x?} instead of ERROR with code 12");
    }
    raw.send(&call(1, 0, &[0x92, 1, 2])).await?;
    ensure!(raw.answer(1).await? == [3]);
    raw.leaves().await
}

/// As many calls as the peer announced, and each has exactly one last word.
async fn all_calls_of_the_peer(peer: &Peer) -> Result<()> {
    let (mut raw, hello) = Raw::greet(peer, &[&HELLO[..], &bind(0, "hang")].concat()).await?;
    let calls = 8u64 << (hello[4] & 15).min(8);
    let mut refused = BTreeSet::new();
    for number in 0..calls {
        raw.send(&frame(&[&[head::OPEN], &integer(number), &[0, 0, 0x90]])).await?;
    }
    for number in 0..calls {
        raw.send(&frame(&[&[head::CANCEL], &integer(number), &[1]])).await?;
    }
    while (refused.len() as u64) < calls {
        match raw.expect().await? {
            Frame::Other { head: head::ERROR, fields } => {
                let rest = &mut fields.as_slice();
                let number = take(rest)?;
                ensure!(number < calls && refused.insert(number), "call {number} ended twice");
                // Cancelled, or there was no room for it.
                ensure!(matches!(rest, [0 | 1, 1, ..] | [0, 3 | 4, ..]), "{fields:02x?}");
            }
            other => bail!("unexpected: {other:02x?}"),
        }
    }
    ensure!(raw.fence(1).await?.is_empty(), "words about calls that are over");
    raw.leaves().await
}
