//! Python and Rust call each other, over sockets, pipes and a pseudo-terminal.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use ipfi::{
    Bytes, Callback, Code, Codec, Context, Fault, Interface, Receiver, Sender, Server, Wire,
    WireOptions, channel,
};
use ipfi_transport::{BoxStream, Registry};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
    time::timeout,
};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn demo() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(demo().join(script)).kill_on_drop(true);
    command
}

fn options() -> WireOptions {
    WireOptions::new().codec(Codec::MessagePack)
}

#[derive(Serialize, Deserialize)]
struct Point {
    x: Option<f64>,
    y: Option<f64>,
}

/// What `converse.py` calls. Its verdict comes by `done`.
fn interface(done: mpsc::UnboundedSender<String>) -> Interface {
    let cancelled = Arc::new(AtomicU32::new(0));
    let cancels = cancelled.clone();
    Interface::new()
        .procedure("add", |a: i64, b: i64| a + b)
        .procedure("echo", |data: Bytes| data)
        .procedure("count", |to: u32| {
            let (sender, receiver) = channel::<u32>(8);
            tokio::spawn(count(to, sender));
            receiver
        })
        .procedure("count_into", count)
        .procedure("sum", async |mut numbers: Receiver<u64>| {
            let mut sum = 0;
            while let Ok(Some(n)) = numbers.recv().await {
                sum += n;
            }
            sum
        })
        .procedure("render", async |frames: u32, progress: Callback<(u32,)>| {
            for frame in 1..=frames {
                progress.call((frame,)).await.unwrap();
            }
            format!("{frames} frames")
        })
        .procedure("adder", |n: i64| Callback::<(i64,), i64>::new(move |m: i64| n + m))
        .procedure("point", |point: Point| Point { x: point.y, y: point.x })
        .procedure("call_me", async |context: Context, n: i64| {
            context.wire().call::<i64>("twice", (n,)).await.unwrap()
        })
        .procedure("fails", || Err::<(), _>(Fault::new("on purpose").with_code(Code(300))))
        .procedure("hangs", move |context: Context| {
            let cancels = cancels.clone();
            async move {
                context.on_cancel().await;
                cancels.fetch_add(1, Ordering::SeqCst);
            }
        })
        .procedure("cancelled", move || {
            let cancelled = cancelled.clone();
            async move {
                while cancelled.load(Ordering::SeqCst) < 1 {
                    tokio::task::yield_now().await;
                }
                cancelled.load(Ordering::SeqCst)
            }
        })
        .procedure("done", move |verdict: String| done.send(verdict).unwrap())
}

async fn count(to: u32, out: Sender<u32>) {
    for n in 0..to {
        out.send(n).await.unwrap();
    }
}

/// Calls everything of `example.py`.
async fn converse(stream: BoxStream, what: &str) {
    let wire = options().spawn(stream, Interface::new());
    for n in 0..50 {
        assert_eq!(wire.call::<i64>("add", (n, -2i64)).await.unwrap(), n - 2, "{what}");
    }
    let mut counted: Receiver<u32> = wire.call("count", (5000u32,)).await.unwrap();
    for n in 0..5000 {
        assert_eq!(counted.recv().await.unwrap(), Some(n), "{what}");
    }
    assert_eq!(counted.recv().await.unwrap(), None, "{what}");
    let (numbers, receiver) = channel::<f64>(4);
    let mean = wire.call::<f64>("mean", (receiver,)).start();
    for n in 0..=1000 {
        numbers.send(f64::from(n)).await.unwrap();
    }
    numbers.finish().await.unwrap();
    assert!((mean.await.unwrap() - 500.0).abs() < 1e-9, "{what}");
    let (sender, mut seen) = mpsc::unbounded_channel();
    let progress = Callback::<(u32,)>::new(move |frame: u32| sender.send(frame).unwrap());
    let rendered: String = wire.call("render", (3u32, progress)).await.unwrap();
    assert_eq!(rendered, "3 frames", "{what}");
    for frame in 1..=3 {
        assert_eq!(seen.recv().await, Some(frame), "{what}");
    }
    // The callback is let go.
    assert_eq!(seen.recv().await, None, "{what}");
    let (numbers, receiver) = channel::<f64>(4);
    drop(numbers);
    let error = wire.call::<f64>("mean", (receiver,)).await.unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("no mean")), (Code(300), true), "{what}");
    let error = wire.call::<i64>("add", ("one", 1)).await.unwrap_err();
    assert_eq!((error.code(), error.started()), (Code::BAD_ARGUMENTS, ipfi::Started::No), "{what}");
    let error = wire.call::<()>("nothing", ()).await.unwrap_err();
    assert_eq!(error.code(), Code::NO_SUCH_PROCEDURE, "{what}");
    let described = wire.describe(&[]).await.unwrap();
    let add = described.procedures.iter().find(|procedure| procedure.name == "add").unwrap();
    assert_eq!(add.signature, "(i64, i64) -> i64", "{what}");
    assert_eq!(wire.describe(std::slice::from_ref(&described)).await.unwrap(), described, "{what}");
    wire.close(None).await;
}

