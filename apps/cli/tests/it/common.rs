//! Starts the real program, and waits for what it says.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

pub(crate) use ipfi_app::testing::{Running, until};

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

/// Waits until it listens: the address where peers reach it.
pub(crate) fn listening(process: &mut Running) -> String {
    let line = process.wait_for("listening at ");
    line.split(' ').next_back().unwrap().to_owned()
}

/// Runs it to its end.
pub(crate) fn run(dir: &Path, arguments: &[&str], input: Option<&str>) -> Done {
    run_with_bytes(dir, arguments, input.map(str::as_bytes))
}

/// The same with bytes of any kind on standard input.
pub(crate) fn run_with_bytes(dir: &Path, arguments: &[&str], input: Option<&[u8]>) -> Done {
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
        let _ = child.stdin.take().unwrap().write_all(input);
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Done {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
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
