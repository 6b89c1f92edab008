//! What help shows works.

#![allow(clippy::unwrap_used, reason = "it is how a test fails")]

use ipfi_pipe::{Exec, File, Pipe, Pty, Stdio, Unix};
use ipfi_transport::Registry;

#[tokio::test]
async fn every_example_is_an_address() {
    let registry = Registry::new()
        .with(Exec::new())
        .with(File::new())
        .with(Pipe::new())
        .with(Pty::new())
        .with(Stdio::new())
        .with(Unix::new());
    let described: Vec<_> = registry.describe().collect();
    assert_eq!(described.len(), 6);
    for transport in described {
        assert!(!transport.examples.is_empty(), "{}", transport.name);
        for example in transport.examples {
            let address = example.parse().unwrap_or_else(|e| panic!("{example}: {e}"));
            registry.check(&address).await.unwrap_or_else(|e| panic!("{example}: {e}"));
        }
    }
}
