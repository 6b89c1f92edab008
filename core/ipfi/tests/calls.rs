//! Calls: results, errors, cancelling, deadlines, many at once, both directions.
#![cfg(all(feature = "tokio", feature = "bincode"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test")]

use std::{sync::Arc, time::Duration};

use ipfi::{CallError, Cause, Code, Context, Fault, Interface, Started, Wire, WireOptions};
use tokio::sync::{mpsc, oneshot};

fn server() -> Interface {
    Interface::new()
        .procedure("add", |a: i64, b: i64| a + b)
        .procedure("greet", |name: String| format!("Hello, {name}!"))
        .procedure("later", async |n: u8| n + 1)
        .procedure("yield", async |n: u8| {
            tokio::task::yield_now().await;
            n + 1
        })
        .procedure("divide", |a: i64, b: i64| {
            a.checked_div(b).ok_or_else(|| Fault::new("division by zero").with_code(Code(300)))
        })
        .procedure("typed", |ok: bool| if ok { Ok(1u8) } else { Err("no".to_owned()) })
        .procedure("panic", |_: u8| -> u8 { panic!("oh dear") })
        .procedure("forever", async || std::future::pending::<()>().await)
        .blocking("block", |n: u64| n * 2)
}

#[tokio::test]
async fn values_come_back() {
    let (wire, _other) = Wire::pair(Interface::new(), server());
    assert_eq!(wire.call::<i64>("add", (2, 3)).await.unwrap(), 5);
    assert_eq!(wire.call::<String>("greet", ("Ada",)).await.unwrap(), "Hello, Ada!");
    assert_eq!(wire.call::<u8>("later", (1u8,)).await.unwrap(), 2);
    assert_eq!(wire.call::<u8>("yield", (1u8,)).await.unwrap(), 2);
    assert_eq!(wire.call::<i64>("divide", (7, 2)).await.unwrap(), 3);
    assert_eq!(wire.call::<u64>("block", (21u64,)).await.unwrap(), 42);
    let typed = wire.call::<Result<u8, String>>("typed", (false,)).await.unwrap();
    assert_eq!(typed, Err("no".to_owned()));
}

#[tokio::test]
async fn an_error_concerns_its_call_only() {
    let (wire, _other) = Wire::pair(Interface::new(), server());
    let failed = |code, started| {
        move |error: CallError| {
            assert_eq!((error.code(), error.started()), (code, started), "{error}");
        }
    };
    wire.call::<u8>("panic", (1u8,))
        .await
        .map_err(failed(Code::PANICKED, Started::Yes))
        .unwrap_err();
    wire.call::<u8>("nobody", ())
        .await
        .map_err(failed(Code::NO_SUCH_PROCEDURE, Started::No))
        .unwrap_err();
    wire.call::<i64>("divide", (7, 0)).await.map_err(failed(Code(300), Started::Yes)).unwrap_err();
    let misread = wire.call::<i64>("add", (5u32, 6u32)).await.unwrap_err();
    assert_eq!((misread.code(), misread.started()), (Code::SIGNATURE_MISMATCH, Started::No));
    assert!(misread.to_string().contains("(i64, i64) -> i64"), "{misread}");
    let arity = wire.call::<i64>("add", (5,)).await.unwrap_err();
    assert_eq!(arity.code(), Code::SIGNATURE_MISMATCH);
    let bytes = wire.call_raw("greet", vec![0xfd, 0, 0, 0, 0, 0, 0x40, 0, 0]).await.unwrap_err();
    assert_eq!((bytes.code(), bytes.started()), (Code::BAD_ARGUMENTS, Started::No), "{bytes}");
    let trailing = wire.call_raw("greet", vec![1, b'x', b'y']).await.unwrap_err();
    assert_eq!(trailing.code(), Code::BAD_ARGUMENTS);
    assert_eq!(wire.call::<i64>("add", (2, 3)).await.unwrap(), 5);
}

#[tokio::test]
async fn many_at_once_and_in_any_order() {
    let (release, released) = mpsc::channel::<()>(1);
    let released = Arc::new(tokio::sync::Mutex::new(released));
    let server = server().procedure("wait", move || {
        let released = released.clone();
        async move { released.lock().await.recv().await.is_some() }
    });
    let (wire, _other) = Wire::pair(Interface::new(), server);
    let slow = wire.call::<bool>("wait", ()).start();
    let calls: Vec<_> = (0..1000).map(|n| wire.call::<i64>("add", (n, n)).start()).collect();
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap(), 2 * i64::try_from(n).unwrap());
    }
    release.send(()).await.unwrap();
    assert!(slow.await.unwrap());
}

