//! `demo-morse` tells the whole story on one machine; `demo-morse listen` and `demo-morse call` are
//! its two programs, for two machines in a room.

mod ear;
mod story;

use std::time::Instant;

use clap::{Parser, Subcommand};
use demo_morse::{Office, Telegraph, TelegraphClient};
use ipfi::{Interface, Server};
use ipfi_transport::Address;

/// A procedure call by Morse, through the room if there is sound, else through a simulated air.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,

    #[command(flatten)]
    story: story::Story,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Waits for telegrams
    Listen {
        /// Where; see `ipfi-bridge transports morse`
        #[arg(default_value = "morse-listen:")]
        address: Address,
    },
    /// Sends a telegram
    Call {
        /// What to say
        #[arg(default_value = story::TEXT)]
        text: String,
        /// Where the other machine listens
        #[arg(default_value = "morse:")]
        address: Address,
        /// How many times
        #[arg(long, short = 'n', default_value_t = 1)]
        times: u32,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.role {
        None => cli.story.tell().await,
        Some(Role::Listen { address }) => listen(&address).await,
        Some(Role::Call { text, address, times }) => call(&address, &text, times).await,
    }
}

async fn listen(address: &Address) -> anyhow::Result<()> {
    let listener = ipfi_transports::default_registry().listen(address).await?;
    println!("listening at {address}");
    let options = demo_morse::options().codec_of_peer();
    Server::new(Office.into_interface()).options(options).serve(listener).await;
    Ok(())
}

async fn call(address: &Address, text: &str, times: u32) -> anyhow::Result<()> {
    let begun = Instant::now();
    let stream = ipfi_transports::default_registry().dial(address).await?;
    println!("connected in {:.1} s", begun.elapsed().as_secs_f64());
    let office = TelegraphClient::new(demo_morse::options().spawn(stream, Interface::new()));
    for _ in 0..times {
        println!("calling: {text}");
        let called = Instant::now();
        let answer = office.telegram(text.into()).await?;
        println!("answered in {:.1} s: {answer}", called.elapsed().as_secs_f64());
    }
    Ok(())
}
