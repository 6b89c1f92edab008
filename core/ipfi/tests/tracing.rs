//! What a wire tells those who watch.
#![cfg(all(feature = "tokio", feature = "bincode", feature = "tracing"))]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{
    fmt::{self, Write},
    sync::{Arc, Mutex},
};

use ipfi::{Interface, Wire, WireOptions};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Writes down what it is told, a line for each event.
#[derive(Clone, Default)]
struct Watcher(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Watcher {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "ipfi"
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_wire_tells_what_becomes_of_it() {
    let watcher = Watcher::default();
    let _watching = tracing::subscriber::set_default(watcher.clone());
    let (here, there) = tokio::io::duplex(4096);
    let server = Interface::new().procedure("fail", || -> u8 { panic!("oh dear") });
    let other = WireOptions::new().peer("somebody").spawn(there, server);
    let wire = Wire::spawn(here, Interface::new());
    wire.call::<u8>("fail", ()).await.unwrap_err();
    wire.close(None).await;
    other.closed().await;
    let told = watcher.0.lock().unwrap().join("\n");
    for line in [
        "DEBUG message=wire is open peer=\"somebody\" codec=1",
        "DEBUG message=peer uses a procedure peer=\"somebody\" name=\"fail\"",
        "DEBUG message=call failed peer=\"somebody\"",
        "DEBUG message=wire is closed peer=\"somebody\" cause=closed",
    ] {
        assert!(told.contains(line), "no {line} in\n{told}");
    }
}
