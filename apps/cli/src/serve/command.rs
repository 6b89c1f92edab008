//! A shell command as a procedure.

use std::{
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use ipfi::{Code, Fault, Receiver, Sender};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
};

use super::output::Lines;
use crate::log;

/// The longest line in one item, in bytes; longer ones are cut in pieces.
const LINE: usize = 64 * 1024;
/// The end of what a command said of its failure, in bytes.
const LAST_WORDS: usize = 400;
/// A cancelled command may end in order for so long.
const GRACE: Duration = Duration::from_secs(2);
/// Errors of commands are 256 and the exit status.
const STATUS: u32 = 256;

/// A shell command that can be called.
#[derive(Debug)]
pub(super) struct Runner {
    name: String,
    command: String,
    running: mpsc::Sender<()>,
}

impl Runner {
    pub(super) fn new(name: &str, command: &str, running: mpsc::Sender<()>) -> Self {
        Self { name: name.into(), command: command.into(), running }
    }

    /// Runs it once: `words` are `$1`, `$2` and so on, `input` are lines of its standard input, its
    /// lines go to `out`. If this is dropped, its process group is ended.
    pub(super) async fn run(
        &self,
        words: Vec<String>,
        input: Receiver<String>,
        out: Sender<String>,
    ) -> Result<(), Fault> {
        if words.iter().any(|word| word.contains('\0')) {
            return Err(Fault::new("an argument has a NUL in it").with_code(Code::BAD_ARGUMENTS));
        }
        log::detail(|| format!("`{}` runs", self.name));
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(&self.command).arg(&self.name).args(words).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| Fault::new(format!("/bin/sh: {}", ipfi_transport::reason(&error))))?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut group = Group { child: Some(child), running: Some(self.running.clone()) };
        // Feeding it ends when it ends.
        let feeding = async {
            if let Some(stdin) = stdin {
                feed(stdin, input).await;
            }
            std::future::pending::<()>().await;
        };
        let working = async {
            let printing = async {
                match stdout {
                    Some(stdout) => print(stdout, &out).await,
                    None => true,
                }
            };
            let (wanted, last) = tokio::join!(printing, last_words(stderr));
            (wanted, last, group.wait().await)
        };
        let (wanted, last, status) = tokio::select! {
            done = working => done,
            () = feeding => return Err(Fault::new("standard input")),
        };
        if !wanted {
            return Err(Fault::new("nobody reads the lines").with_code(Code::CANCELLED));
        }
        // Everything that was sent arrives before the answer matters.
        let _ = out.finish().await;
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                let (number, what) = told(status);
                let text = if last.is_empty() { what } else { format!("{what}: {last}") };
                Err(Fault::new(text).with_code(Code(STATUS + number)))
            }
            Err(error) => Err(Fault::new(ipfi_transport::reason(&error))),
        }
    }
}

async fn feed(mut stdin: ChildStdin, mut input: Receiver<String>) {
    while let Ok(Some(line)) = input.recv().await {
        let wrote = async {
            stdin.write_all(line.as_bytes()).await?;
            stdin.write_all(b"\n").await?;
            stdin.flush().await
        };
        if wrote.await.is_err() {
            return; // It reads no more; its end says how it went.
        }
    }
}

/// Sends lines as they come; `false` when nobody wants them.
async fn print(stdout: impl AsyncRead + Unpin, out: &Sender<String>) -> bool {
    let mut lines = Lines::new(stdout, LINE);
    while let Some(line) = lines.next().await {
        if out.send(line).await.is_err() {
            return false;
        }
    }
    true
}

/// How a command failed, as a number and in words: its exit status, or 128 and the signal, as shells
/// say it.
fn told(status: ExitStatus) -> (u32, String) {
    let (number, what) = match (status.signal(), status.code().unwrap_or(1)) {
        (Some(signal), _) => (128 + signal, format!("ended by signal {signal}")),
        (None, code) => (code, format!("exit status {code}")),
    };
    (number.cast_unsigned(), what)
}

/// The end of what it says on standard error, in one line.
async fn last_words(stderr: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stderr) = stderr else { return String::new() };
    let mut last = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(n @ 1..) = stderr.read(&mut chunk).await {
        last.extend_from_slice(chunk.get(..n).unwrap_or_default());
        last.drain(..last.len().saturating_sub(LAST_WORDS));
    }
    let text = String::from_utf8_lossy(&last);
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("").to_owned()
}

/// The process group of a command. Dropping it ends the group and leaves no zombie.
struct Group {
    child: Option<Child>,
    running: Option<mpsc::Sender<()>>,
}

impl Group {
    /// Waits for the end of the command.
    async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let Some(child) = &mut self.child else { return Ok(ExitStatus::default()) };
        let status = child.wait().await?;
        self.child = None;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let running = self.running.take();
        let last = LastWord(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        last.signal(Signal::TERM);
        tokio::spawn(async move {
            let ended = tokio::time::timeout(GRACE, child.wait()).await;
            drop(last);
            if ended.is_err() {
                let _ = child.wait().await;
            }
            drop(running);
        });
    }
}

/// Dropping it kills a process group: when its time is over, or at once when the runtime ends. The
/// shell may be gone and what it started may not; the group is there as long as any of it is.
struct LastWord(Option<Pid>);

impl LastWord {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for LastWord {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
