//! What the host makes of plug-ins, good and bad, each a few lines of shell.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use ipfi_plugin::Plugins;
use ipfi_transport::{Address, BoxStream, Memory, OpenError, Registry};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

const DESCRIBE: &str = "ipfi-transport 1\nsummary a test\noption key 1 A key.";

/// A folder of plug-ins.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// A plug-in that does `script` after `describe` has been answered.
    fn with(self, name: &str, script: &str) -> Self {
        let describe = format!("[ \"$1\" = describe ] && {{ echo '{DESCRIBE}'; exit; }}\n");
        self.with_all(name, &format!("{describe}{script}"))
    }

    /// A plug-in that is `script`.
    fn with_all(self, name: &str, script: &str) -> Self {
        let file = self.path().join(format!("ipfi-transport-{name}"));
        let folder = self.path().display();
        // Under another name first: a file that is open for writing cannot be run.
        let new = self.path().join("new");
        fs::write(&new, format!("#!/bin/sh\ncd {folder}\n{script}\n")).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, file).unwrap();
        self
    }

    fn registry(&self) -> Registry {
        Registry::new().with(Memory::new()).with_resolver(Plugins::on(self.path()))
    }

    async fn open(&self, address: &str) -> Result<BoxStream, OpenError> {
        self.registry().open(&self::address(address)).await
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path().join(file)).unwrap_or_default()
    }
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// Waits until `done`, by looking again whenever other tasks have had their turn.
async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

fn runs(pid: &str) -> bool {
    Path::new("/proc").join(pid.trim()).exists()
}

#[tokio::test]
async fn it_gets_its_location_and_options_word_by_word() {
    let folder = Folder::new().with("x", "echo ok; for a in \"$@\"; do echo \"<$a>\"; done");
    let mut stream = folder.open("x:a b%2C*$HOME,key=c d").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "<dial>\n<a b,*$HOME>\n<key=c d>\n");
}

#[tokio::test]
async fn what_follows_ok_belongs_to_the_stream() {
    let folder = Folder::new().with("x", "printf 'ok\\nok\\n\\0'; exec cat");
    let mut stream = folder.open("x:").await.unwrap();
    stream.write_all(b"more").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, b"ok\n\0more");
}

#[tokio::test]
async fn another_status_than_0_is_a_cut() {
    let folder = Folder::new().with("x", "echo ok; echo half; exit 3");
    let mut stream = folder.open("x:").await.unwrap();
    let mut bytes = [0; 5];
    stream.read_exact(&mut bytes).await.unwrap();
    let error = stream.read(&mut bytes).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    assert_eq!(error.to_string(), "the plug-in `x` exited with status 3");
}

#[tokio::test]
async fn closing_its_output_is_a_half_close() {
    let folder = Folder::new().with("x", "echo ok; exec >&-; cat > taken; touch done");
    let mut stream = folder.open("x:").await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    stream.write_all(b"still here").await.unwrap();
    stream.shutdown().await.unwrap();
    until(|| folder.path().join("done").exists()).await;
    assert_eq!(folder.read("taken"), "still here");
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn an_abort_is_a_signal_and_then_the_end() {
    let folder = Folder::new()
        .with("mild", "trap 'echo cut > cut; exit 1' TERM; echo $$ > pid; echo ok; while :; do sleep 0.01; done")
        .with("stubborn", "trap '' TERM; echo $$ > pid; echo ok; while :; do sleep 0.01; done");
    let mut stream = folder.open("mild:").await.unwrap();
    stream.abort();
    drop(stream);
    until(|| !runs(&folder.read("pid"))).await;
    assert_eq!(folder.read("cut"), "cut\n");

    let mut stream = folder.open("stubborn:").await.unwrap();
    assert!(runs(&folder.read("pid")));
    stream.abort();
    drop(stream);
    until(|| !runs(&folder.read("pid"))).await;
}

#[tokio::test]
async fn a_dial_that_is_given_up_leaves_no_process() {
    let folder = Folder::new().with("x", "echo $$ > pid; exec sleep 1000");
    let registry = folder.registry();
    let address = address("x:");
    let dial = registry.dial(&address);
    tokio::select! {
        _ = dial => unreachable!("it never says ok"),
        () = until(|| !folder.read("pid").is_empty()) => {}
    }
    until(|| !runs(&folder.read("pid"))).await;
}

#[tokio::test]
async fn built_in_transports_win() {
    let folder = Folder::new().with("memory", "touch run; echo ok");
    assert!(folder.open("memory:nobody").await.is_err());
    assert!(!folder.path().join("run").exists());
}

#[tokio::test]
async fn one_process_waits_for_one_peer() {
    // Each process waits for its line in a named pipe, as if that were a peer.
    let script = "echo $$ >> started; echo \"$2\" >> told; echo listening there; \
                  read peer < door; echo ok; echo $peer";
    let folder = Folder::new().with("x", script);
    let door = folder.path().join("door");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &door,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let started = || folder.read("started").lines().count();

    let mut listener = folder.registry().listen(&address("x-listen:here")).await.unwrap();
    assert_eq!(listener.local().as_deref(), Some("there"));
    assert_eq!(started(), 1);
    for peer in ["one", "two"] {
        let knock = tokio::fs::write(&door, format!("{peer}\n"));
        let (stream, knocked) = tokio::join!(listener.accept(), knock);
        knocked.unwrap();
        let mut text = String::new();
        stream.unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, format!("{peer}\n"));
    }
    // The next one waits, and there is just one.
    until(|| started() == 3).await;
    assert_eq!(folder.read("told"), "here\nthere\nthere\n");
    let last = folder.read("started").lines().last().unwrap().to_owned();
    assert!(runs(&last));
    drop(listener);
    until(|| !runs(&last)).await;
    assert_eq!(started(), 3);
}

