//! The bridge, where the test finds it. What is in memory ends with its process, so the other side of
//! that is here as well.

use std::{
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use ipfi::Server;
use ipfi_transport::Registry;
use links_test::{CONVERSED, INSIDE, converse, interface};

fn main() -> ExitCode {
    let registry = Arc::new(ipfi_transports::default_registry());
    let shared = registry.clone();
    let mut addresses = std::env::args().skip(1).filter(|argument| argument.ends_with(INSIDE));
    match addresses.next() {
        Some(address) if address.starts_with("memory-listen:") => {
            thread::spawn(move || {
                let conversed = thread::spawn(move || in_runtime(call(&shared))).join();
                std::process::exit(i32::from(conversed.is_err()));
            });
        }
        Some(_) => {
            let (tell, told) = mpsc::channel();
            thread::spawn(move || in_runtime(serve(&shared, &tell)));
            told.recv().expect("a listener");
        }
        None => {}
    }
    ipfi_bridge::main(&registry)
}

fn in_runtime(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work);
}

async fn serve(registry: &Registry, listens: &mpsc::Sender<()>) {
    let address = format!("memory-listen:{INSIDE}").parse().expect("an address");
    let listener = registry.listen(&address).await.expect("a free name");
    listens.send(()).expect("somebody who waits for that");
    Server::new(interface()).serve(listener).await;
}

async fn call(registry: &Registry) {
    let address = format!("memory:{INSIDE}").parse().expect("an address");
    let stream = loop {
        // Until the bridge listens.
        match registry.dial(&address).await {
            Ok(stream) => break stream,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    converse(stream, "memory of the bridge").await;
    print!("{CONVERSED}");
}
