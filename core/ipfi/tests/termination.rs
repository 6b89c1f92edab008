//! Each kind of handle, each way in which a wire dies: everybody learns the cause.
#![cfg(all(feature = "tokio", feature = "bincode"))]
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::missing_panics_doc,
    reason = "a test"
)]

use std::{sync::Arc, time::Duration};

use ipfi::{
    CallError, Callback, Cause, Code, Context, Interface, Pending, Receiver, Sender, StreamError,
    Wire, WireOptions, channel,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
};

/// How the wire ends, seen from the side that waits.
#[derive(Clone, Copy, Debug)]
enum Death {
    EndOfStream,
    MiddleOfFrame,
    Garbage,
    PeerAborts,
    WeAbort,
    CloseRunsOut,
    Keepalive,
    RuntimeGone,
}

const ALL: [Death; 8] = [
    Death::EndOfStream,
    Death::MiddleOfFrame,
    Death::Garbage,
    Death::PeerAborts,
    Death::WeAbort,
    Death::CloseRunsOut,
    Death::Keepalive,
    Death::RuntimeGone,
];

fn is_cause(death: Death, cause: &Cause) -> bool {
    match death {
        Death::EndOfStream | Death::MiddleOfFrame | Death::RuntimeGone => *cause == Cause::Lost,
        Death::Garbage => matches!(cause, Cause::Protocol(_)),
        Death::PeerAborts => matches!(cause, Cause::Peer { code: Code(300), .. }),
        Death::WeAbort => matches!(cause, Cause::Aborted { code: Code(300), .. }),
        Death::CloseRunsOut => *cause == Cause::CloseTimeout,
        Death::Keepalive => *cause == Cause::KeepaliveTimeout,
    }
}

/// A relay between two wires that can be cut, and that can say what nobody said.
async fn relay(mut a: DuplexStream, mut b: DuplexStream, mut order: mpsc::Receiver<Death>) {
    let (mut from_a, mut from_b) = (vec![0; 4096], vec![0; 4096]);
    loop {
        tokio::select! {
            Ok(n) = a.read(&mut from_a) => {
                if n == 0 || b.write_all(&from_a[..n]).await.is_err() { return; }
            }
            Ok(n) = b.read(&mut from_b) => {
                if n == 0 || a.write_all(&from_b[..n]).await.is_err() { return; }
            }
            death = order.recv() => match death {
                Some(Death::MiddleOfFrame) => {
                    let _ = a.write_all(&[40, 1, 2, 3]).await;
                    return;
                }
                Some(Death::Garbage) => {
                    let _ = a.write_all(&[2, 0x7e, 0]).await;
                    let _ = tokio::io::copy(&mut a, &mut tokio::io::sink()).await;
                    return;
                }
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
}

struct Scene {
    wire: Wire,
    other: Wire,
    order: mpsc::Sender<Death>,
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
        .procedure("back", async |context: Context| {
            let _ = context.wire().call::<()>("hang", ()).await;
        });
    let (here, a) = tokio::io::duplex(4096);
    let (there, b) = tokio::io::duplex(4096);
    let (order, orders) = mpsc::channel(1);
    tokio::spawn(relay(a, b, orders));
    let keepalive = WireOptions::new().keepalive(Duration::from_secs(30));
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
    let handles = Handles { pending, sender, receiver, callback, callback_pending };
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

async fn die(death: Death, scene: &Scene) {
    match death {
        Death::PeerAborts => scene.other.abort(Code(300), "enough"),
        Death::WeAbort => scene.wire.abort(Code(300), "enough"),
        Death::CloseRunsOut => {
            scene.wire.close(Some(Duration::from_secs(1))).await;
        }
        Death::EndOfStream
        | Death::MiddleOfFrame
        | Death::Garbage
        | Death::Keepalive
        | Death::RuntimeGone => scene.order.send(death).await.unwrap(),
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
    let Handles { pending, sender, mut receiver, callback, callback_pending } = handles;
    let mut causes = Vec::new();
    causes.push(lost(&pending.await.unwrap_err()));
    causes.push(stream_lost(receiver.recv().await));
    causes.push(stream_lost(receiver.recv().await));
    causes.push(stream_lost(sender.send(1).await));
    causes.push(stream_lost(sender.finish().await));
    causes.push(lost(&callback.call(()).await.unwrap_err()));
    causes.push(lost(&callback_pending.call(()).await.unwrap_err()));
    causes.push(lost(&wire.call::<()>("hang", ()).await.unwrap_err()));
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
        if matches!(death, Death::RuntimeGone) {
            continue;
        }
        let scene = scene().await;
        die(death, &scene).await;
        check(death, scene).await;
    }
}

/// Those who wait already are woken.
#[tokio::test(start_paused = true)]
async fn every_waiter_is_woken_however_the_wire_dies() {
    for death in ALL {
        if matches!(death, Death::RuntimeGone) {
            continue;
        }
        let mut scene = scene().await;
        let (_, nothing) = channel::<u64>(1);
        let mut receiver = std::mem::replace(&mut scene.handles.receiver, nothing);
        let (other_sender, _kept) = channel::<u64>(1);
        let sender = std::mem::replace(&mut scene.handles.sender, other_sender);
        let callback = Arc::new(scene.handles.callback_pending);
        let called = callback.clone();
        let waiters = [
            tokio::spawn(async move { lost(&scene.handles.pending.await.unwrap_err()) }),
            tokio::spawn(async move { stream_lost(receiver.recv().await) }),
            tokio::spawn(async move {
                loop {
                    if let Err(error) = sender.send(7).await {
                        break stream_lost::<()>(Err(error));
                    }
                }
            }),
            tokio::spawn(async move { lost(&called.call(()).await.unwrap_err()) }),
        ];
        scene.wire.ping().await.unwrap();
        match death {
            Death::PeerAborts => scene.other.abort(Code(300), "enough"),
            Death::WeAbort => scene.wire.abort(Code(300), "enough"),
            Death::CloseRunsOut => {
                scene.wire.close(Some(Duration::from_secs(1))).await;
            }
            _ => scene.order.send(death).await.unwrap(),
        }
        for (n, waiter) in waiters.into_iter().enumerate() {
            let cause = waiter.await.unwrap();
            assert!(is_cause(death, &cause), "{death:?}, waiter {n}: {cause:?}");
        }
    }
}

#[test]
fn handles_outlive_the_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (wire, handles) = runtime.block_on(async {
        let scene = scene().await;
        (scene.wire, scene.handles)
    });
    drop(runtime);
    let Handles { pending, sender, mut receiver, callback, .. } = handles;
    let causes = [
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