#[tokio::test]
async fn both_sides_call_at_once_and_inside_of_calls() {
    let client = Interface::new().procedure("name", || "client".to_owned());
    let server = server().procedure("ask", async |context: Context| {
        context.wire().call::<String>("name", ()).await.unwrap_or_default()
    });
    let (wire, other) = Wire::pair(client, server);
    assert_eq!(wire.call::<String>("ask", ()).await.unwrap(), "client");
    assert_eq!(other.call::<String>("name", ()).await.unwrap(), "client");
}

#[tokio::test]
async fn dropping_a_call_drops_its_procedure() {
    struct Dropped(Option<oneshot::Sender<()>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.take().map(|sender| sender.send(()));
        }
    }
    let (started, mut has_started) = mpsc::channel(1);
    let server = Interface::new().procedure("hang", move || {
        let started = started.clone();
        async move {
            let (sender, receiver) = oneshot::channel();
            let _dropped = Dropped(Some(sender));
            started.send(receiver).await.unwrap();
            std::future::pending::<()>().await;
        }
    });
    let (wire, _other) = Wire::pair(Interface::new(), server);
    let call = wire.call::<()>("hang", ()).start();
    let dropped = has_started.recv().await.unwrap();
    drop(call);
    dropped.await.unwrap();
}

#[tokio::test]
async fn a_procedure_with_a_context_is_told() {
    let (told, mut was_told) = mpsc::channel(1);
    let server = Interface::new().procedure("hang", move |context: Context| {
        let told = told.clone();
        async move {
            told.send(Code::OK).await.unwrap();
            let code = context.on_cancel().await;
            told.send(code).await.unwrap();
        }
    });
    let (wire, other) = Wire::pair(Interface::new(), server);
    let call = wire.call::<()>("hang", ()).start();
    was_told.recv().await.unwrap();
    drop(call);
    assert_eq!(was_told.recv().await, Some(Code::CANCELLED));
    let call = wire.call::<()>("hang", ()).start();
    was_told.recv().await.unwrap();
    drop(wire);
    other.close(Some(Duration::ZERO)).await;
    assert_eq!(was_told.recv().await, Some(Code::WIRE_LOST));
    let error = call.await.unwrap_err();
    assert!(matches!(error, CallError::Lost { started: Started::Maybe, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn deadlines_end_calls_on_both_sides() {
    let (left, mut time_left) = mpsc::channel(1);
    let server = server().procedure("left", move |context: Context| {
        let left = left.clone();
        async move {
            left.send(context.time_left()).await.unwrap();
            let code = context.on_cancel().await;
            left.send(Some(Duration::from_secs(code.0.into()))).await.unwrap();
        }
    });
    let (wire, _other) = Wire::pair(Interface::new(), server);
    let second = Duration::from_secs(1);
    let late = wire.call::<()>("left", ()).deadline(second).await.unwrap_err();
    assert_eq!(late.code(), Code::DEADLINE);
    let left = time_left.recv().await.unwrap().unwrap();
    assert!(left <= second && left > second / 2, "{left:?}");
    let code = time_left.recv().await.unwrap().unwrap().as_secs();
    assert_eq!(code, u64::from(Code::DEADLINE.0));
    let none = wire.call::<()>("forever", ()).deadline(Duration::ZERO).await.unwrap_err();
    assert_eq!(none.code(), Code::DEADLINE);
    assert_eq!(wire.call::<i64>("add", (2, 3)).deadline(second).await.unwrap(), 5);
}

#[tokio::test]
async fn the_last_handle_closes_in_peace() {
    let (wire, other) = Wire::pair(Interface::new(), server());
    let call = wire.call::<u8>("yield", (1u8,)).start();
    drop(wire);
    assert_eq!(call.await.unwrap(), 2);
    assert_eq!(other.closed().await, Cause::Graceful);
}

#[tokio::test]
async fn serve_only_refuses_its_own_calls() {
    let (here, there) = tokio::io::duplex(64);
    let wire = WireOptions::new().serve_only().spawn(here, server());
    let other = Wire::spawn(there, server());
    assert_eq!(wire.call::<i64>("add", (1, 1)).await.unwrap_err().code(), Code::NOT_ALLOWED);
    assert_eq!(other.call::<i64>("add", (1, 1)).await.unwrap(), 2);
}

#[tokio::test]
async fn an_interface_bounds_what_runs() {
    let server = Interface::new()
        .procedure("forever", async || std::future::pending::<()>().await)
        .max_running(2)
        .max_waiting(0);
    let server = Arc::new(server);
    let (one, _a) = Wire::pair(Interface::new(), server.clone());
    let (two, _b) = Wire::pair(Interface::new(), server);
    let running = [one.call::<()>("forever", ()).start(), two.call::<()>("forever", ()).start()];
    one.ping().await.unwrap();
    two.ping().await.unwrap();
    let refused = one.call::<()>("forever", ()).await.unwrap_err();
    assert_eq!((refused.code(), refused.started()), (Code::REFUSED, Started::No));
    assert!(refused.to_string().ends_with("too many calls at once: 2 may run and 0 wait"));
    // It still tells what there is.
    assert_eq!(two.describe(&[]).await.unwrap().procedures.len(), 1);
    drop(running);
}

#[tokio::test]
async fn large_arguments_and_results_pass() {
    let server = Interface::new().procedure("echo", |bytes: ipfi::Bytes| bytes);
    let (wire, _other) = Wire::pair(Interface::new(), server);
    for len in [0, 1, 2047, 2048, 2049, 65_536, 1 << 20, (4 << 20) - 8] {
        let bytes: Vec<u8> = (0..len).map(|n: usize| n.to_le_bytes()[0]).collect();
        let back: ipfi::Bytes =
            wire.call("echo", (ipfi::Bytes::from(bytes.clone()),)).await.unwrap();
        assert_eq!(back.into_vec(), bytes);
    }
    let long = ipfi::Bytes::from(vec![0; 5 << 20]);
    let error = wire.call::<ipfi::Bytes>("echo", (long,)).await.unwrap_err();
    assert_eq!((error.code(), error.started()), (Code::TOO_LARGE, Started::No));
}

#[test]
fn handles_work_on_threads_without_a_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (wire, _other) = runtime.block_on(async { Wire::pair(Interface::new(), server()) });
    assert_eq!(wire.call::<i64>("add", (20, 22)).wait().unwrap(), 42);
    let pending = wire.call::<i64>("add", (20, 22)).start();
    assert_eq!(std::thread::spawn(move || pending.wait()).join().unwrap().unwrap(), 42);
}

#[tokio::test]
async fn description_by_hash() {
    let server =
        server().procedure("sum", |numbers: Vec<u32>| numbers.iter().sum::<u32>()).doc("Adds.");
    let (wire, _other) = Wire::pair(Interface::new(), server);
    let all = wire.describe(&[]).await.unwrap();
    let sum = all.procedures.iter().find(|procedure| procedure.name == "sum").unwrap();
    assert_eq!((sum.signature.as_str(), sum.doc.as_str()), ("(Vec<u32>) -> u32", "Adds."));
    let again = wire.describe(std::slice::from_ref(&all)).await.unwrap();
    assert_eq!(again, all);
    let (wire, _other) = Wire::pair(Interface::new(), Interface::new().private());
    assert_eq!(wire.describe(&[]).await.unwrap_err().code(), Code::NO_SUCH_PROCEDURE);
}

#[tokio::test]
async fn calls_wait_in_line_for_their_turn() {
    let released = Arc::new(tokio::sync::Semaphore::new(0));
    let release = released.clone();
    let running = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let server = {
        let running = running.clone();
        Interface::new()
            .procedure("wait", move |n: u32| {
                let (released, running) = (released.clone(), running.clone());
                async move {
                    assert!(running.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2);
                    let _go = released.acquire().await.unwrap();
                    running.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    n
                }
            })
            .procedure("now", |n: u32| n)
            .blocking("block", |n: u32| n)
            .max_running(2)
            .max_waiting(100)
    };
    let (wire, _other) = Wire::pair(Interface::new(), server);
    let first: Vec<_> = (0..2u32).map(|n| wire.call::<u32>("wait", (n,)).start()).collect();
    let given_up = wire.call::<u32>("wait", (9u32,)).start();
    let late = wire.call::<u32>("now", (9u32,)).deadline(Duration::from_millis(20)).start();
    let line: Vec<_> = (2..40u32)
        .flat_map(|n| ["wait", "now", "block"].map(|name| wire.call::<u32>(name, (n,)).start()))
        .collect();
    let late = late.await.unwrap_err();
    assert_eq!(late.code(), Code::DEADLINE);
    drop(given_up);
    let mut refused = 0;
    release.add_permits(2);
    for (n, call) in first.into_iter().enumerate() {
        assert_eq!(call.await.unwrap() as usize, n);
    }
    for call in line {
        match call.await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!((error.code(), error.started()), (Code::REFUSED, Started::No));
                refused += 1;
            }
        }
    }
    // 114 came when two ran and two waited.
    assert!((14..=17).contains(&refused), "{refused}");
    assert_eq!(wire.call::<u32>("now", (1u32,)).await.unwrap(), 1);
}

#[tokio::test]
async fn arguments_come_bit_by_bit() {
    let server = Interface::new()
        .procedure("store", |name: String, content: ipfi::Bytes, n: u64| {
            format!("{name} {} {n}", content.iter().map(|&b| u64::from(b)).sum::<u64>())
        })
        .procedure("two", async |mut a: ipfi::Receiver<u8>, b: ipfi::Callback<(), u8>| {
            (a.recv().await.unwrap().unwrap(), b.call(()).await.unwrap())
        });
    let (wire, other) = Wire::pair(Interface::new(), server);
    let mut call = wire.call_in_parts::<(String, ipfi::Bytes, u64), String>("store").unwrap();
    call.argument(&"ones").await.unwrap();
    call.begin_bytes(3_000_000).await.unwrap();
    for _ in 0..3000 {
        call.bytes(&[1; 1000]).await.unwrap();
    }
    assert!(wire.stats().calls == 1 && other.stats().buffered <= 4 << 20);
    call.argument(&7u64).await.unwrap();
    assert_eq!(call.finish().await.unwrap(), "ones 3000000 7");
    // A byte at a time, with what is beside them.
    let (sender, receiver) = ipfi::channel::<u8>(1);
    let mut call = wire
        .call_in_parts::<(ipfi::Receiver<u8>, ipfi::Callback<(), u8>), (u8, u8)>("two")
        .unwrap();
    call.argument(&receiver).await.unwrap();
    call.argument(&ipfi::Callback::<(), u8>::new(|| 2u8)).await.unwrap();
    let call = call.finish();
    sender.send(1).await.unwrap();
    assert_eq!(call.await.unwrap(), (1, 2));
    // Another signature is found without the arguments being complete.
    let mut call = wire.call_in_parts::<(u8,), String>("store").unwrap();
    call.argument(&1u8).await.unwrap();
    assert_eq!(call.finish().await.unwrap_err().code(), Code::SIGNATURE_MISMATCH);
    // Too much; given up.
    let mut call = wire.call_raw("store", vec![]).in_parts().unwrap();
    let mut sent = 0;
    while !call.is_over() {
        call.bytes(&[0; 10_000]).await.unwrap();
        sent += 10_000;
        assert!(sent < 5 << 20);
    }
    let error = call.finish().await.unwrap_err();
    assert_eq!((error.code(), error.started()), (Code::TOO_LARGE, Started::No));
    let mut call = wire.call_raw("store", vec![]).in_parts().unwrap();
    call.bytes(&[0; 10_000]).await.unwrap();
    drop(call);
    wire.ping().await.unwrap();
    wire.ping().await.unwrap();
    assert_eq!((wire.stats().calls, other.stats().buffered), (0, 0));
    // The wire breaks in between.
    let mut call = wire.call_raw("store", vec![]).in_parts().unwrap();
    call.bytes(&vec![0; 100_000]).await.unwrap();
    other.abort(Code(300), "enough");
    for _ in 0..10 {
        call.bytes(&vec![0; 100_000]).await.unwrap();
    }
    assert!(matches!(call.finish().await.unwrap_err(), CallError::Lost { .. }));
}

#[tokio::test]
async fn many_large_uploads_are_held_back_and_none_is_refused() {
    let server = Interface::new().procedure("size", async |bytes: ipfi::Bytes| {
        tokio::task::yield_now().await;
        bytes.len() as u64
    });
    let (wire, other) = Wire::pair(Interface::new(), server);
    let small = ipfi::Bytes::from(vec![7; 300 << 10]);
    let large = ipfi::Bytes::from(vec![7; 4_000_000]);
    let calls: Vec<_> = (0..600)
        .map(|n| wire.call::<u64>("size", (if n % 20 == 0 { &large } else { &small }.clone(),)))
        .map(ipfi::Call::start)
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap(), if n % 20 == 0 { 4_000_000 } else { 300 << 10 });
        assert!(other.stats().buffered <= ipfi::Limits::default().max_buffered);
    }
}

