//! A server of everything that can be called, on threads of this process.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use ipfi::{
    Bytes, Callback, Code, Fault, Interface, Receiver, Sender, Server, WireOptions, channel,
};
use ipfi_app::Stop;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

#[derive(Serialize, Deserialize)]
struct Point {
    x: f64,
    y: f64,
}

#[derive(Serialize, Deserialize)]
enum Figure {
    Nothing,
    Circle { center: Point, radius: f64 },
    Polygon(Vec<Point>),
}

/// Calls of `wait` that are under way.
static WAITING: AtomicU32 = AtomicU32::new(0);

/// Counts itself.
struct Waiting;

impl Waiting {
    fn new() -> Self {
        WAITING.fetch_add(1, SeqCst);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, SeqCst);
    }
}

pub(crate) fn waiting() -> u32 {
    WAITING.load(SeqCst)
}

pub(crate) fn interface() -> Interface {
    Interface::new()
        .procedure("add", |a: i64, b: i64| a.wrapping_add(b))
        .doc("Adds two numbers.\nIt wraps.")
        .procedure("divide", |a: i64, b: i64| match a.checked_div(b) {
            Some(c) => Ok(c),
            None => Err(Fault::new("division by zero").with_code(Code(300))),
        })
        .procedure("echo", |bytes: Bytes| bytes)
        .procedure("zeros", |n: u16| Bytes::from(vec![0; n.into()]))
        .procedure("greet", |name: String| format!("Hello, {name}!"))
        .procedure("large", |n: u64| n)
        .procedure("area", |figure: Figure| match figure {
            Figure::Nothing => 0.0,
            Figure::Circle { radius, .. } => radius * radius * 3.0,
            Figure::Polygon(points) => points.iter().map(|p| p.x * p.y).sum(),
        })
        .doc("How much room a figure takes.")
        .procedure("lookup", |map: BTreeMap<String, Option<u8>>| map)
        .procedure("count", async |to: u32, out: Sender<u32>| {
            for n in 0..to {
                if out.send(n).await.is_err() {
                    break;
                }
            }
        })
        .procedure("numbers", async |to: u32| {
            let (sender, receiver) = channel::<u32>(4);
            tokio::spawn(async move {
                for n in 0..to {
                    if sender.send(n).await.is_err() {
                        return;
                    }
                }
            });
            receiver
        })
        .procedure("broken", async |out: Sender<u32>| {
            let _ = out.send(1).await;
            out.fail(Code(301), "the sensor fell off");
        })
        .procedure("sum", async |mut numbers: Receiver<u64>| {
            let mut sum = 0;
            while let Ok(Some(n)) = numbers.recv().await {
                sum += n;
            }
            sum
        })
        .procedure("shout", async |mut words: Receiver<String>, out: Sender<String>| {
            while let Ok(Some(word)) = words.recv().await {
                if out.send(word.to_uppercase()).await.is_err() {
                    break;
                }
            }
        })
        .procedure("progress", async |report: Callback<(u8, String)>| {
            for percent in [0, 50, 100] {
                let _ = report.call((percent, "of it".into())).await;
            }
            "done"
        })
        .procedure("twice", async |callback: Callback<(u8,), u8>| {
            let once = callback.call((1,)).await.unwrap_or_default();
            callback.call((once,)).await.unwrap_or_default()
        })
        .procedure("wait", async |out: Sender<String>| {
            let _waiting = Waiting::new();
            let _ = out.send("begun".into()).await;
            std::future::pending::<()>().await;
        })
        .procedure("panic", |what: String| -> u8 { panic!("{what}") })
}

pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// Serves at an address that listens, and says where that is.
pub(crate) fn listen(interface: Interface, options: WireOptions, address: &str) -> String {
    runtime().block_on(async {
        let registry = ipfi_transports::default_registry();
        let listener = registry.listen(&address.parse().unwrap()).await.unwrap();
        let local = listener.local().unwrap();
        tokio::spawn(Server::new(interface).options(options).serve(listener));
        local
    })
}

/// Serves at an address that dials, one peer after another.
pub(crate) fn dial(address: &str) {
    let address = address.parse().unwrap();
    runtime().spawn(async move {
        let registry = ipfi_transports::default_registry();
        let options = WireOptions::new().codec_of_peer();
        let (_never, stop) = Stop::channel();
        let interface = Arc::new(interface());
        let drain = Duration::ZERO;
        ipfi_cli::serve_dialled(&registry, &address, interface, &options, drain, stop).await
    });
}

/// Serves at a free port of this machine.
pub(crate) fn tcp() -> String {
    let options = WireOptions::new().codec_of_peer();
    format!("tcp:{}", listen(interface(), options, "tcp-listen:127.0.0.1:0"))
}
