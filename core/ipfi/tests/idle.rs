//! Ten thousand wires on one interface that nobody uses: memory and work.
#![cfg(all(feature = "tokio", feature = "bincode"))]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{
    alloc::System,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use ipfi::{Interface, WireOptions};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const WIRES: usize = 10_000;
/// Bytes that a wire may take when nothing is open on it.
const MOST: usize = 4096;

/// A peer that made one call, got its answer, and is silent since.
struct Quiet {
    says: &'static [u8],
    polls: Arc<AtomicU64>,
}

/// Hello; procedure 0 is "add" with any signature; a call of it with 2 and 3.
const CONVERSATION: &[u8] =
    b"\x1f\xf1\x01\x01\x75\xa6\x56\x77\x0d\xcb\0\0\0\0\0\0\0\0\0add\x04\0\0\x04\x06";

impl AsyncRead for Quiet {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        if self.says.is_empty() {
            return Poll::Pending;
        }
        buf.put_slice(std::mem::take(&mut self.says));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Quiet {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn idle_wires_take_little_memory_and_no_time() {
    let interface = Arc::new(Interface::new().procedure("add", |a: i64, b: i64| a + b));
    let polls = Arc::new(AtomicU64::new(0));
    let spawn = || {
        let quiet = Quiet { says: CONVERSATION, polls: polls.clone() };
        WireOptions::new().spawn(quiet, interface.clone())
    };
    // What belongs to the thread, and not to a wire.
    let _first = spawn();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let region = Region::new(ALLOCATOR);
    let wires: Vec<_> = (0..WIRES).map(|_| spawn()).collect();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let change = region.change();
    let each = (change.bytes_allocated - change.bytes_deallocated) / WIRES;
    println!("{each} bytes for each idle wire");
    assert!(each <= MOST, "{each} bytes for each idle wire");
    assert!(wires.iter().all(|wire| wire.cause().is_none()));
    let before = polls.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    assert_eq!(polls.load(Ordering::Relaxed), before, "a wire was awake in a silent day");
}