#[tokio::test]
async fn ten_thousand_calls_at_once() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let open = gate.clone();
    let server = Interface::new().procedure("wait", move |n: u32| {
        let gate = gate.clone();
        async move {
            let _open = gate.acquire().await.unwrap();
            n
        }
    });
    let server = Arc::new(server);
    // All of them run at once; or as many as the default allows, and the others wait.
    for (max_calls, expected) in [(16_384, 10_000), (256, 256)] {
        let (here, there) = tokio::io::duplex(1 << 16);
        let limits = ipfi::Limits { max_calls, ..ipfi::Limits::default() };
        let other = WireOptions::new().limits(limits).spawn(there, server.clone());
        let wire = Wire::spawn(here, Interface::new());
        wire.ping().await.unwrap();
        let calls: Vec<_> =
            (0..10_000u32).map(|n| wire.call::<u32>("wait", (n,)).start()).collect();
        wire.ping().await.unwrap();
        assert_eq!(other.stats().incoming_calls, expected);
        assert_eq!(wire.stats().waiting_calls, 10_000 - expected);
        open.add_permits(1000);
        for (n, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await.unwrap() as usize, n);
        }
        assert_eq!((wire.stats().calls, other.stats().incoming_calls), (0, 0));
        open.forget_permits(1000);
    }
}

