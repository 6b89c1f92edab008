//! Each kind of handle, each way in which a wire dies: everybody learns the cause.
#![cfg(all(feature = "tokio", feature = "bincode"))]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::missing_panics_doc,
    reason = "a test"
)]

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task,
    time::Duration,
};

use ipfi::{
    ArgumentReader, CallError, Callback, Cause, Code, Context, Interface, Parts, Pending, Raw,
    Receiver, Sender, StreamError, Wire, WireOptions, channel,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf},
    sync::mpsc,
};

/// How the wire ends, seen from the side that waits.
#[derive(Clone, Copy, Debug)]
enum Death {
    EndOfStream,
    MiddleOfFrame,
    ReadFails,
    WriteFails,
    Garbage,
    PeerAborts,
    PeerCloseRunsOut,
    WeAbort,
    CloseRunsOut,
    Keepalive,
    RuntimeGone,
}

/// All that a wire sees; the last is that nobody is there to see it.
const ALL: [Death; 10] = [
    Death::EndOfStream,
    Death::MiddleOfFrame,
    Death::ReadFails,
    Death::WriteFails,
    Death::Garbage,
    Death::PeerAborts,
    Death::PeerCloseRunsOut,
    Death::WeAbort,
    Death::CloseRunsOut,
    Death::Keepalive,
];

fn is_cause(death: Death, cause: &Cause) -> bool {
    match death {
        Death::EndOfStream | Death::MiddleOfFrame | Death::RuntimeGone => *cause == Cause::Lost,
        Death::ReadFails | Death::WriteFails => {
            matches!(cause, Cause::Broken { text } if text == "the cable is cut")
        }
        Death::PeerCloseRunsOut => matches!(cause, Cause::Peer { code: Code::CANCELLED, .. }),
        Death::Garbage => matches!(cause, Cause::Protocol(_)),
        Death::PeerAborts => matches!(cause, Cause::Peer { code: Code(300), .. }),
        Death::WeAbort => matches!(cause, Cause::Aborted { code: Code(300), .. }),
        Death::CloseRunsOut => *cause == Cause::CloseTimeout,
        Death::Keepalive => *cause == Cause::KeepaliveTimeout,
    }
}

/// A stream that can be made to fail.
struct Fallible {
    inner: DuplexStream,
    read_fails: Arc<AtomicBool>,
    write_fails: Arc<AtomicBool>,
}

fn check_flag(flag: &AtomicBool) -> io::Result<()> {
    if flag.load(Ordering::Relaxed) { Err(io::Error::other("the cable is cut")) } else { Ok(()) }
}

