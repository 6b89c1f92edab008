//! Numbers in, a table of medians and ratios out.

use std::{
    collections::BTreeMap,
    future::Future,
    time::{Duration, Instant},
};

/// All measurements: by work, by who did it.
pub struct Table {
    only: String,
    cells: BTreeMap<&'static str, BTreeMap<&'static str, Vec<f64>>>,
}

impl Table {
    pub fn new(only: String) -> Self {
        Self { only, cells: BTreeMap::new() }
    }

    pub fn wants(&self, work: &str) -> bool {
        work.contains(&self.only)
    }

    pub fn add(&mut self, work: &'static str, who: &'static str, value: f64) {
        self.cells.entry(work).or_default().entry(who).or_default().push(value);
    }

    pub fn print(mut self) {
        for (work, row) in &mut self.cells {
            println!("{work}");
            let mut raw = None;
            let mut order: Vec<_> = row.iter_mut().collect();
            order.sort_by_key(|(who, _)| (**who != "raw", **who != "ipfi", **who));
            for (who, values) in order {
                values.sort_by(f64::total_cmp);
                let median = values[values.len() / 2];
                let raw = *raw.get_or_insert(median);
                println!("    {who:<10} {median:>14.2}   {:>6.2} of raw", median / raw);
            }
        }
    }
}

/// A runtime for one side.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A server on a thread of its own, until the process ends; its address comes back.
pub fn serve<F, Fut>(server: F) -> std::net::SocketAddr
where
    F: FnOnce(tokio::net::TcpListener) -> Fut + Send + 'static,
    Fut: Future<Output = ()>,
{
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            server(listener).await;
        });
    });
    receiver.recv().unwrap()
}

/// CPU time of this process.
pub fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat");
    let _ = stat;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

pub const SEQUENTIAL: u32 = 20_000;
pub const AT_ONCE: u32 = 400_000;
pub const CONNECTS: u32 = 300;
pub const ITEMS: u64 = 10_000_000;
pub const LARGE: usize = 64 * 1024;
pub const LARGE_CALLS: u32 = 4000;

/// What can be measured of something that answers calls.
pub trait Client {
    async fn connect(address: std::net::SocketAddr) -> Self;
    async fn greet(&mut self);
    async fn greet_many(&mut self, at_once: usize);
    async fn echo(&mut self, bytes: &[u8]);
    async fn echo_many(&mut self, bytes: &[u8], at_once: usize);
    /// Says how many items came.
    async fn items(&mut self, count: u64) -> Option<u64>;
}

pub fn run<C: Client>(table: &mut Table, who: &'static str, address: std::net::SocketAddr) {
    runtime().block_on(async {
        let mut client = C::connect(address).await;
        for _ in 0..1000 {
            client.greet().await;
        }
        if table.wants("sequential") {
            let mut times = Vec::new();
            let before = cpu();
            for _ in 0..SEQUENTIAL {
                let start = Instant::now();
                client.greet().await;
                times.push(start.elapsed().as_secs_f64() * 1e6);
            }
            let used = cpu() - before;
            times.sort_by(f64::total_cmp);
            table.add("call, sequential, p50 us", who, times[times.len() / 2]);
            let per_call = used.as_secs_f64() * 1e5 / f64::from(SEQUENTIAL);
            table.add("cpu s per 100k calls, sequential", who, per_call);
        }
        for (at_once, rate, cpu_work) in [
            (64, "calls/s, 64 in flight", "cpu s per 100k calls, 64 in flight"),
            (256, "calls/s, 256 in flight", "cpu s per 100k calls, 256 in flight"),
        ] {
            if table.wants(rate) {
                let before = cpu();
                let start = Instant::now();
                for _ in 0..AT_ONCE as usize / at_once {
                    client.greet_many(at_once).await;
                }
                let time = start.elapsed().as_secs_f64();
                let used = (cpu() - before).as_secs_f64();
                table.add(rate, who, f64::from(AT_ONCE) / time);
                table.add(cpu_work, who, used * 1e5 / f64::from(AT_ONCE));
            }
        }
        let bytes = vec![7; LARGE];
        for (at_once, work) in [(1, "64 KiB echo, MiB/s"), (16, "64 KiB echo, 16 in flight, MiB/s")]
        {
            if table.wants(work) {
                client.echo_many(&bytes, 16).await;
                let start = Instant::now();
                for _ in 0..LARGE_CALLS as usize / at_once {
                    if at_once == 1 {
                        client.echo(&bytes).await;
                    } else {
                        client.echo_many(&bytes, at_once).await;
                    }
                }
                let rate = f64::from(LARGE_CALLS) / 16.0 / start.elapsed().as_secs_f64();
                table.add(work, who, rate);
            }
        }
        if table.wants("items/s") {
            let start = Instant::now();
            if let Some(count) = client.items(ITEMS).await {
                assert_eq!(count, ITEMS);
                table.add("u64 items/s", who, ITEMS as f64 / start.elapsed().as_secs_f64());
            }
        }
        if table.wants("connect") {
            let (mut times, mut clients) = (Vec::new(), Vec::new());
            for _ in 0..CONNECTS {
                let start = Instant::now();
                let mut client = C::connect(address).await;
                client.greet().await;
                times.push(start.elapsed().as_secs_f64() * 1e6);
                // Closing is not part of it, in the background neither.
                clients.push(client);
            }
            times.sort_by(f64::total_cmp);
            table.add("connect and first call, us", who, times[times.len() / 2]);
        }
    });
}
