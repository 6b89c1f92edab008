//! The same handles on threads, without any runtime.
#![cfg(all(feature = "blocking", feature = "bincode"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use std::{
    io::{Write, pipe},
    sync::mpsc::{Receiver as Inbox, channel as inbox},
    thread,
    time::Duration,
};

use ipfi::{
    CallError, Callback, Cause, Code, Context, Interface, Receiver, Sender, StreamError, Wire,
    WireOptions, channel, wait,
};

fn pair(a: Interface, b: Interface) -> (Wire, Wire) {
    let (there_reads, here_writes) = pipe().unwrap();
    let (here_reads, there_writes) = pipe().unwrap();
    let here = WireOptions::new().start(here_reads, here_writes, a).unwrap();
    let there = WireOptions::new().start(there_reads, there_writes, b).unwrap();
    (here, there)
}

fn server() -> (Interface, Inbox<Code>) {
    let (told, was_told) = inbox();
    let interface = Interface::new()
        .procedure("add", |a: i64, b: i64| a + b)
        .blocking("count", |to: u32, out: Sender<u32>| {
            for n in 1..=to {
                out.send(n).wait().unwrap();
            }
        })
        .procedure("sum", async |mut numbers: Receiver<u32>| {
            let mut sum = 0;
            while let Ok(Some(n)) = numbers.recv().await {
                sum += u64::from(n);
            }
            sum
        })
        .blocking("render", |frames: u32, progress: Callback<(u32,), u32>| {
            (0..frames).map(|frame| progress.call((frame,)).wait().unwrap()).sum::<u32>()
        })
        .procedure("hang", move |context: Context| {
            let told = told.clone();
            async move {
                told.send(Code::OK).unwrap();
                let code = context.on_cancel().await;
                told.send(code).unwrap();
            }
        })
        .procedure("panic", |_: u8| -> u8 { panic!("oh dear") });
    (interface, was_told)
}

#[test]
fn calls_streams_and_callbacks() {
    let (wire, _other) = pair(Interface::new(), server().0);
    assert_eq!(wire.call::<i64>("add", (2, 3)).wait().unwrap(), 5);
    let pending: Vec<_> = (0..1000).map(|n| wire.call::<i64>("add", (n, n)).start()).collect();
    for (n, pending) in (0..).zip(pending) {
        assert_eq!(pending.wait().unwrap(), 2 * n);
    }
    let (sender, mut receiver) = channel::<u32>(4);
    let counting = wire.call::<()>("count", (50_000u32, sender)).start();
    let mut expected = 1;
    while let Some(n) = receiver.recv().wait().unwrap() {
        assert_eq!(n, expected);
        expected += 1;
    }
    assert_eq!(expected, 50_001);
    counting.wait().unwrap();
    let (sender, receiver) = channel::<u32>(4);
    let sum = wire.call::<u64>("sum", (receiver,)).start();
    for n in 1..=50_000 {
        sender.send(n).wait().unwrap();
    }
    sender.finish().wait().unwrap();
    assert_eq!(sum.wait().unwrap(), 1_250_025_000);
    let progress: Callback<(u32,), u32> = Callback::new(|n: u32| n * 2);
    assert_eq!(wire.call::<u32>("render", (10u32, progress)).wait().unwrap(), 90);
    assert_eq!(wire.call::<u8>("panic", (1u8,)).wait().unwrap_err().code(), Code::PANICKED);
}

