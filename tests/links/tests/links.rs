//! The same conversation over every kind of link, and through the bridge between any two.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{path::Path, process::Stdio, time::Duration};

use ipfi::{Bytes, Callback, Code, Interface, Server, Wire, channel};
use ipfi_transport::{Address, BoxStream, Registry};
use links_test::interface;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// How long a bridge may take to get ready.
const PATIENCE: Duration = Duration::from_secs(20);

fn address(text: &str) -> Address {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Where somebody serves, and where to reach that.
struct Link {
    serve: String,
    reach: String,
}

/// All kinds that can listen, by name.
fn link(kind: &str, dir: &Path, name: &str) -> Link {
    let path = dir.join(name).display().to_string();
    let (serve, reach) = match kind {
        "memory" => (format!("memory-listen:{name}"), format!("memory:{name}")),
        "tcp" => {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap();
            (format!("tcp-listen:{port}"), format!("tcp:{port}"))
        }
        "unix" => (format!("unix-listen:{path}"), format!("unix:{path}")),
        "pty" => (format!("pty:{path}"), format!("serial:{path}")),
        "exec" => (String::new(), format!("exec:{}", env!("CARGO_BIN_EXE_links-child"))),
        other => panic!("{other}"),
    };
    Link { serve, reach }
}

/// Serves there, for as long as this runtime lives.
async fn serve(registry: &Registry, link: &Link) {
    if link.serve.is_empty() {
        return; // whoever dials starts it
    }
    let at = address(&link.serve);
    if link.serve.contains("-listen:") {
        let listener = registry.listen(&at).await.unwrap();
        tokio::spawn(Server::new(interface()).serve(listener));
    } else {
        let stream = registry.open(&at).await.unwrap();
        Wire::spawn(stream, interface()).detach();
    }
}

async fn converse(stream: BoxStream, what: &str) {
    let wire = Wire::spawn(stream, Interface::new());
    for n in 0..20 {
        assert_eq!(wire.call::<i64>("add", (n, 2)).await.unwrap(), n + 2, "{what}");
    }
    let large: Vec<u8> = (0..100_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let back: Bytes = wire.call("echo", (Bytes::from(large.clone()),)).await.unwrap();
    assert_eq!(back.into_vec(), large, "{what}");
    let (sender, mut receiver) = channel::<u32>(4);
    let counting = wire.call::<()>("count", (5000u32, sender)).start();
    let mut next = 0;
    while let Some(n) = receiver.recv().await.unwrap() {
        assert_eq!(n, next, "{what}");
        next += 1;
    }
    counting.await.unwrap();
    assert_eq!(next, 5000, "{what}");
    let (sender, receiver) = channel::<u32>(4);
    let sum = wire.call::<u32>("sum", (receiver,)).start();
    for n in 0..1000 {
        sender.send(n).await.unwrap();
    }
    sender.finish().await.unwrap();
    assert_eq!(sum.await.unwrap(), 499_500, "{what}");
    let callback: Callback<(u8,), u8> = Callback::new(|n: u8| n + 1);
    assert_eq!(wire.call::<u8>("twice", (callback,)).await.unwrap(), 3, "{what}");
    let none = wire.call::<()>("none", ()).await.unwrap_err();
    assert_eq!(none.code(), Code::NO_SUCH_PROCEDURE, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_every_link() {
    let registry = ipfi_transports::default_registry();
    let dir = tempfile::tempdir().unwrap();
    for kind in ["memory", "tcp", "unix", "pty", "exec"] {
        let link = link(kind, dir.path(), kind);
        serve(&registry, &link).await;
        converse(registry.dial(&address(&link.reach)).await.unwrap(), kind).await;
    }
}

/// Starts one that says that it has its first end.
async fn bridge(a: &str, b: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_links-bridge"));
    command.args([a, b]).stderr(Stdio::piped()).kill_on_drop(true);
    let mut bridge = command.spawn().unwrap();
    let mut lines = BufReader::new(bridge.stderr.take().unwrap()).lines();
    let ready = async {
        while !lines.next_line().await.unwrap().expect("a bridge that runs").ends_with(a) {}
    };
    timeout(PATIENCE, ready).await.unwrap_or_else(|_| panic!("no bridge from {a}"));
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    bridge
}

#[tokio::test(flavor = "multi_thread")]
async fn through_the_bridge_between_any_two() {
    let registry = ipfi_transports::default_registry();
    let dir = tempfile::tempdir().unwrap();
    for near in ["tcp", "unix", "pty"] {
        for far in ["tcp", "unix", "pty", "exec"] {
            let what = format!("{near} to {far}");
            let near = link(near, dir.path(), &format!("near-{near}-{far}"));
            let far = link(far, dir.path(), &format!("far-{what}").replace(' ', "-"));
            serve(&registry, &far).await;
            let bridge = bridge(&near.serve, &far.reach).await;
            converse(registry.dial(&address(&near.reach)).await.unwrap(), &what).await;
            drop(bridge);
        }
    }
}
