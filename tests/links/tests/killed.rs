//! Programs that meet on a shared air, by bridges of their own, in real time.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::time::Duration;

use ipfi::{Interface, Wire, WireOptions};
use links_test::interface;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// How long processes may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A bridge by sound, killed when it is dropped.
fn bridge(dir: &Path, a: &str, b: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_links-bridge"));
    // The place where processes meet that share an air
    command.env("XDG_RUNTIME_DIR", dir).args([a, b]).kill_on_drop(true).spawn().unwrap()
}

/// Calls through the bridges, as often as it takes until they are there.
async fn call_through(port: u16) -> Wire {
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "nobody answers");
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
            let wire = WireOptions::new()
                .round_trip(Duration::from_secs(5))
                .spawn(stream, Interface::new());
            if let Ok(sum) = wire.call::<i64>("add", (40, 2)).await {
                assert_eq!(sum, 42);
                return wire;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Two bridges join two programs through the air, and each is killed in the midst of a packet.
#[tokio::test(flavor = "multi_thread")]
async fn bridges_join_programs_and_a_killed_one_splices_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = server.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = server.accept().await {
            Wire::spawn(stream, interface()).detach();
        }
    });
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let near =
        || bridge(dir.path(), &format!("tcp-listen:127.0.0.1:{port}"), "morse:,air=a,mode=cable");
    let far = || bridge(dir.path(), "morse-listen:,air=a,mode=cable", &format!("tcp:{service}"));
    let (mut left, mut right) = (near(), far());
    for round in 0..3 {
        let wire = call_through(port).await;
        let large = ipfi::Bytes::from(vec![7; 20_000]);
        let echo = wire.call::<ipfi::Bytes>("echo", (large,)).start();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        match round {
            0 => {
                left.kill().await.unwrap();
                left = near();
            }
            1 => {
                right.kill().await.unwrap();
                right = far();
                // It has lost its only way, and ends.
                let ended = tokio::time::timeout(PATIENCE, left.wait()).await.unwrap().unwrap();
                assert!(!ended.success(), "{ended}");
                left = near();
            }
            _ => return,
        }
        echo.await.unwrap_err();
    }
}
