//! What is measured, and how.

use crate::resources::{self, cpu};
use std::{
    future::Future,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, runtime::Runtime, task::LocalSet};

pub const WORKS: [&str; 11] = [
    "call, one after another",
    "calls, 64 in flight",
    "calls, 256 in flight",
    "connect and first call",
    "u64 items",
    "items one by one",
    "64 KiB echo, one at a time",
    "64 KiB echo, 16 in flight",
    "bytes of a call",
    "idle CPU",
    "idle connection",
];

/// How long a rate is measured.
const TIME: Duration = Duration::from_millis(600);
const CONNECTS: usize = 300;
const ITEMS: u64 = 2_000_000;
const LARGE: usize = 64 * 1024;
const IDLE: Duration = Duration::from_secs(2);
const CONNECTIONS: usize = 500;

/// What answers calls, and calls.
pub trait Peer: Sized {
    /// Answers whoever connects, for ever.
    async fn serve(listener: TcpListener);
    async fn connect(address: SocketAddr) -> Self;
    async fn greet(&mut self);
    async fn greet_many(&mut self, at_once: usize);
    async fn echo(&mut self, bytes: &[u8]);
    async fn echo_many(&mut self, bytes: &[u8], at_once: usize);
    /// In whatever way is best for many that are known. Says whether there are streams.
    async fn items(&mut self, count: u64) -> bool;
    /// Each when a procedure gets to it.
    async fn items_one_by_one(&mut self, count: u64) -> bool {
        self.items(count).await
    }
    /// How many items are measured, for those that are slow.
    const ITEMS: u64 = ITEMS;
}

/// What a process is for.
pub enum Role {
    Serve,
    Work(String),
}

/// On one thread for each side.
pub fn take<P: Peer + 'static>(role: Role) {
    act::<P>(role, || tokio::runtime::Builder::new_current_thread());
}

/// On as many as there are processors, for each side.
pub fn take_mt<P: Peer + 'static>(role: Role) {
    act::<P>(role, || tokio::runtime::Builder::new_multi_thread());
}

type Build = fn() -> tokio::runtime::Builder;

fn act<P: Peer + 'static>(role: Role, build: Build) {
    let runtime = || build().enable_all().build().unwrap();
    match role {
        Role::Serve => run(&runtime(), async {
            // Whoever wanted it may have been given up.
            std::thread::spawn(|| {
                let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
                std::process::exit(0);
            });
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            println!("{}", listener.local_addr().unwrap());
            P::serve(listener).await;
        }),
        Role::Work(work) => {
            // Where CPU and memory of one side count, the other is another process.
            let apart = work.starts_with("idle").then(|| Server::start());
            let address = match &apart {
                Some(server) => server.address,
                None => serve::<P>(build),
            };
            run(&runtime(), measure::<P>(&work, address, apart.as_ref()));
        }
    }
    // Without waiting for those who spin.
    std::process::exit(0);
}

fn run(runtime: &Runtime, work: impl Future<Output = ()>) {
    LocalSet::new().block_on(runtime, work);
}

/// A server on a thread of its own.
fn serve<P: Peer>(build: Build) -> SocketAddr {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        run(&build().enable_all().build().unwrap(), async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            P::serve(listener).await;
        });
    });
    receiver.recv().unwrap()
}

/// A server in a process of its own.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let who = std::env::args().nth(2).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--serve", &who])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { address: line.trim().parse().unwrap(), child }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn report(row: &str, value: f64) {
    println!("{row}\t{value}");
}

