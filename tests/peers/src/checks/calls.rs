//! Calls of the peer's procedures.

use anyhow::{Context, Result, ensure};
use ipfi::{Bytes, CallError, Code, Started};
use rmpv::Value;

use super::List;
use crate::{service::SERVED, session::Session};

pub(super) fn add(list: &mut List) {
    list.talk("calls::values", values);
    list.talk("calls::errors", errors);
    list.talk("calls::unknown", unknown);
    list.talk("calls::bad_arguments", bad_arguments);
    list.talk("calls::large", large);
    list.talk("calls::longer_than_it_takes", longer_than_it_takes);
    list.talk("calls::many_at_once", many_at_once);
    list.talk("calls::quick_beside_slow", quick_beside_slow);
    list.talk("calls::describe", describe);
}

/// Values of every kind.
fn samples() -> Vec<Value> {
    let int = |n: i64| Value::from(n);
    let nested = Value::Map(vec![
        (Value::from("key"), Value::Array(vec![int(1), Value::Nil, Value::from("zwei")])),
        (int(-7), Value::Map(vec![])),
        (Value::from("ä€𝄞"), Value::from(0.1)),
    ]);
    let integers = [0, 1, 127, 128, 255, 256, 65_535, 65_536, 1 << 32, i64::MAX];
    let negative = [-1, -32, -33, -128, -129, -32_768, -32_769, -(1 << 31), -(1 << 40), i64::MIN];
    let doubles = [0.0, -0.0, 1.5, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY];
    let lengths = [0, 1, 31, 32, 255, 256, 3000];
    [Value::Nil, Value::from(true), Value::from(false), nested.clone()]
        .into_iter()
        .chain(integers.into_iter().chain(negative).map(int))
        .chain(doubles.map(Value::from))
        .chain(lengths.map(|n| Value::from("x".repeat(n))))
        .chain(lengths.map(|n| Value::Binary(vec![0xc1; n])))
        .chain([0, 15, 16, 300].map(|n| Value::Array(vec![Value::Nil; n])))
        .chain([16, 300].map(|n| Value::Map((0..n).map(|i| (int(i), nested.clone())).collect())))
        .collect()
}

async fn values(session: &Session) -> Result<()> {
    let largest = session.many(1 << 20, 400);
    for value in samples() {
        let back: Value = session.wire.call_unchecked("echo", (value.clone(),)).await?;
        ensure!(back == value, "{value} came back as {back}");
        let mut written = vec![0x91];
        ipfi::Codec::MessagePack.encode(&value, &mut written).map_err(anyhow::Error::msg)?;
        if written.len() < largest {
            let back = session.wire.call_raw("echo", written.clone()).await?;
            let expected = written.get(1..).unwrap_or_default();
            ensure!(
                back.payload == expected,
                "{value}: other bytes came back: {:02x?}",
                back.payload
            );
        }
    }
    for (a, b) in [(2, 3), (-2, 1), (i64::MAX, i64::MIN), (1 << 40, -1)] {
        let sum: i64 = session.wire.call_unchecked("add", (a, b)).await?;
        ensure!(sum == a + b, "{a} + {b} = {sum}");
    }
    Ok(())
}

/// How a call failed.
pub(super) fn failure<T>(outcome: Result<T, CallError>) -> Result<(Code, String, Started)> {
    match outcome.err().context("the call did not fail")? {
        CallError::Failed(failure) => Ok((failure.code, failure.text, failure.started)),
        other => Err(other.into()),
    }
}

async fn errors(session: &Session) -> Result<()> {
    let long = "x".repeat(1000);
    let known = [(14, "oops"), (256, ""), (70_000, "ein Fehler: ä€𝄞"), (1 << 29, &long)];
    for (code, text) in known {
        let outcome = session.wire.call_unchecked::<()>("fail", (code, text)).await;
        let (got, why, started) = failure(outcome)?;
        ensure!(got == Code(code) && why == text, "{code} {text:?} came back as {got:?} {why:?}");
        ensure!(started == Started::Yes, "a procedure that failed was not started");
    }
    ensure!(session.wire.call_unchecked::<i64>("add", (2, 3)).await? == 5);
    Ok(())
}

async fn unknown(session: &Session) -> Result<()> {
    for name in ["no_such_procedure", "", "addd", "ad", "Add", &"x".repeat(255)] {
        let (code, _, started) = failure(session.wire.call_unchecked::<()>(name, ()).await)?;
        ensure!(code == Code::NO_SUCH_PROCEDURE, "{name:?}: {code}");
        ensure!(started == Started::No, "{name:?} was started");
    }
    ensure!(session.wire.call_unchecked::<i64>("add", (2, 3)).await? == 5);
    Ok(())
}

