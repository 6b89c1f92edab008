//! `ipfi serve ADDRESS --exec NAME=COMMAND`: makes procedures of shell commands.

mod command;
mod dial;
mod ends;
mod line;
mod output;

pub use dial::serve as serve_dialled;

use std::{collections::HashSet, sync::Arc, time::Duration};

use clap::Args;
use ipfi::{Interface, Receiver, Sender, Server, WireOptions};
use ipfi_transport::{Address, Registry};
use tokio::sync::mpsc;

use self::command::Runner;
use ipfi_app::Stop;

use crate::{
    connect::{DESCRIBE, check},
    exit::Error,
    log, time,
};

/// The arguments of `ipfi serve`.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to serve, such as `tcp-listen:127.0.0.1:7000` or `arq+serial:/dev/ttyUSB0`
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// Offers a shell command as a procedure: `--exec 'disk=df -h "$@"'`
    #[arg(long = "exec", value_name = "NAME=COMMAND", required = true, value_parser = named)]
    commands: Vec<(String, String)>,

    /// Documents a procedure for `ipfi list`
    #[arg(long = "doc", value_name = "NAME=TEXT", value_parser = named)]
    docs: Vec<(String, String)>,

    /// Runs at most so many commands at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    max_running: u32,

    /// Lets so many calls wait for their turn; further ones are refused
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_waiting: usize,

    /// How long commands may go on after the program was asked to stop
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    drain: Duration,
}

fn named(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, rest)) if !name.is_empty() && name.len() <= ipfi::proto::MAX_NAME => {
            Ok((name.into(), rest.into()))
        }
        _ => Err("it takes NAME=TEXT with a name of 1 to 255 bytes".into()),
    }
}

pub(crate) async fn run(args: &Serve, registry: &Registry, stop: Stop) -> Result<(), Error> {
    let address = check(registry, &args.address).await?;
    check_names(args).map_err(Error::Usage)?;
    // Each running command holds a sender: when all are gone, no process is left.
    let (running, mut all_gone) = mpsc::channel::<()>(1);
    let interface = Arc::new(interface(args, &running));
    drop(running);
    let options = WireOptions::new().codec_of_peer();
    let result = if address.listen {
        listen(args, registry, &address, interface, options, stop).await
    } else {
        Ok(dial::serve(registry, &address, interface, &options, args.drain, stop).await?)
    };
    let _ = all_gone.recv().await;
    result
}

/// What it offers is what was asked for, and all of it.
fn check_names(args: &Serve) -> Result<(), String> {
    for (option, given) in [("exec", &args.commands), ("doc", &args.docs)] {
        let mut names = HashSet::new();
        if let Some((name, _)) = given.iter().find(|(name, _)| !names.insert(name)) {
            return Err(format!("--{option}: `{name}` is there twice"));
        }
    }
    let offered = |wanted: &str| args.commands.iter().any(|(name, _)| name == wanted);
    if offered(DESCRIBE) {
        return Err(format!("--exec: `{DESCRIBE}` is what `ipfi list` asks; take another name"));
    }
    match args.docs.iter().find(|(name, _)| !offered(name)) {
        Some((name, _)) => Err(format!("--doc: there is no --exec {name}=...")),
        None => Ok(()),
    }
}

fn interface(args: &Serve, running: &mpsc::Sender<()>) -> Interface {
    let mut interface =
        Interface::new().max_running(args.max_running).max_waiting(args.max_waiting);
    for (name, command) in &args.commands {
        let runner = Arc::new(Runner::new(name, command, running.clone()));
        let handler = move |words: Vec<String>, input: Receiver<String>, out: Sender<String>| {
            let runner = runner.clone();
            async move { runner.run(words, input, out).await }
        };
        let doc = args.docs.iter().find(|(other, _)| other == name);
        let doc = doc.map_or_else(|| format!("Runs `{command}`."), |(_, text)| text.clone());
        interface = interface.procedure(name, handler).doc(doc);
    }
    interface
}

/// For whoever comes.
async fn listen(
    args: &Serve,
    registry: &Registry,
    address: &Address,
    interface: Arc<Interface>,
    options: WireOptions,
    mut stop: Stop,
) -> Result<(), Error> {
    let listener = registry.listen(address).await?;
    log::say(&format!("listening at {}", address.to_dial(listener.local())));
    let server = Server::new(interface).options(options).drain(args.drain);
    let stopper = server.stopper();
    let serving = server.serve(listener);
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => return Ok(()),
        () = stop.requested() => stopper.stop(),
    }
    serving.await;
    Ok(())
}
