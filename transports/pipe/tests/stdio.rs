//! `stdio:` keeps the contract, leaves what it shares with others alone, and gives it back.
//!
//! Each test starts this program again with a part to play, over the streams it is about.

#![allow(clippy::unwrap_used, reason = "it is how a test fails")]

use std::{
    fs,
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, Stdio as Given},
};

use ipfi_pipe::{Exec, Stdio, Unix};
use ipfi_transport::{Address, BoxStream, Registry, conformance::Suite};
use rustix::{
    fs::{OFlags, fcntl_getfl},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};

/// Says that the part begins; before it the test harness has written.
const READY: &[u8] = b"READY\n";

fn registry() -> Registry {
    Registry::new().with(Exec::new()).with(Stdio::new()).with(Unix::new())
}

async fn dial(address: &str) -> io::Result<BoxStream> {
    Ok(registry().dial(&address.parse::<Address>().unwrap()).await?)
}

/// The other process.
#[tokio::test]
#[ignore = "a part that the other tests start"]
async fn part() {
    let Ok(part) = std::env::var("PART") else { return };
    let (part, argument) = part.split_once(' ').unwrap_or((&part, ""));
    match part {
        "relay" => {
            let mut far = dial(argument).await.unwrap();
            let mut near = ready("stdio:").await;
            let _ = copy_bidirectional(&mut near, &mut far).await;
        }
        "echo" => {
            let mut stream = ready(&format!("stdio:{argument}")).await;
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            drop(stream);
            tell(if dial("stdio:").await.is_ok() { "again" } else { "never again" });
            std::future::pending::<()>().await;
        }
        "twice" => {
            let first = dial("stdio:").await.unwrap();
            tell(&dial("stdio:").await.err().unwrap().to_string());
            drop(first);
            tell(&dial("stdio:").await.err().unwrap().to_string());
        }
        other => panic!("there is no part {other}"),
    }
}

/// The one channel that is left.
fn tell(text: &str) {
    eprintln!("told: {text}");
}

async fn ready(address: &str) -> BoxStream {
    let mut stream = dial(address).await.unwrap();
    stream.write_all(READY).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

fn start(part: &str, stdin: impl Into<Given>, stdout: impl Into<Given>) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "part", "--ignored", "--nocapture"])
        .env("PART", part)
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Given::piped())
        .spawn()
        .unwrap()
}

fn until_ready(from: &mut impl Read) {
    let mut seen = Vec::new();
    while !seen.ends_with(READY) {
        let mut byte = [0];
        from.read_exact(&mut byte).unwrap();
        seen.extend(byte);
    }
}

/// The next thing that the other process has told.
fn told(child: &mut Child) -> String {
    let stderr = child.stderr.as_mut().unwrap();
    loop {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            stderr.read_exact(&mut byte).unwrap();
            line.extend(byte);
        }
        let line = String::from_utf8(line).unwrap();
        if let Some(text) = line.trim_end().strip_prefix("told: ") {
            return text.to_owned();
        }
    }
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn blocks(fd: &OwnedFd) -> bool {
    !fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

#[tokio::test]
async fn conforms() {
    let dir = tempfile::tempdir().unwrap();
    let socket = format!("unix-listen:{}", dir.path().join("s").display());
    let mut program: Address = "exec:,stderr=null".parse().unwrap();
    let this = std::env::current_exe().unwrap();
    program.location = format!("'{}' --exact part --ignored --nocapture", this.display());
    let part = format!("'PART=relay unix:{}'", dir.path().join("s").display());
    program.options.push(("env".into(), part));

    let listener = registry().listen(&socket.parse().unwrap()).await.unwrap();
    let listener = tokio::sync::Mutex::new(listener);
    let pair = async || {
        let mut near = registry().dial(&program).await?;
        let far = listener.lock().await.accept().await?;
        let mut seen = Vec::new();
        while !seen.ends_with(READY) {
            seen.push(near.read_u8().await?);
        }
        Ok((near, far))
    };
    Suite::new().without_abort().run(pair).await.unwrap();
}

#[test]
fn pipes_are_closed_at_the_end_and_never_changed() {
    let (input, mut to) = io::pipe().unwrap();
    let (mut from, output) = io::pipe().unwrap();
    let [kept_in, kept_out] = [&OwnedFd::from(input), &OwnedFd::from(output)];
    let (stdin, stdout) = (kept_in.try_clone().unwrap(), kept_out.try_clone().unwrap());
    let mut child = start("echo", stdin, stdout);
    until_ready(&mut from);
    assert!(blocks(kept_in) && blocks(kept_out), "while it is in use");
    to.write_all(b"hello").unwrap();
    drop(to);
    let mut text = [0; 5];
    from.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello");
    assert_eq!(told(&mut child), "never again");
    end(child);
}

#[test]
fn the_neighbour_sees_the_end_while_the_process_goes_on() {
    let mut child = start("echo", Given::piped(), Given::piped());
    let (to, mut from) = (child.stdin.take(), child.stdout.take().unwrap());
    until_ready(&mut from);
    drop(to);
    assert_eq!(from.read(&mut [0]).unwrap(), 0);
    assert!(child.try_wait().unwrap().is_none());
    end(child);
}

#[test]
fn sockets_are_shut_down_and_left_as_they_were() {
    let (here, there) = UnixStream::pair().unwrap();
    let kept = OwnedFd::from(there);
    let (stdin, stdout) = (kept.try_clone().unwrap(), kept.try_clone().unwrap());
    let mut child = start("echo", stdin, stdout);
    let mut here = here;
    until_ready(&mut here);
    here.write_all(b"hello").unwrap();
    here.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = String::new();
    here.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    assert_eq!(told(&mut child), "never again");
    assert!(blocks(&kept), "afterwards");
    end(child);
}

#[test]
fn files_are_read_and_written_where_they_stand() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name| dir.path().join(name);
    fs::write(path("in"), "skipped hello").unwrap();
    let mut input = fs::File::open(path("in")).unwrap();
    input.read_exact(&mut [0; 8]).unwrap();
    let mut child = start("echo", input, fs::File::create(path("out")).unwrap());
    assert_eq!(told(&mut child), "again");
    end(child);
    let text = fs::read_to_string(path("out")).unwrap();
    assert!(text.ends_with("READY\nhello"), "{text:?}");
}

