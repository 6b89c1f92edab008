//! The goodput of bad lines once more, through real ptys and in real time.
//!
//! `cargo test --release -p ipfi-arq --test pty -- --ignored --nocapture` takes two minutes.
#![cfg(target_os = "linux")]

use ipfi_arq::Arq;
use ipfi_pipe::Pty;
use ipfi_serial::Serial;
use ipfi_transport::{BoxStream, Noise, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

const RATE: u32 = 11_520;
const BYTES: u32 = 80_000;

/// Two ends: one has the pty, the other opens it as a serial port, through noise and at the
/// pace of 115,200 baud.
async fn ends(faults: &str, fec: &str) -> (BoxStream, BoxStream) {
    let registry = Registry::new()
        .with(Pty::new())
        .with(Serial::new())
        .with_layer(Noise::new())
        .with_layer(Arq::new());
    let folder = std::env::temp_dir().join(format!("ipfi-arq-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let link = folder.join("line");
    let pty = format!("arq+pty:{},rate={RATE},fec={fec}", link.display());
    let serial = format!("arq+noise+serial:{},noise.rate={RATE},fec={fec}{faults}", link.display());
    let (pty, serial) = (pty.parse().expect("an address"), serial.parse().expect("an address"));
    let (here, there) = tokio::join!(registry.dial(&pty), async {
        while !link.exists() {
            tokio::task::yield_now().await;
        }
        registry.dial(&serial).await
    });
    (here.expect("the pty"), there.expect("the port"))
}

async fn goodput(faults: &str, fec: &str) -> f64 {
    let (mut here, mut there) = ends(faults, fec).await;
    let text: Vec<u8> = (0..=250).cycle().take(BYTES as usize).collect();
    let start = Instant::now();
    let write = async {
        there.write_all(&text).await?;
        there.shutdown().await
    };
    let mut got = Vec::new();
    let read = async {
        here.read_to_end(&mut got).await?;
        here.shutdown().await
    };
    tokio::try_join!(write, read).expect("a stream");
    assert!(got == text);
    f64::from(BYTES) / start.elapsed().as_secs_f64() / f64::from(RATE)
}

#[tokio::test]
#[ignore = "takes minutes of real time"]
#[allow(clippy::print_stdout, reason = "the figures are what it is for")]
async fn goodput_through_ptys() {
    let columns = ["", "flip=1e-5", "flip=1e-4", "flip=3e-4", "flip=1e-3", "drop=1e-4,insert=1e-4"];
    for (fec, floors) in [
        ("off", [0.96, 0.91, 0.77, 0.63, 0.45, 0.87]),
        ("auto", [0.96, 0.91, 0.85, 0.85, 0.82, 0.82]),
    ] {
        for (faults, floor) in columns.into_iter().zip(floors) {
            let comma = if faults.is_empty() { "" } else { "," };
            let value = goodput(&format!("{comma}{faults}"), fec).await;
            println!("fec={fec:<5} {faults:<22} {value:.3} (at least {floor})");
        }
    }
}
