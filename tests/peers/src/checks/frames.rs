//! Hellos and frames as the specification allows them, though nobody writes them so.

use anyhow::{Result, ensure};

use super::List;
use crate::{
    Peer,
    raw::{Frame, HELLO, Raw, bind, call, frame, head, integer},
};

pub(super) fn add(list: &mut List) {
    list.check("hello::comes_first", comes_first);
    list.check("hello::later_versions", later_versions);
    list.check("hello::follows_its_codec", follows_its_codec);
    list.check("frames::unknown_are_skipped", unknown_are_skipped);
    list.check("frames::long_integers", long_integers);
    list.check("frames::parts", parts);
    list.check("frames::named_procedures", named_procedures);
    list.check("frames::pings", pings);
    list.check("frames::unwanted_handles", unwanted_handles);
    list.check("frames::no_such_callback", no_such_callback);
    list.check("frames::late_words", late_words);
}

/// `add(1, 2)` as procedure 0, after this.
async fn adds(raw: &mut Raw, number: u8) -> Result<()> {
    raw.send(&call(number, 0, &[0x92, 1, 2])).await?;
    let sum = raw.answer(number.into()).await?;
    ensure!(sum == [3], "1 + 2 = {sum:02x?}");
    Ok(())
}

/// A wire on which procedure 0 is `name`.
async fn bound(peer: &Peer, name: &str) -> Result<Raw> {
    Ok(Raw::greet(peer, &[&HELLO[..], &bind(0, name)].concat()).await?.0)
}

async fn comes_first(peer: &Peer) -> Result<()> {
    let mut raw = Raw::start(peer)?;
    let hello = raw.hello().await?;
    ensure!(hello.starts_with(&[0x1f, 0xf1]), "the hello begins with {hello:02x?}");
    let [_, _, version, codec, ..] = hello;
    ensure!(version >= 1 && codec == 2, "version {version}, codec {codec}");
    ensure!(hello.iter().skip(4).all(|byte| byte >> 4 < 15 && byte & 15 < 15), "{hello:02x?}");
    let exponent = |at: usize, shift: u8| hello.get(at).map_or(0, |byte| byte >> shift & 15);
    ensure!(exponent(5, 4) >= 4, "max_message is below 65,536 bytes");
    ensure!(exponent(5, 0) <= exponent(5, 4), "message_window is above max_message");
    for (at, shift, what) in [(4, 0, "calls"), (6, 4, "streams"), (7, 4, "callbacks")] {
        ensure!(exponent(at, shift) >= 1, "fewer than 16 {what}");
    }
    raw.send(&HELLO).await?;
    raw.leaves().await
}

async fn later_versions(peer: &Peer) -> Result<()> {
    let mut hello = HELLO;
    hello[2] = 200;
    let mut raw = Raw::greet(peer, &[&hello[..], &bind(0, "add")].concat()).await?.0;
    adds(&mut raw, 0).await?;
    raw.leaves().await
}

async fn follows_its_codec(peer: &Peer) -> Result<()> {
    let mut hello = HELLO;
    hello[3] = 0;
    let mut raw = Raw::greet(peer, &[&hello[..], &bind(0, "add")].concat()).await?.0;
    adds(&mut raw, 0).await?;
    raw.leaves().await
}

async fn unknown_are_skipped(peer: &Peer) -> Result<()> {
    let mut raw = bound(peer, "add").await?;
    for head in 0xd1..=0xff {
        raw.send(&frame(&[&[head], &vec![head; usize::from(head) % 50]])).await?;
        raw.send(&[0]).await?;
    }
    raw.send(&frame(&[&[0xe0], &[0; 900]])).await?;
    raw.send(&[0x80, 0x80, 0]).await?;
    adds(&mut raw, 0).await?;
    raw.leaves().await
}

async fn long_integers(peer: &Peer) -> Result<()> {
    let mut raw = bound(peer, "add").await?;
    // CALL 5 of procedure 0, with a length of nine bytes and a procedure of three.
    raw.send(&[0x87, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]).await?;
    raw.send(&[5, 0x80, 0x80, 0x00, 0x92, 1, 2]).await?;
    ensure!(raw.answer(5).await? == [3]);
    // OPEN 5, written at length; flags are a byte.
    raw.send(&frame(&[&[head::OPEN, 0x85, 0x80, 0x00, 0, 0x80, 0x00], &[0x92, 1, 2]])).await?;
    ensure!(raw.answer(5).await? == [3]);
    raw.leaves().await
}

