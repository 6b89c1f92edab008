//! Procedures that take their arguments as they come.
#![cfg(all(feature = "tokio", feature = "bincode"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ipfi::{
    ArgumentReader, Bytes, CallError, Cause, Code, Codec, Fault, Interface, Limits, Parts, Raw,
    RawHandle, Receiver, Started, StreamError, Wire, WireOptions, channel,
};
use tokio::sync::{mpsc, oneshot};

type Store = (String, Bytes, Vec<u32>);

fn server() -> Interface {
    Interface::new()
        .streaming("store", async |_, mut args: ArgumentReader<Store>| {
            let name: String = args.argument().await?;
            let len = args.begin_bytes().await?;
            let mut content = Vec::new();
            while let Some(bytes) = args.bytes().await? {
                content.extend(bytes);
            }
            let numbers: Vec<u32> = args.argument().await?;
            args.finish().await?;
            assert_eq!(content.len() as u64, len);
            Ok::<_, Fault>((name, Bytes::from(content), numbers))
        })
        .raw_streaming("echo", async |_, mut args| {
            let mut all = Raw::default();
            while let Some(chunk) = args.chunk().await? {
                all.payload.extend(chunk);
            }
            Ok(all)
        })
        .raw_streaming("first", async |_, mut args| {
            Ok(Raw::new(args.chunk().await?.unwrap_or_default()))
        })
        .procedure("add", |a: i64, b: i64| a + b)
}

/// A wire with small windows, both of its ends, of a codec.
fn small(codec: Codec, server: Interface) -> (Wire, Wire) {
    let limits = Limits {
        max_message: 64 << 10,
        message_window: 8 << 10,
        max_buffered: 4 << 20,
        ..Limits::default()
    };
    let (here, there) = tokio::io::duplex(4096);
    let options = || WireOptions::new().codec(codec);
    let wire = options().spawn(here, Interface::new());
    (wire, options().limits(limits).spawn(there, server))
}

fn codecs() -> Vec<Codec> {
    vec![
        Codec::Bincode,
        #[cfg(feature = "msgpack")]
        Codec::MessagePack,
    ]
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 + n / 256).to_le_bytes()[0]).collect()
}

/// Ends with the failure of a call.
async fn failure<R>(call: impl Future<Output = Result<R, CallError>>) -> (Code, Started, String) {
    let error = call.await.map(drop).unwrap_err();
    (error.code(), error.started(), error.to_string())
}

#[tokio::test]
async fn arguments_are_taken_one_by_one_however_they_are_sent() {
    for codec in codecs() {
        let (wire, _other) = small(codec, server());
        for len in [0, 1, 250, 251, 5000] {
            let args = ("file".to_owned(), Bytes::from(content(len)), vec![1, 70_000]);
            // As a whole.
            let back: Store = wire.call("store", args.clone()).await.unwrap();
            assert_eq!(back, args, "{codec:?}");
            // One after another.
            let mut call = wire.call_in_parts::<Store, Store>("store").unwrap();
            call.argument(&args.0).await.unwrap();
            call.argument(&args.1).await.unwrap();
            call.argument(&args.2).await.unwrap();
            assert_eq!(call.finish().await.unwrap(), args, "{codec:?}");
        }
    }
}

#[tokio::test]
async fn every_split_gives_the_same_arguments() {
    for codec in codecs() {
        let (wire, _other) = small(codec, server());
        let args = ("ab".to_owned(), Bytes::from(vec![7; 3]), vec![1, 70_000]);
        let mut bytes = Vec::new();
        codec.encode(&args, &mut bytes).unwrap();
        let finish = async |call: Parts<Raw>| {
            let back = call.finish().await.unwrap();
            assert_eq!(codec.decode::<Store>(&back.payload).unwrap(), args, "{codec:?}");
        };
        for first in 0..bytes.len() {
            for second in first..bytes.len() {
                let mut call = wire.call_raw("store", bytes[..first].to_vec()).in_parts().unwrap();
                // The peer has seen that much, and no more.
                wire.ping().await.unwrap();
                call.bytes(&bytes[first..second]).await.unwrap();
                wire.ping().await.unwrap();
                call.bytes(&bytes[second..]).await.unwrap();
                finish(call).await;
            }
        }
        let mut call = wire.call_raw("store", Raw::default()).in_parts().unwrap();
        for byte in &bytes {
            call.bytes(&[*byte]).await.unwrap();
            wire.ping().await.unwrap();
        }
        finish(call).await;
    }
}

