//! Deadlines, signals, and readers that do not read: whatever a command waits for, it can be ended.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::fd::AsFd,
    path::Path,
    process::{ChildStderr, ChildStdout, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use ipfi::{Callback, Interface, Sender, WireOptions};
use ipfi_app::testing::pause;

use crate::{
    common::{Running, command, run, until},
    service,
};

/// Heads of frames (`core/proto/SPEC.md`, section 4).
const CANCEL: u8 = 0xc4;
const GOAWAY: u8 = 0xcf;

/// What a procedure has done that goes on for ever.
#[derive(Clone, Default)]
struct Doings {
    sent: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
}

/// Says so when it is dropped.
struct Ends(Doings);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, SeqCst);
    }
}

/// A server of procedures that do not end by themselves.
fn endless() -> (String, Doings) {
    let doings = Doings::default();
    let (flood, ask, hang) = (doings.clone(), doings.clone(), doings.clone());
    let interface = Interface::new()
        .procedure("flood", move |out: Sender<String>| {
            let doings = flood.clone();
            async move {
                let _ends = Ends(doings.clone());
                while out.send("x".repeat(1000)).await.is_ok() {
                    doings.sent.fetch_add(1, SeqCst);
                }
            }
        })
        .procedure("ask", move |callback: Callback<(String,)>| {
            let doings = ask.clone();
            async move {
                let _ends = Ends(doings.clone());
                while callback.call(("x".repeat(1000),)).await.is_ok() {
                    doings.sent.fetch_add(1, SeqCst);
                }
            }
        })
        .procedure("hang", move || {
            let doings = hang.clone();
            async move {
                let _ends = Ends(doings.clone());
                doings.sent.fetch_add(1, SeqCst);
                std::future::pending::<()>().await;
            }
        });
    let options = WireOptions::new().codec_of_peer();
    (format!("tcp:{}", service::listen(interface, options, "tcp-listen:127.0.0.1:0")), doings)
}

/// A command whose output nobody reads.
fn unread(dir: &Path, arguments: &[&str]) -> (Running, ChildStdout, ChildStderr) {
    let mut command = command(dir, arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    (child.into(), out, err)
}

/// Waits until a pipe takes no more. Its bytes are in pages that need not be full.
fn until_full(pipe: impl AsFd) {
    until(|| rustix::io::ioctl_fionread(&pipe).unwrap() > 48 << 10);
}

fn text(mut pipe: impl Read) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn nobody_has_to_read_the_output() {
    let dir = tempfile::tempdir().unwrap();
    let (address, doings) = endless();
    for signal in ["INT", "TERM"] {
        let ended = doings.ended.load(SeqCst);
        let (mut call, out, err) = unread(dir.path(), &["call", &address, "flood"]);
        until_full(&out);
        call.signal(signal);
        assert_eq!(call.finish().code(), Some(130));
        until(|| doings.ended.load(SeqCst) > ended);
        assert_eq!(text(err), "");
        // What does not fit the pipe is not waited for either.
        let lines = text(out);
        assert!(lines.starts_with("\"xxx"), "{}", &lines[..20]);
    }
    // Callbacks are shown on standard error.
    let (mut call, _out, err) = unread(dir.path(), &["call", &address, "ask"]);
    until_full(&err);
    call.signal("TERM");
    assert_eq!(call.finish().code(), Some(130));
    until(|| doings.ended.load(SeqCst) == 3);
    // While nobody reads, nobody sends: pipes, buffers and windows are less than this.
    let sent = doings.sent.load(SeqCst);
    assert!(sent < 3 * 4000, "{sent} kB were sent to somebody who reads nothing");
    // A deadline passes all the same.
    let deadline = ["call", &address, "flood", "--deadline", "300ms"];
    let (mut call, out, err) = unread(dir.path(), &deadline);
    assert_eq!(call.finish().code(), Some(7));
    assert_eq!(text(err), "ipfi: `flood`: the deadline passed\n");
    until(|| doings.ended.load(SeqCst) == 4);
    drop(out);
}

#[test]
fn a_slow_reader_gets_everything() {
    let dir = tempfile::tempdir().unwrap();
    let address = service::tcp();
    let (mut call, out, err) = unread(dir.path(), &["call", &address, "count", "200000"]);
    until_full(&out);
    let mut lines = BufReader::new(out).lines();
    for n in 0..200_000 {
        assert_eq!(lines.next().unwrap().unwrap(), n.to_string());
    }
    assert!(lines.next().is_none());
    assert_eq!((call.finish().code(), text(err).as_str()), (Some(0), ""));
    // The deadline is one of the call: what it brought may be read later.
    let deadline = Duration::from_secs(3);
    let greet = ["call", &address, "-r", "greet", &"x".repeat(120_000), "--deadline=3s"];
    let (mut call, out, _err) = unread(dir.path(), &greet);
    until_full(&out);
    pause(deadline);
    assert_eq!(text(out).len(), 120_000 + "Hello, !\n".len());
    assert_eq!(call.finish().code(), Some(0));
}

#[test]
fn nobody_awaits_the_end_of_a_call_that_was_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp:{}", listener.local_addr().unwrap());
    let mut call =
        command(dir.path(), &["call", &address, "f", "--stream", "--signature=(Receiver<u8>)"]);
    call.stdin(Stdio::piped());
    let mut call = Running::start(call);
    // A peer that says hello with the smallest limits, takes everything and answers nothing.
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(&[0x1f, 0xf1, 1, 2, 0, 0, 0, 0]).unwrap();
    let mut hello_and_call = [0; 8 + 8];
    stream.read_exact(&mut hello_and_call).unwrap();
    // A line that is no number ends the call.
    let begun = Instant::now();
    call.child().stdin.take().unwrap().write_all(b"x\n").unwrap();
    assert_eq!(call.finish().code(), Some(2));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    call.wait_for("ipfi: line 1 of standard input: u8 is wanted, not x");
    // The peer was told: CANCEL and GOAWAY are among the last words.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.contains(&CANCEL) && rest.contains(&GOAWAY), "{rest:x?}");
}