#[test]
fn threads_call_at_once() {
    let (wire, _other) = pair(Interface::new(), server().0);
    let callers: Vec<_> = (0..8)
        .map(|n| {
            let wire = wire.clone();
            thread::spawn(move || {
                for m in 0..200 {
                    assert_eq!(wire.call::<i64>("add", (n, m)).wait().unwrap(), n + m);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join().unwrap();
    }
}

#[test]
fn cancelling_and_deadlines() {
    let (server, was_told) = server();
    let (wire, _other) = pair(Interface::new(), server);
    let call = wire.call::<()>("hang", ()).start();
    assert_eq!(was_told.recv().unwrap(), Code::OK);
    drop(call);
    assert_eq!(was_told.recv().unwrap(), Code::CANCELLED);
    let late = wire.call::<()>("hang", ()).deadline(Duration::from_millis(20)).wait().unwrap_err();
    assert_eq!(late.code(), Code::DEADLINE);
}

#[test]
fn the_end_reaches_everybody() {
    let (server, _told) = server();
    let (wire, other) = pair(Interface::new(), server);
    let call = wire.call::<()>("hang", ()).start();
    wait(wire.ping()).unwrap();
    other.abort(Code(300), "enough");
    let error = call.wait().unwrap_err();
    assert!(error.to_string().contains("enough"), "{error}");
    assert!(matches!(wait(wire.closed()), Cause::Peer { code: Code(300), .. }));
    let (wire, other) = pair(Interface::new(), Interface::new());
    drop(wire);
    assert_eq!(wait(other.closed()), Cause::Graceful);
}

/// How a wire on threads dies.
#[derive(Clone, Copy, Debug)]
enum Death {
    MiddleOfFrame,
    Garbage,
    PeerAborts,
    WeAbort,
    CloseRunsOut,
}

#[test]
fn every_handle_learns_the_cause_however_the_wire_dies() {
    use Death::{CloseRunsOut, Garbage, MiddleOfFrame, PeerAborts, WeAbort};
    for death in [MiddleOfFrame, Garbage, PeerAborts, WeAbort, CloseRunsOut] {
        let (told, was_told) = inbox();
        let ours = Interface::new().procedure("hang", move |context: Context| {
            let told = told.clone();
            async move {
                told.send(Code::OK).unwrap();
                told.send(context.on_cancel().await).unwrap();
            }
        });
        let theirs = Interface::new()
            .procedure("hang", async || std::future::pending::<()>().await)
            .procedure("take", async |_: Receiver<u8>| std::future::pending::<()>().await)
            .procedure("give", async |_: Sender<u8>| std::future::pending::<()>().await)
            .procedure("callback", || Callback::<(), u8>::new(|| 7u8))
            .raw_streaming("leave", async |_, _| std::future::pending().await)
            .procedure("back", async |context: Context| {
                let _ = context.wire().call::<()>("hang", ()).await;
            });
        let (there_reads, here_writes) = pipe().unwrap();
        let (here_reads, there_writes) = pipe().unwrap();
        let mut garbage = there_writes.try_clone().unwrap();
        let here = WireOptions::new().start(here_reads, here_writes, ours).unwrap();
        let there = WireOptions::new().start(there_reads, there_writes, theirs).unwrap();
        let callback: Callback<(), u8> = here.call("callback", ()).wait().unwrap();
        let pending = here.call::<()>("hang", ()).start();
        let (sender, receiver) = channel::<u8>(1);
        let taking = here.call::<()>("take", (receiver,)).start();
        let (sender_of_theirs, mut receiver) = channel::<u8>(1);
        let giving = here.call::<()>("give", (sender_of_theirs,)).start();
        let parts = here.call_raw("leave", vec![1]).in_parts().unwrap();
        let back = here.call::<()>("back", ()).start();
        assert_eq!(was_told.recv().unwrap(), Code::OK);
        let waiting = thread::spawn(move || receiver.recv().wait());
        match death {
            MiddleOfFrame => {
                // The last word is swallowed by a frame that is longer.
                garbage.write_all(&[0xff, 7, 0x3e, 2, 3]).unwrap();
                there.abort(Code(1000), "");
            }
            Garbage => garbage.write_all(&[2, 0x7e, 0]).unwrap(),
            PeerAborts => there.abort(Code(300), "enough"),
            WeAbort => here.abort(Code(300), "enough"),
            CloseRunsOut => drop(wait(here.close(Some(Duration::from_millis(10))))),
        }
        drop(garbage);
        let is_cause = |cause: &Cause| match death {
            MiddleOfFrame => *cause == Cause::Lost,
            Garbage => matches!(cause, Cause::Protocol(_)),
            PeerAborts => matches!(cause, Cause::Peer { code: Code(300), .. }),
            WeAbort => matches!(cause, Cause::Aborted { code: Code(300), .. }),
            CloseRunsOut => *cause == Cause::CloseTimeout,
        };
        let lost = |error: CallError| match error {
            CallError::Lost { cause, .. } => cause,
            other => panic!("{death:?}: {other:?}"),
        };
        let stream_lost = |error: StreamError| match error {
            StreamError::Lost(cause) => cause,
            other => panic!("{death:?}: {other:?}"),
        };
        let causes = [
            lost(pending.wait().unwrap_err()),
            stream_lost(waiting.join().unwrap().unwrap_err()),
            stream_lost(sender.send(1).wait().unwrap_err()),
            lost(callback.call(()).wait().unwrap_err()),
            lost(parts.finish().wait().unwrap_err()),
            lost(taking.wait().unwrap_err()),
            lost(giving.wait().unwrap_err()),
            lost(back.wait().unwrap_err()),
            wait(here.closed()),
        ];
        for cause in &causes {
            assert!(is_cause(cause), "{death:?}: {cause:?}");
        }
        assert_eq!(was_told.recv().unwrap(), Code::WIRE_LOST, "{death:?}");
    }
}
