//! The command line.

use clap::{Parser, Subcommand};

use crate::{
    bench::Bench, call::Call, exit, gateway::Gateway, list::List, ping::Ping, serve::Serve,
};

const EXAMPLES: &str = "\
Examples:
  ipfi list tcp:192.0.2.7:7000
  ipfi call tcp:192.0.2.7:7000 add 2 3
  ipfi call arq+serial:/dev/ttyUSB0 measure --deadline 5s
  seq 1000 | ipfi call unix:/run/x.sock sum --stream
  ipfi ping arq+serial:/dev/ttyUSB0,baud=300
  ipfi serve tcp-listen:127.0.0.1:7000 --exec 'disk=df -h'
  ipfi gateway tcp-listen:0.0.0.0:7000 arq+serial:/dev/ttyUSB0,baud=115200

`ipfi-bridge transports` says what an address can be.";

const ABOUT: &str = "\
Procedures from a terminal: lists, calls, measures, serves and shares them.

Values are JSON here and MessagePack on the wire.";

/// Procedures from a terminal: lists, calls, measures, serves and shares them.
#[derive(Debug, Parser)]
#[command(name = "ipfi", version, max_term_width = 100, long_about = ABOUT)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP), after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Says errors only
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Says more
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the procedures of a peer: names, signatures, documentation
    List(List),
    /// Calls a procedure
    #[command(after_long_help = CALL, after_help = CALL)]
    Call(Call),
    /// Measures round trips
    #[command(after_long_help = PING, after_help = PING)]
    Ping(Ping),
    /// Measures calls a second, and how long each takes
    Bench(Bench),
    /// Makes procedures of shell commands
    #[command(after_long_help = SERVE, after_help = SERVE)]
    Serve(Serve),
    /// Lets many clients share one slow wire, call by call
    #[command(after_long_help = GATEWAY, after_help = GATEWAY)]
    Gateway(Gateway),
    /// Prints completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Prints the man page, or that of a command
    ///
    /// `ipfi man call | man -l -` shows it.
    Man {
        /// Which command
        command: Option<String>,
    },
}

const CALL: &str = "\
Arguments are JSON, one word each; the signature says what each is:
  String    text, which needs no quotes
  Bytes     base64, or a list of numbers
  u64, i64  exact; 128-bit numbers beyond that are strings
  f64       a number; NaN, inf and -inf are strings, such as '\"NaN\"'
  map       an object; if its keys are not scalars, a list of pairs
  enum      \"Variant\" or {\"Variant\": value}
  Option    null or the value; a field that is one may be missing

Streams and callbacks may be left out, or stand among the arguments:
  @in          Receiver<T>: with --stream lines of standard input, else nothing
  @out         Sender<T>: each item is a line of output, as it comes
  @print       Callback: each call is a line of standard error; null answers it
  @print=JSON  the same, answered with this value

The result is the last line of output; () prints nothing. Ctrl-C cancels the
call at the far side.";

const PING: &str = "\
A gateway answers for itself: this measures the way to it, also while what is
behind it is away. `ipfi bench` measures calls, all the way.";

const SERVE: &str = "\
Each command is a procedure (Vec<String>, Receiver<String>, Sender<String>):
  words    the list is $1, $2 and so on in the command, also \"$@\"; the shell
           reads nothing of it
  input    items of the first stream are lines of its standard input
  output   its lines are items of the second stream, as they come; those over
           64 KiB come in pieces, and what is not UTF-8 is replaced
  failure  another exit status than 0 fails the call with the code 256 + status
           (a signal counts as 128 + signal) and the last line that it said on
           standard error
  the end  when the call is cancelled, or its wire lost, its process group gets
           SIGTERM, and SIGKILL 2 s later

`ipfi call ADDRESS NAME word...` passes words.

The first SIGINT, SIGTERM or SIGHUP lets what runs go on for the time of
--drain; the second one kills it.";

const GATEWAY: &str = "\
Calls, streams and callbacks of each client go to the shared wire under names
of their own, and back. Of the shared wire, those who want it get the same
number of bytes; among the calls of one client, priority says which is first.
Items of streams from the device come as it sends them, stream by stream.
Deadlines run while a call waits. What a client leaves behind when it vanishes
is cancelled. When the shared wire is lost, what was under way fails, and it is
opened again until that works.

Clients and device use the same codec: the gateway speaks MessagePack, or what
the device insists on. It answers `ipfi ping` for itself.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_help_fits() {
        ipfi_app::testing::help_fits(super::Cli::command());
    }
}
