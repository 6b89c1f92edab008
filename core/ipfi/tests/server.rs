//! The server: limits, draining, names of peers.
#![cfg(all(feature = "tokio", feature = "bincode"))]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{sync::Arc, time::Duration};

use ipfi::{Cause, Code, Interface, Server, Wire};
use ipfi_transport::{Memory, MemoryOptions, Transport};
use tokio::sync::Notify;

fn options() -> MemoryOptions {
    MemoryOptions::default()
}

#[tokio::test(start_paused = true)]
async fn stopping_drains() {
    let memory = Memory::new();
    let listener = memory.listen("x", options()).await.unwrap();
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let interface = Interface::new()
        .procedure("wait", move || {
            let wait = wait.clone();
            async move {
                wait.notified().await;
                7u8
            }
        })
        .procedure("forever", async || std::future::pending::<()>().await);
    let server = Server::new(interface).drain(Duration::from_secs(5));
    let stopper = server.stopper();
    let serving = tokio::spawn(server.serve(listener));
    let dial = async || Wire::spawn(memory.dial("x", options()).await.unwrap(), Interface::new());
    let (one, two) = (dial().await, dial().await);
    let answered = one.call::<u8>("wait", ()).start();
    let never = two.call::<()>("forever", ()).start();
    one.ping().await.unwrap();
    two.ping().await.unwrap();
    stopper.stop();
    one.ping().await.unwrap();
    let refused = one.call::<u8>("wait", ()).await.unwrap_err();
    assert_eq!(refused.code(), Code::GOING_AWAY);
    go.notify_one();
    assert_eq!(answered.await.unwrap(), 7);
    assert_eq!(one.closed().await, Cause::Graceful);
    assert!(never.await.is_err());
    serving.await.unwrap();
    assert!(memory.dial("x", options()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn no_more_wires_than_told() {
    let memory = Memory::new();
    let listener = memory.listen("x", options()).await.unwrap();
    let interface = Interface::new().procedure("one", || 1u8);
    let server = Server::new(interface).max_wires(2);
    tokio::spawn(server.serve(listener));
    let dial = async || Wire::spawn(memory.dial("x", options()).await.unwrap(), Interface::new());
    let wires = [dial().await, dial().await, dial().await];
    let second = Duration::from_secs(1);
    for (n, wire) in wires.iter().enumerate() {
        let answer = wire.call::<u8>("one", ()).deadline(second).await;
        assert_eq!(answer.is_ok(), n < 2, "{n}");
    }
    let [one, _two, three] = wires;
    one.close(None).await;
    assert_eq!(three.call::<u8>("one", ()).await.unwrap(), 1);
}