#[tokio::test]
async fn a_listener_that_fails_again_and_again_does_not_spin() {
    let folder = Folder::new()
        .with("x", "[ -e open ] && { echo error gone; exit 1; }; echo listening; exec sleep 1000");
    let mut listener = folder.registry().listen(&address("x-listen:")).await.unwrap();
    fs::write(folder.path().join("open"), "").unwrap();
    // The first process still waits; whoever ends it is none of the plug-in.
    let pid = until_child().await;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert!(listener.accept().await.is_err());
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(listener.accept().await.err().unwrap().to_string(), "gone");
    }
    // 100, 200 and 400 ms.
    assert!(start.elapsed() >= Duration::from_millis(700), "{:?}", start.elapsed());
}

/// A child of ours that sleeps.
async fn until_child() -> rustix::process::Pid {
    let children = || fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    until(|| !children().is_empty()).await;
    let pid = children().split_whitespace().next().unwrap().parse().unwrap();
    rustix::process::Pid::from_raw(pid).unwrap()
}

/// Here the clock jumps as soon as there is nothing but a clock to wait for.
#[tokio::test(start_paused = true)]
async fn one_that_does_not_describe_itself_is_given_up() {
    let folder = Folder::new().with_all("x", "echo $$ > pid; exec sleep 1000");
    let error = folder.open("x:").await.err().unwrap().to_string();
    assert_eq!(
        error,
        "cannot open `x:`: the plug-in `x` is broken: `describe` takes more than 5 seconds"
    );
}

#[tokio::test]
async fn bad_ones_are_named_and_so_is_what_is_wrong() {
    let folder = Folder::new()
        .with_all("no-plugin", "echo hello")
        .with_all("future", "echo ipfi-transport 2")
        .with_all("silent", "exit 0")
        .with_all("failing", "exit 7")
        .with_all("endless", "exec yes 'ipfi-transport 1'")
        .with_all("binary", "printf 'ipfi-transport 1\\nsummary \\377\\n'")
        .with_all("deaf", "echo ipfi-transport 1; echo listens no")
        .with("error", "echo 'error no carrier'; exit 1")
        .with("babbling", "echo 'Hello, world!'; exec cat")
        .with("quitting", "exit 0")
        .with("crashing", "exit 9")
        .with("flooding", "exec tr '\\0' x < /dev/zero")
        .with("listening", "echo listening; exec cat");
    let bad = folder.path().join("ipfi-transport-no-interpreter");
    fs::write(&bad, format!("#!{}/nothing\n", folder.path().display())).unwrap();
    fs::set_permissions(&bad, fs::Permissions::from_mode(0o755)).unwrap();

    let mut messages = Vec::new();
    for location in [
        "none:",
        "no-plugin:",
        "no-interpreter:",
        "future:",
        "silent:",
        "failing:",
        "endless:",
        "binary:",
        "deaf-listen:",
        "error:",
        "error-listen:",
        "error:,kye=1",
        "babbling:",
        "quitting:",
        "crashing:",
        "flooding:",
        "listening:",
    ] {
        let error = folder.open(location).await.err().unwrap().to_string();
        messages.push(error.replace(&folder.path().display().to_string(), "/folder"));
    }
    insta::assert_snapshot!(messages.join("\n"));
}

#[tokio::test]
async fn the_list_names_every_one() {
    let folder = Folder::new().with("x", "").with_all("broken", "echo hello");
    let found = folder.registry().found().await;
    let lines: Vec<_> = found
        .into_iter()
        .map(|(place, description)| {
            let file = place.location.rsplit('/').next().unwrap_or_default().to_owned();
            match description {
                Ok(description) => format!("{file}: {}", description.summary),
                Err(error) => format!("{file}: {error}"),
            }
        })
        .collect();
    assert_eq!(
        lines,
        [
            "ipfi-transport-broken: the plug-in `broken` is broken: `describe`: its first line is \
             `hello` in place of `ipfi-transport 1`",
            "ipfi-transport-x: a test"
        ]
    );
}

#[tokio::test]
async fn a_plug_in_that_changes_is_asked_again() {
    let count = "echo >> asked\necho ipfi-transport 1; echo";
    let folder = Folder::new().with_all("x", &format!("{count} summary one"));
    let registry = folder.registry();
    for _ in 0..3 {
        registry.check(&address("x:")).await.unwrap();
    }
    assert_eq!(folder.read("asked").lines().count(), 1);
    let folder = folder.with_all("x", &format!("{count} reliable no"));
    assert!(!registry.check(&address("x:")).await.unwrap().reliable);
    assert_eq!(folder.read("asked").lines().count(), 2);
}
