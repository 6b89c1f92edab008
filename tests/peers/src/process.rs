//! The process of a peer.

use std::{ffi::OsString, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Time for a peer to do what it has to do at once; only those that hang take it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A command that speaks the protocol on standard input and output.
#[derive(Clone, Debug)]
pub struct Peer {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Peer {
    /// The peer that this program is.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), arguments: Vec::new() }
    }

    /// The same with one more argument on its command line.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn start(&self) -> Result<(Process, ChildStdin, ChildStdout)> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => Ok((Process(child), stdin, stdout)),
            _ => bail!("the peer has no standard input or output"),
        }
    }
}

/// A peer that runs; it is killed when this is dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Waits until it has exited by itself, with one of these statuses.
    pub(crate) async fn exits(mut self, allowed: &[i32]) -> Result<()> {
        let status = tokio::time::timeout(PATIENCE, self.0.wait())
            .await
            .context("the process does not exit")??;
        let code = status.code();
        ensure!(code.is_some_and(|code| allowed.contains(&code)), "the peer ended with {status}");
        Ok(())
    }
}
