//! Procedure calls by Morse: two stations on a simulated air, in virtual time.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use ipfi::{
    CallError, Callback, Code, Context, Interface, Receiver, Sender, Server, Wire, WireOptions,
    channel,
};
use ipfi_morse::transport::{Air, Morse};
use ipfi_transport::{BoxStream, ByteStream, Listener, Registry};
use links_test::{Volume, converse_on, interface};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// An air of their own, and somebody who waits there.
async fn listen(options: &str) -> (Registry, Box<dyn Listener>) {
    let registry = Registry::new().with(Morse::on(Air::new()));
    let address = format!("morse-listen:{options}").parse().unwrap();
    let listener = registry.listen(&address).await.unwrap();
    (registry, listener)
}

fn spawn(stream: BoxStream, interface: Interface) -> Wire {
    WireOptions::new().line(stream.line()).spawn(stream, interface)
}

async fn dial(registry: &Registry, options: &str, interface: Interface) -> Wire {
    let address = format!("morse:{options}").parse().unwrap();
    spawn(registry.dial_reliable(&address).await.unwrap(), interface)
}

/// Two wires, the one that dialled first.
async fn pair(options: &str, here: Interface, there: Interface) -> (Wire, Wire) {
    let (registry, mut listener) = listen(options).await;
    let accepted = async { spawn(listener.accept().await.unwrap(), there) };
    tokio::join!(dial(&registry, options, here), accepted)
}

#[tokio::test(start_paused = true)]
async fn everything_works_by_sound() {
    for (options, volume) in [
        (",mode=cable", Volume { calls: 3, bytes: 3000, items: 300 }),
        (",mode=fast,weather=snr=20/drop=5:0.15:0.45", Volume { calls: 2, bytes: 150, items: 30 }),
    ] {
        let since = Instant::now();
        let (wire, _other) = pair(options, Interface::new(), interface()).await;
        converse_on(&wire, options, volume).await;
        println!("{options}: {volume:?} in {:.0} s", since.elapsed().as_secs_f64());
    }
}

/// Squares what comes, and says on the way how far it is.
fn squares() -> Interface {
    interface().procedure(
        "squares",
        async |mut numbers: Receiver<u32>, out: Sender<u32>, progress: Callback<(u32,), bool>| {
            let mut count = 0;
            while let Ok(Some(n)) = numbers.recv().await {
                out.send(n * n).await.unwrap();
                count += 1;
            }
            progress.call((count,)).await.unwrap()
        },
    )
}

/// Calls it with streams both ways, and a callback back.
async fn call_squares(wire: &Wire, items: u32) {
    let (feed, numbers) = channel::<u32>(4);
    let (out, mut squares) = channel::<u32>(4);
    let progress: Callback<(u32,), bool> = Callback::new(move |count: u32| count == items);
    let call = wire.call::<bool>("squares", (numbers, out, progress)).start();
    let feeding = async {
        for n in 0..items {
            feed.send(n).await.unwrap();
        }
        feed.finish().await.unwrap();
    };
    let reading = async {
        for n in 0..items {
            assert_eq!(squares.recv().await.unwrap(), Some(n * n));
        }
        assert_eq!(squares.recv().await.unwrap(), None);
    };
    let (answer, ()) = tokio::join!(call, async { tokio::join!(feeding, reading).1 });
    assert!(answer.unwrap());
}

#[tokio::test(start_paused = true)]
async fn both_sides_call_with_streams_both_ways_and_callbacks() {
    let (here, there) = pair(",mode=cable", squares(), squares()).await;
    tokio::join!(call_squares(&here, 200), call_squares(&there, 200));
}

#[tokio::test(start_paused = true)]
async fn calls_are_cancelled_and_have_deadlines() {
    let (told, mut codes) = mpsc::unbounded_channel();
    let there = interface().procedure("wait", move |context: Context| {
        let told = told.clone();
        async move {
            told.send(Code::OK).unwrap();
            told.send(context.on_cancel().await).unwrap();
        }
    });
    let (wire, _other) = pair(",mode=cable", Interface::new(), there).await;
    let pending = wire.call::<()>("wait", ()).start();
    assert_eq!(codes.recv().await, Some(Code::OK));
    drop(pending);
    assert_eq!(codes.recv().await, Some(Code::CANCELLED));

    let since = Instant::now();
    let late = wire.call::<()>("wait", ()).deadline(Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(late.code(), Code::DEADLINE);
    assert_eq!(since.elapsed().as_secs(), 5);
    assert_eq!(codes.recv().await, Some(Code::OK));
    assert_eq!(codes.recv().await, Some(Code::DEADLINE));
    assert_eq!(wire.call::<i64>("add", (1, 2)).await.unwrap(), 3, "the wire goes on");
}

#[tokio::test(start_paused = true)]
async fn what_waits_has_the_time_that_the_medium_needs() {
    // Morse of 60 WPM carries two bytes a second: a hello takes longer than ten seconds, after which
    // a stranger on a faster link is given up.
    let options = ",mode=plain,wpm=60";
    let (registry, listener) = listen(options).await;
    tokio::spawn(Server::new(interface()).serve(listener));
    let wire = dial(&registry, options, Interface::new()).await;
    let since = Instant::now();
    assert_eq!(wire.call::<i64>("add", (40, 2)).await.unwrap(), 42);
    let seconds = since.elapsed().as_secs_f64();
    println!("hello and a call in {seconds:.0} s");
    assert!(seconds > 20.0);
}

#[tokio::test(start_paused = true)]
async fn wires_follow_one_another() {
    let (registry, listener) = listen(",mode=cable").await;
    tokio::spawn(Server::new(interface()).serve(listener));
    for round in 0..3 {
        let wire = dial(&registry, ",mode=cable", Interface::new()).await;
        assert_eq!(wire.call::<i64>("add", (round, 1)).await.unwrap(), round + 1);
        wire.close(None).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wire_that_dies_says_so_and_the_next_one_is_clean() {
    let (registry, mut listener) = listen(",mode=cable").await;
    let accepted = async { listener.accept().await.unwrap() };
    let (here, there) = tokio::join!(dial(&registry, ",mode=cable", Interface::new()), accepted);
    let other = spawn(
        there,
        interface().procedure("wait", async |_: u8| std::future::pending::<()>().await),
    );
    let waiting = here.call::<()>("wait", (1u8,)).start();
    assert_eq!(here.call::<i64>("add", (2, 2)).await.unwrap(), 4);
    other.abort(Code(300), "enough");
    let error = waiting.await.unwrap_err();
    assert!(
        matches!(error, CallError::Lost { .. }) || error.code() == Code::WIRE_LOST,
        "{error:?}"
    );
    drop((here, other));
    let accepted = async { spawn(listener.accept().await.unwrap(), interface()) };
    let (here, _there) = tokio::join!(dial(&registry, ",mode=cable", Interface::new()), accepted);
    assert_eq!(here.call::<i64>("add", (2, 3)).await.unwrap(), 5);
}
