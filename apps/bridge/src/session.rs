//! Pairs of streams, each with a beginning and an end.

use std::{sync::Arc, time::Duration};

use ipfi_app::{Backoff, Stop};
use ipfi_transport::{BoxStream, Listener, reason};
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};

use crate::{
    bridge::{Bridge, Facing, why},
    exit::BridgeError,
    log,
    relay::{End, Verdict, relay},
    settings::OnLoss,
    stats::{Counted, add},
};

/// Both ends are dialled and neither is a device: one pair, or one after the other if so told.
pub(crate) async fn pair(
    bridge: &Arc<Bridge>,
    mut a: Option<BoxStream>,
    mut b: Option<BoxStream>,
    mut stop: Stop,
) -> Result<(), BridgeError> {
    let retries = bridge.settings.on_loss == Some(OnLoss::Retry) && !bridge.settings.once;
    loop {
        let open = async {
            let a = open_at_last(bridge, Facing::A, a.take()).await;
            (a, open_at_last(bridge, Facing::B, b.take()).await)
        };
        let (a_stream, b_stream) = tokio::select! {
            streams = open => streams,
            () = stop.requested() => return Ok(()),
        };
        match run(bridge, a_stream, b_stream, stop.clone()).await {
            Verdict::Finished | Verdict::TimedOut => return Ok(()),
            Verdict::Cut(end, error) => {
                let end = match end {
                    End::A => &bridge.a,
                    End::B => &bridge.b,
                };
                if bridge.has_seen_enough(end, &error) {
                    return Ok(());
                }
                let (address, reason) = (end.address.to_string(), reason(&error));
                if !retries {
                    return Err(BridgeError::Lost { address, reason });
                }
                log::say(&format!(
                    "{}lost {address}: {reason}; opening both again",
                    bridge.prefix()
                ));
            }
        }
    }
}

/// Dials an end, again and again, unless it is open already.
async fn open_at_last(bridge: &Bridge, facing: Facing, stream: Option<BoxStream>) -> BoxStream {
    if let Some(stream) = stream {
        return stream;
    }
    let end = bridge.end(facing);
    let mut backoff = Backoff::new();
    loop {
        match bridge.registry.dial(&end.address).await {
            Ok(stream) => return stream,
            Err(error) => {
                let wait = backoff.next();
                add(&bridge.stats.tries, 1);
                log::detail(|| format!("{}{error}; next try in {wait:?}", bridge.prefix()));
                sleep(wait).await;
            }
        }
    }
}

/// One end listens; the other one is dialled for each peer.
pub(crate) async fn serve(
    bridge: &Arc<Bridge>,
    mut listener: Box<dyn Listener>,
    far: Facing,
    mut stop: Stop,
) -> Result<(), BridgeError> {
    let mut sessions = JoinSet::new();
    let places = Arc::new(Semaphore::new(bridge.settings.max_peers));
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (place, accept(bridge, &mut listener).await)
        };
        tokio::select! {
            (place, near) = next => {
                let (bridge, stop) = (bridge.clone(), stop.clone());
                let once = bridge.settings.once;
                sessions.spawn(async move {
                    let _place = place;
                    serve_one(&bridge, near, far, stop).await;
                });
                if once {
                    break;
                }
            }
            Some(_) = sessions.join_next() => {}
            () = stop.requested() => break,
        }
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
    Ok(())
}

