//! `exec:` keeps the contract, its end is the program's, and nothing is left running.

#![allow(clippy::unwrap_used, reason = "it is how a test fails")]

use std::{fs, io, path::Path, time::Duration};

use ipfi_pipe::Exec;
use ipfi_transport::{Address, BoxStream, ByteStream, Direction, Registry};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    task::spawn_blocking,
    time::timeout,
};

/// How long a process may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

fn registry() -> Registry {
    Registry::new().with(Exec::new())
}

/// A location may have commas when it does not come from a text.
fn address(location: &str, options: &str) -> Address {
    let mut address: Address = format!("exec:{options}").parse().unwrap();
    address.location = location.into();
    address
}

async fn dial(location: &str, options: &str) -> BoxStream {
    registry().dial(&address(location, options)).await.unwrap()
}

/// What it says, and how it ends.
async fn output(location: &str, options: &str) -> (String, io::Result<()>) {
    let mut stream = dial(location, options).await;
    stream.shutdown().await.unwrap();
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).await;
    (String::from_utf8(bytes).unwrap(), end.map(drop))
}

fn pid(stream: &BoxStream) -> u32 {
    let peer = stream.peer().unwrap();
    peer.split("pid ").nth(1).unwrap().trim_end_matches(')').parse().unwrap()
}

/// The state of a process, `Z` for one that nobody waited for.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

/// Waits until a process has ended.
async fn ended(pid: u32) {
    let id = Pid::from_raw(pid.cast_signed()).unwrap();
    let Ok(process) = pidfd_open(id, PidfdFlags::empty()) else { return };
    let wait = move || {
        let patience = PATIENCE.try_into().unwrap();
        poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience)).unwrap()
    };
    assert_eq!(spawn_blocking(wait).await.unwrap(), 1, "{pid} goes on");
}