async fn bad_arguments(session: &Session) -> Result<()> {
    let bad: [(&str, &[u8]); 14] = [
        ("add", &[]),
        ("add", &[0xc0]),
        ("add", &[0x90]),
        ("add", &[0x91, 1]),
        ("add", &[0x93, 1, 2, 3]),
        ("add", &[0x92, 1]),
        ("add", &[0x92, 1, 2, 3]),
        ("add", &[0x92, 0xa1, b'1', 2]),
        ("add", &[0x92, 0xc0, 0xc0]),
        ("add", &[0x92, 1, 0xd3, 0, 0]),
        ("add", &[0xdd, 0xff, 0xff, 0xff, 0xff]),
        ("echo", &[0x91, 0xdb, 0xff, 0xff, 0xff, 0xff, b'x']),
        ("echo", &[0x91, 0xc1]),
        ("sum", &[0x91, 0]),
    ];
    for (name, arguments) in bad {
        let outcome = session.wire.call_raw(name, arguments.to_vec()).await;
        let (code, _, started) = failure(outcome)?;
        ensure!(code == Code::BAD_ARGUMENTS, "{name} {arguments:02x?}: {code}");
        ensure!(started == Started::No, "{name} {arguments:02x?} was started");
    }
    // Nested more deeply than anybody means it: an error or not, but not the end.
    let deep = [vec![0x91; session.many(20_000, 2000)], vec![0xc0]].concat();
    match session.wire.call_raw("echo", deep.clone()).await {
        Ok(back) => ensure!(deep.get(1..) == Some(&back.payload), "other bytes came back"),
        Err(error) => ensure!(error.code() == Code::BAD_ARGUMENTS, "nested: {error}"),
    }
    // What travels with arguments that nobody understands comes back.
    for _ in 0..20 {
        let (sender, receiver) = ipfi::channel::<u8>(1);
        let outcome = session.wire.call_unchecked::<i64>("add", (sender,)).await;
        ensure!(failure(outcome)?.0 == Code::BAD_ARGUMENTS);
        drop(receiver);
        let (sender, receiver) = ipfi::channel::<u8>(1);
        let outcome = session.wire.call_unchecked::<i64>("add", (receiver,)).await;
        ensure!(failure(outcome)?.0 == Code::BAD_ARGUMENTS);
        drop(sender);
        let callback: ipfi::Callback<(), ()> = ipfi::Callback::new(|| ());
        let outcome = session.wire.call_unchecked::<i64>("add", (callback,)).await;
        ensure!(failure(outcome)?.0 == Code::BAD_ARGUMENTS);
    }
    session.is_clean().await
}

async fn large(session: &Session) -> Result<()> {
    for len in [1000, 1025, 4000, 4096, 5000, session.large()] {
        let bytes: Vec<u8> = (0..251).cycle().take(len).collect();
        let back: Bytes =
            session.wire.call_unchecked("echo", (Bytes::from(bytes.clone()),)).await?;
        ensure!(*back == *bytes, "{len} bytes came back as {} others", back.len());
    }
    // Several at once take turns.
    let text = "y".repeat(session.large() / 3);
    let calls: Vec<_> = (0..4)
        .map(|_| session.wire.call_unchecked::<String>("echo", (text.as_str(),)).start())
        .collect();
    for call in calls {
        ensure!(call.await? == text);
    }
    Ok(())
}

/// Arguments whose length nobody knows before: the peer says at once that they are too long, and does
/// not let the host wait for what it never admits.
async fn longer_than_it_takes(session: &Session) -> Result<()> {
    if session.many(false, true) {
        return Ok(()); // megabytes
    }
    let mut call = session.wire.call_raw("echo", vec![0x91, 0xc6, 0x7f, 0, 0, 0]).in_parts()?;
    let part = vec![7; 60_000];
    while !call.is_over() {
        call.bytes(&part).await?;
    }
    let error = call.finish().await.err().context("it took all of it")?;
    ensure!(error.code() == Code::TOO_LARGE, "not too large, but: {error}");
    ensure!(error.started() == Started::No, "it says that it began");
    Ok(())
}

async fn many_at_once(session: &Session) -> Result<()> {
    let n = session.many(1000, 60);
    let add = |i: i64| session.wire.call_unchecked::<i64>("add", (i, i)).start();
    let calls: Vec<_> = (0..n).map(add).collect();
    for (i, call) in (0..n).zip(calls) {
        let sum = call.await?;
        ensure!(sum == 2 * i, "{i} + {i} = {sum}");
    }
    Ok(())
}

async fn quick_beside_slow(session: &Session) -> Result<()> {
    let slow = session.wire.call_unchecked::<()>("hang", ()).start();
    for i in 0..10 {
        ensure!(session.wire.call_unchecked::<i64>("add", (i, 1)).await? == i + 1);
    }
    drop(slow);
    Ok(())
}

async fn describe(session: &Session) -> Result<()> {
    let description = session.wire.describe(&[]).await?;
    for name in SERVED {
        let known = description.procedures.iter().any(|procedure| procedure.name == name);
        ensure!(known, "{name} is not described");
    }
    let again = session.wire.describe(std::slice::from_ref(&description)).await?;
    ensure!(again == description, "the second description is another");
    Ok(())
}
