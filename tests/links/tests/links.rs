//! The same conversation over every kind of link, and through the bridge between any two.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{path::Path, process::Stdio, time::Duration};

use ipfi::{Server, Wire};
use ipfi_transport::{Address, Registry};
use links_test::{CONVERSED, INSIDE, converse, interface};
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
        // Within the process of the bridge.
        "memory of the bridge" => (String::new(), format!("memory:{INSIDE}")),
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
    let mut command = Command::new(BRIDGE);
    command.args([a, b]).stderr(Stdio::piped()).kill_on_drop(true);
    let mut bridge = command.spawn().unwrap();
    let mut lines = BufReader::new(bridge.stderr.take().unwrap()).lines();
    let reach = a.replacen("-listen:", ":", 1);
    let ready = async {
        while !lines.next_line().await.unwrap().expect("a bridge that runs").ends_with(&reach) {}
    };
    timeout(PATIENCE, ready).await.unwrap_or_else(|_| panic!("no bridge from {a}"));
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    bridge
}

const BRIDGE: &str = env!("CARGO_BIN_EXE_links-bridge");

#[tokio::test(flavor = "multi_thread")]
async fn through_the_bridge_between_any_two() {
    let registry = ipfi_transports::default_registry();
    let dir = tempfile::tempdir().unwrap();
    for near in ["tcp", "unix", "pty", "exec", "memory of the bridge"] {
        for far in ["tcp", "unix", "pty", "exec", "memory of the bridge"] {
            if near == far && far == "memory of the bridge" {
                continue; // both ends would be of one name
            }
            let what = format!("{near} to {far}");
            let far = link(far, dir.path(), &format!("far-{what}").replace(' ', "-"));
            serve(&registry, &far).await;
            match near {
                // The bridge is the child.
                "exec" => {
                    let near = format!("exec:{BRIDGE} stdio: {}", far.reach.replace(' ', "%20"));
                    converse(registry.dial(&address(&near)).await.unwrap(), &what).await;
                }
                "memory of the bridge" => {
                    let mut bridge = Command::new(BRIDGE);
                    bridge.args([&format!("memory-listen:{INSIDE}"), &far.reach]);
                    let bridge = bridge.stdin(Stdio::null()).kill_on_drop(true).output();
                    let output = timeout(PATIENCE, bridge).await.expect("an end").unwrap();
                    let said = String::from_utf8_lossy(&output.stdout);
                    assert!(said.ends_with(CONVERSED), "{what}: {output:?}");
                }
                near => {
                    let near = link(near, dir.path(), &format!("near-{what}").replace(' ', "-"));
                    let bridge = bridge(&near.serve, &far.reach).await;
                    converse(registry.dial(&address(&near.reach)).await.unwrap(), &what).await;
                    drop(bridge);
                }
            }
        }
    }
}
