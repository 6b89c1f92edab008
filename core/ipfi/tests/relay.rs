//! Streams and callbacks that came from one peer go on to another, or back.
#![cfg(all(feature = "tokio", feature = "bincode", feature = "msgpack"))]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use ipfi::{
    CallError, Callback, Code, Codec, Context, Interface, Receiver, Sender, Started, StreamError,
    Wire, WireOptions, channel,
};

/// Offers what the other side of `far` offers, with typed handles.
fn middle(far: Wire) -> Interface {
    let (a, b, c, d) = (far.clone(), far.clone(), far.clone(), far);
    Interface::new()
        .procedure("call", move |f: Callback<(u32,), u32>, x: u32| {
            let call = a.call::<u32>("call", (f, x)).start();
            async move { Ok::<u32, ipfi::Fault>(call.await?) }
        })
        .procedure("sum", move |numbers: Receiver<u32>| {
            let call = b.call::<Result<u64, String>>("sum", (numbers,)).start();
            async move { Ok::<_, ipfi::Fault>(call.await?) }
        })
        .procedure("count", move |to: u32, out: Sender<u32>| {
            let call = c.call::<()>("count", (to, out)).start();
            async move { Ok::<_, ipfi::Fault>(call.await?) }
        })
        .procedure("callbacks", move || {
            let call = d.call::<Receiver<Callback<(u32,), u32>>>("callbacks", ()).start();
            async move { Ok::<_, ipfi::Fault>(call.await?) }
        })
}

fn far() -> Interface {
    Interface::new()
        .procedure("call", async |f: Callback<(u32,), u32>, x: u32| {
            Ok::<u32, ipfi::Fault>(f.call((x,)).await?)
        })
        .procedure("sum", async |mut numbers: Receiver<u32>| {
            let mut sum = 0;
            loop {
                match numbers.recv().await {
                    Ok(Some(n)) => sum += u64::from(n),
                    Ok(None) => return Ok(sum),
                    Err(error) => return Err(error.to_string()),
                }
            }
        })
        .procedure("count", async |to: u32, out: Sender<u32>| {
            for n in 1..=to {
                if out.send(n).await.is_err() {
                    return;
                }
            }
            if to == 7 {
                out.fail(Code(300), "seven");
            }
        })
        .procedure("callbacks", async || {
            let (sender, receiver) = channel(1);
            tokio::spawn(async move {
                for n in 0.. {
                    let add = Callback::<(u32,), u32>::new(move |m: u32| n + m);
                    if sender.send(add).await.is_err() {
                        break;
                    }
                }
            });
            receiver
        })
}

struct Chain {
    near: Wire,
    middle: Wire,
    onward: Wire,
    far: Wire,
}

fn chain() -> Chain {
    let (onward, far) = Wire::pair(Interface::new(), far());
    let (near, middle) = Wire::pair(Interface::new(), middle(onward.clone()));
    Chain { near, middle, onward, far }
}

/// Nothing is left over on any wire.
async fn clean(chain: &Chain) {
    for _ in 0..100 {
        let wires = [&chain.near, &chain.middle, &chain.onward, &chain.far];
        let busy = wires.iter().any(|wire| {
            let stats = wire.stats();
            (stats.streams, stats.exported_callbacks, stats.calls, stats.buffered) != (0, 0, 0, 0)
        });
        if !busy {
            return;
        }
        chain.near.ping().await.unwrap();
        chain.onward.ping().await.unwrap();
    }
    panic!("{:?}", [&chain.near, &chain.middle, &chain.onward, &chain.far].map(Wire::stats));
}

#[tokio::test]
async fn a_callback_goes_on_and_its_errors_come_back() {
    let chain = chain();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let add: Callback<(u32,), u32> = Callback::new(move |x: u32| {
        counted.fetch_add(1, Ordering::Relaxed);
        x + 1
    });
    assert_eq!(chain.near.call::<u32>("call", (add, 41u32)).await.unwrap(), 42);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    let fails: Callback<(u32,), u32> =
        Callback::new(|_: u32| Err::<u32, _>(ipfi::Fault::new("why not").with_code(Code(301))));
    let error = chain.near.call::<u32>("call", (fails, 1u32)).await.unwrap_err();
    assert!(error.to_string().contains("why not"), "{error}");
    clean(&chain).await;
    // Whoever owns it learns that nobody has it any more.
    assert_eq!(Arc::strong_count(&calls), 1);
}

