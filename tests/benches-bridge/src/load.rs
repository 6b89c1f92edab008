//! What is sent through a relay, and what is measured.

use std::{
    fs::File,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use crate::relay::{Relay, Running, To};

pub(crate) const BULK: usize = 1 << 30;
pub(crate) const PTY_BULK: usize = 64 << 20;
const ROUND_TRIPS: u32 = 5000;

/// What one run gave.
#[derive(Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) megabytes_per_second: f64,
    pub(crate) cpu_per_gibibyte: f64,
    pub(crate) round_trip_micros: f64,
    pub(crate) resident_kibibytes: u64,
}

impl Measured {
    pub(crate) fn median(runs: Vec<Self>) -> Self {
        let middle = |f: fn(&Self) -> f64| {
            let mut values: Vec<f64> = runs.iter().map(f).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Self {
            megabytes_per_second: middle(|m| m.megabytes_per_second),
            cpu_per_gibibyte: middle(|m| m.cpu_per_gibibyte),
            round_trip_micros: middle(|m| m.round_trip_micros),
            resident_kibibytes: runs.iter().map(|m| m.resident_kibibytes).max().unwrap_or(0),
        }
    }

    fn new(bytes: usize, took: Duration, cpu: f64) -> Self {
        let bytes = bytes as f64;
        Self {
            megabytes_per_second: bytes / 1e6 / took.as_secs_f64(),
            cpu_per_gibibyte: cpu / (bytes / f64::from(1 << 30)),
            round_trip_micros: f64::NAN,
            resident_kibibytes: 0,
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// Starts a relay and connects to it.
fn connect(relay: &Relay, to: &To) -> (Running, TcpStream) {
    let port = free_port();
    let running = relay.start(port, to);
    let since = Instant::now();
    loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            stream.set_nodelay(true).expect("nodelay");
            return (running, stream);
        }
        assert!(since.elapsed() < Duration::from_secs(10), "the relay does not listen");
        thread::sleep(Duration::from_millis(5));
    }
}

fn send(mut to: impl Write, bytes: usize) {
    let chunk = vec![0x55; 256 << 10];
    for _ in 0..bytes / chunk.len() {
        to.write_all(&chunk).expect("write");
    }
}

fn drain(mut from: impl Read, bytes: usize) {
    let mut buf = vec![0; 256 << 10];
    let mut rest = bytes;
    while rest > 0 {
        match from.read(&mut buf).expect("read") {
            0 => panic!("{rest} bytes are missing"),
            n => rest -= n,
        }
    }
}

pub(crate) fn tcp_to_tcp(relay: &Relay) -> Measured {
    let far = TcpListener::bind("127.0.0.1:0").expect("listen");
    let to = To::Tcp(far.local_addr().expect("address").port());
    let (running, near) = connect(relay, &to);
    let (far, _) = far.accept().expect("accept");
    far.set_nodelay(true).expect("nodelay");

    // Round trips first: a relay that carried bulk may behave otherwise.
    let round_trip_micros = round_trips(&near, &far);
    let resident_kibibytes = running.resident();
    let (cpu, since) = (running.cpu(), Instant::now());
    let sender = thread::spawn(move || {
        send(&near, BULK);
        near.shutdown(Shutdown::Write).expect("shutdown");
        near
    });
    drain(&far, BULK);
    let (took, cpu) = (since.elapsed(), running.cpu() - cpu);
    drop(sender.join().expect("sender"));
    Measured { round_trip_micros, resident_kibibytes, ..Measured::new(BULK, took, cpu) }
}

fn round_trips(near: &TcpStream, far: &TcpStream) -> f64 {
    let mut echo = far.try_clone().expect("clone");
    let echo = thread::spawn(move || {
        let mut buf = [0; 64];
        for _ in 0..ROUND_TRIPS {
            echo.read_exact(&mut buf).expect("read");
            echo.write_all(&buf).expect("write");
        }
    });
    let (mut near, mut buf) = (near, [7; 64]);
    let mut times: Vec<Duration> = (0..ROUND_TRIPS)
        .map(|_| {
            let since = Instant::now();
            near.write_all(&buf).expect("write");
            near.read_exact(&mut buf).expect("read");
            since.elapsed()
        })
        .collect();
    echo.join().expect("echo");
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// A pty that socat made: the device's side is a Unix socket of ours.
struct Device {
    socat: Child,
    tty: String,
    socket: std::os::unix::net::UnixStream,
}

impl Device {
    fn new() -> Self {
        let dir = std::env::temp_dir();
        let tty = dir.join(format!("bench-tty-{}", std::process::id())).display().to_string();
        let path = dir.join(format!("bench-sock-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("listen");
        let socat = Command::new("socat")
            .arg("-b65536")
            .arg(format!("pty,raw,echo=0,link={tty}"))
            .arg(format!("unix-connect:{}", path.display()))
            .spawn()
            .expect("socat");
        let (socket, _) = listener.accept().expect("accept");
        let since = Instant::now();
        while File::open(&tty).is_err() {
            assert!(since.elapsed() < Duration::from_secs(5), "socat made no pty");
            thread::sleep(Duration::from_millis(5));
        }
        Self { socat, tty, socket }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.socat.kill();
        let _ = self.socat.wait();
    }
}

pub(crate) fn tcp_to_pty(relay: &Relay) -> Measured {
    through_pty(relay, |near, device| {
        let sender = thread::spawn(move || send(&near, PTY_BULK));
        drain(&device.socket, PTY_BULK);
        sender.join().expect("sender");
    })
}

pub(crate) fn pty_to_tcp(relay: &Relay) -> Measured {
    through_pty(relay, |near, device| {
        let socket = device.socket.try_clone().expect("clone");
        let sender = thread::spawn(move || send(&socket, PTY_BULK));
        drain(&near, PTY_BULK);
        sender.join().expect("sender");
    })
}

fn through_pty(relay: &Relay, transfer: impl Fn(TcpStream, &Device)) -> Measured {
    let device = Device::new();
    let (running, near) = connect(relay, &To::Tty(device.tty.clone()));
    round_trip(&near, &device);
    let resident_kibibytes = running.resident();
    let (cpu, since) = (running.cpu(), Instant::now());
    transfer(near, &device);
    let (took, cpu) = (since.elapsed(), running.cpu() - cpu);
    Measured { resident_kibibytes, ..Measured::new(PTY_BULK, took, cpu) }
}

/// A byte each way: the relay has opened both ends.
fn round_trip(mut near: &TcpStream, device: &Device) {
    let mut byte = [1];
    near.write_all(&byte).expect("write");
    (&device.socket).read_exact(&mut byte).expect("read");
    (&device.socket).write_all(&byte).expect("write");
    near.read_exact(&mut byte).expect("read");
}
