//! The goodput of bad lines once more, through real ptys and in real time.
//!
//! What the line could have carried is measured by the line's own clock, so that a busy machine changes
//! little: `cargo test --release -p ipfi-arq --test pty -- --ignored --nocapture`,
//! which takes six minutes.
#![cfg(target_os = "linux")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small numbers of a simulation"
)]

mod simulator;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

use ipfi_arq::{Arq, Instant};
use ipfi_pipe::Pty;
use ipfi_serial::Serial;
use ipfi_transport::{BoxStream, Registry};
use simulator::{Faults, Line};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};

const RATE: u32 = 11_520;
const BYTES: usize = 80_000;
const DELAY: Duration = Duration::from_millis(5);
const RUNS: u64 = 3;

/// How often the line moves its bytes.
const TICK: Duration = Duration::from_millis(1);
/// What the line's clock goes on at most in a tick: while this program is stopped altogether, the line is
/// stopped as well.
const STRIDE: Duration = Duration::from_millis(25);

/// The line of the simulation between two ptys, in real time. Its clock is its own: what the line
/// could have carried is measured by it.
struct RealLine {
    ends: [PathBuf; 2],
    clock: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// One direction: from the pty at which it begins to the one at which it ends.
struct Lane {
    line: Line,
    from: ReadHalf<BoxStream>,
    to: WriteHalf<BoxStream>,
}

impl Lane {
    /// Moves the line's clock to `until`.
    async fn pass(&mut self, from: Instant, until: Instant) {
        // What is found now was given to the line since it was last looked at: it was not idle.
        let mut buf = [0; 4096];
        loop {
            let room = buf.len().min(self.line.room());
            let read = self.from.read(&mut buf[..room]);
            // No time: whatever is there already.
            match tokio::time::timeout(Duration::ZERO, read).await {
                Ok(Ok(count)) if count > 0 => self.line.give(&buf[..count]),
                Ok(_) | Err(_) => break,
            }
        }
        let mut now = from;
        loop {
            while let Some(bytes) = self.line.arrived(now) {
                // Nobody reads: an overrun, as of a UART.
                let write = self.to.write_all(&bytes);
                let _ = tokio::time::timeout(Duration::ZERO, write).await;
            }
            match self.line.pump(now).filter(|next| *next <= until) {
                Some(next) => now = next,
                None => break,
            }
        }
    }
}

impl RealLine {
    async fn new(faults: Faults, seed: u64) -> Self {
        let folder = std::env::temp_dir().join(format!("ipfi-arq-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let ends = ["a", "b"].map(|name| folder.join(name));
        let (clock, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let run = run(ends.clone(), faults, seed, clock.clone(), done.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let thread = Some(spawn(move || runtime.block_on(run)));
        while !ends.iter().all(|end| end.exists()) {
            tokio::time::sleep(TICK).await;
        }
        Self { ends, clock, done, thread }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(self.clock.load(Ordering::Relaxed))
    }
}

impl Drop for RealLine {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn run(
    ends: [PathBuf; 2],
    faults: Faults,
    seed: u64,
    clock: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
) {
    let registry = Registry::new().with(Pty::new());
    let mut halves = Vec::new();
    for end in ends {
        let address = format!("pty:{}", end.display()).parse().expect("an address");
        halves.push(split(registry.dial(&address).await.expect("a pty")));
    }
    let (read_b, write_b) = halves.pop().expect("two");
    let (read_a, write_a) = halves.pop().expect("two");
    let mut lanes =
        [(read_a, write_b), (read_b, write_a)].into_iter().zip(0..).map(|((from, to), side)| {
            let line = Line::new(f64::from(RATE), DELAY, faults, seed * 2 + side);
            Lane { line, from, to }
        });
    let mut lanes = [lanes.next().expect("two"), lanes.next().expect("two")];
    let (mut then, mut now) = (tokio::time::Instant::now(), Instant::from_micros(0));
    while !done.load(Ordering::Relaxed) {
        tokio::time::sleep(TICK).await;
        let (elapsed, from) = (then.elapsed(), now);
        then += elapsed;
        now = now + elapsed.min(STRIDE);
        for lane in &mut lanes {
            lane.pass(from, now).await;
        }
        clock.store(now.as_micros(), Ordering::Relaxed);
    }
}

async fn open(end: &Path, options: &str) -> BoxStream {
    let registry = Registry::new().with(Serial::new()).with_layer(Arq::new());
    let address = format!("arq+serial:{},baud=115200{options}", end.display());
    registry.dial(&address.parse().expect("an address")).await.expect("a port")
}

/// Bytes of the stream by bytes that the line could have carried in that time.
async fn goodput(faults: Faults, fec: &str, seed: u64) -> f64 {
    let line = RealLine::new(faults, seed).await;
    let options = format!(",fec={fec}");
    let [mut here, mut there] = {
        let [a, b] = &line.ends;
        let (here, there) = tokio::join!(open(a, &options), open(b, &options));
        [here, there]
    };
    let text: Vec<u8> = (0..=250).cycle().take(BYTES).collect();
    let start = line.now();
    let write = async {
        there.write_all(&text).await?;
        there.shutdown().await
    };
    let mut got = Vec::new();
    let read = async {
        here.read_to_end(&mut got).await?;
        let seconds = (line.now() - start).as_secs_f64();
        here.shutdown().await.map(|()| seconds)
    };
    let ((), seconds) = tokio::try_join!(write, read).expect("a stream");
    assert!(got == text);
    BYTES as f64 / seconds / f64::from(RATE)
}

/// The terminal takes XON and XOFF for itself, and stops sending at the latter.
#[tokio::test]
async fn a_terminal_that_eats_flow_control() {
    let folder = std::env::temp_dir().join(format!("ipfi-arq-flow-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let link = folder.join("line");
    let registry = Registry::new().with(Pty::new()).with(Serial::new()).with_layer(Arq::new());
    let pty = format!("arq+pty:{},escape=xonxoff", link.display()).parse().expect("an address");
    let serial = format!("arq+serial:{},flow=xonxoff,baud=1000000", link.display());
    let serial = serial.parse().expect("an address");
    let (here, there) = tokio::join!(registry.dial(&pty), async {
        while !link.exists() {
            tokio::time::sleep(TICK).await;
        }
        registry.dial(&serial).await
    });
    let (mut here, mut there) = (here.expect("the pty"), there.expect("the port"));
    let text: Vec<u8> = [0x11, 0x13, 0x7d, 0, 7].into_iter().cycle().take(20_000).collect();
    for (from, to) in [(0, 1), (1, 0)] {
        let mut ends = [&mut here, &mut there];
        let [from, to] = ends.get_disjoint_mut([from, to]).expect("two");
        let mut got = vec![0; text.len()];
        let passed = async { tokio::try_join!(from.write_all(&text), to.read_exact(&mut got)) };
        tokio::time::timeout(Duration::from_secs(20), passed)
            .await
            .expect("in time")
            .expect("a stream");
        assert!(got == text);
    }
}

#[tokio::test]
#[ignore = "takes minutes of real time"]
#[allow(clippy::print_stdout, reason = "the figures are what it is for")]
async fn goodput_through_ptys() {
    let flips = |flip| Faults { flip, ..Faults::default() };
    let slips = Faults { drop: 1e-4, insert: 1e-4, ..Faults::default() };
    let columns = [
        ("clean", flips(0.0)),
        ("flip=1e-5", flips(1e-5)),
        ("flip=1e-4", flips(1e-4)),
        ("flip=3e-4", flips(3e-4)),
        ("flip=1e-3", flips(1e-3)),
        ("drop,insert=1e-4", slips),
    ];
    let mut below = Vec::new();
    for (fec, floors) in [
        ("off", [0.96, 0.91, 0.77, 0.63, 0.45, 0.87]),
        ("auto", [0.96, 0.91, 0.85, 0.85, 0.82, 0.82]),
    ] {
        for ((name, faults), floor) in columns.into_iter().zip(floors) {
            let mut values = Vec::new();
            for seed in 1..=RUNS {
                values.push(goodput(faults, fec, seed).await);
            }
            values.sort_by(f64::total_cmp);
            let median = values[values.len() / 2];
            let cell = format!("fec={fec:<5} {name:<17} {median:.3} (at least {floor})");
            println!("{cell}  of {values:.3?}");
            if median < floor {
                below.push(cell);
            }
        }
    }
    assert!(below.is_empty(), "too little:\n{}", below.join("\n"));
}
