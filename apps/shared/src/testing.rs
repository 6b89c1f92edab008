//! For tests of programs: starts real ones, and waits for what they say.

#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "in tests a panic is the answer"
)]

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread,
    time::{Duration, Instant},
};

/// How long a test waits for something before it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A program, killed when dropped, and the lines that it says.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    /// Starts it, to hear what it says on standard error.
    #[must_use]
    pub fn start(command: Command) -> Self {
        Self::hearing(command, false)
    }

    /// Starts it, to hear what it says on either output.
    #[must_use]
    pub fn start_to_hear_both(command: Command) -> Self {
        Self::hearing(command, true)
    }

    fn hearing(mut command: Command, both: bool) -> Self {
        if both {
            command.stdout(Stdio::piped());
        }
        let child = command.stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (sender, lines) = channel();
        if both {
            hear(child.stdout.take().unwrap(), sender.clone());
        }
        hear(child.stderr.take().unwrap(), sender);
        Self { child, lines, seen: Vec::new() }
    }

    /// The process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line with this text.
    pub fn wait_for(&mut self, text: &str) -> String {
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

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for its end.
    pub fn finish(&mut self) -> ExitStatus {
        let mut status = None;
        until(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// The lines that nobody waited for, when it has ended.
    #[must_use]
    pub fn rest(mut self) -> Vec<String> {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push(line);
        }
        std::mem::take(&mut self.seen)
    }
}

/// A program that was started elsewhere, and is not heard.
impl From<Child> for Running {
    fn from(child: Child) -> Self {
        Self { child, lines: channel().1, seen: Vec::new() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hear(output: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
}

/// Waits until something is so.
pub fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it never came to be");
        pause(Duration::from_millis(2));
    }
}

/// Lets real time pass where time itself is what is tested.
pub fn pause(time: Duration) {
    let (_keep, never) = channel::<()>();
    assert_eq!(never.recv_timeout(time), Err(RecvTimeoutError::Timeout));
}

/// Panics if a terminal of 80 columns breaks a line after the options in the long help of `program`
/// or of one of its commands: those are laid out by hand.
#[cfg(feature = "man")]
pub fn help_fits(mut program: clap::Command) {
    program.build();
    let mut commands = vec![program];
    while let Some(command) = commands.pop() {
        let shown = command.clone().term_width(80).render_long_help().to_string();
        let after = command.get_after_long_help().or_else(|| command.get_after_help());
        for line in after.map(ToString::to_string).unwrap_or_default().lines() {
            let whole = shown.lines().any(|other| other == line);
            assert!(whole, "`{}` breaks {line:?}", command.get_name());
        }
        commands.extend(command.get_subcommands().cloned());
    }
}
