//! Streams and callbacks as values.
#![cfg(all(feature = "tokio", feature = "bincode"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use ipfi::{Callback, Code, Interface, Receiver, Sender, StreamError, Wire, channel};
use serde::{Deserialize, Serialize};

async fn count(to: u32, out: Sender<u32>) {
    for n in 1..=to {
        if out.send(n).await.is_err() {
            break;
        }
    }
}

async fn sum(mut numbers: Receiver<u32>) -> u64 {
    let mut sum = 0;
    while let Ok(Some(n)) = numbers.recv().await {
        sum += u64::from(n);
    }
    sum
}

fn squares(mut numbers: Receiver<u32>) -> Receiver<u64> {
    let (sender, receiver) = channel(4);
    tokio::spawn(async move {
        while let Ok(Some(n)) = numbers.recv().await {
            if sender.send(u64::from(n) * u64::from(n)).await.is_err() {
                break;
            }
        }
    });
    receiver
}

async fn render(frames: u32, progress: Callback<(u32, u32)>) -> String {
    for frame in 1..=frames {
        progress.call((frame, frames)).await.unwrap();
    }
    format!("{frames} frames")
}

fn server() -> Interface {
    Interface::new()
        .procedure("count", count)
        .procedure("sum", sum)
        .procedure("squares", squares)
        .procedure("render", render)
}

#[tokio::test]
async fn streams_in_arguments_and_results() {
    let (wire, _other) = Wire::pair(Interface::new(), server());
    let (sender, mut receiver) = channel::<u32>(4);
    let counting = wire.call::<()>("count", (100_000u32, sender)).start();
    let mut expected = 1;
    while let Some(n) = receiver.recv().await.unwrap() {
        assert_eq!(n, expected);
        expected += 1;
    }
    assert_eq!(expected, 100_001);
    counting.await.unwrap();

    let (sender, receiver) = channel::<u32>(4);
    sender.send(7).await.unwrap();
    let total = wire.call::<u64>("sum", (receiver,)).start();
    for n in 1..=100_000 {
        sender.send(n).await.unwrap();
    }
    sender.finish().await.unwrap();
    assert_eq!(total.await.unwrap(), 5_000_050_007);

    let (sender, receiver) = channel::<u32>(4);
    let mut squares: Receiver<u64> = wire.call("squares", (receiver,)).await.unwrap();
    for n in 0..1000 {
        sender.send(n).await.unwrap();
        assert_eq!(squares.recv().await.unwrap(), Some(u64::from(n) * u64::from(n)));
    }
    drop(sender);
    assert_eq!(squares.recv().await.unwrap(), None);
    assert_eq!(squares.recv().await.unwrap(), None);
}

#[tokio::test]
async fn callbacks_are_called_and_released() {
    struct Guard(Arc<AtomicU32>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_add(1000, Ordering::SeqCst);
        }
    }
    let (wire, _other) = Wire::pair(Interface::new(), server());
    let calls = Arc::new(AtomicU32::new(0));
    let guard = Guard(calls.clone());
    let progress: Callback<(u32, u32)> = Callback::new(move |_: u32, _: u32| {
        guard.0.fetch_add(1, Ordering::SeqCst);
    });
    let text: String = wire.call("render", (5u32, progress)).await.unwrap();
    assert_eq!(text, "5 frames");
    wire.ping().await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1005);
    assert_eq!(wire.stats().exported_callbacks, 0);
}

#[derive(Serialize, Deserialize)]
struct Session {
    name: String,
    inbox: Receiver<Message>,
    listeners: BTreeMap<String, Callback<(String,), bool>>,
}

#[derive(Serialize, Deserialize)]
enum Message {
    Text(String),
    Reply(Callback<(u8,), u8>),
    More(Sender<String>),
}

