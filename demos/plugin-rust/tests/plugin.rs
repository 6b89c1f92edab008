//! The plug-in, run as a program that knows nothing of it runs it.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::path::Path;

use ipfi_plugin::Plugins;
use ipfi_tcp::Tcp;
use ipfi_transport::{Address, BoxStream, Listener, Registry, conformance::Suite};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Long before the host would end it by force.
const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// The plug-in's folder is the whole `PATH`.
fn registry() -> Registry {
    let folder = Path::new(env!("CARGO_BIN_EXE_ipfi-transport-rot13")).parent().unwrap();
    Registry::new().with(Tcp::new()).with_resolver(Plugins::on(folder))
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

#[tokio::test]
async fn it_conforms() {
    let registry = registry();
    let listener = registry.listen(&address("rot13-listen:127.0.0.1:0")).await.unwrap();
    let peer = address(&format!("rot13:{}", listener.local().unwrap()));
    let listener = tokio::sync::Mutex::new(listener);
    let connect = || async {
        let mut listener = listener.lock().await;
        let (accepted, dialled) = tokio::join!(listener.accept(), dial(&registry, &peer));
        Ok((dialled, accepted?))
    };
    Suite::new().run(connect).await.unwrap();
}

/// Between two processes that listen there is a moment when none does.
async fn dial(registry: &Registry, peer: &Address) -> BoxStream {
    loop {
        if let Ok(stream) = registry.dial(peer).await {
            return stream;
        }
    }
}

#[tokio::test]
async fn letters_are_turned_on_the_way() {
    let registry = registry();
    let mut listener: Box<dyn Listener> =
        registry.listen(&address("tcp-listen:127.0.0.1:0")).await.unwrap();
    let peer = address(&format!("rot13:{}", listener.local().unwrap()));
    let (dialled, plain) = tokio::join!(registry.dial(&peer), listener.accept());
    let (mut dialled, mut plain) = (dialled.unwrap(), plain.unwrap());
    dialled.write_all(b"Hello, 13!").await.unwrap();
    dialled.shutdown().await.unwrap();
    let mut text = String::new();
    plain.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "Uryyb, 13!");
}

#[tokio::test]
async fn it_ends_when_its_host_leaves_although_the_peer_is_silent() {
    let registry = registry();
    let mut listener = registry.listen(&address("tcp-listen:127.0.0.1:0")).await.unwrap();
    let peer = address(&format!("rot13:{}", listener.local().unwrap()));
    let (dialled, plain) = tokio::join!(registry.dial(&peer), listener.accept());
    let (dialled, mut plain) = (dialled.unwrap(), plain.unwrap());
    let pid = dialled.peer().unwrap();
    let pid = pid.strip_prefix("rot13 (pid ").and_then(|pid| pid.strip_suffix(')')).unwrap();
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    drop(dialled);
    assert_eq!(plain.read(&mut [0]).await.unwrap(), 0);
    // Readable when the process has ended.
    let ended = tokio::task::spawn_blocking(move || {
        poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&PATIENCE)).unwrap()
    });
    assert_eq!(ended.await.unwrap(), 1, "it goes on without its host");
}

#[tokio::test]
async fn its_errors_arrive() {
    let error = registry().dial(&address("rot13:nowhere")).await.err().unwrap().to_string();
    assert_eq!(error, "cannot open `rot13:nowhere`: it needs a port, as in `localhost:7000`");
    let error = registry().dial(&address("rot13:x:1,nodely")).await.err().unwrap().to_string();
    assert!(error.contains("did you mean `nodelay`"), "{error}");
}