async fn serve_one(bridge: &Arc<Bridge>, mut near: BoxStream, far: Facing, mut stop: Stop) {
    let peer = name(&near);
    let dial = async {
        let mut backoff = Backoff::new();
        loop {
            match bridge.registry.dial(&bridge.end(far).address).await {
                Ok(stream) => return Some(stream),
                Err(error) if bridge.settings.on_loss == Some(OnLoss::Retry) => {
                    let wait = backoff.next();
                    add(&bridge.stats.tries, 1);
                    log::detail(|| format!("{}{error}; next try in {wait:?}", bridge.prefix()));
                    sleep(wait).await;
                }
                Err(error) => {
                    log::say(&format!("{}{error}; {peer} refused", bridge.prefix()));
                    return None;
                }
            }
        }
    };
    let far_stream = tokio::select! {
        stream = dial => stream,
        () = stop.requested() => None,
    };
    let Some(far_stream) = far_stream else {
        add(&bridge.stats.refused, 1);
        near.abort();
        return;
    };
    let (a, b) = match far {
        Facing::B => (near, far_stream),
        Facing::A => (far_stream, near),
    };
    log::detail(|| format!("{}{peer} is there", bridge.prefix()));
    let verdict = run(bridge, a, b, stop).await;
    log::detail(|| {
        let how = match &verdict {
            Verdict::Finished => "finished".into(),
            Verdict::TimedOut => "was silent for too long".into(),
            Verdict::Cut(End::A, error) => format!("cut at the first end: {}", reason(error)),
            Verdict::Cut(End::B, error) => format!("cut at the second end: {}", reason(error)),
        };
        format!("{}{peer} {how}", bridge.prefix())
    });
}

/// Both ends listen: the next peer of one meets the next peer of the other.
pub(crate) async fn meet(
    bridge: &Arc<Bridge>,
    mut a: Box<dyn Listener>,
    mut b: Box<dyn Listener>,
    mut stop: Stop,
) -> Result<(), BridgeError> {
    let mut sessions = JoinSet::new();
    let places = Arc::new(Semaphore::new(bridge.settings.max_peers));
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            let streams = tokio::join!(accept(bridge, &mut a), accept(bridge, &mut b));
            (place, streams)
        };
        // A peer that waits for its counterpart is lost when this is given up, hence no other
        // branch but the end.
        let (place, (a_stream, b_stream)) = tokio::select! {
            next = next => next,
            () = stop.requested() => break,
        };
        let (task, stop) = (bridge.clone(), stop.clone());
        sessions.spawn(async move {
            let _place = place;
            run(&task, a_stream, b_stream, stop).await;
        });
        while sessions.try_join_next().is_some() {}
        if bridge.settings.once {
            break;
        }
    }
    drop((a, b));
    while sessions.join_next().await.is_some() {}
    Ok(())
}

async fn run(bridge: &Bridge, mut a: BoxStream, mut b: BoxStream, mut stop: Stop) -> Verdict {
    let stats = &bridge.stats;
    add(&stats.peers, 1);
    let _active = Counted::new(&stats.active);
    let counters = (&stats.a_to_b, &stats.b_to_a);
    let look = |a: &BoxStream, b: &BoxStream| {
        stats.set_health(Facing::A, a.health());
        stats.set_health(Facing::B, b.health());
    };
    let verdict = relay(&mut a, &mut b, bridge.manner(), counters, &mut stop, look).await;
    if matches!(verdict, Verdict::Cut(..)) {
        add(&stats.cut, 1);
    }
    verdict
}

/// The next peer. Trouble is logged once and waited out. Cancel safe.
pub(crate) async fn accept(bridge: &Bridge, listener: &mut Box<dyn Listener>) -> BoxStream {
    let mut trouble = false;
    loop {
        match listener.accept().await {
            Ok(stream) => return stream,
            Err(error) => {
                if !trouble {
                    log::say(&format!("{}cannot accept: {}", bridge.prefix(), reason(&error)));
                }
                trouble = true;
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Who a stream leads to.
pub(crate) fn name(stream: &BoxStream) -> String {
    stream.peer().unwrap_or_else(|| "a peer".into())
}

/// Dials once, for a port that reopens its end.
pub(crate) async fn dial(bridge: &Bridge, facing: Facing) -> Result<BoxStream, String> {
    bridge.registry.dial(&bridge.end(facing).address).await.map_err(|error| why(&error))
}