#[tokio::test]
async fn arguments_longer_than_a_message_pass() {
    for codec in codecs() {
        let (wire, _other) = small(codec, server());
        let all = content(1_000_000);
        let mut call = wire.call_in_parts::<Store, Store>("store").unwrap();
        call.argument(&"large").await.unwrap();
        call.begin_bytes(1_000_000).await.unwrap();
        for part in all.chunks(33_333) {
            call.bytes(part).await.unwrap();
        }
        call.argument(&vec![1u32]).await.unwrap();
        let (name, back, numbers) = call.finish().await.unwrap();
        assert_eq!((name, numbers), ("large".to_owned(), vec![1]));
        assert_eq!(back.into_vec(), all);
        // One that wants them whole says so.
        let mut call = wire.call_raw("add", Raw::default()).in_parts().unwrap();
        for _ in 0..20 {
            call.bytes(&[0; 10_000]).await.unwrap();
        }
        let (code, started, _) = failure(call.finish()).await;
        assert_eq!((code, started), (Code::TOO_LARGE, Started::No));
        assert_eq!(wire.call::<i64>("add", (2, 3)).await.unwrap(), 5);
    }
}

#[tokio::test]
async fn a_slow_procedure_stops_its_caller_and_nothing_else() {
    let (ask, asked) = mpsc::channel::<oneshot::Sender<usize>>(1);
    let asked = Arc::new(tokio::sync::Mutex::new(asked));
    let server = server().raw_streaming("slow", move |_, mut args: ArgumentReader| {
        let asked = asked.clone();
        async move {
            let mut all = 0;
            while let Some(reply) = asked.lock().await.recv().await {
                let Some(chunk) = args.chunk().await? else { break };
                all += chunk.len();
                reply.send(chunk.len()).unwrap();
            }
            Ok(Raw::new(u32::try_from(all).unwrap().to_le_bytes()))
        }
    });
    let (wire, other) = small(Codec::Bincode, server);
    let sent = Arc::new(AtomicUsize::new(0));
    let (counter, caller) = (sent.clone(), wire.clone());
    let sending = tokio::spawn(async move {
        let mut call = caller.call_raw("slow", Raw::default()).in_parts().unwrap();
        for _ in 0..100 {
            call.bytes(&[0; 10_000]).await.unwrap();
            counter.fetch_add(10_000, Ordering::Relaxed);
        }
        call.finish().await.unwrap().payload
    });
    // Nobody has asked for anything: a window is there, and what the caller holds itself.
    for _ in 0..20 {
        assert_eq!(wire.call::<i64>("add", (2, 3)).await.unwrap(), 5);
        assert!(other.stats().buffered <= 12 << 10, "{:?}", other.stats());
        assert!(sent.load(Ordering::Relaxed) < 100_000);
    }
    let mut got = 0;
    while got < 1_000_000 {
        let (reply, answer) = oneshot::channel();
        ask.send(reply).await.unwrap();
        got += answer.await.unwrap();
        assert!(other.stats().buffered <= 12 << 10, "{:?}", other.stats());
    }
    drop(ask);
    assert_eq!(sending.await.unwrap(), 1_000_000u32.to_le_bytes());
    wire.ping().await.unwrap();
    assert_eq!(other.stats().buffered, 0);
}