impl AsyncRead for Fallible {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> task::Poll<io::Result<()>> {
        check_flag(&self.read_fails)?;
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Fallible {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buf: &[u8],
    ) -> task::Poll<io::Result<usize>> {
        check_flag(&self.write_fails)?;
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> task::Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> task::Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A relay between two wires that can be cut, and that can say what nobody said.
async fn relay(mut a: DuplexStream, mut b: DuplexStream, mut order: mpsc::Receiver<Death>) {
    let (mut from_a, mut from_b) = (vec![0; 4096], vec![0; 4096]);
    loop {
        tokio::select! {
            Ok(n) = a.read(&mut from_a) => {
                if n == 0 { return; }
                if b.write_all(&from_a[..n]).await.is_err() {
                    // It takes no more, but it may have had a last word.
                    let _ = tokio::io::copy(&mut b, &mut a).await;
                    return;
                }
            }
            Ok(n) = b.read(&mut from_b) => {
                if n == 0 || a.write_all(&from_b[..n]).await.is_err() { return; }
            }
            death = order.recv() => match death {
                Some(Death::MiddleOfFrame) => {
                    let _ = a.write_all(&[40, 0x3e, 2, 3]).await;
                    return;
                }
                Some(Death::Garbage) => {
                    let _ = a.write_all(&[2, 0x7e, 0]).await;
                    let _ = tokio::io::copy(&mut a, &mut tokio::io::sink()).await;
                    return;
                }
                Some(Death::ReadFails) => {
                    // Something to read, so that it is tried.
                    let _ = a.write_all(&[0]).await;
                    let _ = tokio::io::copy(&mut a, &mut tokio::io::sink()).await;
                    return;
                }
                // The next sign of life is what cannot be written.
                Some(Death::WriteFails) => {}
                Some(Death::Keepalive) => {
                    // Nothing comes back any more.
                    let _ = tokio::io::copy(&mut a, &mut tokio::io::sink()).await;
                    return;
                }
                _ => return,
            },
        }
    }
}

/// One that answers and one that does not.
type Both = (Callback<(), u8>, Callback<(), ()>);

/// One of each.
struct Handles {
    pending: Pending<()>,
    sender: Sender<u64>,
    receiver: Receiver<u64>,
    callback: Callback<(), u8>,
    callback_pending: Callback<(), ()>,
    /// A call of ours whose arguments nobody reads, and one of the peer that sends no more.
    parts: Parts<Raw>,
    reader: ArgumentReader,
}

/// How to make the wire die.
struct Order {
    read_fails: Arc<AtomicBool>,
    write_fails: Arc<AtomicBool>,
    relay: mpsc::Sender<Death>,
}

struct Scene {
    wire: Wire,
    other: Wire,
    order: Order,
    handles: Handles,
    cancelled: mpsc::Receiver<Code>,
    dropped: mpsc::Receiver<()>,
}

async fn scene() -> Scene {
    let (told, cancelled) = mpsc::channel(4);
    let (drop_told, dropped) = mpsc::channel::<()>(4);
    let ours = Interface::new().procedure("hang", move |context: Context| {
        let told = told.clone();
        async move {
            let code = context.on_cancel().await;
            told.send(code).await.unwrap();
        }
    });
    let (readers, mut reader) = mpsc::channel(1);
    let ours = ours.raw_streaming("read", move |_, args: ArgumentReader| {
        let readers = readers.clone();
        async move {
            readers.send(args).await.unwrap();
            std::future::pending().await
        }
    });
    let theirs = Interface::new()
        .procedure("hang", async || std::future::pending::<()>().await)
        .procedure("take", async |_numbers: Receiver<u64>| std::future::pending::<()>().await)
        .procedure("give", async |_numbers: Sender<u64>| std::future::pending::<()>().await)
        .procedure("keep", async |_callback: Callback<(), u8>| {
            std::future::pending::<()>().await;
        })
        .procedure("callback", || {
            let ours: Callback<(), u8> = Callback::new(|| 7u8);
            let hangs: Callback<(), ()> =
                Callback::new(async || std::future::pending::<()>().await);
            (ours, hangs)
        })
        .raw_streaming("leave", async |_, _args| std::future::pending().await)
        .procedure("back", async |context: Context| {
            let _ = context.wire().call::<()>("hang", ()).await;
        });
    let (here, a) = tokio::io::duplex(4096);
    let (there, b) = tokio::io::duplex(4096);
    let (order, orders) = mpsc::channel(1);
    tokio::spawn(relay(a, b, orders));
    let keepalive = WireOptions::new().keepalive(Duration::from_secs(30));
    let (read_fails, write_fails) = <(Arc<AtomicBool>, Arc<AtomicBool>)>::default();
    let here =
        Fallible { inner: here, read_fails: read_fails.clone(), write_fails: write_fails.clone() };
    let wire = keepalive.spawn(here, ours);
    let other = Wire::spawn(there, theirs);

    let pending = wire.call::<()>("hang", ()).start();
    let (sender, theirs) = channel::<u64>(1);
    wire.call::<()>("take", (theirs,)).start().forget();
    let (theirs, receiver) = channel::<u64>(1);
    wire.call::<()>("give", (theirs,)).start().forget();
    let held = drop_told.clone();
    let exported: Callback<(), u8> = Callback::new(move || {
        let _ = &held;
        1u8
    });
    drop(drop_told);
    wire.call::<()>("keep", (exported,)).start().forget();
    wire.call::<()>("back", ()).start().forget();
    let (callback, callback_pending): Both = wire.call("callback", ()).await.unwrap();
    assert_eq!(callback.call(()).await.unwrap(), 7);
    let parts = wire.call_raw("leave", vec![1]).in_parts().unwrap();
    let mut theirs = other.call_raw("read", vec![1]).in_parts().unwrap();
    let mut reader = reader.recv().await.unwrap();
    assert_eq!(reader.chunk().await.unwrap(), Some(vec![1]));
    tokio::spawn(async move {
        theirs.bytes(&[2]).await.unwrap();
        std::future::pending::<()>().await;
    });
    assert_eq!(reader.chunk().await.unwrap(), Some(vec![2]));
    let handles = Handles { pending, sender, receiver, callback, callback_pending, parts, reader };
    let order = Order { read_fails, write_fails, relay: order };
    Scene { wire, other, order, handles, cancelled, dropped }
}

/// Keeps a call going for as long as the process lives.
trait Forget {
    fn forget(self);
}

impl Forget for Pending<()> {
    fn forget(self) {
        tokio::spawn(self);
    }
}

async fn die(death: Death, wire: &Wire, other: &Wire, order: &Order) {
    match death {
        Death::PeerCloseRunsOut => {
            other.close(Some(Duration::from_secs(1))).await;
        }
        Death::ReadFails => {
            order.read_fails.store(true, Ordering::Relaxed);
            order.relay.send(death).await.unwrap();
        }
        Death::WriteFails => {
            order.write_fails.store(true, Ordering::Relaxed);
            order.relay.send(death).await.unwrap();
        }
        Death::PeerAborts => other.abort(Code(300), "enough"),
        Death::WeAbort => wire.abort(Code(300), "enough"),
        Death::CloseRunsOut => {
            wire.close(Some(Duration::from_secs(1))).await;
        }
        Death::EndOfStream
        | Death::MiddleOfFrame
        | Death::Garbage
        | Death::Keepalive
        | Death::RuntimeGone => order.relay.send(death).await.unwrap(),
    }
}

fn lost(error: &CallError) -> Cause {
    match error {
        CallError::Lost { cause, .. } => cause.clone(),
        other => panic!("{other:?}"),
    }
}

fn stream_lost<T: std::fmt::Debug>(result: Result<T, StreamError>) -> Cause {
    match result {
        Err(StreamError::Lost(cause)) => cause,
        other => panic!("{other:?}"),
    }
}

async fn check(death: Death, scene: Scene) {
    let Scene { wire, other: _other, order: _order, handles, mut cancelled, mut dropped } = scene;
    let Handles { pending, sender, mut receiver, callback, callback_pending, parts, reader } =
        handles;
    let (mut parts, mut reader) = (parts, reader);
    let mut causes = Vec::new();
    causes.push(lost(&pending.await.unwrap_err()));
    causes.push(stream_lost(receiver.recv().await));
    causes.push(stream_lost(receiver.recv().await));
    causes.push(stream_lost(sender.send(1).await));
    causes.push(stream_lost(sender.finish().await));
    causes.push(lost(&callback.call(()).await.unwrap_err()));
    causes.push(lost(&callback_pending.call(()).await.unwrap_err()));
    causes.push(lost(&wire.call::<()>("hang", ()).await.unwrap_err()));
    causes.push(stream_lost(reader.chunk().await));
    causes.push(stream_lost(reader.argument::<u8>().await));
    parts.bytes(&[7]).await.unwrap();
    assert!(parts.is_over(), "{death:?}");
    causes.push(lost(&parts.finish().await.unwrap_err()));
    causes.push(wire.closed().await);
    causes.push(wire.cause().unwrap());
    causes.push(wire.ping().await.unwrap_err());
    for cause in &causes {
        assert!(is_cause(death, cause), "{death:?}: {cause:?}");
    }
    assert_eq!(cancelled.recv().await, Some(Code::WIRE_LOST), "{death:?}");
    // What was exported is gone.
    assert_eq!(dropped.recv().await, None, "{death:?}");
    let stats = wire.stats();
    let left = (stats.buffered, stats.calls, stats.streams, stats.exported_callbacks);
    assert_eq!(left, (0, 0, 0, 0), "{death:?}");
}

#[tokio::test(start_paused = true)]
async fn every_handle_learns_the_cause_however_the_wire_dies() {
    for death in ALL {
        let scene = scene().await;
        die(death, &scene.wire, &scene.other, &scene.order).await;
        check(death, scene).await;
    }
}

/// Those who wait already are woken.
#[tokio::test(start_paused = true)]
async fn every_waiter_is_woken_however_the_wire_dies() {
    for death in ALL {
        let mut scene = scene().await;
        let (_, nothing) = channel::<u64>(1);
        let mut receiver = std::mem::replace(&mut scene.handles.receiver, nothing);
        let (other_sender, _kept) = channel::<u64>(1);
        let sender = std::mem::replace(&mut scene.handles.sender, other_sender);
        let callback = Arc::new(scene.handles.callback_pending);
        let called = callback.clone();
        let (mut parts, mut reader) = (scene.handles.parts, scene.handles.reader);
        let pending = scene.handles.pending;
        let waiters = [
            tokio::spawn(async move { lost(&pending.await.unwrap_err()) }),
            tokio::spawn(async move { stream_lost(receiver.recv().await) }),
            tokio::spawn(async move {
                loop {
                    if let Err(error) = sender.send(7).await {
                        break stream_lost::<()>(Err(error));
                    }
                }
            }),
            tokio::spawn(async move { lost(&called.call(()).await.unwrap_err()) }),
            tokio::spawn(async move { stream_lost(reader.chunk().await) }),
            tokio::spawn(async move {
                // Nobody reads, so this waits sooner or later.
                while !parts.is_over() {
                    parts.bytes(&[7; 10_000]).await.unwrap();
                }
                lost(&parts.finish().await.unwrap_err())
            }),
        ];
        scene.wire.ping().await.unwrap();
        die(death, &scene.wire, &scene.other, &scene.order).await;
        for (n, waiter) in waiters.into_iter().enumerate() {
            let cause = waiter.await.unwrap();
            assert!(is_cause(death, &cause), "{death:?}, waiter {n}: {cause:?}");
        }
    }
}

/// Before the peer has said anything.
#[tokio::test(start_paused = true)]
async fn a_stranger_who_never_speaks_is_given_up() {
    let (here, _stranger) = tokio::io::duplex(64 * 1024);
    let wire = Wire::spawn(here, Interface::new());
    let pending = wire.call::<()>("hang", ()).start();
    let (sender, theirs) = channel::<u64>(1);
    let taking = wire.call::<()>("take", (theirs,)).start();
    let (theirs, mut receiver) = channel::<u64>(1);
    let giving = wire.call::<()>("give", (theirs,)).start();
    let parts = wire.call_raw("leave", vec![1]).in_parts().unwrap();
    let causes = [
        lost(&pending.await.unwrap_err()),
        stream_lost(receiver.recv().await),
        stream_lost(sender.finish().await),
        lost(&taking.await.unwrap_err()),
        lost(&giving.await.unwrap_err()),
        lost(&parts.finish().await.unwrap_err()),
        wire.closed().await,
    ];
    assert_eq!(causes, [const { Cause::HandshakeTimeout }; 7]);
}

/// When nothing is open, only callbacks are left.
#[tokio::test(start_paused = true)]
async fn callbacks_learn_that_the_wire_was_idle() {
    let server = Interface::new().procedure("callback", || Callback::<(), u8>::new(|| 7u8));
    let (here, there) = tokio::io::duplex(4096);
    let _other = Wire::spawn(there, server);
    let options = WireOptions::new().idle_timeout(Duration::from_secs(60));
    let wire = options.spawn(here, Interface::new());
    let callback: Callback<(), u8> = wire.call("callback", ()).await.unwrap();
    assert_eq!(wire.closed().await, Cause::Idle);
    assert_eq!(lost(&callback.call(()).await.unwrap_err()), Cause::Idle);
}

#[test]
fn handles_outlive_the_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (wire, handles) = runtime.block_on(async {
        let scene = scene().await;
        (scene.wire, scene.handles)
    });
    drop(runtime);
    let Handles { pending, sender, mut receiver, callback, parts, mut reader, .. } = handles;
    let causes = [
        lost(&parts.finish().wait().unwrap_err()),
        stream_lost(ipfi::wait(reader.chunk())),
        lost(&pending.wait().unwrap_err()),
        stream_lost(sender.send(1).wait()),
        stream_lost(receiver.recv().wait()),
        lost(&callback.call(()).wait().unwrap_err()),
        lost(&wire.call::<()>("hang", ()).wait().unwrap_err()),
        ipfi::wait(wire.closed()),
    ];
    for cause in causes {
        assert!(is_cause(Death::RuntimeGone, &cause), "{cause:?}");
    }
    drop(wire);
}
