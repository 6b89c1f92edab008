//! Calls that the peer makes.

use anyhow::{Result, ensure};
use ipfi::Code;
use rmpv::Value;

use super::{List, calls::failure};
use crate::session::Session;

pub(super) fn add(list: &mut List) {
    list.talk("drive::values", values);
    list.talk("drive::errors", errors);
    list.talk("drive::large", large);
    list.talk("drive::many_at_once", many_at_once);
    list.talk("drive::streams", streams);
    list.talk("drive::stopped", stopped);
    list.talk("drive::callbacks", callbacks);
    list.talk("drive::cancel", cancel);
    list.talk("drive::deadline", deadline);
    list.talk("drive::all_at_once", all_at_once);
}

async fn values(session: &Session) -> Result<()> {
    for value in [Value::Nil, Value::from(-5), Value::from("text"), Value::Binary(vec![0, 255])] {
        let back: Value = session.wire.call_unchecked("drive_echo", (value.clone(),)).await?;
        ensure!(back == value, "{value} came back as {back}");
    }
    for (a, b) in [(2, 3), (i64::MIN, i64::MAX)] {
        ensure!(session.wire.call_unchecked::<i64>("drive_add", (a, b)).await? == a + b);
    }
    Ok(())
}

async fn errors(session: &Session) -> Result<()> {
    for (code, text) in [(14, "oops"), (300, ""), (70_000, "Größe")] {
        let told: (u32, String, u8) =
            session.wire.call_unchecked("drive_fail", (code, text)).await?;
        ensure!(told == (code, text.to_owned(), 1), "{code} {text:?}: the peer saw {told:?}");
    }
    let code: u32 = session.wire.call_unchecked("drive_missing", ()).await?;
    ensure!(Code(code) == Code::NO_SUCH_PROCEDURE, "the peer saw code {code}");
    // The host's failure becomes the peer's.
    let outcome = session.wire.call_unchecked::<i64>("drive_add", (i64::MAX, 1)).await;
    let (code, text, _) = failure(outcome)?;
    ensure!(code == Code::FAILED && text == "the sum is too large", "{code}: {text}");
    Ok(())
}

async fn large(session: &Session) -> Result<()> {
    for n in [0, 100, 2000, 4096, 5000, session.large()] {
        let back: usize = session.wire.call_unchecked("drive_large", (n,)).await?;
        ensure!(back == n, "{back} of {n} bytes came back");
    }
    Ok(())
}

async fn many_at_once(session: &Session) -> Result<()> {
    for n in [0, 1, 8, 9, session.many(500, 40)] {
        let sum: i64 = session.wire.call_unchecked("drive_many", (n,)).await?;
        ensure!(sum == n * (n + 1) / 2, "{n} calls gave {sum}");
    }
    Ok(())
}

async fn streams(session: &Session) -> Result<()> {
    for n in [0, 1, 100, session.many(3000, 200)] {
        let expected = (0..n).sum::<i64>();
        for name in ["drive_count", "drive_count_into", "drive_sum"] {
            let sum: i64 = session.wire.call_unchecked(name, (n,)).await?;
            ensure!(sum == expected, "{name}({n}) gave {sum} instead of {expected}");
        }
        let items: i64 = session.wire.call_unchecked("drive_relay", (n,)).await?;
        ensure!(items == n, "{items} of {n} items came back");
    }
    Ok(())
}

async fn stopped(session: &Session) -> Result<()> {
    for n in [0, 1, 50, session.many(2000, 100)] {
        let sum: i64 = session.wire.call_unchecked("drive_stop", (n,)).await?;
        ensure!(sum == (0..n).sum(), "drive_stop({n}) gave {sum}");
    }
    Ok(())
}

async fn callbacks(session: &Session) -> Result<()> {
    for k in [0, 1, 20] {
        let sum: i64 = session.wire.call_unchecked("drive_call_back", (k,)).await?;
        ensure!(sum == k * (k - 1), "{k} calls of the peer's callback gave {sum}");
    }
    Ok(())
}

async fn cancel(session: &Session) -> Result<()> {
    for n in 1..=3 {
        session.wire.call_unchecked::<()>("drive_cancel", ()).await?;
        session.service.were_cancelled(n).await;
    }
    Ok(())
}

async fn deadline(session: &Session) -> Result<()> {
    let code: u32 = session.wire.call_unchecked("drive_deadline", (20,)).await?;
    ensure!(Code(code) == Code::DEADLINE, "the peer saw code {code}");
    session.service.were_cancelled(1).await;
    Ok(())
}

async fn all_at_once(session: &Session) -> Result<()> {
    let n = session.many(300, 20);
    let call = |name| session.wire.call_unchecked::<i64>(name, (n,)).start();
    let names = ["drive_count", "drive_sum", "drive_relay", "drive_many", "drive_call_back"];
    let calls = names.map(call);
    let sum = n * (n - 1) / 2;
    let expected = [sum, sum, n, sum + n, 2 * sum];
    for ((name, call), expected) in names.into_iter().zip(calls).zip(expected) {
        let result = call.await?;
        ensure!(result == expected, "{name}({n}) gave {result} instead of {expected}");
    }
    Ok(())
}
