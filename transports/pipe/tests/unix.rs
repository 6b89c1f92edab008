//! `unix:` keeps the contract, replaces dead sockets and no others, and says what is wrong.

#![allow(clippy::unwrap_used, reason = "it is how a test fails")]

use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::Path,
};

use ipfi_pipe::Unix;
use ipfi_transport::{Address, Registry, conformance::Suite};

fn registry() -> Registry {
    Registry::new().with(Unix::new())
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn at(kind: &str, path: &Path, options: &str) -> Address {
    address(&format!("{kind}:{}{options}", path.display()))
}

async fn refusal(address: &Address) -> String {
    registry().open(address).await.err().unwrap().to_string()
}

#[tokio::test]
async fn conforms() {
    let dir = tempfile::tempdir().unwrap();
    let suite = Suite::new().without_abort();
    let path = at("unix-listen", &dir.path().join("s"), ",mode=600");
    suite.run_listener(&registry(), &path).await.unwrap();
    assert!(!dir.path().join("s").exists());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn conforms_without_a_file() {
    let name = address(&format!("unix-listen:@ipfi-test-{}", std::process::id()));
    Suite::new().without_abort().run_listener(&registry(), &name).await.unwrap();
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(fs::metadata(&path).unwrap().file_type().is_socket(), "it is left behind");

    let mut listener = registry().listen(&at("unix-listen", &path, "")).await.unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    registry().listen(&at("unix-listen", &path, "")).await.err().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    // The attempt was seen as a peer that left at once, and does not harm the next one.
    let dialled = registry().dial(&at("unix", &path, "")).await.unwrap();
    assert_eq!(dialled.peer().unwrap(), path.to_str().unwrap());
    listener.accept().await.unwrap();
    let accepted = listener.accept().await.unwrap();
    let ours = std::process::id();
    assert!(accepted.peer().unwrap().starts_with(&format!("pid {ours}, uid ")));
}

#[tokio::test]
async fn of_many_that_find_a_dead_socket_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let starters: Vec<_> = (0..16)
        .map(|_| {
            let address = at("unix-listen", &path, "");
            tokio::spawn(async move { registry().listen(&address).await.ok() })
        })
        .collect();
    let mut winners = Vec::new();
    for starter in starters {
        winners.extend(starter.await.unwrap());
    }
    assert_eq!(winners.len(), 1);
    registry().dial(&at("unix", &path, "")).await.unwrap();
}

#[tokio::test]
async fn a_file_that_took_the_name_over_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = registry().listen(&at("unix-listen", &path, "")).await.unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "mine").unwrap();
    drop(listener);
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[tokio::test]
async fn the_mode_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    for mode in ["600", "0666", "777", "000"] {
        let path = dir.path().join(mode);
        let options = format!(",mode={mode}");
        let _listener = registry().listen(&at("unix-listen", &path, &options)).await.unwrap();
        let found = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(found, u32::from_str_radix(mode, 8).unwrap(), "{mode}");
    }
}

#[tokio::test]
async fn a_full_queue_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    rustix::net::bind(&socket, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let listener = std::os::unix::net::UnixListener::from(socket);
    let dial = || {
        let address = at("unix", &path, "");
        tokio::spawn(async move { registry().dial(&address).await.map(drop) })
    };
    let all = [dial(), dial(), dial()];
    let accept = tokio::task::spawn_blocking(move || {
        for _ in 0..3 {
            listener.accept().unwrap();
        }
    });
    for one in all {
        one.await.unwrap().unwrap();
    }
    accept.await.unwrap();
}

#[tokio::test]
async fn errors_name_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display().to_string();
    fs::write(dir.path().join("file"), "").unwrap();
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("dead")).unwrap());
    let _live = std::os::unix::net::UnixListener::bind(dir.path().join("live")).unwrap();
    let mut lines = Vec::new();
    for text in [
        format!("unix:{here}/none"),
        format!("unix:{here}/dead"),
        format!("unix:{here}/file"),
        format!("unix-listen:{here}/live"),
        format!("unix-listen:{here}/file"),
        format!("unix-listen:{here}/no/s"),
        format!("unix:/{}", "x".repeat(120)),
        "unix:".into(),
        "unix:@".into(),
        "unix:@ipfi-nobody".into(),
        "unix-listen:@ipfi-mode,mode=600".into(),
        "unix:/x,mode=rw".into(),
        "unix:/x,mode=99999".into(),
        "unix:/x,mod=600".into(),
        "unix:systemd".into(),
        "unix-listen:systemd".into(),
        "unix-listen:systemd=x".into(),
    ] {
        lines.push(refusal(&address(&text)).await.replace(&here, "/dir"));
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_check_opens_nothing() {
    let registry = registry();
    for bad in [format!("unix:/{}", "x".repeat(120)), "unix:".into(), "unix:@".into()] {
        registry.check(&address(&bad)).await.unwrap_err();
    }
    registry.check(&address("unix-listen:/nowhere/s")).await.unwrap();
}
