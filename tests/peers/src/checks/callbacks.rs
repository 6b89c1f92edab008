//! Callbacks of the host, which the peer calls.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use anyhow::{Result, ensure};
use ipfi::{Callback, Code, Fault};

use super::{List, calls::failure};
use crate::session::Session;

pub(super) fn add(list: &mut List) {
    list.talk("callbacks::called_in_order", called_in_order);
    list.talk("callbacks::failing", failing);
    list.talk("callbacks::released", released);
    list.talk("callbacks::calling_back", calling_back);
}

async fn called_in_order(session: &Session) -> Result<()> {
    for k in [0, 1, 50] {
        let next = Arc::new(AtomicI64::new(0));
        let count = next.clone();
        let callback: Callback<(i64,), i64> = Callback::new(move |i: i64| {
            if count.fetch_add(1, Ordering::SeqCst) == i {
                Ok(3 * i)
            } else {
                Err(Fault::new("order"))
            }
        });
        let sum: i64 = session.wire.call_unchecked("call_back", (callback, k)).await?;
        ensure!(sum == 3 * k * (k - 1) / 2, "{k} calls gave {sum}");
        ensure!(next.load(Ordering::SeqCst) == k);
    }
    Ok(())
}

async fn failing(session: &Session) -> Result<()> {
    let callback: Callback<(i64,), i64> =
        Callback::new(
            |i: i64| {
                if i < 3 { Ok(i) } else { Err(Fault::new("enough").with_code(Code(400))) }
            },
        );
    let outcome = session.wire.call_unchecked::<i64>("call_back", (callback, 10)).await;
    let (code, text, _) = failure(outcome)?;
    ensure!(code == Code(400) && text == "enough", "{code}: {text}");
    Ok(())
}

async fn released(session: &Session) -> Result<()> {
    for _ in 0..30 {
        let callback: Callback<(i64,), i64> = Callback::new(|i: i64| i);
        session.wire.call_unchecked::<i64>("call_back", (callback, 1)).await?;
    }
    session.is_clean().await
}

/// While the peer calls back, the host calls it, and it calls the host.
async fn calling_back(session: &Session) -> Result<()> {
    let wire = session.wire.clone();
    let callback: Callback<(i64,), i64> = Callback::new(move |i: i64| {
        let wire = wire.clone();
        async move { wire.call_unchecked::<i64>("drive_add", (i, 1)).await.map_err(Fault::from) }
    });
    let sum: i64 = session.wire.call_unchecked("call_back", (callback, 10)).await?;
    ensure!(sum == 55, "the sum is {sum}");
    Ok(())
}