async fn parts(peer: &Peer) -> Result<()> {
    let mut raw = bound(peer, "echo").await?;
    let value = [&[0xc4, 200][..], &[9; 200]].concat();
    let arguments = [&[0x91][..], &value].concat();
    for size in [1, 7, 203] {
        for tail in [false, true] {
            let mut pieces = arguments.chunks(size).peekable();
            let first = pieces.next().unwrap_or_default();
            let more = u8::from(tail || pieces.peek().is_some());
            raw.send(&frame(&[&[head::OPEN, 3, more, 0], first])).await?;
            while let Some(piece) = pieces.next() {
                let more = u8::from(tail || pieces.peek().is_some());
                raw.send(&frame(&[&[head::ARGUMENTS, 3, more], piece])).await?;
            }
            if tail {
                // The last part with nothing in it.
                raw.send(&frame(&[&[head::ARGUMENTS, 3, 0]])).await?;
            }
            ensure!(raw.answer(3).await? == value, "parts of {size} bytes");
        }
    }
    raw.leaves().await
}

async fn named_procedures(peer: &Peer) -> Result<()> {
    let mut raw = Raw::greet(peer, &HELLO).await?.0;
    let open = |number: u8, name: &str| {
        let len = integer(name.len() as u64);
        let parts: [&[u8]; 5] =
            [&[head::OPEN, number, 0x10], &[0; 8], &len, name.as_bytes(), &[0x92, 1, 2]];
        frame(&parts)
    };
    raw.send(&open(0, "add")).await?;
    ensure!(raw.answer(0).await? == [3]);
    raw.send(&open(1, "nothing")).await?;
    ensure!(raw.failure(1).await? == (6, 0));
    // A number that was never bound.
    raw.send(&call(2, 9, &[0x90])).await?;
    ensure!(raw.failure(2).await? == (6, 0));
    raw.leaves().await
}

async fn pings(peer: &Peer) -> Result<()> {
    let mut raw = Raw::greet(peer, &HELLO).await?.0;
    for token in [0, 1, 127] {
        raw.fence(token).await?;
    }
    let token = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    raw.send(&frame(&[&[head::PING], &token])).await?;
    let pong = raw.expect().await?;
    ensure!(pong == Frame::Other { head: head::PONG, fields: token.to_vec() }, "{pong:02x?}");
    raw.send(&[2, head::PONG, 77]).await?;
    raw.fence(5).await?;
    raw.leaves().await
}

/// What comes with arguments that want nothing of it is let go.
async fn unwanted_handles(peer: &Peer) -> Result<()> {
    let mut raw = bound(peer, "echo").await?;
    for _ in 0..3 {
        // A callback 2, a stream 3 from which the peer reads, a stream 4 on which it sends.
        let open = [head::OPEN, 0, 2, 0, 3, 4 * 2, 4 * 3 + 1, 4 * 4 + 2, 0x91, 0xc3];
        raw.send(&frame(&[&open])).await?;
        let mut gone = Vec::new();
        let mut answered = false;
        while gone.len() < 3 || !answered {
            match raw.expect().await? {
                Frame::Answer { call: 0, result } if result == [0xc3] => answered = true,
                Frame::Other { head, fields } => gone.push((head, fields.first().copied())),
                other => anyhow::bail!("unexpected: {other:02x?}"),
            }
        }
        gone.sort_unstable();
        let expected = [
            // In frames of the peer, these streams are the other side's.
            (head::END, Some(2 * 4 + 1)),
            (head::STOP, Some(2 * 3 + 1)),
            (head::RELEASE, Some(2)),
        ];
        ensure!(gone == expected, "let go: {gone:02x?}");
        // Our last words.
        raw.send(&[3, head::STOP, 8, 0, 3, head::END, 6, 0]).await?;
    }
    raw.leaves().await
}

async fn no_such_callback(peer: &Peer) -> Result<()> {
    let mut raw = Raw::greet(peer, &HELLO).await?.0;
    raw.send(&frame(&[&[head::OPEN, 0, 8, 5, 0x90]])).await?;
    let failure = raw.failure(0).await?;
    ensure!(failure == (8, 0), "{failure:?}");
    raw.leaves().await
}

/// Words about calls that are over.
async fn late_words(peer: &Peer) -> Result<()> {
    let mut raw = bound(peer, "add").await?;
    for _ in 0..3 {
        adds(&mut raw, 0).await?;
        // CANCEL, ADMIT_RESULT and ARGUMENTS with a stream in them.
        raw.send(&[3, head::CANCEL, 0, 1, 3, head::ADMIT_RESULT, 0, 9]).await?;
        raw.send(&[5, head::ARGUMENTS, 0, 2, 1, 4 * 2 + 1]).await?;
        let stop = raw.expect().await?;
        let Frame::Other { head: head::STOP, fields } = &stop else {
            anyhow::bail!("no STOP for the stream that came late: {stop:02x?}")
        };
        ensure!(fields.first() == Some(&5), "{stop:02x?}");
        raw.send(&[3, head::END, 4, 0]).await?;
    }
    raw.leaves().await
}