#[tokio::test]
async fn streams_go_on_to_their_ends() {
    let chain = chain();
    // Towards the far end, with items before and after it left.
    let (sender, receiver) = channel::<u32>(4);
    sender.send(1).await.unwrap();
    let sum = chain.near.call::<Result<u64, String>>("sum", (receiver,)).start();
    for n in 2..=50_000 {
        sender.send(n).await.unwrap();
    }
    sender.finish().await.unwrap();
    assert_eq!(sum.await.unwrap(), Ok(1_250_025_000));
    // A producer that fails.
    let (sender, receiver) = channel::<u32>(4);
    let sum = chain.near.call::<Result<u64, String>>("sum", (receiver,)).start();
    sender.send(1).await.unwrap();
    sender.fail(Code(302), "halfway");
    let error = sum.await.unwrap().unwrap_err();
    assert!(error.contains("halfway"), "{error}");
    // From the far end.
    let (sender, mut receiver) = channel::<u32>(4);
    let count = chain.near.call::<()>("count", (50_000u32, sender)).start();
    for n in 1..=50_000 {
        assert_eq!(receiver.recv().await.unwrap(), Some(n));
    }
    assert_eq!(receiver.recv().await.unwrap(), None);
    count.await.unwrap();
    // One that fails there.
    let (sender, mut receiver) = channel::<u32>(4);
    chain.near.call::<()>("count", (7u32, sender)).await.unwrap();
    let error = loop {
        match receiver.recv().await {
            Ok(item) => assert!(item.is_some()),
            Err(error) => break error,
        }
    };
    assert_eq!(error, StreamError::Ended { code: Code(300), text: "seven".into() });
    clean(&chain).await;
}

#[tokio::test]
async fn a_receiver_that_is_dropped_stops_the_producer_behind_the_relay() {
    let chain = chain();
    let (sender, mut receiver) = channel::<u32>(4);
    let count = chain.near.call::<()>("count", (u32::MAX, sender)).start();
    assert_eq!(receiver.recv().await.unwrap(), Some(1));
    drop(receiver);
    count.await.unwrap();
    // Also one that sends nothing.
    let (sender, receiver) = channel::<u32>(4);
    let sum = chain.near.call::<Result<u64, String>>("sum", (receiver,)).start();
    chain.onward.ping().await.unwrap();
    drop(sum);
    sender.closed().await;
    clean(&chain).await;
}

#[tokio::test]
async fn callbacks_in_items_go_on() {
    let chain = chain();
    let mut callbacks: Receiver<Callback<(u32,), u32>> =
        chain.near.call("callbacks", ()).await.unwrap();
    for n in 0..500u32 {
        let add = callbacks.recv().await.unwrap().unwrap();
        assert_eq!(add.call((1000,)).await.unwrap(), 1000 + n);
    }
    drop(callbacks);
    clean(&chain).await;
}

#[tokio::test]
async fn what_came_goes_back_where_it_came_from() {
    let server =
        Interface::new().procedure("back", async |context: Context, f: Callback<(), u8>| {
            context.wire().call::<u8>("hear", (f,)).await.unwrap_or(0)
        });
    let client = Interface::new()
        .procedure("hear", async |f: Callback<(), u8>| f.call(()).await.unwrap_or(0));
    let (wire, _other) = Wire::pair(client, server);
    let seven: Callback<(), u8> = Callback::new(|| 7u8);
    assert_eq!(wire.call::<u8>("back", (seven,)).await.unwrap(), 7);
}

#[tokio::test]
async fn the_loss_of_a_wire_is_told_on() {
    let chain = chain();
    let (sender, receiver) = channel::<u32>(4);
    let sum = chain.near.call::<Result<u64, String>>("sum", (receiver,)).start();
    let (to, mut counted) = channel::<u32>(4);
    let count = chain.near.call::<()>("count", (u32::MAX, to)).start();
    assert_eq!(counted.recv().await.unwrap(), Some(1));
    chain.far.abort(Code(303), "power cut");
    sender.closed().await;
    for call in [sum.await.map(drop), count.await] {
        let error = call.unwrap_err();
        assert!(matches!(&error, CallError::Failed(_)), "{error:?}");
        assert!(error.to_string().contains("power cut"), "{error}");
    }
    let error = loop {
        match counted.recv().await {
            Ok(item) => assert!(item.is_some(), "a loss is no end"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("power cut"), "{error}");
}

#[tokio::test]
async fn another_codec_is_refused_and_nothing_was_sent() {
    let pack = || WireOptions::new().codec(Codec::MessagePack);
    let (here, there) = tokio::io::duplex(1 << 16);
    let onward = pack().spawn(here, Interface::new());
    let _far = pack().spawn(there, far());
    let (near, _middle) = Wire::pair(Interface::new(), middle(onward));
    let add: Callback<(u32,), u32> = Callback::new(|x: u32| x);
    let error = near.call::<u32>("call", (add, 1u32)).await.unwrap_err();
    assert!(
        error.to_string().contains("of codec 1 cannot be sent on by one of codec 2"),
        "{error}"
    );
    let (sender, receiver) = channel::<u32>(4);
    let error = near.call::<Result<u64, String>>("sum", (receiver,)).await.unwrap_err();
    assert_eq!(error.started(), Started::Yes, "the relaying procedure did");
    sender.closed().await;
}
