//! The checks themselves, each on a fresh pair.

use std::{future::Future, pin::Pin};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};

use super::{Pair, both, give_up};
use crate::{BoxStream, ByteStream, random::Random};

/// What a link must be able to do for a check to make sense.
#[derive(Clone, Copy)]
pub(super) enum Needs {
    Nothing,
    Ends,
    HalfClose,
    Aborts,
}

type Check = fn(Pair, usize) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

pub(super) const ALL: &[(&str, Needs, Check)] = &[
    ("order", Needs::Nothing, |pair, n| Box::pin(order(pair, n))),
    ("one_byte_writes", Needs::Nothing, |pair, n| Box::pin(one_byte_writes(pair, n))),
    ("cancelled_reads_lose_nothing", Needs::Nothing, |pair, n| {
        Box::pin(cancelled_reads_lose_nothing(pair, n))
    }),
    ("back_pressure", Needs::Nothing, |pair, n| Box::pin(back_pressure(pair, n))),
    ("close_implies_flush", Needs::Ends, |pair, n| Box::pin(close_implies_flush(pair, n))),
    ("end_of_file_is_not_an_error", Needs::Ends, |pair, _| {
        Box::pin(end_of_file_is_not_an_error(pair))
    }),
    ("half_close", Needs::HalfClose, |pair, n| Box::pin(half_close(pair, n))),
    ("writing_to_nobody_fails", Needs::Ends, |pair, _| Box::pin(writing_to_nobody_fails(pair))),
    ("an_abort_is_not_a_clean_end", Needs::Aborts, |pair, _| {
        Box::pin(an_abort_is_not_a_clean_end(pair))
    }),
];

/// The most that a link may take in while nobody reads.
const MOST_HELD: usize = 64 << 20;

fn payload(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..len).map(|_| random.byte()).collect()
}

async fn send<W: AsyncWrite + Unpin>(to: &mut W, seed: u64, len: usize) -> Result<(), String> {
    let bytes = payload(seed, len);
    let mut random = Random::new(!seed);
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(rest.len().min(1 + random.below(9000)));
        to.write_all(piece).await.map_err(|e| format!("write: {e}"))?;
        rest = tail;
    }
    to.flush().await.map_err(|e| format!("flush: {e}"))
}

async fn expect<R: AsyncRead + Unpin>(from: &mut R, seed: u64, len: usize) -> Result<(), String> {
    let bytes = payload(seed, len);
    let mut random = Random::new(seed.rotate_left(9));
    let mut rest = bytes.as_slice();
    let mut buf = vec![0; 9000];
    while !rest.is_empty() {
        let room = rest.len().min(1 + random.below(9000));
        let read = from.read(&mut buf[..room]).await;
        let at = len - rest.len();
        let n = read.map_err(|e| format!("read after {at} of {len} bytes: {e}"))?;
        if n == 0 {
            return Err(format!("ended after {at} of {len} bytes"));
        }
        if buf[..n] != rest[..n] {
            return Err(format!("bytes {at} to {} are not those that were sent", at + n));
        }
        rest = &rest[n..];
    }
    Ok(())
}

async fn expect_end<R: AsyncRead + Unpin>(from: &mut R) -> Result<(), String> {
    match from.read(&mut [0]).await {
        Ok(0) => Ok(()),
        Ok(_) => Err("a byte that nobody sent came at the end".into()),
        Err(e) => Err(format!("the end is an error: {e}")),
    }
}

async fn finish<W: AsyncWrite + Unpin>(of: &mut W) -> Result<(), String> {
    of.shutdown().await.map_err(|e| format!("shutdown: {e}"))
}

/// Bytes from one end to the other.
async fn pass<W, R>(from: &mut W, to: &mut R, seed: u64, len: usize) -> Result<(), String>
where
    W: AsyncWrite + Unpin,
    R: AsyncRead + Unpin,
{
    let (sent, received) = both(send(from, seed, len), expect(to, seed, len)).await;
    received.and(sent)
}

/// A byte each way.
pub(super) async fn greet(mut a: BoxStream, mut b: BoxStream) -> Result<(), String> {
    pass(&mut a, &mut b, 1, 1).await?;
    pass(&mut b, &mut a, 2, 1).await
}

/// Bytes arrive once and in order, in both directions at once.
async fn order((a, b): Pair, volume: usize) -> Result<(), String> {
    let ((mut a_read, mut a_write), (mut b_read, mut b_write)) = (split(a), split(b));
    let there = pass(&mut a_write, &mut b_read, 3, volume);
    let back = pass(&mut b_write, &mut a_read, 4, volume);
    let (there, back) = both(there, back).await;
    there.and(back)
}

