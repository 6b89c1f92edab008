//! The transport of the demo is short and yet a whole one, and the bridge knows it.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use demo_custom_transport::Sock;
use ipfi_transport::{Registry, conformance::Suite};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

#[test]
fn a_transport_takes_thirty_lines() {
    let lines = include_str!("../src/lib.rs").lines().count();
    assert!(lines <= 30, "{lines}");
    let lines = include_str!("../src/main.rs").lines().filter(|l| !l.starts_with("//")).count();
    assert!(lines <= 5, "{lines}");
}

#[tokio::test]
async fn it_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("sock-listen:{}/s", folder.path().display()).parse().unwrap();
    let registry = Registry::new().with(Sock);
    // A Unix socket has no reset.
    Suite::new().without_abort().run_listener(&registry, &address).await.unwrap();
}

#[tokio::test]
async fn its_bridge_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let far = tokio::net::UnixListener::bind(&path).unwrap();
    let mut bridge = Command::new(env!("CARGO_BIN_EXE_demo-custom-transport"))
        .args(["exec:tr a-z A-Z".into(), format!("sock:{}", path.display())])
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut peer = tokio::select! {
        peer = far.accept() => peer.unwrap().0,
        status = bridge.wait() => panic!("the bridge ended: {status:?}"),
    };
    peer.write_all(b"hello").await.unwrap();
    peer.shutdown().await.unwrap();
    let mut answer = String::new();
    peer.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "HELLO");
    assert!(bridge.wait().await.unwrap().success());
}