async fn measure<P: Peer>(work: &str, address: SocketAddr, server: Option<&Server>) {
    if work == "bytes of a call" {
        return bytes::<P>(work, address).await;
    }
    let mut client = P::connect(address).await;
    for _ in 0..100 {
        client.greet().await;
    }
    let large = vec![7; LARGE];
    match work {
        "call, one after another" => {
            let (mut times, before, start) = (Vec::new(), cpu("self"), Instant::now());
            while start.elapsed() < TIME {
                let start = Instant::now();
                client.greet().await;
                times.push(start.elapsed().as_secs_f64() * 1e6);
            }
            let used = cpu("self") - before;
            let per_call = used * 1e5 / times.len() as f64;
            report(&format!("{work}, p50 us"), median(times));
            report(&format!("{work}, CPU s per 100k"), per_call);
        }
        "calls, 64 in flight" | "calls, 256 in flight" => {
            let at_once = if work.contains("256") { 256 } else { 64 };
            client.greet_many(at_once).await;
            let (mut calls, before, start) = (0, cpu("self"), Instant::now());
            while start.elapsed() < TIME {
                client.greet_many(at_once).await;
                calls += at_once;
            }
            let time = start.elapsed().as_secs_f64();
            let used = cpu("self") - before;
            report(&format!("{work}, a second"), calls as f64 / time);
            report(&format!("{work}, CPU s per 100k"), used * 1e5 / calls as f64);
        }
        "connect and first call" => {
            let (mut times, mut clients) = (Vec::new(), Vec::new());
            for _ in 0..CONNECTS {
                let start = Instant::now();
                let mut client = P::connect(address).await;
                client.greet().await;
                times.push(start.elapsed().as_secs_f64() * 1e6);
                // Closing is not part of it, in the background neither.
                clients.push(client);
            }
            report(&format!("{work}, us"), median(times));
            std::mem::forget(clients);
        }
        "u64 items" | "items one by one" => {
            let start = Instant::now();
            let streams = match work {
                "u64 items" => client.items(P::ITEMS).await,
                _ => client.items_one_by_one(P::ITEMS).await,
            };
            if streams {
                let time = start.elapsed().as_secs_f64();
                report(&format!("{work}, a second"), P::ITEMS as f64 / time);
            }
        }
        "64 KiB echo, one at a time" | "64 KiB echo, 16 in flight" => {
            client.echo_many(&large, 16).await;
            let (mut calls, start) = (0, Instant::now());
            while start.elapsed() < TIME {
                if work.contains("16") {
                    client.echo_many(&large, 16).await;
                    calls += 16;
                } else {
                    client.echo(&large).await;
                    calls += 1;
                }
            }
            let rate = f64::from(calls) / 16.0 / start.elapsed().as_secs_f64();
            report(&format!("{work}, MiB/s"), rate);
        }
        "idle CPU" => {
            let server = server.unwrap().child.id().to_string();
            let before = (cpu("self"), cpu(&server));
            tokio::time::sleep(IDLE).await;
            let percent = |used: f64| used * 100.0 / IDLE.as_secs_f64();
            report(&format!("{work}, client, %"), percent(cpu("self") - before.0));
            report(&format!("{work}, server, %"), percent(cpu(&server) - before.1));
        }
        "idle connection" => {
            let server = server.unwrap().child.id().to_string();
            let before = resources::memory(&server);
            let mut clients = Vec::new();
            for _ in 0..CONNECTIONS {
                let mut client = P::connect(address).await;
                client.greet().await;
                clients.push(client);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            let each = (resources::memory(&server) - before) / CONNECTIONS as f64;
            report(&format!("{work}, KiB on the server"), each);
            std::mem::forget(clients);
        }
        _ => unreachable!("{work}"),
    }
}

async fn bytes<P: Peer>(work: &str, address: SocketAddr) {
    const CALLS: u64 = 100;
    let (address, counts) = resources::count(address).await;
    let mut client = P::connect(address).await;
    for _ in 0..CALLS {
        client.greet().await;
    }
    let read = || (counts.up.load(Ordering::Relaxed), counts.down.load(Ordering::Relaxed));
    let before = read();
    for _ in 0..CALLS {
        client.greet().await;
    }
    let after = read();
    report(&format!("{work}, up"), (after.0 - before.0) as f64 / CALLS as f64);
    report(&format!("{work}, down"), (after.1 - before.1) as f64 / CALLS as f64);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