/// Waits until nothing of a process is left, which whoever started it must have waited for.
async fn gone(pid: u32) {
    ended(pid).await;
    let gone = async {
        while state(pid).is_some() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap_or_else(|_| panic!("{pid} is left: {:?}", state(pid)));
}

#[tokio::test]
async fn the_end_is_the_status_after_the_last_byte() {
    let (text, end) = output("cat /proc/version", "").await;
    assert!(text.contains("Linux"));
    end.unwrap();

    let mut stream = dial("echo out; exit 3", ",shell").await;
    let mut text = String::new();
    let error = stream.read_to_string(&mut text).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    assert_eq!(error.to_string(), "exec: echo exited with status 3");
    // It stays so.
    let again = stream.read(&mut [0]).await.unwrap_err();
    assert_eq!(again.to_string(), error.to_string());

    let (text, end) = output("printf last; kill -9 $$", ",shell").await;
    assert_eq!(text, "last");
    assert_eq!(end.unwrap_err().to_string(), "exec: printf was ended by signal 9 (SIGKILL)");
}

#[tokio::test]
async fn words_are_split_without_a_shell() {
    let (text, _) = output(r#"printf '<%s>' 'a b' "c d" e\ f '$HOME' ''"#, "").await;
    assert_eq!(text, "<a b><c d><e f><$HOME><>");
    let (text, _) = output("printf '<%s>' $X | tr a b", ",shell,env=X=a").await;
    assert_eq!(text, "<b>");
    let (text, _) = output("pwd", ",dir=/proc").await;
    assert_eq!(text, "/proc\n");
    let (text, _) = output("printenv A B", ",env=A='1 2' B=3").await;
    assert_eq!(text, "1 2\n3\n");
}

#[tokio::test]
async fn half_close_reaches_the_program() {
    let mut sort = dial("sort", "").await;
    sort.write_all(b"b\na\n").await.unwrap();
    sort.shutdown().await.unwrap();
    let error = sort.write_all(b"more").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    let mut text = String::new();
    sort.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "a\nb\n");
    assert_eq!(sort.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn output_that_is_closed_early_is_not_yet_the_end() {
    let mut stream = dial("exec >&-; read x; exit 5", ",shell").await;
    let early = timeout(Duration::from_millis(50), stream.read(&mut [0])).await;
    early.unwrap_err();
    stream.write_all(b"go\n").await.unwrap();
    let error = stream.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.to_string(), "exec: exec exited with status 5");
}

#[tokio::test]
async fn a_relay_that_does_not_copy_learns_the_end_too() {
    for (code, clean) in [(0, true), (4, false)] {
        let stream = dial(&format!("printf abc; exit {code}"), ",shell").await;
        let descriptors = stream.descriptors().expect("pipes");
        let mut bytes = Vec::new();
        let end = loop {
            std::future::poll_fn(|cx| descriptors.poll_ready(cx, Direction::Read)).await.ok();
            let read = descriptors.try_io(Direction::Read, &mut |fd| {
                let mut buf = [0; 16];
                let n = rustix::io::read(fd, &mut buf)?;
                bytes.extend_from_slice(&buf[..n]);
                Ok(n)
            });
            match read {
                Ok(0) => break Ok(()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => break Err(error),
                Ok(_) | Err(_) => {}
            }
        };
        assert_eq!(bytes, b"abc");
        assert_eq!(end.is_ok(), clean, "{end:?}");
    }
}

#[tokio::test]
async fn dropping_ends_the_program_and_waits_for_it() {
    // It ends by itself when its input does.
    let stream = dial("cat", "").await;
    let cat = pid(&stream);
    assert!(state(cat).is_some());
    drop(stream);
    gone(cat).await;

    // It does not, and has to be told.
    let stream = dial("sleep 1000", ",grace=20ms").await;
    let sleeper = pid(&stream);
    drop(stream);
    gone(sleeper).await;
}

#[tokio::test]
async fn one_that_does_not_listen_is_killed_with_what_it_started() {
    let mut stream = dial(
        "trap '' TERM; sleep 1000 & echo $!; while :; do sleep 0.01; done",
        ",shell,grace=20ms",
    )
    .await;
    let mut line = String::new();
    BufReader::new(&mut stream).read_line(&mut line).await.unwrap();
    let (leader, grandchild) = (pid(&stream), line.trim().parse().unwrap());
    drop(stream);
    gone(leader).await;
    ended(grandchild).await;
}

#[tokio::test]
async fn what_the_program_leaves_behind_goes_too() {
    // The program has exited, but its grandchild holds the output.
    let mut stream = dial("sleep 1000 & echo $!", ",shell,grace=20ms").await;
    let mut line = String::new();
    BufReader::new(&mut stream).read_line(&mut line).await.unwrap();
    gone(pid(&stream)).await;
    drop(stream);
    ended(line.trim().parse().unwrap()).await;
}

#[tokio::test]
async fn aborting_kills_at_once() {
    let mut stream = dial("trap '' TERM; sleep 1000", ",shell,grace=1h").await;
    let leader = pid(&stream);
    stream.abort();
    let error = stream.read(&mut [0]).await.unwrap_err();
    assert_eq!(error.to_string(), "exec: trap was ended by signal 9 (SIGKILL)");
    drop(stream);
    gone(leader).await;
}

#[test]
fn nothing_outlives_the_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (stream, open) = runtime.block_on(async {
        let gone = dial("trap '' TERM; sleep 1000", ",shell,grace=1h").await;
        (pid(&gone), dial("sleep 1000", "").await)
    });
    let held = pid(&open);
    drop(runtime);
    assert_eq!([state(stream), state(held)], [None, None]);
    drop(open);
}

#[tokio::test]
async fn a_program_has_a_group_of_its_own_unless_it_needs_the_terminal() {
    let group = async |options: &str| {
        let (text, _) = output("cut -d ' ' -f 5 /proc/self/stat", options).await;
        text.trim().parse::<i32>().unwrap()
    };
    let ours = rustix::process::getpgrp().as_raw_nonzero().get();
    assert_ne!(group("").await, ours);
    assert_eq!(group(",terminal").await, ours);

    let stream = dial("sleep 1000", ",terminal,grace=20ms").await;
    let sleeper = pid(&stream);
    drop(stream);
    gone(sleeper).await;
}

/// The other process of the next test.
#[tokio::test]
#[ignore = "a part that another test starts"]
async fn part() {
    let Ok(options) = std::env::var("PART") else { return };
    let (_, end) = output("echo one >&2; printf two >&2; exit 1", &options).await;
    end.unwrap_err();
}

#[test]
fn what_a_program_complains_about_is_passed_on_with_its_name() {
    let said = |options: &str| {
        let program = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "part", "--ignored"])
            .env("PART", options)
            .output()
            .unwrap();
        assert!(program.status.success());
        String::from_utf8(program.stderr).unwrap()
    };
    assert_eq!(said(",shell"), "echo: one\necho: two\n");
    assert_eq!(said(",shell,stderr=inherit"), "one\ntwo");
    assert_eq!(said(",shell,stderr=null"), "");
}

#[tokio::test]
async fn errors_name_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain");
    fs::write(&plain, "").unwrap();
    let mut lines = Vec::new();
    for (location, options) in [
        ("", ""),
        ("  ", ",shell"),
        ("''", ""),
        ("cat 'x", ""),
        ("ipfi-no-such-program -v", ""),
        ("/ipfi/no-such-program", ""),
        (plain.to_str().unwrap(), ""),
        ("cat", ",dir=/ipfi/no-such-directory"),
        ("cat", ",env=A"),
        ("cat", ",env='A"),
        ("cat", ",stderr=loud"),
        ("cat", ",grace=soon"),
        ("cat", ",shel"),
    ] {
        let error = registry().dial(&address(location, options)).await.err().unwrap();
        lines.push(error.to_string().replace(plain.to_str().unwrap(), "/dir/plain"));
    }
    let listen = "exec-listen:cat".parse().unwrap();
    lines.push(registry().listen(&listen).await.err().unwrap().to_string());
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_check_runs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let touch = format!("touch {}/x", dir.path().display());
    let properties = registry().check(&address(&touch, "")).await.unwrap();
    assert!(!properties.exclusive);
    assert!(registry().check(&address(&touch, ",once")).await.unwrap().exclusive);
    registry().check(&address("cat 'x", "")).await.unwrap_err();
    assert!(!Path::new(&dir.path().join("x")).exists());
}
