//! `demo-progress serve ADDRESS` bakes, `demo-progress bake ADDRESS [PERCENT]` watches, and stops it
//! there.

use std::time::Duration;

use anyhow::{Context, bail};
use demo_progress::{Kitchen, KitchenClient, Oven, Report};
use ipfi::{Interface, Server, Wire, WireOptions};
use ipfi_transport::Address;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let registry = ipfi_transports::default_registry();
    match words[..] {
        ["serve", address] => {
            let address: Address = address.parse()?;
            let listener = registry.listen(&address).await?;
            eprintln!("listening at {}", address.to_dial(listener.local()));
            let interface = Oven(Duration::from_millis(50)).into_interface();
            let options = WireOptions::new().codec_of_peer();
            Server::new(interface).options(options).serve(listener).await;
        }
        ["bake", address] => bake(registry.dial(&address.parse()?).await?, 100).await?,
        ["bake", address, percent] => {
            let percent = percent.parse().context("PERCENT is a number")?;
            bake(registry.dial(&address.parse()?).await?, percent).await?;
        }
        _ => bail!("usage: demo-progress serve ADDRESS | bake ADDRESS [PERCENT]"),
    }
    Ok(())
}

async fn bake(stream: ipfi_transport::BoxStream, enough: u8) -> anyhow::Result<()> {
    let kitchen = KitchenClient::new(Wire::spawn(stream, Interface::new()));
    let report = Report::new(move |percent: u8, what: String| {
        println!("[{:<20}] {percent:3} % {what}", "#".repeat(usize::from(percent) / 5));
        percent <= enough
    });
    println!("{}", kitchen.bake(10, report).await?);
    Ok(())
}
