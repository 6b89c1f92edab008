//! From a command line to running bridges.

use std::{sync::Arc, time::Duration};

use ipfi_app::Stop;
use ipfi_transport::Registry;
use tokio::task::JoinSet;

use crate::{
    Exit,
    bridge::Bridge,
    cli::{Cli, Command, StatsForm},
    config::{Config, Entry},
    describe, log, meter,
    stats::Stats,
    systemd,
};

pub(crate) fn run(cli: &Cli, registry: &Registry) -> anyhow::Result<Exit> {
    log::set_level(cli.quiet, cli.verbose);
    raise_descriptor_limit();
    // One thread: wake-ups across threads cost more than what a second one would carry.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match &cli.command {
            Some(Command::Transports { name }) => {
                describe::transports(registry, name.as_deref())?;
            }
            Some(Command::Plugins) => describe::plugins(registry).await?,
            Some(Command::Ports) => describe::ports(registry)?,
            Some(Command::Completions { shell }) => describe::completions(*shell)?,
            Some(Command::Man { command }) => describe::man(command.as_deref())?,
            None => return bridges(cli, registry).await,
        }
        Ok(Exit::Finished)
    });
    // A thread that still waits for a terminal's input must not keep the program.
    runtime.shutdown_timeout(Duration::from_millis(500));
    result
}

async fn bridges(cli: &Cli, registry: &Registry) -> anyhow::Result<Exit> {
    let entries = match (&cli.config, &cli.a, &cli.b) {
        (Some(path), _, _) => Config::read(path)?.bridge,
        (None, Some(a), Some(b)) => vec![Entry {
            name: String::new(),
            a: a.clone(),
            b: b.clone(),
            settings: cli.settings.clone(),
        }],
        (None, _, _) => anyhow::bail!("two addresses are needed"), // clap has seen to it
    };

    // Everything is checked before anything is opened.
    let mut bridges = Vec::new();
    for Entry { name, a, b, settings } in entries {
        bridges.push(Arc::new(Bridge::check(registry, &name, &a, &b, settings).await?));
    }
    if cli.check {
        let lines = bridges.iter().map(|bridge| {
            format!("ok: {}{} {}\n", bridge.prefix(), bridge.a.address, bridge.b.address)
        });
        describe::print(&lines.collect::<String>())?;
        return Ok(Exit::Finished);
    }

    let stats: Vec<_> = bridges.iter().map(|bridge| bridge.stats.clone()).collect();
    // Letters come whenever they sound: a meter would write over them.
    let meter =
        if bridges.iter().any(|bridge| bridge.shows()) { Vec::new() } else { stats.clone() };
    let (stop_sender, stop) = Stop::channel();
    let form = cli.stats;
    let on_usr1 = {
        let stats = stats.clone();
        move || print_stats(&stats, form)
    };
    let mut running = JoinSet::new();
    let work = async {
        for bridge in bridges {
            let ends = bridge.open().await?;
            running.spawn(bridge.run(ends, stop.clone()));
        }
        systemd::ready();
        let mut result = Ok(());
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    if !running.is_empty() {
                        log::error(&error.to_string());
                    }
                    result = Err(anyhow::Error::from(error));
                }
                Err(panic) => result = Err(panic.into()),
            }
        }
        result
    };
    let say_stopping =
        || log::say("stopping when what is under way has arrived; once more to stop at once");
    let result = tokio::select! {
        result = work => result,
        again = ipfi_app::handle_signals(stop_sender, say_stopping, on_usr1) => {
            return Ok(again.map(|()| Exit::Interrupted)?);
        }
        () = systemd::watchdog() => Ok(()),
        () = meter::run(meter) => Ok(()),
    };
    systemd::stopping();
    if form != StatsForm::None && (form == StatsForm::Json || !cli.quiet) {
        print_stats(&stats, form);
    }
    result.map(|()| Exit::Finished)
}

fn print_stats(stats: &[Arc<Stats>], form: StatsForm) {
    for stats in stats {
        log::report(&match form {
            StatsForm::Json => stats.json(),
            StatsForm::Text | StatsForm::None => stats.text(),
        });
    }
}

/// A relay needs two to six descriptors a pair; the soft limit is often 1024.
fn raise_descriptor_limit() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}
