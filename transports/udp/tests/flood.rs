//! A flood from forged addresses. In a program of its own, since memory is counted.

use std::alloc::System;
use std::time::Duration;

use ipfi_transport::Registry;
use ipfi_udp::Udp;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[tokio::test]
async fn a_flood_of_forged_greetings_opens_and_allocates_nothing() {
    let registry = Registry::new().with(Udp::new());
    let address = "udp-listen:127.0.0.1:0".parse().unwrap();
    let mut listener = registry.listen(&address).await.unwrap();
    let to = listener.local().unwrap();
    let flood = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    flood.connect(&to).await.unwrap();
    let config = ipfi_arq::Config::datagrams(1100);
    let mut answered = 0;
    let region = Region::new(ALLOCATOR);
    let mut buf = [0; 2048];
    for id in 1..20_000u32 {
        // As a forger who sees no answers: with cookies and without.
        let cookie = (id % 2 == 0).then_some(u64::from(id) * 0x9e37_79b9);
        let mut greeting = ipfi_arq::Greeting::encode(&config, id, id.reverse_bits() | 1, cookie);
        if id % 3 == 0 {
            greeting.truncate(17);
        }
        let _ = flood.send(&greeting).await;
        while let Ok(length) = flood.try_recv(&mut buf) {
            answered += length;
        }
    }
    let change = region.change();
    let kept = change.bytes_allocated.cast_signed() - change.bytes_deallocated.cast_signed();
    assert!(kept < 4096, "{kept} bytes kept about strangers");
    assert!(answered <= 20_000 * 26, "answers with more than it was sent");
    let early = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(early.is_err(), "a stranger was let in");

    let dialled = format!("udp:{to}").parse().unwrap();
    let (here, there) = tokio::join!(registry.dial(&dialled), listener.accept());
    let (mut here, mut there) = (here.unwrap(), there.unwrap());
    here.write_all(b"still there").await.unwrap();
    let mut text = [0; 11];
    there.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"still there");
}