/// Single bytes, each flushed, arrive without the next one's help.
async fn one_byte_writes((mut a, mut b): Pair, volume: usize) -> Result<(), String> {
    for seed in 0..volume.min(256) as u64 {
        pass(&mut a, &mut b, seed, 1).await?;
    }
    Ok(())
}

/// A read that was given up has not eaten anything.
async fn cancelled_reads_lose_nothing((a, b): Pair, volume: usize) -> Result<(), String> {
    let (mut b_read, _b_write) = split(b);
    let (_a_read, mut a_write) = split(a);
    let volume = volume.min(4096);
    let bytes = payload(5, volume);
    for byte in bytes.iter().take(64) {
        let mut one = [0];
        let early = give_up(Box::pin(b_read.read(&mut one))).await;
        if early.is_some() {
            return Err("a byte came before it was sent".into());
        }
        let write = async {
            a_write.write_all(&[*byte]).await?;
            a_write.flush().await
        };
        let (written, read) = both(write, b_read.read_exact(&mut one)).await;
        written.map_err(|e| format!("write: {e}"))?;
        read.map_err(|e| format!("read: {e}"))?;
        if one[0] != *byte {
            return Err("a byte is missing after a read that was given up".into());
        }
    }
    Ok(())
}

/// A writer waits while nobody reads, and goes on when somebody does.
async fn back_pressure((mut a, mut b): Pair, volume: usize) -> Result<(), String> {
    let piece = payload(6, 4096.min(volume));
    let mut sent = 0;
    // Two refusals with a pause between them, since kernels move bytes in the background.
    let mut refusals = 0;
    while refusals < 2 {
        match give_up(Box::pin(a.write(&piece))).await {
            Some(Ok(n)) => sent += n,
            Some(Err(e)) => return Err(format!("write: {e}")),
            None => {
                refusals += 1;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        if sent > MOST_HELD.max(volume) {
            return Err(format!("{sent} bytes were taken while nobody read"));
        }
    }
    let mut received = 0;
    let mut buf = vec![0; 65_536];
    let (flushed, read) = both(a.flush(), async {
        while received < sent {
            match b.read(&mut buf).await {
                Ok(0) => return Err(format!("ended after {received} of {sent} bytes")),
                Ok(n) => received += n,
                Err(e) => return Err(format!("read: {e}")),
            }
        }
        Ok(())
    })
    .await;
    flushed.map_err(|e| format!("flush: {e}"))?;
    read
}

/// What was written before the end arrives before the end.
async fn close_implies_flush((mut a, mut b): Pair, volume: usize) -> Result<(), String> {
    let close = async {
        a.write_all(&payload(7, volume)).await.map_err(|e| format!("write: {e}"))?;
        finish(&mut a).await?;
        drop(a);
        Ok(())
    };
    let read = async {
        expect(&mut b, 7, volume).await?;
        expect_end(&mut b).await
    };
    let (closed, received) = both(close, read).await;
    received.and(closed)
}

/// The end stays the end.
async fn end_of_file_is_not_an_error((mut a, mut b): Pair) -> Result<(), String> {
    finish(&mut a).await?;
    for _ in 0..3 {
        expect_end(&mut b).await?;
    }
    Ok(())
}

/// One direction goes on when the other has finished.
async fn half_close((mut a, mut b): Pair, volume: usize) -> Result<(), String> {
    pass(&mut a, &mut b, 8, 16).await?;
    finish(&mut a).await?;
    expect_end(&mut b).await?;
    let reply = async {
        send(&mut b, 9, volume).await?;
        finish(&mut b).await
    };
    let (sent, received) = both(reply, expect(&mut a, 9, volume)).await;
    received.and(sent)?;
    expect_end(&mut a).await
}

/// A writer whose reader is gone gets an error, sooner or later, and no panic.
async fn writing_to_nobody_fails((mut a, b): Pair) -> Result<(), String> {
    drop(b);
    let piece = payload(10, 4096);
    for _ in 0..MOST_HELD / piece.len() {
        if a.write_all(&piece).await.is_err() || a.flush().await.is_err() {
            return Ok(());
        }
    }
    Err("every byte was taken although the peer is gone".into())
}

/// The peer of an abort reads an error: "cut" is not "finished".
async fn an_abort_is_not_a_clean_end((mut a, mut b): Pair) -> Result<(), String> {
    pass(&mut a, &mut b, 11, 16).await?;
    a.abort();
    drop(a);
    match b.read(&mut [0]).await {
        Ok(0) => Err("the peer reads a clean end".into()),
        Ok(_) => Err("the peer reads a byte that nobody sent".into()),
        Err(_) => Ok(()),
    }
}
