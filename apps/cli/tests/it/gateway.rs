//! The gateway as a process, with real clients, terminals and signals.

use std::{
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use ipfi::{Bytes, Callback, Codec, Interface, Server, Wire, WireOptions};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::{
    common::{Running, command, listening, null_modem, run, until},
    service::{self, runtime},
};

/// Bytes a second: 115,200 baud.
const RATE: &str = "rate=11520";

pub(crate) struct Gateway {
    pub(crate) process: Running,
    address: String,
    port: u16,
}

pub(crate) fn gateway(dir: &Path, target: &str, more: &[&str]) -> Gateway {
    let mut process = command(dir, &["gateway", "-v", "tcp-listen:127.0.0.1:0", target]);
    process.args(["--stats=json"]).args(more);
    let mut process = Running::start_to_hear_both(process);
    let address = listening(&mut process);
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    Gateway { process, address, port }
}

impl Gateway {
    /// The figures it gives when asked.
    fn stats(&mut self) -> Value {
        self.process.signal("USR1");
        let line = self.process.wait_for("\"total\"");
        serde_json::from_str(&line).unwrap()
    }

    fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.process.pid());
        std::fs::read_dir(path).unwrap().count()
    }

    pub(crate) async fn client(&self) -> Wire {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        WireOptions::new().codec(Codec::MessagePack).spawn(stream, Interface::new())
    }
}

#[test]
fn everything_passes_through_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_socat, a, b) = null_modem(dir.path());
    service::dial(&format!("arq+noise+serial:{a},flip=1e-4"));
    let mut gateway = gateway(dir.path(), &format!("arq+serial:{b}"), &[]);
    gateway.process.wait_for("is open");
    let address = gateway.address.clone();
    let ok = |arguments: &[&str], input: Option<&str>| {
        let done = run(dir.path(), arguments, input);
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.err);
        done.out
    };
    assert!(ok(&["list", &address], None).contains("add(i64, i64) -> i64"));
    assert_eq!(ok(&["call", &address, "add", "2", "3"], None), "5\n");
    assert_eq!(ok(&["call", &address, "count", "300"], None).lines().count(), 300);
    assert_eq!(ok(&["call", &address, "numbers", "3"], None), "0\n1\n2\n");
    assert_eq!(ok(&["call", &address, "sum", "--stream"], Some("1\n2\n3\n")), "6\n");
    assert_eq!(ok(&["call", &address, "twice", "@print=7"], None), "7\n");
    assert!(ok(&["bench", &address, "add", "1", "2", "-n30"], None).starts_with("30 calls in"));
    let failed = run(dir.path(), &["call", &address, "divide", "1", "0"], None);
    assert_eq!(failed.err, "ipfi: `divide`: code 300: division by zero\n");
    let late = run(dir.path(), &["call", &address, "wait", "--deadline=200ms"], None);
    assert_eq!(late.code, 7);
    let mut waiting = Running::start_to_hear_both(command(dir.path(), &["call", &address, "wait"]));
    waiting.wait_for("\"begun\"");
    waiting.signal("INT");
    assert_eq!(waiting.finish().code(), Some(130));
    until(|| gateway.stats()["now"]["names"] == 0);
    // A call that runs is finished before it stops.
    let mut slow =
        Running::start_to_hear_both(command(dir.path(), &["call", &address, "count", "2000"]));
    slow.wait_for("100");
    gateway.process.signal("TERM");
    slow.wait_for("1999");
    assert_eq!(slow.finish().code(), Some(0));
    assert_eq!(gateway.process.finish().code(), Some(0));
}