#[tokio::test]
async fn nested_in_structs_items_and_results() {
    let server = Interface::new().procedure("open", async |session: Session| {
        let Session { name, mut inbox, listeners } = session;
        let (sender, receiver) = channel::<String>(4);
        tokio::spawn(async move {
            while let Some(message) = inbox.recv().await.unwrap() {
                let said = match message {
                    Message::Text(text) => text,
                    Message::Reply(callback) => callback.call((20,)).await.unwrap().to_string(),
                    Message::More(other) => {
                        other.send(name.clone()).await.unwrap();
                        "more".into()
                    }
                };
                for listener in listeners.values() {
                    assert!(listener.call((said.clone(),)).await.unwrap());
                }
                sender.send(said).await.unwrap();
            }
        });
        receiver
    });
    let (wire, _other) = Wire::pair(Interface::new(), server);
    let (post, inbox) = channel(4);
    let heard = Arc::new(AtomicU32::new(0));
    let hear = heard.clone();
    let listener = Callback::new(move |_: String| {
        hear.fetch_add(1, Ordering::SeqCst);
        true
    });
    let listeners = BTreeMap::from([("one".to_owned(), listener)]);
    let session = Session { name: "ada".into(), inbox, listeners };
    let mut said: Receiver<String> = wire.call("open", (session,)).await.unwrap();
    post.send(Message::Text("hello".into())).await.unwrap();
    assert_eq!(said.recv().await.unwrap().as_deref(), Some("hello"));
    post.send(Message::Reply(Callback::new(|n: u8| n + 1))).await.unwrap();
    assert_eq!(said.recv().await.unwrap().as_deref(), Some("21"));
    let (more, mut rest) = channel(1);
    post.send(Message::More(more)).await.unwrap();
    assert_eq!(rest.recv().await.unwrap().as_deref(), Some("ada"));
    assert_eq!(rest.recv().await.unwrap(), None);
    drop(post);
    assert_eq!(said.recv().await.unwrap().as_deref(), Some("more"));
    assert_eq!(said.recv().await.unwrap(), None);
    assert_eq!(heard.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_slow_consumer_stops_its_producer_and_nothing_else() {
    let sent = Arc::new(AtomicU32::new(0));
    let sending = sent.clone();
    let server = server().procedure("flood", move |out: Sender<u64>| {
        let sending = sending.clone();
        async move {
            while out.send(7).await.is_ok() {
                sending.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let (wire, _other) = Wire::pair(Interface::new(), server);
    let (sender, mut receiver) = channel::<u64>(4);
    let flood = wire.call::<()>("flood", (sender,)).start();
    assert_eq!(receiver.recv().await.unwrap(), Some(7));
    for n in 0..100u32 {
        let (sender, mut receiver) = channel::<u32>(4);
        let counting = wire.call::<()>("count", (n, sender)).start();
        let mut got = 0;
        while receiver.recv().await.unwrap().is_some() {
            got += 1;
        }
        counting.await.unwrap();
        assert_eq!(got, n);
    }
    let stuck = sent.load(Ordering::SeqCst);
    wire.ping().await.unwrap();
    assert_eq!(sent.load(Ordering::SeqCst), stuck);
    assert!(stuck < 500_000, "{stuck}");
    drop(receiver);
    flood.await.unwrap();
}

#[tokio::test]
async fn ends_that_are_not_the_end() {
    let server = Interface::new()
        .procedure("panic", async |out: Sender<u8>| {
            out.send(1).await.unwrap();
            tokio::task::yield_now().await;
            assert!(out.send(2).await.is_err(), "in the middle");
        })
        .procedure("fail", async |out: Sender<u8>| out.fail(Code(400), "no more"))
        .procedure("drop", |_: Receiver<u8>| ());
    let (wire, _other) = Wire::pair(Interface::new(), server);
    let (sender, mut receiver) = channel::<u8>(1);
    let error = wire.call::<()>("panic", (sender,)).await.unwrap_err();
    assert_eq!(error.code(), Code::PANICKED);
    let end = loop {
        match receiver.recv().await {
            Ok(Some(1)) => {}
            end => break end,
        }
    };
    assert!(matches!(end, Err(StreamError::Ended { code: Code::PANICKED, .. })), "{end:?}");
    let (sender, mut receiver) = channel::<u8>(1);
    wire.call::<()>("fail", (sender,)).await.unwrap();
    let end = receiver.recv().await;
    assert_eq!(end, Err(StreamError::Ended { code: Code(400), text: "no more".into() }));
    let (sender, receiver) = channel::<u8>(1);
    wire.call::<()>("drop", (receiver,)).await.unwrap();
    let error = loop {
        if let Err(error) = sender.send(1).await {
            break error;
        }
        tokio::task::yield_now().await;
    };
    assert!(matches!(error, StreamError::Ended { .. }), "{error:?}");
}

#[tokio::test]
async fn what_never_left_says_so() {
    let (wire, _other) = Wire::pair(Interface::new(), Interface::new());
    let (sender, mut receiver) = channel::<u32>(1);
    drop(wire.call::<()>("count", (1u32, sender)));
    assert_eq!(receiver.recv().await, Err(StreamError::NotSent));
    let (sender, receiver) = channel::<u32>(1);
    drop(wire.call::<u64>("sum", (receiver,)));
    assert_eq!(sender.send(1).await, Err(StreamError::NotSent));
    // A refused call lets go of what came with it.
    let (sender, mut receiver) = channel::<u32>(1);
    wire.call::<()>("count", (1u32, sender)).await.unwrap_err();
    assert!(receiver.recv().await.is_err());
    let progress: Callback<(u32, u32)> = Callback::new(|_: u32, _: u32| ());
    wire.call::<String>("render", (5u32, progress)).await.unwrap_err();
    wire.ping().await.unwrap();
    assert_eq!((wire.stats().streams, wire.stats().exported_callbacks), (0, 0));
}

#[tokio::test]
async fn many_tasks_send_on_one_stream() {
    let (wire, _other) = Wire::pair(Interface::new(), server());
    let (sender, receiver) = channel::<u32>(1);
    let sender = Arc::new(sender);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let sender = sender.clone();
            tokio::spawn(async move {
                for n in 0..5000 {
                    sender.send(n).await.unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    // Those that wait before the receiver is with the peer, and those that wait for credit.
    let sum = wire.call::<u64>("sum", (receiver,)).start();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(sum.await.unwrap(), 20 * 4999 * 2500);
}

#[tokio::test]
async fn a_sender_that_fails_before_it_has_a_peer_is_no_end() {
    let failed = StreamError::Ended { code: Code(300), text: "no".into() };
    let (sender, mut receiver) = channel::<u32>(1);
    sender.send(1).await.unwrap();
    sender.fail(Code(300), "no");
    assert_eq!(receiver.recv().await, Ok(Some(1)));
    assert_eq!(receiver.recv().await, Err(failed));
    let (sender, mut receiver) = channel::<u32>(1);
    let panicked = std::thread::spawn(move || {
        let _sender = sender;
        panic!("oh dear");
    });
    panicked.join().unwrap_err();
    let error = receiver.recv().await.unwrap_err();
    assert!(matches!(error, StreamError::Ended { code: Code::PANICKED, .. }));
    // It fails, and then the receiver goes away.
    let server = Interface::new().procedure("hear", async |mut items: Receiver<u32>| {
        loop {
            match items.recv().await {
                Ok(Some(_)) => {}
                Ok(None) => break "end".to_owned(),
                Err(error) => break error.to_string(),
            }
        }
    });
    let (wire, _other) = Wire::pair(Interface::new(), server);
    let (sender, receiver) = channel::<u32>(1);
    sender.fail(Code(300), "no");
    let heard = wire.call::<String>("hear", (receiver,)).await.unwrap();
    assert!(heard.ends_with("no"), "{heard}");
}

#[tokio::test]
async fn a_sender_learns_that_nobody_receives() {
    let (wire, other) = Wire::pair(Interface::new(), server());
    let (sender, receiver) = channel::<u32>(1);
    drop(receiver);
    sender.closed().await;
    let (sender, receiver) = channel::<u32>(1);
    let sum = wire.call::<u64>("sum", (receiver,)).start();
    drop(sum);
    sender.closed().await;
    let (sender, receiver) = channel::<u32>(1);
    let _sum = wire.call::<u64>("sum", (receiver,)).start();
    wire.ping().await.unwrap();
    other.abort(Code(300), "enough");
    sender.closed().await;
}

#[tokio::test]
async fn items_that_came_are_received_before_the_loss() {
    for ours in [false, true] {
        let server = Interface::new()
            .procedure("burst", async |out: Sender<u32>| {
                for n in 0..10 {
                    out.send(n).await.unwrap();
                }
                std::future::pending::<()>().await;
            })
            .procedure("whole", async |out: Sender<(u32, Sender<u8>, Receiver<u8>)>| {
                let ((sender, _), (_, receiver)) = (channel(1), channel(1));
                out.send((7, sender, receiver)).await.unwrap();
            });
        let (wire, other) = Wire::pair(Interface::new(), server);
        let (sender, mut receiver) = channel::<u32>(1);
        let burst = wire.call::<()>("burst", (sender,)).start();
        let (sender, mut whole) = channel::<(u32, Sender<u8>, Receiver<u8>)>(1);
        wire.call::<()>("whole", (sender,)).await.unwrap();
        wire.ping().await.unwrap();
        wire.ping().await.unwrap();
        if ours {
            wire.abort(Code(300), "enough");
        } else {
            other.abort(Code(300), "enough");
        }
        wire.closed().await;
        for n in 0..10 {
            assert_eq!(receiver.recv().await, Ok(Some(n)));
        }
        assert!(matches!(receiver.recv().await, Err(StreamError::Lost(_))));
        burst.await.unwrap_err();
        // A stream that was complete, and what is in its items is over.
        let (seven, sender, mut inner) = whole.recv().await.unwrap().unwrap();
        assert_eq!(seven, 7);
        sender.closed().await;
        assert!(sender.send(1).await.is_err());
        // Its sender was dropped before the item left, so it came to its end before the wire did.
        assert_eq!(inner.recv().await, Ok(None));
        assert_eq!(whole.recv().await.map(drop), Ok(()));
        drop((sender, inner, whole, receiver));
        assert_eq!((wire.stats().buffered, wire.stats().streams), (0, 0));
    }
}