#[tokio::test]
async fn higher_classes_are_served_first() {
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = order.clone();
    let server = Interface::new().procedure("log", move |class: u8, _: ipfi::Bytes| {
        log.lock().unwrap().push(class);
    });
    let (here, there) = tokio::io::duplex(1024);
    let (wire, _other) = (Wire::spawn(here, Interface::new()), Wire::spawn(there, server));
    wire.ping().await.unwrap();
    let bytes = ipfi::Bytes::from(vec![0; 5000]);
    let classes = [ipfi::Priority::Low, ipfi::Priority::Normal, ipfi::Priority::High];
    let calls: Vec<_> = (0..60)
        .map(|n| {
            let class = n % 3;
            let args = (u8::try_from(class).unwrap(), bytes.clone());
            wire.call::<()>("log", args).priority(classes[class]).start()
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let order = order.lock().unwrap().clone();
    let mean = |class: u8| {
        let places = order.iter().enumerate().filter(|(_, other)| **other == class);
        places.map(|(place, _)| place).sum::<usize>() / 20
    };
    // In order they would be 30 each. Nobody starves: the lowest has its turn before the end.
    assert!(mean(2) + 10 < mean(1) && mean(1) + 5 < mean(0), "{order:?}");
    assert!(order[..40].contains(&0), "{order:?}");
}

#[tokio::test]
async fn a_small_call_overtakes_large_ones() {
    let server = Interface::new()
        .procedure("echo", |bytes: ipfi::Bytes| bytes)
        .procedure("add", |a: i64, b: i64| a + b);
    let (here, there) = tokio::io::duplex(1024);
    let (wire, _other) = (Wire::spawn(here, Interface::new()), Wire::spawn(there, server));
    wire.ping().await.unwrap();
    let large: Vec<_> = (0..3)
        .map(|_| wire.call::<ipfi::Bytes>("echo", (ipfi::Bytes::from(vec![7; 4_000_000]),)))
        .map(ipfi::Call::start)
        .collect();
    // While they go there and while they come back.
    let mut over = 0;
    let mut small = 0;
    for call in large {
        tokio::pin!(call);
        loop {
            tokio::select! {
                biased;
                echo = &mut call => {
                    assert_eq!(echo.unwrap().len(), 4_000_000);
                    over += 1;
                    break;
                }
                sum = wire.call::<i64>("add", (2, 3)) => {
                    assert_eq!(sum.unwrap(), 5);
                    small += 1;
                }
            }
        }
    }
    assert_eq!(over, 3);
    assert!(small > 50, "{small} small calls while 24 MB went by in frames of some kilobytes");
}
