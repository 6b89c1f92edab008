//! A peer in Rust: what the others are held to, it has to do as well.

#![expect(clippy::wildcard_enum_match_arm, reason = "what is not known is passed on as it is")]

use std::{process::ExitCode, sync::Arc};

use ipfi::{
    Bytes, CallError, Callback, Cause, Code, Codec, Context, Fault, Interface, Receiver, Started,
    WireOptions, channel,
};
use ipfi_peers::service::{Service, broken, failed};
use rmpv::Value;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncWriteExt, copy, duplex, split, stdin, stdout};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (near, far) = duplex(64 << 10);
    let (mut outgoing, mut incoming) = split(far);
    let service = Arc::new(Service::default());
    let interface = service.interface().merge(driven());
    let wire = WireOptions::new().codec(Codec::MessagePack).spawn(near, interface);
    tokio::spawn(async move {
        let _ = copy(&mut stdin(), &mut incoming).await;
        let _ = incoming.shutdown().await;
    });
    // Ends when the driver has nothing more to say.
    let mut stdout = stdout();
    let _ = copy(&mut outgoing, &mut stdout).await;
    let _ = stdout.flush().await;
    // The thread that reads standard input cannot be stopped.
    std::process::exit(match wire.closed().await {
        Cause::Protocol(error) => {
            eprintln!("the host broke the protocol: {error}");
            1
        }
        _ => 0,
    })
}

async fn call<R: DeserializeOwned>(
    context: &Context,
    name: &str,
    args: impl ipfi::Value,
) -> Result<R, Fault> {
    context.wire().call_unchecked(name, args).await.map_err(failed)
}

/// What the peer does when it is told to.
fn driven() -> Interface {
    Interface::new()
        .procedure("leave", |context: Context| {
            tokio::spawn(async move { context.wire().close(None).await });
        })
        .procedure("drive_echo", async |context: Context, value: Value| {
            call::<Value>(&context, "echo", (value,)).await
        })
        .procedure("drive_add", async |context: Context, a: i64, b: i64| {
            call::<i64>(&context, "add", (a, b)).await
        })
        .procedure("drive_fail", fail)
        .procedure("drive_missing", async |context: Context| {
            let outcome = context.wire().call_unchecked::<()>("no_such_procedure", ()).await;
            outcome.err().map_or(0, |error| error.code().0)
        })
        .procedure("drive_large", large)
        .procedure("drive_many", many)
        .procedure("drive_count", async |context: Context, n: u64| {
            total(call(&context, "count", (n,)).await?).await
        })
        .procedure("drive_count_into", async |context: Context, n: u64| {
            let (sender, receiver) = channel::<u64>(4);
            let counting = context.wire().call_unchecked::<u64>("count_into", (n, sender)).start();
            let sum = total(receiver).await?;
            counting.await.map_err(failed)?;
            Ok::<_, Fault>(sum)
        })
        .procedure("drive_stop", async |context: Context, n: u64| {
            let mut items: Receiver<u64> = call(&context, "count", (1_000_000_000u64,)).await?;
            let mut sum = 0;
            for _ in 0..n {
                sum += items.recv().await.map_err(broken)?.unwrap_or_default();
            }
            Ok::<_, Fault>(sum)
        })
        .procedure("drive_sum", sum)
        .procedure("drive_relay", relay)
        .procedure("drive_call_back", async |context: Context, k: u32| {
            let twice: Callback<(i64,), i64> = Callback::new(|i: i64| 2 * i);
            call::<i64>(&context, "call_back", (twice, k)).await
        })
        .procedure("drive_cancel", async |context: Context| {
            let hanging = context.wire().call_unchecked::<()>("hang", ()).start();
            call::<i64>(&context, "add", (1, 2)).await?;
            drop(hanging);
            Ok::<_, Fault>(())
        })
        .procedure("drive_deadline", async |context: Context, ms: u64| {
            let deadline = std::time::Duration::from_millis(ms);
            let wire = context.wire();
            let outcome = wire.call_unchecked::<()>("hang", ()).deadline(deadline).await;
            outcome.err().map_or(0, |error| error.code().0)
        })
}

async fn fail(context: Context, code: u32, text: String) -> Result<(u32, String, u8), Fault> {
    match context.wire().call_unchecked::<()>("fail", (code, text)).await {
        Err(CallError::Failed(failure)) => {
            let started = u8::from(failure.started == Started::Yes);
            Ok((failure.code.0, failure.text, started))
        }
        other => Err(Fault::new(format!("{other:?}"))),
    }
}

async fn large(context: Context, n: usize) -> Result<usize, Fault> {
    let bytes = Bytes::from(vec![7; n]);
    let back: Bytes = call(&context, "echo", (bytes.clone(),)).await?;
    if back == bytes { Ok(n) } else { Err(Fault::new("other bytes came back")) }
}

async fn many(context: Context, n: i64) -> Result<i64, Fault> {
    let wire = context.wire();
    let calls: Vec<_> = (0..n).map(|i| wire.call_unchecked::<i64>("add", (i, 1)).start()).collect();
    let mut sum = 0;
    for call in calls {
        sum += call.await.map_err(failed)?;
    }
    Ok(sum)
}

async fn total(mut items: Receiver<u64>) -> Result<u64, Fault> {
    let mut sum = 0;
    while let Some(item) = items.recv().await.map_err(broken)? {
        sum += item;
    }
    Ok(sum)
}

async fn sum(context: Context, n: i64) -> Result<i64, Fault> {
    let (sender, receiver) = channel::<i64>(4);
    let sum = context.wire().call_unchecked::<i64>("sum", (receiver,)).start();
    for i in 0..n {
        sender.send(i).await.map_err(broken)?;
    }
    drop(sender);
    sum.await.map_err(failed)
}

async fn relay(context: Context, n: u64) -> Result<u64, Fault> {
    let (sender, receiver) = channel::<u64>(4);
    let (back, mut items) = channel::<u64>(4);
    let count = context.wire().call_unchecked::<u64>("relay", (receiver, back)).start();
    tokio::spawn(async move {
        for i in 0..n {
            if sender.send(i).await.is_err() {
                break;
            }
        }
    });
    let mut came = 0;
    while let Some(item) = items.recv().await.map_err(broken)? {
        if item != came {
            let text = format!("item {item} instead of {came}");
            return Err(Fault::new(text).with_code(Code::BAD_RESULT));
        }
        came += 1;
    }
    count.await.map_err(failed)?;
    Ok(came)
}
