//! Clients of a gateway over `arq+serial:` get the same, whatever they ask for, and each of them soon.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ipfi::{Bytes, Wire, channel};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::{
    common::{Running, null_modem},
    gateway::{Gateway, gateway},
    service::{self, runtime},
};

/// What a program needs to fail rather than to hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// What each client has had.
#[derive(Clone)]
struct Shares {
    each: Arc<Vec<AtomicU64>>,
    sum: watch::Sender<u64>,
}

impl Shares {
    fn new(clients: usize) -> Self {
        let each = Arc::new((0..clients).map(|_| AtomicU64::new(0)).collect());
        Self { each, sum: watch::Sender::new(0) }
    }

    fn add(&self, client: usize) {
        self.each[client].fetch_add(1, Relaxed);
        self.sum.send_modify(|sum| *sum += 1);
    }

    fn all(&self) -> Vec<u64> {
        self.each.iter().map(|share| share.load(Relaxed)).collect()
    }

    fn sum(&self) -> u64 {
        *self.sum.borrow()
    }

    /// Waits until all together have had so much.
    async fn reach(&self, sum: u64) {
        let mut sums = self.sum.subscribe();
        let reached = sums.wait_for(|now| *now >= sum);
        timeout(PATIENCE, reached).await.expect("the line carries something").unwrap();
    }

    /// Nobody gets a fifth more or less than the mean from now on until all together had `sum` more;
    /// one more or less is the grain of it.
    async fn assert_even(&self, sum: u64) {
        let before = self.all();
        self.reach(self.sum() + sum).await;
        let gained = self.all().into_iter().zip(before).map(|(now, then)| now - then);
        let gained: Vec<_> = gained.map(|n| f64::from(u32::try_from(n).unwrap())).collect();
        let mean = gained.iter().sum::<f64>() / f64::from(u32::try_from(gained.len()).unwrap());
        let least = gained.iter().copied().fold(f64::MAX, f64::min);
        let most = gained.iter().copied().fold(0.0, f64::max);
        println!("{least} to {most} each, {mean:.1} on average");
        assert!(least + 1.0 > 0.8 * mean, "{gained:?}");
        assert!(most - 1.0 < 1.2 * mean, "{gained:?}");
    }
}

/// A device that serves at one end of a line of 115,200 baud, as `ipfi serve` does, and a gateway at the
/// other.
fn device_and_gateway(dir: &std::path::Path) -> (Running, Gateway) {
    let (socat, a, b) = null_modem(dir);
    service::dial(&format!("arq+serial:{a},baud=115200"));
    let mut gateway = gateway(dir, &format!("arq+serial:{b},baud=115200"), &[]);
    gateway.process.wait_for("is open");
    (socat, gateway)
}

/// Calls without end, so many at once, of a procedure whose answer has so many bytes.
fn keep_calling(
    wire: &Wire,
    (at_once, size): (usize, u16),
    client: usize,
    shares: &Shares,
    to: &mut JoinSet<()>,
) {
    for _ in 0..at_once {
        let (wire, shares) = (wire.clone(), shares.clone());
        to.spawn(async move {
            while wire.call::<Bytes>("zeros", (size,)).await.is_ok() {
                shares.add(client);
            }
        });
    }
}

#[test]
fn greedy_clients_of_a_bad_line_get_no_more_than_modest_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (_socat, gateway) = device_and_gateway(dir.path());
    runtime().block_on(async {
        let shares = Shares::new(40);
        let (mut wires, mut calling) = (Vec::new(), JoinSet::new());
        for client in 0..40 {
            let wire = gateway.client().await;
            let at_once = if client % 4 == 0 { 16 } else { 2 };
            keep_calling(&wire, (at_once, 1), client, &shares, &mut calling);
            wires.push(wire);
        }
        shares.reach(500).await;
        shares.assert_even(2500).await;
        // Who comes now and wants little does not wait for what the others want.
        let newcomer = gateway.client().await;
        let before = shares.sum();
        newcomer.call::<i64>("add", (1i64, 2i64)).await.unwrap();
        let others = shares.sum() - before;
        println!("{others} calls of others came first");
        assert!(others < 220, "{others} calls of others came first, of 220 under way");
    });
}

/// The way to the device is all but idle.
#[test]
fn greedy_clients_are_told_no_more_than_modest_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (_socat, gateway) = device_and_gateway(dir.path());
    runtime().block_on(async {
        let shares = Shares::new(8);
        let (mut wires, mut calling) = (Vec::new(), JoinSet::new());
        for client in 0..8 {
            let wire = gateway.client().await;
            let at_once = if client % 4 == 0 { 16 } else { 2 };
            keep_calling(&wire, (at_once, 500), client, &shares, &mut calling);
            wires.push(wire);
        }
        shares.reach(40).await;
        shares.assert_even(112).await;
    });
}

#[test]
fn streams_without_end_share_a_line_and_leave_room() {
    let dir = tempfile::tempdir().unwrap();
    let (_socat, gateway) = device_and_gateway(dir.path());
    runtime().block_on(async {
        let shares = Shares::new(4);
        let mut reading = JoinSet::new();
        for client in 0..4 {
            let wire = gateway.client().await;
            let shares = shares.clone();
            reading.spawn(async move {
                let (items, mut received) = channel::<u32>(16);
                let call = wire.call::<()>("count", (u32::MAX, items)).start();
                while let Ok(Some(_)) = received.recv().await {
                    shares.add(client);
                }
                drop(call);
            });
        }
        shares.reach(4000).await;
        shares.assert_even(8000).await;
        let newcomer = gateway.client().await;
        let before = shares.sum();
        let answer = newcomer.call::<i64>("add", (1i64, 2i64));
        assert_eq!(timeout(PATIENCE, answer).await.expect("it is answered").unwrap(), 3);
        // An item is four bytes or more of the line.
        let others = 4 * (shares.sum() - before);
        println!("{others} bytes of others came first");
        assert!(others < 8 << 10, "{others} bytes of others came first");
    });
}
