//! Many items at once.
#![cfg(all(feature = "tokio", feature = "bincode"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test")]

use std::{future::Future, pin::pin, task::Poll};

use ipfi::{Code, Interface, Receiver, Sender, StreamError, Wire, channel};
use serde::{Deserialize, Serialize, Serializer};

/// Gives back all that it gets, with what it says of each.
async fn mirror(mut items: Receiver<Vec<u8>>, out: Sender<Vec<u8>>) {
    while let Ok(Some(item)) = items.recv().await {
        if out.send(item).await.is_err() {
            break;
        }
    }
}

async fn sum(mut numbers: Receiver<u64>) -> u64 {
    let mut sum = 0;
    while let Ok(Some(n)) = numbers.recv().await {
        sum += n;
    }
    sum
}

fn server() -> Interface {
    Interface::new().procedure("mirror", mirror).procedure("sum", sum)
}

/// Polls once.
async fn is_ready<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(pin!(&mut *future).poll(cx).is_ready())).await
}

#[tokio::test]
async fn items_of_all_sizes_keep_their_order() {
    let (wire, _other) = Wire::pair(Interface::new(), server());
    // From now on the peer's own limits are known.
    wire.ping().await.unwrap();
    // A length of one byte and of two, small items and large ones.
    let sizes = [0, 1, 125, 126, 127, 128, 1020, 1022, 1023, 1024, 1025, 1026, 5000, 70_000, 3];
    let items: Vec<Vec<u8>> = (0..300u32)
        .map(|n| {
            (n.to_le_bytes().into_iter().cycle().take(sizes[n as usize % sizes.len()])).collect()
        })
        .collect();
    let (sender, theirs) = channel(4);
    let (mine, mut receiver) = channel::<Vec<u8>>(4);
    let call = wire.call::<()>("mirror", (theirs, mine)).start();
    let send = async {
        // The number of items put together differs from one to the next.
        let mut rest = items.as_slice();
        let mut count = 0;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(count.min(rest.len()));
            sender.send_all(now.iter().cloned()).await.unwrap();
            (rest, count) = (later, count + 1);
        }
        sender.finish().await.unwrap();
    };
    let receive = async {
        for item in &items {
            assert_eq!(receiver.recv().await.unwrap().as_ref(), Some(item));
        }
        assert_eq!(receiver.recv().await.unwrap(), None);
    };
    tokio::join!(send, receive);
    call.await.unwrap();
}

#[tokio::test]
async fn items_with_streams_in_them_take_their_turn() {
    type Item = (u32, Option<Sender<u32>>);
    let server = Interface::new().procedure("ask", async |mut items: Receiver<Item>| {
        let mut seen = Vec::new();
        while let Some((n, answer)) = items.recv().await.unwrap() {
            seen.push(n);
            if let Some(answer) = answer {
                answer.send_all([n, n + 1]).await.unwrap();
            }
        }
        seen
    });
    let (wire, _other) = Wire::pair(Interface::new(), server);
    // From now on the peer's own limits are known.
    wire.ping().await.unwrap();
    let (sender, theirs) = channel::<Item>(4);
    let call = wire.call::<Vec<u32>>("ask", (theirs,)).start();
    let mut answers = Vec::new();
    let items = (0..100).map(|n| {
        let answer = (n % 3 == 0).then(|| {
            let (sender, receiver) = channel::<u32>(2);
            answers.push((n, receiver));
            sender
        });
        (n, answer)
    });
    sender.send_all(items).await.unwrap();
    drop(sender);
    assert_eq!(call.await.unwrap(), (0..100).collect::<Vec<_>>());
    for (n, mut answer) in answers {
        assert_eq!(answer.recv().await, Ok(Some(n)));
        assert_eq!(answer.recv().await, Ok(Some(n + 1)));
        assert_eq!(answer.recv().await, Ok(None));
    }
}

#[tokio::test]
async fn the_receiver_may_be_here_and_leave_in_the_middle() {
    let (wire, _other) = Wire::pair(Interface::new(), server());
    let (sender, mut receiver) = channel::<u64>(2);
    let mut sending = sender.send_all(1..=1000);
    assert!(!is_ready(&mut sending).await, "two have room");
    assert_eq!(receiver.recv().await, Ok(Some(1)));
    assert!(!is_ready(&mut sending).await);
    let sum = wire.call::<u64>("sum", (receiver,)).start();
    sending.await.unwrap();
    sender.finish().await.unwrap();
    assert_eq!(sum.await.unwrap(), 500_500 - 1);
}

/// Cannot be written if it is a five.
#[derive(Deserialize)]
struct NoFive(u64);

impl Serialize for NoFive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == 5 {
            return Err(serde::ser::Error::custom("five"));
        }
        serializer.serialize_u64(self.0)
    }
}

#[tokio::test]
async fn those_before_one_that_cannot_be_written_arrive() {
    let (wire, _other) = Wire::pair(Interface::new(), server());
    let (sender, receiver) = channel::<NoFive>(4);
    let sum = wire.call::<u64>("sum", (receiver,)).start();
    let mut left = (1..10).map(NoFive);
    let error = sender.send_all(left.by_ref()).await.unwrap_err();
    assert!(matches!(&error, StreamError::Encode(why) if why.contains("five")), "{error:?}");
    sender.send_all(left).await.unwrap();
    sender.finish().await.unwrap();
    assert_eq!(sum.await.unwrap(), 45 - 5);
}

#[tokio::test]
async fn who_does_not_receive_stops_it() {
    for abort in [false, true] {
        let server = Interface::new().procedure("hold", async |items: Receiver<u64>| {
            std::future::pending::<()>().await;
            drop(items);
        });
        let (wire, _other) = Wire::pair(Interface::new(), server);
        let (sender, receiver) = channel::<u64>(4);
        let hold = wire.call::<()>("hold", (receiver,)).start();
        let mut taken = 0u64;
        let mut sending = sender.send_all((0..).inspect(|_| taken += 1));
        for _ in 0..1000 {
            assert!(!is_ready(&mut sending).await, "there is no end to them");
            tokio::task::yield_now().await;
        }
        if abort {
            wire.abort(Code(300), "enough");
            assert!(matches!(sending.await, Err(StreamError::Lost(_))));
        } else {
            drop(hold);
            assert!(matches!(sending.await, Err(StreamError::Ended { .. })));
        }
        assert!(taken < 200_000, "{taken} were taken, for a window of 64 KiB");
    }
}

#[tokio::test]
async fn what_was_in_an_item_that_is_given_up_says_so() {
    let server =
        Interface::new().procedure("hold", async |items: Receiver<(Vec<u8>, Sender<u8>)>| {
            std::future::pending::<()>().await;
            drop(items);
        });
    let (wire, _other) = Wire::pair(Interface::new(), server);
    let (sender, receiver) = channel::<(Vec<u8>, Sender<u8>)>(4);
    let _hold = wire.call::<()>("hold", (receiver,)).start();
    let mut kept = Vec::new();
    for all in [false, true] {
        let mut inner = loop {
            let (theirs, inner) = channel::<u8>(1);
            let item = (vec![0; 10_000], theirs);
            let ready = if all {
                is_ready(&mut sender.send_all([item])).await
            } else {
                is_ready(&mut sender.send(item)).await
            };
            if !ready {
                break inner;
            }
            kept.push(inner);
            tokio::task::yield_now().await;
        };
        // What waited for room is dropped by now.
        assert_eq!(inner.recv().await, Err(StreamError::NotSent));
    }
    assert!(!kept.is_empty());
}
