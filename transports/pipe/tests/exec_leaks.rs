//! What `exec:` leaves in this process, which has to itself for that.

#![allow(clippy::unwrap_used, reason = "it is how a test fails")]

use std::{fs, time::Duration};

use ipfi_pipe::Exec;
use ipfi_transport::Registry;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

async fn run() {
    let registry = Registry::new().with(Exec::new());
    let mut stream = registry.dial(&"exec:cat".parse().unwrap()).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "x");
}

#[tokio::test]
async fn a_thousand_programs_leave_nothing() {
    run().await;
    let before = descriptors();
    for _ in 0..20 {
        let all: Vec<_> = (0..50).map(|_| tokio::spawn(run())).collect();
        for one in all {
            one.await.unwrap();
        }
    }
    let all_gone = async {
        while !children().is_empty() || descriptors() > before {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), all_gone).await.unwrap();
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn children() -> Vec<u32> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let lists = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")));
    let pids = lists.flat_map(|list| {
        let pids = list.unwrap_or_default();
        pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()
    });
    pids.collect()
}
