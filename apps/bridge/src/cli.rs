//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::{exit, settings::Settings};

const EXAMPLES: &str = "\
Examples:
  ipfi-bridge tcp-listen:0.0.0.0:7000 serial:/dev/ttyUSB0,baud=115200
      a TCP port in front of a serial device, which may be unplugged
  ipfi-bridge pty:,link=/tmp/modem tcp:192.0.2.7:7000
      a local terminal whose other end is on the network
  ipfi-bridge tcp-listen:127.0.0.1:7000 tcp:example.org:80
      a relay, for many peers at once
  ipfi-bridge stdio: exec:'ssh host agent'

`ipfi-bridge transports` says what an address can be.";

/// Joins any two byte streams.
///
/// Each end dials or listens, in any mix. What one end says the other hears: bytes, the end of a
/// direction, and a cut.
#[derive(Debug, Parser)]
#[command(name = "ipfi-bridge", version, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP), after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// One end, such as `tcp-listen:0.0.0.0:7000`
    #[arg(value_name = "ADDRESS", required_unless_present = "config")]
    pub(crate) a: Option<String>,

    /// The other end, such as `serial:/dev/ttyUSB0,baud=115200`
    #[arg(value_name = "ADDRESS", required_unless_present = "config")]
    pub(crate) b: Option<String>,

    #[command(flatten)]
    pub(crate) settings: Settings,

    /// Runs the bridges of this file instead of one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["a", "b", "on_busy", "on_loss",
        "while_down", "linger", "idle", "once", "max_peers", "no_splice", "trace",
        "show_morse"])]
    pub(crate) config: Option<PathBuf>,

    /// Looks at addresses and config without opening anything
    #[arg(long)]
    pub(crate) check: bool,

    /// Prints totals at the end and on SIGUSR1 in this form
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) stats: StatsForm,

    /// Says errors only
    #[arg(long, short, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Says more: every peer, every try to reopen
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

/// The form of statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatsForm {
    /// For people.
    #[default]
    Text,
    /// One object a bridge, each on a line of standard error.
    Json,
    /// Nothing at the end.
    None,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists transports and layers with their options, or shows one in full
    Transports {
        /// The name of a transport or a layer
        name: Option<String>,
    },
    /// Lists plug-ins: executables `ipfi-transport-NAME` on PATH
    Plugins,
    /// Lists the serial ports of this machine
    Ports,
    /// Prints completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Prints the man page, or that of a command
    ///
    /// `ipfi-bridge man | man -l -` shows it.
    Man {
        /// Which command
        command: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_help_fits() {
        ipfi_app::testing::help_fits(super::Cli::command());
    }
}
