//! `ipfi`: procedures from a terminal.
//!
//! This library is the whole program but for the list of transports, so that a program with
//! transports of its own is five lines:
//!
//! ```no_run
//! use ipfi_transport::Memory;
//!
//! fn main() -> std::process::ExitCode {
//!     ipfi_cli::main(&ipfi_transports::default_registry().with(Memory::new()))
//! }
//! ```
#![allow(clippy::wildcard_enum_match_arm, reason = "the enums of the engine and of JSON are open")]

mod bench;
mod cache;
mod call;
mod cli;
mod client;
mod connect;
mod exit;
mod gateway;
mod io;
mod json;
mod link;
mod list;
mod log;
mod output;
mod ping;
mod serve;
mod signature;

pub use exit::Exit;
pub use serve::serve_dialled;

use std::{io::Write, process::ExitCode, time::Duration};

use clap::{CommandFactory, Parser};
use ipfi_transport::{OptionValue, Registry};

use self::{
    bench::Measuring,
    call::Calling,
    cli::{Cli, Command},
    exit::Error,
    ping::Pinging,
};

/// Runs the program with the transports of `registry`, on the command line of this process.
#[must_use]
pub fn main(registry: &Registry) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => return tell(&told).into(),
    };
    log::set_level(cli.quiet, cli.verbose);
    let exit = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(run(&cli, registry));
            // A thread that still waits for standard input must not keep the program.
            runtime.shutdown_timeout(Duration::from_millis(200));
            exit
        }
        Err(source) => exit(Err(Error::Io { what: "the runtime".into(), source })),
    };
    exit.into()
}

/// Prints help, the version, or what is wrong with the command line.
fn tell(told: &clap::Error) -> Exit {
    match told.print() {
        Ok(()) if told.use_stderr() => Exit::Usage,
        result => exit(result.map_err(Error::from)),
    }
}

/// Says what went wrong.
fn exit(result: Result<(), Error>) -> Exit {
    let Err(error) = result else { return Exit::Done };
    let exit = error.exit();
    if !matches!(exit, Exit::Done | Exit::Interrupted) {
        log::error(&error.to_string());
    }
    exit
}

fn say_stopping() {
    log::say("stopping when what runs is done; once more to stop at once");
}

async fn run(cli: &Cli, registry: &Registry) -> Exit {
    match &cli.command {
        Command::List(args) => client::run(args, registry).await,
        Command::Call(args) => client::run(Calling::new(args), registry).await,
        Command::Ping(args) => client::run(Pinging::new(args), registry).await,
        Command::Bench(args) => match Measuring::new(args) {
            Ok(measuring) => client::run(measuring, registry).await,
            Err(error) => exit(Err(error)),
        },
        Command::Serve(args) => {
            let (sender, stop) = ipfi_app::Stop::channel();
            exit(tokio::select! {
                result = serve::run(args, registry, stop) => result,
                again = ipfi_app::handle_signals(sender, say_stopping, || ()) => {
                    again.map_err(Error::from).and(Err(Error::Interrupted))
                }
            })
        }
        Command::Gateway(args) => {
            let (sender, stop) = ipfi_app::Stop::channel();
            let shared = gateway::Shared::new(args);
            exit(tokio::select! {
                result = gateway::run(args, registry, shared.clone(), stop) => result,
                again = ipfi_app::handle_signals(sender, say_stopping, || shared.print_stats()) => {
                    again.map_err(Error::from).and(Err(Error::Interrupted))
                }
            })
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "ipfi", &mut script);
            exit(std::io::stdout().write_all(&script).map_err(Error::from))
        }
        Command::Man { command } => exit(man(command.as_deref())),
    }
}

/// Prints the man page of the program or of one of its commands.
fn man(command: Option<&str>) -> Result<(), Error> {
    let page = ipfi_app::man(Cli::command(), command);
    let page = page.map_err(|none| Error::Usage(none.to_string()))?;
    Ok(std::io::stdout().write_all(&page)?)
}

/// A time on the command line.
fn time(text: &str) -> Result<Duration, String> {
    Duration::parse(text).map_err(|good| format!("it takes {good}"))
}