/// Says that it was dropped.
struct Told(mpsc::Sender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

fn endless() -> (Interface, mpsc::Receiver<()>, mpsc::Receiver<()>) {
    let (began, has_begun) = mpsc::channel(4);
    let (dropped, was_dropped) = mpsc::channel(4);
    let server = server().raw_streaming("endless", move |_, mut args: ArgumentReader| {
        let (began, told) = (began.clone(), Told(dropped.clone()));
        async move {
            let _told = told;
            began.send(()).await.unwrap();
            while args.chunk().await?.is_some() {}
            Ok(Raw::default())
        }
    });
    (server, has_begun, was_dropped)
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_ends_the_procedure() {
    let (server, mut has_begun, mut was_dropped) = endless();
    let (wire, other) = small(Codec::Bincode, server);
    // It drops the call, or its deadline passes.
    let mut call = wire.call_raw("endless", vec![1]).in_parts().unwrap();
    has_begun.recv().await.unwrap();
    call.bytes(&[1; 1000]).await.unwrap();
    drop(call);
    was_dropped.recv().await.unwrap();
    let soon = Duration::from_secs(1);
    let mut call = wire.call_raw("endless", vec![1]).deadline(soon).in_parts().unwrap();
    has_begun.recv().await.unwrap();
    assert!(!call.is_over());
    while !call.is_over() {
        call.bytes(&[1; 10_000]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    was_dropped.recv().await.unwrap();
    assert_eq!(failure(call.finish()).await.0, Code::DEADLINE);
    wire.ping().await.unwrap();
    let stats = other.stats();
    assert_eq!((stats.incoming_calls, stats.buffered), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_death_of_the_wire_ends_both() {
    let (server, mut has_begun, mut was_dropped) = endless();
    let (there, mut kept) = mpsc::channel::<ArgumentReader>(1);
    let server = server.raw_streaming("keep", move |_, args: ArgumentReader| {
        let there = there.clone();
        async move {
            there.send(args).await.unwrap();
            std::future::pending().await
        }
    });
    let (wire, other) = small(Codec::Bincode, server);
    let call = wire.call_raw("endless", vec![1]).in_parts().unwrap();
    has_begun.recv().await.unwrap();
    let keep = wire.call_raw("keep", vec![1, 2]).in_parts().unwrap();
    let mut reader = kept.recv().await.unwrap();
    assert_eq!(reader.chunk().await.unwrap(), Some(vec![1, 2]));
    // One that waits already.
    let waiting = tokio::spawn(async move { (reader.chunk().await, reader.chunk().await) });
    wire.ping().await.unwrap();
    other.abort(Code(300), "enough");
    was_dropped.recv().await.unwrap();
    let cause = Cause::Aborted { code: Code(300), text: "enough".into() };
    let lost = Err(StreamError::Lost(cause));
    assert_eq!(waiting.await.unwrap(), (lost.clone(), lost));
    for call in [call, keep] {
        let error = call.finish().await.unwrap_err();
        let CallError::Lost { cause: Cause::Peer { code, .. }, started } = error else {
            panic!("{error:?}")
        };
        // The arguments were not complete, but it has begun.
        assert_eq!((code, started), (Code(300), Started::Maybe));
    }
    assert_eq!(other.stats().buffered, 0);
}

#[tokio::test]
async fn a_procedure_may_answer_before_it_has_everything() {
    let (wire, other) = small(Codec::Bincode, server());
    let mut call = wire.call_raw("first", b"hello".to_vec()).in_parts().unwrap();
    while !call.is_over() {
        call.bytes(&[0; 10_000]).await.unwrap();
    }
    assert!(call.finish().await.unwrap().payload.starts_with(b"hello"));
    wire.ping().await.unwrap();
    let stats = other.stats();
    assert_eq!((stats.incoming_calls, stats.buffered), (0, 0));
}

#[tokio::test]
async fn streams_in_the_arguments_come_at_their_end() {
    let server = Interface::new().streaming(
        "sum",
        async |_, mut args: ArgumentReader<(Bytes, Receiver<u32>)>| {
            args.begin_bytes().await?;
            while args.bytes().await?.is_some() {}
            let place: u32 = args.argument().await?;
            let mut handles = args.finish().await?;
            assert_eq!((place, handles.len()), (0, 1));
            let Some(RawHandle::Receiver(mut numbers)) = handles.pop() else { panic!() };
            let mut sum = 0;
            while let Some(number) = numbers.recv().await? {
                sum += Codec::Bincode.decode::<u32>(&number.payload).map_err(Fault::new)?;
            }
            Ok::<u32, Fault>(sum)
        },
    );
    let (wire, _other) = small(Codec::Bincode, server);
    let (sender, receiver) = channel::<u32>(4);
    let mut call = wire.call_in_parts::<(Bytes, Receiver<u32>), u32>("sum").unwrap();
    call.begin_bytes(100_000).await.unwrap();
    call.bytes(&content(100_000)).await.unwrap();
    call.argument(&receiver).await.unwrap();
    let call = call.finish();
    for n in 0..100 {
        sender.send(n).await.unwrap();
    }
    sender.finish().await.unwrap();
    assert_eq!(call.await.unwrap(), 4950);
}

#[tokio::test]
async fn arguments_that_are_not_what_was_expected_fail_the_call_alone() {
    for codec in codecs() {
        let (wire, _other) = small(codec, server());
        let mut good = Vec::new();
        let args = ("ab".to_owned(), Bytes::from(vec![7; 3]), vec![1, 70_000u32]);
        codec.encode(&args, &mut good).unwrap();
        for end in 0..good.len() {
            let (code, started, text) =
                failure(wire.call_raw("store", good[..end].to_vec()).into_future()).await;
            assert_eq!((code, started), (Code::FAILED, Started::Yes), "{end}");
            assert!(text.contains("in the middle"), "{text}");
        }
        let more = [&good[..], &[0]].concat();
        let (_, _, text) = failure(wire.call_raw("store", more).into_future()).await;
        assert!(text.contains("more arguments"), "{text}");
        // A text that is too long to be put together.
        let mut call = wire.call_in_parts::<Store, Store>("store").unwrap();
        call.argument(&"x".repeat(100_000)).await.unwrap();
        let (_, _, text) = failure(call.finish()).await;
        assert!(text.contains("8192 bytes"), "{text}");
        // And one that says that it is.
        let (_, _, text) = failure(wire.call_raw("store", vec![0xff; 9]).into_future()).await;
        assert!(text.contains("cannot be decoded"), "{text}");
        let (code, ..) = failure(wire.call::<u8>("store", (1u8,)).into_future()).await;
        assert_eq!(code, Code::SIGNATURE_MISMATCH);
        assert_eq!(wire.call::<i64>("add", (2, 3)).await.unwrap(), 5);
    }
}

#[tokio::test]
async fn those_that_wait_for_their_turn_hold_no_more_than_a_window() {
    let (server, mut has_begun, _dropped) = endless();
    let (wire, other) = small(Codec::Bincode, server.max_running(1));
    let first = wire.call_raw("endless", vec![1]).in_parts().unwrap();
    has_begun.recv().await.unwrap();
    let mut second = wire.call_raw("echo", vec![1]).in_parts().unwrap();
    second.bytes(&content(60_000)).await.unwrap();
    wire.ping().await.unwrap();
    assert!(other.stats().buffered <= 12 << 10, "{:?}", other.stats());
    drop(first.finish().await.unwrap());
    assert_eq!(second.finish().await.unwrap().payload, [&[1], &content(60_000)[..]].concat());
}

#[cfg(feature = "blocking")]
#[test]
fn threads_do_as_well() {
    let ((there_reads, here_writes), (here_reads, there_writes)) =
        (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    let _server = WireOptions::new().start(there_reads, there_writes, server()).unwrap();
    let wire = WireOptions::new().start(here_reads, here_writes, Interface::new()).unwrap();
    let mut call = wire.call_in_parts::<Store, Store>("store").unwrap();
    let all = content(1_000_000);
    ipfi::wait(async {
        call.argument(&"large").await.unwrap();
        call.begin_bytes(1_000_000).await.unwrap();
        for part in all.chunks(50_000) {
            call.bytes(part).await.unwrap();
        }
        call.argument(&Vec::<u32>::new()).await.unwrap();
    });
    let (_, back, _) = call.finish().wait().unwrap();
    assert_eq!(back.into_vec(), all);
}