#[test]
fn what_cannot_be_polled_works_too() {
    let mut child = start("echo", Given::null(), Given::null());
    assert_eq!(told(&mut child), "again");
    end(child);
}

/// A terminal: our end, and its.
fn terminal() -> (fs::File, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap();
    (master.into(), slave)
}

/// What a terminal shows for `READY\n`, whether it changes line ends or not.
fn until_shown(from: &mut impl Read) {
    let mut seen = Vec::new();
    while !(seen.ends_with(b"READY\r\n") || seen.ends_with(READY)) {
        let mut byte = [0];
        from.read_exact(&mut byte).unwrap();
        seen.extend(byte);
    }
}

#[test]
fn a_terminal_keeps_its_line_mode() {
    let (mut master, slave) = terminal();
    let [stdin, stdout] = [slave.try_clone().unwrap(), slave.try_clone().unwrap()];
    let mut child = start("echo", stdin, stdout);
    until_shown(&mut master);
    assert!(blocks(&slave));
    assert!(tcgetattr(&slave).unwrap().local_modes.contains(LocalModes::ICANON));
    master.write_all(b"lime\x7f\x7fne\n\x04").unwrap(); // Edited, then Ctrl-D.
    assert_eq!(told(&mut child), "again");
    // The terminal shows the keys, then the program writes the line.
    let mut shown = String::new();
    while !shown.ends_with("ne\r\nline\r\n") {
        let mut byte = [0];
        master.read_exact(&mut byte).unwrap();
        shown.push(byte[0].into());
    }
    end(child);
}

#[test]
fn a_raw_terminal_passes_every_key_but_one() {
    let (mut master, slave) = terminal();
    let [stdin, stdout] = [slave.try_clone().unwrap(), slave.try_clone().unwrap()];
    let mut child = start("echo ,raw", stdin, stdout);
    until_shown(&mut master);
    assert!(blocks(&slave));
    let modes = tcgetattr(&slave).unwrap().local_modes;
    assert!(!modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
    master.write_all(b"\x03\x04\x7f\x1dnot this").unwrap(); // Ctrl-C, Ctrl-D, then Ctrl-].
    let mut echoed = [0; 3];
    master.read_exact(&mut echoed).unwrap();
    assert_eq!(&echoed, b"\x03\x04\x7f");
    assert_eq!(told(&mut child), "again");
    let modes = tcgetattr(&slave).unwrap().local_modes;
    assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
    end(child);
}

#[test]
fn there_is_one_at_a_time() {
    let mut child = start("twice", Given::piped(), Given::piped());
    let told = [told(&mut child), told(&mut child)].join("\n");
    insta::assert_snapshot!(told);
    end(child);
}

#[tokio::test]
async fn errors_name_the_way_out() {
    let mut lines = Vec::new();
    for text in ["stdio:x", "stdio:,escape=x", "stdio:,rwa", "stdio-listen:"] {
        let error = registry().open(&text.parse().unwrap()).await.err().unwrap();
        lines.push(error.to_string());
    }
    insta::assert_snapshot!(lines.join("\n"));
}
