//! `calculator ADDRESS`: computes for whoever comes, or for the one at the other end.

use anyhow::Context;
use demo_calculator::{Abacus, Calculator};
use ipfi::{Server, WireOptions};
use ipfi_transport::Address;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let usage = "usage: calculator ADDRESS, such as tcp-listen:127.0.0.1:7000 or stdio:";
    let address: Address = std::env::args().nth(1).context(usage)?.parse()?;
    let registry = ipfi_transports::default_registry();
    // Whoever calls chooses how values are written: `ipfi call` and Rust clients may both come.
    let options = WireOptions::new().codec_of_peer();
    if address.listen {
        let listener = registry.listen(&address).await?;
        eprintln!("listening at {}", address.to_dial(listener.local()));
        Server::new(Abacus.into_interface()).options(options).serve(listener).await;
    } else {
        let stream = registry.open(&address).await?;
        let options = options.line(stream.line());
        options.spawn(stream, Abacus.into_interface()).closed().await;
    }
    Ok(())
}
