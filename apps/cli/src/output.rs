//! What a command prints. Threads write it, so that whoever does not read it keeps nobody from
//! hearing signals, deadlines and the peer.

use std::{collections::VecDeque, io};

use tokio::io::{AsyncWriteExt, Stderr, Stdout};

use crate::log;

/// Bytes that may wait before it is full.
const LIMIT: usize = 64 * 1024;

/// Lines of standard output and standard error, in their order.
pub(crate) struct Output {
    stdout: Stdout,
    stderr: Stderr,
    waiting: VecDeque<(To, Vec<u8>)>,
    /// Bytes in `waiting`.
    size: usize,
    /// Where the system has not taken yet what a thread was given.
    writing: Option<To>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Stdout,
    Stderr,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            stdout: tokio::io::stdout(),
            stderr: tokio::io::stderr(),
            waiting: VecDeque::new(),
            size: 0,
            writing: None,
        }
    }

    /// A line for programs. It is written by and by, in [`advance`](Self::advance).
    pub(crate) fn print(&mut self, line: &str) {
        self.add(To::Stdout, line);
    }

    /// A line for people.
    pub(crate) fn report(&mut self, line: &str) {
        self.add(To::Stderr, line);
    }

    fn add(&mut self, to: To, line: &str) {
        log::progress("");
        self.size += line.len() + 1;
        if self.waiting.back().is_none_or(|(other, _)| *other != to) {
            self.waiting.push_back((to, Vec::new()));
        }
        if let Some((_, bytes)) = self.waiting.back_mut() {
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
    }

    /// Whether what makes lines is to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.size >= LIMIT
    }

    /// Whether everything is written.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.writing.is_none()
    }

    /// Waits until the system has taken what a thread was given, and gives it the next. Cancel
    /// safe.
    pub(crate) async fn advance(&mut self) -> io::Result<()> {
        match self.writing {
            Some(To::Stdout) => self.stdout.flush().await?,
            // What is for people is said as far as somebody hears it.
            Some(To::Stderr) => drop(self.stderr.flush().await),
            None => {}
        }
        self.writing = None;
        let Some((to, bytes)) = self.waiting.front_mut() else { return Ok(()) };
        let n = match to {
            To::Stdout => self.stdout.write(bytes).await?,
            To::Stderr => self.stderr.write(bytes).await.unwrap_or(bytes.len()),
        };
        self.writing = Some(*to);
        self.size -= n;
        bytes.drain(..n);
        if bytes.is_empty() {
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Writes everything. Cancel safe.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        while !self.is_idle() {
            self.advance().await?;
        }
        Ok(())
    }

    /// Gives up what no thread has begun to write.
    pub(crate) fn discard(&mut self) {
        self.waiting.clear();
        (self.size, self.writing) = (0, None);
    }
}
