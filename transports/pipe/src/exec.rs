//! `exec:`: the standard input and output of a program.

use std::{io, path::PathBuf, process::Stdio, time::Duration};

use ipfi_transport::{BoxStream, Properties, Transport};
use tokio::process::Command;

use crate::{
    child::{Conduct, Running},
    invalid, plain,
};

ipfi_transport::choices! {
    /// Where the standard error of a program goes.
    pub enum Stderr {
        /// To ours, line by line, with the program's name in front.
        Name = "name",
        /// To ours, as it is.
        Inherit = "inherit",
        /// Nowhere.
        Null = "null",
    }
}

ipfi_transport::options! {
    /// Options of `exec:`.
    pub struct ExecOptions {
        /// Gives the whole command to `sh -c`, for pipelines and variables.
        shell: bool = "no",
        /// The directory to run in.
        dir: Option<PathBuf> = "",
        /// More environment variables, as in `LANG=C TERM=dumb`.
        env: Option<String> = "",
        /// Where its standard error goes: to ours with its name in front, as it is, or nowhere.
        stderr: Stderr = "name",
        /// Runs one program for all peers in place of one for each.
        once: bool = "no",
        /// How long a program that was left may take to end before it is told to (SIGTERM), and
        /// then again before it is killed.
        grace: Duration = "5s",
        /// Lets it use the terminal, to ask for a password; what it starts is then not ended
        /// along with it.
        terminal: bool = "no",
    }
}

/// The transport `exec:COMMAND ARGUMENT...`.
///
/// The command is split into words as a shell does it, with quotes and backslashes, but no shell
/// runs unless the option `shell` says so. What we write is its standard input, and finishing
/// closes it. Reading ends when the program has closed its standard output *and* exited: cleanly
/// with status 0, and otherwise with an error
/// ([`ConnectionAborted`](io::ErrorKind::ConnectionAborted)) that names the status or the signal.
///
/// It runs in a process group of its own, which ends as a whole: a stream that is dropped closes
/// the program's input and output, then gives it `grace` before SIGTERM, and again before
/// SIGKILL; [`abort`](ipfi_transport::ByteStream::abort) is SIGKILL at once. What the program
/// left running on purpose, with another standard output, stays.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Exec;

impl Exec {
    /// The transport.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Transport for Exec {
    const SCHEME: &'static str = "exec";
    const SUMMARY: &'static str = "the standard input and output of a program";
    const EXAMPLES: &'static [&'static str] = &[
        "exec:ssh host agent",
        "exec:grep --line-buffered 'a b'",
        "exec:tr a-z A-Z | tee /tmp/log,shell",
        "exec:./agent -v,dir=/srv,env=LANG=C TERM=dumb",
    ];
    type Options = ExecOptions;

    fn check(&self, location: &str, options: &ExecOptions) -> Result<(), String> {
        words(location, options)?;
        variables(options)?;
        Ok(())
    }

    fn properties(&self, _: &str, options: &ExecOptions) -> Properties {
        Properties::new(true, options.once)
    }

    async fn dial(&self, location: &str, options: ExecOptions) -> io::Result<BoxStream> {
        let words = words(location, &options).map_err(invalid)?;
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.envs(variables(&options).map_err(invalid)?);
        command.stderr(match options.stderr {
            Stderr::Name => Stdio::piped(),
            Stderr::Inherit => Stdio::inherit(),
            Stderr::Null => Stdio::null(),
        });
        if let Some(dir) = &options.dir {
            command.current_dir(dir);
        }
        if !options.terminal {
            command.process_group(0);
        }
        let child = command.spawn().map_err(|error| explain(error, program, &options))?;
        let name = location.split_whitespace().next().unwrap_or_default();
        let name = if options.shell { name } else { program };
        let name = name.rsplit('/').next().unwrap_or(name);
        let conduct = Conduct::program(options.grace, !options.terminal);
        Ok(Box::new(Running::new(child, name, conduct)?))
    }
}

/// The command that runs.
fn words(location: &str, options: &ExecOptions) -> Result<Vec<String>, String> {
    if location.trim().is_empty() {
        return Err("it needs a command, as in `exec:cat -n`".into());
    }
    if options.shell {
        return Ok(vec!["sh".into(), "-c".into(), location.into()]);
    }
    let words = shlex::split(location).ok_or("a quote is not closed, or it ends in a backslash")?;
    match words.first().map(String::as_str) {
        None | Some("") => Err("it needs a command, as in `exec:cat -n`".into()),
        Some(_) => Ok(words),
    }
}

fn variables(options: &ExecOptions) -> Result<Vec<(String, String)>, String> {
    let words = shlex::split(options.env.as_deref().unwrap_or_default());
    let words = words.ok_or("a quote in `env` is not closed")?;
    words
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
            _ => Err(format!("`{word}` in `env` is not NAME=VALUE")),
        })
        .collect()
}

fn explain(error: io::Error, program: &str, options: &ExecOptions) -> io::Error {
    if let Some(dir) = &options.dir
        && !dir.is_dir()
    {
        let text = format!("there is no directory `{}` to run `{program}` in", dir.display());
        return plain(io::ErrorKind::NotFound, text);
    }
    #[allow(clippy::wildcard_enum_match_arm, reason = "most kinds speak for themselves")]
    let text = match error.kind() {
        io::ErrorKind::NotFound if program.contains('/') => {
            format!("there is no program `{program}`; check the path")
        }
        io::ErrorKind::NotFound => {
            format!("there is no program `{program}` on PATH; install it or write its path")
        }
        io::ErrorKind::PermissionDenied => {
            format!("`{program}` is not a program that we may run; try `chmod +x`")
        }
        _ => return error,
    };
    plain(error.kind(), text)
}
