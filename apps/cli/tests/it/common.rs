//! Starts the real program, and waits for what it says.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

/// How long a test waits for something before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What the program did: exit code, standard output, standard error.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program, with a cache of its own in `dir`.
pub(crate) fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipfi"));
    command.args(arguments).env("XDG_CACHE_HOME", dir).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(dir: &Path, arguments: &[&str], input: Option<&str>) -> Done {
    // A program that hangs fails its test.
    let mut command = Command::new("timeout");
    command.args(["60", env!("CARGO_BIN_EXE_ipfi")]).args(arguments);
    command.env("XDG_CACHE_HOME", dir).stdin(Stdio::null());
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if let Some(input) = input {
        // It need not read it all.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Done {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Another program or ours, killed when dropped, and the lines that it says.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let send = |stream: Box<dyn std::io::Read + Send>| {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        };
        send(Box::new(out));
        send(Box::new(err));
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line with this text, on either output.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        if let Some(at) = self.seen.iter().position(|line| line.contains(text)) {
            return self.seen.remove(at);
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => self.seen.push(line),
                Err(error) => panic!("no line with {text:?} ({error}); there is {:#?}", self.seen),
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for its end: the exit code.
    pub(crate) fn finish(&mut self) -> i32 {
        let mut status = None;
        until(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line between two terminals, as a null modem makes it: the paths of its ends.
pub(crate) fn null_modem(dir: &Path) -> (Running, String, String) {
    let (a, b) = (dir.join("tty-a"), dir.join("tty-b"));
    let mut socat = Command::new("socat");
    for end in [&a, &b] {
        socat.arg(format!("pty,raw,echo=0,link={}", end.display()));
    }
    let socat = Running::start(socat);
    until(|| a.exists() && b.exists());
    (socat, a.display().to_string(), b.display().to_string())
}

/// Waits until something is so.
pub(crate) fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let (_keep, never) = channel::<()>();
    while !condition() {
        assert!(Instant::now() < deadline, "it never came to be");
        let pause = never.recv_timeout(Duration::from_millis(5));
        assert_eq!(pause, Err(RecvTimeoutError::Timeout));
    }
}
