//! A cable of socat's making, which can be pulled out.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// Two pseudo-terminals joined by a process (Debian package `socat`).
#[derive(Debug)]
pub(crate) struct Cable {
    socat: Child,
    folder: tempfile::TempDir,
}

impl Cable {
    /// Plugs in a cable.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { socat: plug(folder.path()).await, folder }
    }

    /// One end.
    pub(crate) fn a(&self) -> PathBuf {
        self.folder.path().join("a")
    }

    /// The other end.
    pub(crate) fn b(&self) -> PathBuf {
        self.folder.path().join("b")
    }

    /// Pulls both ends out.
    pub(crate) async fn pull(&mut self) {
        self.socat.kill().await.unwrap();
    }

    /// Puts it back: the same names, other devices.
    pub(crate) async fn plug(&mut self) {
        self.socat = plug(self.folder.path()).await;
    }
}

async fn plug(folder: &Path) -> Child {
    let end = |name: &str| {
        let link = folder.join(name);
        let _ = std::fs::remove_file(&link);
        format!("pty,raw,echo=0,link={}", link.display())
    };
    let mut socat = Command::new("socat")
        .args(["-d", "-d", "-b65536", &end("a"), &end("b")])
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("socat must be installed");
    let mut lines = BufReader::new(socat.stderr.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if line.contains("starting data transfer loop") {
            // What it says from now on goes nowhere, but it must be able to say it.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return socat;
        }
    }
    panic!("socat ended before its cable was there");
}