#[test]
fn a_deadline_covers_all_that_comes_before_the_call() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = format!("tcp:{}", mute.local_addr().unwrap());
    // A gateway whose device is away has no description.
    let gate = path("gate");
    let mut gateway =
        command(dir.path(), &["gateway", &format!("unix-listen:{gate}"), "unix:/nowhere/at/all"]);
    gateway.stdout(Stdio::null());
    let mut gateway = Running::start(gateway);
    gateway.wait_for("listening at ");
    let (nobody, gate) = (format!("unix-listen:{}", path("nobody")), format!("unix:{gate}"));
    let sleep = "exec:sleep 1000";
    for address in [nobody.as_str(), &mute, &gate, sleep] {
        let done = run(dir.path(), &["call", address, "f", "--deadline", "100ms"], None);
        let late = "ipfi: `f`: the deadline passed\n";
        assert_eq!((done.code, done.err.as_str()), (7, late), "{address}");
        let done = run(dir.path(), &["bench", address, "f", "--deadline", "100ms"], None);
        assert_eq!((done.code, done.err.as_str()), (7, late), "{address}");
        let done = run(dir.path(), &["list", address, "--deadline", "100ms"], None);
        let late = format!("ipfi: `{address}`: the deadline passed\n");
        assert_eq!((done.code, done.err), (7, late));
    }
    let given = ["call", sleep, "f", "--signature=()", "--deadline=100ms"];
    assert_eq!(run(dir.path(), &given, None).code, 7);
    let done = run(dir.path(), &["ping", &mute, "--deadline=100ms"], None);
    let late = format!("ipfi: `{mute}`: no answer within 100 ms\n");
    assert_eq!((done.code, done.err), (7, late));
    // Arguments on which nobody decides.
    let pipe = path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let done = run(dir.path(), &["call", &mute, "f", "--args", &pipe, "--deadline=100ms"], None);
    assert_eq!(done.code, 7);
}

#[test]
fn every_command_hears_that_it_is_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let address = format!("exec:echo $$ >{}; exec sleep 1000,shell", file.display());
    for signal in ["INT", "TERM"] {
        for words in [
            &["list"][..],
            &["call", "f"],
            &["call", "f", "--signature=()"],
            &["ping"],
            &["bench", "f"],
        ] {
            let _ = fs::remove_file(&file);
            let arguments = [&[words[0], &address], &words[1..]].concat();
            let mut running = Running::start_to_hear_both(command(dir.path(), &arguments));
            let pid = || fs::read_to_string(&file).unwrap_or_default().trim().to_owned();
            until(|| !pid().is_empty());
            running.signal(signal);
            assert_eq!(running.finish().code(), Some(130), "{words:?}");
            assert_eq!(running.rest(), Vec::<String>::new(), "{words:?}");
            until(|| !Path::new("/proc").join(pid()).exists());
        }
    }
}

#[test]
fn a_bench_without_answers_tells_so() {
    let dir = tempfile::tempdir().unwrap();
    let (address, doings) = endless();
    let bench = ["bench", &address, "hang", "-c4", "-d10ms"];
    let done = run(dir.path(), &[&bench[..], &["--deadline=50ms"]].concat(), None);
    assert_eq!((done.code, done.err.as_str()), (7, "ipfi: `hang`: the deadline passed\n"));
    assert!(done.out.starts_with("0 calls in "), "{}", done.out);
    assert!(done.out.ends_with("4 at once; 4 unanswered\n"), "{}", done.out);
    let json = run(dir.path(), &[&bench[..], &["--deadline=50ms", "--json"]].concat(), None);
    assert!(json.out.contains("\"failed\":0") && json.out.contains("\"unanswered\":4"));
    // Without one somebody has to end it, and is told the same.
    until(|| doings.ended.load(SeqCst) == 2 * 4);
    let mut running = Running::start_to_hear_both(command(dir.path(), &bench));
    until(|| doings.sent.load(SeqCst) == 3 * 4);
    running.signal("INT");
    running.wait_for("4 at once; 4 unanswered");
    assert_eq!(running.finish().code(), Some(130));
    until(|| doings.ended.load(SeqCst) == 3 * 4);
}

#[test]
fn too_late_is_too_late() {
    let dir = tempfile::tempdir().unwrap();
    let done = run(dir.path(), &["ping", &service::tcp(), "--deadline=1us"], None);
    assert_eq!((done.code, done.out.as_str()), (7, ""));
    assert!(done.err.ends_with("no answer within 0.001 ms\n"), "{}", done.err);
}
