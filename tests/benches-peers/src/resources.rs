//! What a process takes, as the kernel counts it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// CPU time of a process, in seconds: of all threads that it has.
pub fn cpu(process: &str) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let nanos = tasks.map(|task| {
        let times = std::fs::read_to_string(task.unwrap().path().join("schedstat"));
        times.ok().and_then(|times| times.split(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
    });
    Duration::from_nanos(nanos.sum()).as_secs_f64()
}

/// Memory of its own that a process has, in KiB.
pub fn memory(process: &str) -> f64 {
    let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Private_Dirty:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Bytes that went through.
#[derive(Default)]
pub struct Counts {
    pub up: AtomicU64,
    pub down: AtomicU64,
}

/// Stands between client and server, and counts.
pub async fn count(server: SocketAddr) -> (SocketAddr, Arc<Counts>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let counts = Arc::new(Counts::default());
    let counting = counts.clone();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(server).await.unwrap();
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            let counts = counting.clone();
            tokio::spawn(copy(client_read, server_write, move |n| {
                counts.up.fetch_add(n, Ordering::Relaxed);
            }));
            let counts = counting.clone();
            tokio::spawn(copy(server_read, client_write, move |n| {
                counts.down.fetch_add(n, Ordering::Relaxed);
            }));
        }
    });
    (address, counts)
}

async fn copy(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    count: impl Fn(u64),
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        count(n as u64);
        if to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}
