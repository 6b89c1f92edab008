//! The line that lies keeps time in both directions.

use std::time::Duration;

use ipfi_transport::{FaultInjector, Faults, Options, boxed};
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::time::{Instant, timeout};

#[tokio::test(start_paused = true)]
async fn both_directions_wait_at_once() {
    let faults = Faults::from_pairs([("rate", "1000"), ("delay", "700ms")]).unwrap();
    let (here, mut there) = tokio::io::duplex(65_536);
    there.write_all(&[1; 1000]).await.unwrap();
    let (mut read, mut write) = split(FaultInjector::new(boxed(here), faults));
    let start = Instant::now();
    let mut bytes = [0; 1000];
    let both = async {
        tokio::try_join!(write.write_all(&[2; 500]), async {
            read.read_exact(&mut bytes).await.map(drop)
        })
    };
    timeout(Duration::from_secs(10), both).await.expect("one direction sleeps for ever").unwrap();
    let took = start.elapsed();
    assert!((Duration::from_millis(1500)..Duration::from_millis(1800)).contains(&took), "{took:?}");
}

/// On a busy machine a program is late for every timer, and still the line carries its rate.
#[tokio::test(start_paused = true)]
async fn a_late_program_does_not_slow_the_line_down() {
    let faults = Faults::from_pairs([("rate", "10000")]).unwrap();
    let (here, there) = tokio::io::duplex(1 << 20);
    let mut line = FaultInjector::new(boxed(here), faults);
    let writing = tokio::spawn(async move {
        line.write_all(&vec![7; 1 << 16]).await.unwrap();
        line.flush().await.unwrap();
    });
    let start = Instant::now();
    while !writing.is_finished() {
        tokio::time::advance(Duration::from_millis(37)).await;
        tokio::task::yield_now().await;
    }
    let took = start.elapsed();
    assert!((Duration::from_millis(6500)..Duration::from_millis(6700)).contains(&took), "{took:?}");
    drop(there);
}