#[test]
fn two_hundred_clients_share_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let (_socat, a, b) = null_modem(dir.path());
    runtime().spawn(async move {
        let registry = ipfi_transports::default_registry();
        let line = format!("noise+serial:{a},reliable,{RATE}").parse().unwrap();
        let interface = Interface::new()
            .procedure("echo", |bytes: Bytes| bytes)
            .procedure("tell", async |tell: Callback<(u32,), u32>, n: u32| {
                tell.call((n,)).await.unwrap_or_default()
            })
            .procedure("wait", async || std::future::pending::<()>().await);
        let stream = registry.open(&line).await.unwrap();
        WireOptions::new().codec_of_peer().speed(11_520).spawn(stream, interface).closed().await;
    });
    let target = format!("noise+serial:{b},reliable,{RATE},baud=115200");
    let mut gateway = gateway(dir.path(), &target, &[]);
    gateway.process.wait_for("is open");
    let before = gateway.descriptors();
    runtime().block_on(async {
        let mut wires = Vec::new();
        for _ in 0..200 {
            wires.push(gateway.client().await);
        }
        // Callbacks come back to the client that gave them.
        let told = wires.iter().zip(0..).map(|(wire, n)| {
            let tell: Callback<(u32,), u32> = Callback::new(move |m: u32| {
                assert_eq!(m, n);
                m + 1000
            });
            let call = wire.call::<u32>("tell", (tell, n)).start();
            async move { assert_eq!(call.await.unwrap(), n + 1000) }
        });
        for told in told {
            told.await;
        }
        // All want more than there is.
        let end = Instant::now() + Duration::from_secs(6);
        let counts = wires.iter().map(|wire| {
            let wire = wire.clone();
            tokio::spawn(async move {
                let mut count = 0_u32;
                while Instant::now() < end {
                    let bytes = Bytes::from(vec![0; 20]);
                    wire.call::<Bytes>("echo", (bytes,)).await.unwrap();
                    count += 1;
                }
                count
            })
        });
        let mut shares = Vec::new();
        for count in counts.collect::<Vec<_>>() {
            shares.push(count.await.unwrap());
        }
        let total: u32 = shares.iter().sum();
        let mean = f64::from(total) / 200.0;
        let (least, most) = (*shares.iter().min().unwrap(), *shares.iter().max().unwrap());
        println!("{total} calls, {least} to {most} a client");
        // One call more or less is the grain of it.
        assert!(f64::from(least) + 1.0 > 0.8 * mean, "{least} of {mean}");
        assert!(f64::from(most) - 1.0 < 1.2 * mean, "{most} of {mean}");
        // Half of them vanish in the middle of calls, of which the device takes 256 at once.
        let waiting = wires.iter().take(150).map(|wire| wire.call::<()>("wait", ()).start());
        let waiting: Vec<_> = waiting.collect();
        wires[199].call::<Bytes>("echo", (Bytes::from(vec![1]),)).await.unwrap();
        for wire in &wires[..100] {
            wire.abort(ipfi::Code(300), "gone");
        }
        drop(waiting);
        drop(wires);
    });
    until(|| {
        let now = gateway.stats()["now"].clone();
        now["clients"] == 0 && now["names"] == 0 && now["waiting"] == 0 && now["open"] == 0
    });
    until(|| gateway.descriptors() == before);
}

#[test]
fn a_device_that_is_unplugged_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("device").display().to_string();
    let target = format!("unix:{socket}");
    let gateway = &mut gateway(dir.path(), &target, &[]);
    // Callers wait until it is there.
    let mut early = Running::start_to_hear_both(command(
        dir.path(),
        &["call", &gateway.address, "add", "2", "3"],
    ));
    let serve = || {
        let _ = std::fs::remove_file(&socket);
        let socket = format!("unix-listen:{socket}");
        runtime().block_on(async {
            let registry = ipfi_transports::default_registry();
            let listener = registry.listen(&socket.parse().unwrap()).await.unwrap();
            let options = WireOptions::new().codec_of_peer();
            let server = Server::new(service::interface()).options(options);
            let server = server.drain(Duration::ZERO);
            let stopper = server.stopper();
            (stopper, tokio::spawn(server.serve(listener)))
        })
    };
    let (stopper, serving) = serve();
    early.wait_for("5");
    let mut held =
        Running::start_to_hear_both(command(dir.path(), &["call", &gateway.address, "wait"]));
    held.wait_for("\"begun\"");
    stopper.stop();
    runtime().block_on(serving).unwrap();
    gateway.process.wait_for("lost `unix:");
    let said = held.wait_for("ipfi: `wait`");
    assert!(said.contains(": the shared wire was lost: "), "{said}");
    assert!(said.ends_with("; it may have run"), "{said}");
    assert_eq!(held.finish().code(), Some(6));
    let mut late = Running::start_to_hear_both(command(
        dir.path(),
        &["call", &gateway.address, "add", "3", "4"],
    ));
    let (_stopper, _serving) = serve();
    late.wait_for("7");
    assert_eq!(late.finish().code(), Some(0));
    assert_eq!(gateway.stats()["total"]["dials"], 2);
}

#[test]
fn it_follows_a_device_that_insists_on_a_codec() {
    let dir = tempfile::tempdir().unwrap();
    let options = WireOptions::new().codec(Codec::Bincode);
    let device = service::listen(service::interface(), options, "tcp-listen:127.0.0.1:0");
    let mut gateway = gateway(dir.path(), &format!("tcp:{device}"), &["--while-down=refuse"]);
    gateway.process.wait_for("is open");
    gateway.process.wait_for("is open");
    runtime().block_on(async {
        let stream = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
        let options = WireOptions::new().codec(Codec::Bincode);
        let wire = options.spawn(stream, Interface::new());
        assert_eq!(wire.call::<i64>("add", (2i64, 3i64)).await.unwrap(), 5);
    });
    let done = run(dir.path(), &["call", &gateway.address, "add", "2", "3"], None);
    assert_eq!(done.code, 5);
    assert!(done.err.contains("does not speak MessagePack"), "{}", done.err);
}

#[test]
fn strangers_do_it_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = gateway(dir.path(), "unix:/nowhere/at/all", &["--while-down=refuse"]);
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x1f, 0xf1, 1, 2, 0, 0, 0, 0, 0xff, 0xff]] {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
        stream.write_all(bytes).unwrap();
    }
    let refused = run(dir.path(), &["call", &gateway.address, "add", "2", "3"], None);
    assert_eq!(refused.code, 5);
    let text = "ipfi: `ipfi.describe`: refused: the peer is going away: the shared wire is down\n";
    assert_eq!(refused.err, text);
}