async fn dial(registry: &Registry, address: &str) -> BoxStream {
    timeout(PATIENCE, registry.dial(&address.parse().unwrap())).await.unwrap().unwrap()
}

/// Starts `example.py` at an address that listens, and waits until it says where.
async fn listen(address: &str) -> (Child, String) {
    let mut command = python("example.py");
    let mut server = command.args(["serve", address]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    (server, line.strip_prefix("listening at ").unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_calls_python() {
    let registry = ipfi_transports::default_registry();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (scheme, place) in [("tcp", "127.0.0.1:0".to_owned()), ("unix", path("s"))] {
        let (_server, at) = listen(&format!("{scheme}-listen:{place}")).await;
        for _ in 0..2 {
            let stream = dial(&registry, &at).await;
            timeout(PATIENCE, converse(stream, &at)).await.unwrap();
        }
    }
    let exec = format!("exec:python3 {} serve stdio:", demo().join("example.py").display());
    let stream = dial(&registry, &exec).await;
    timeout(PATIENCE, converse(stream, "exec")).await.unwrap();

    let tty = path("tty");
    let stream = registry.open(&format!("pty:{tty}").parse().unwrap()).await.unwrap();
    let _server = python("example.py").args(["serve", &format!("serial:{tty}")]).spawn().unwrap();
    timeout(PATIENCE, converse(stream, "pty")).await.unwrap();
}

async fn verdict(mut done: mpsc::UnboundedReceiver<String>, what: &str) {
    let verdict = timeout(PATIENCE, done.recv()).await.unwrap_or_else(|_| panic!("{what} hangs"));
    assert_eq!(verdict.as_deref(), Some("all is well"), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn python_calls_rust() {
    let registry = ipfi_transports::default_registry();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (scheme, place) in [("tcp", "127.0.0.1:0".to_owned()), ("unix", path("s"))] {
        let (sender, done) = mpsc::unbounded_channel();
        let serve = format!("{scheme}-listen:{place}").parse().unwrap();
        let listener = registry.listen(&serve).await.unwrap();
        let reach = format!("{scheme}:{}", listener.local().unwrap());
        tokio::spawn(Server::new(interface(sender)).options(options()).serve(listener));
        let mut client = python("tests/converse.py").arg(&reach).spawn().unwrap();
        verdict(done, &reach).await;
        assert!(timeout(PATIENCE, client.wait()).await.unwrap().unwrap().success());
    }
    let (sender, done) = mpsc::unbounded_channel();
    let exec = format!("exec:python3 {} stdio:", demo().join("tests/converse.py").display());
    let wire = options().spawn(dial(&registry, &exec).await, interface(sender));
    verdict(done, "exec").await;
    wire.closed().await;

    let (sender, done) = mpsc::unbounded_channel();
    let tty = path("tty");
    let stream = registry.open(&format!("pty:{tty}").parse().unwrap()).await.unwrap();
    let wire: Wire = options().spawn(stream, interface(sender));
    let mut client = python("tests/converse.py").arg(format!("serial:{tty}")).spawn().unwrap();
    verdict(done, "pty").await;
    assert!(timeout(PATIENCE, client.wait()).await.unwrap().unwrap().success());
    drop(wire);
}

#[tokio::test]
async fn python_calls_python() {
    let (_server, at) = listen("tcp-listen:127.0.0.1:0").await;
    let call = python("example.py").args(["call", &at]).output();
    let output = timeout(PATIENCE, call).await.unwrap().unwrap();
    let expected = "2 + 3 = 5\ncounted: 0 1 2 3 4\nmean: 3.0\n  frame 1\n  frame 2\n  frame 3\n\
                    rendered: 3 frames\nerror: no numbers have no mean (code 300)\n";
    assert!(String::from_utf8_lossy(&output.stdout).starts_with(expected), "{output:?}");
}

/// Its values and what strangers may send are tested in Python.
#[tokio::test]
async fn its_own_tests_pass() {
    let tests = python("tests/test_ipfi.py").stderr(Stdio::piped()).output();
    let tests = timeout(PATIENCE, tests).await.unwrap().unwrap();
    assert!(tests.status.success(), "{}", String::from_utf8_lossy(&tests.stderr));
}

#[test]
fn it_is_short() {
    let lines = std::fs::read_to_string(demo().join("ipfi.py")).unwrap().lines().count();
    assert!(lines <= 400, "ipfi.py has {lines} lines");
}
