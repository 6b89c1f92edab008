//! A program that runs, the stream to it, and the task that sees to its end.

use std::{
    io,
    os::fd::BorrowedFd,
    pin::Pin,
    process::ExitStatus,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    thread,
    time::Duration,
};

use ipfi_transport::{ByteStream, Descriptors, Direction};
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    process::{Child, ChildStdin, ChildStdout},
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{ExecOptions, exit::Exit};
use crate::duplex::Duplex;

/// How long the end of a program waits for the rest of its standard error, which something else
/// may hold open.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// The longest line of standard error, in bytes; a longer one is cut in pieces.
const LONGEST_LINE: usize = 4096;
/// How long a program has to end when the runtime does.
const SHUTDOWN: Duration = Duration::from_millis(200);

/// The stream to a program.
pub(super) struct Running {
    pipes: Duplex,
    exit: Arc<Exit>,
    group: Arc<Group>,
    /// Dropping it tells the task that we left.
    _left: oneshot::Sender<()>,
}

impl Running {
    pub(super) fn new(mut child: Child, name: &str, options: &ExecOptions) -> io::Result<Self> {
        let stdin = child.stdin.take().map(ChildStdin::into_owned_fd).transpose()?;
        let stdout = child.stdout.take().map(ChildStdout::into_owned_fd).transpose()?;
        let stderr = child
            .stderr
            .take()
            .map(|stderr| tokio::spawn(pass_on(stderr, name.to_owned(), tokio::io::stderr())));
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        let group = Arc::new(Group {
            leader: pid.ok_or_else(|| io::Error::other("the program has no process id"))?,
            whole: !options.terminal,
            exited: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        let exit = Arc::new(Exit::new(name));
        let (stay, left) = oneshot::channel();
        let keeper = Keeper { child, group: group.clone(), grace: options.grace, done: false };
        tokio::spawn(keeper.keep(exit.clone(), stderr, left));
        let peer = format!("{name} (pid {})", group.leader.as_raw_nonzero());
        Ok(Self { pipes: Duplex::new(stdout, stdin, peer)?, exit, group, _left: stay })
    }

    /// Its output has ended; whether cleanly, its exit says.
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.group.closed.store(true, Ordering::Release);
        self.exit.poll(cx)
    }
}

impl ByteStream for Running {
    fn abort(&mut self) {
        self.group.signal(Signal::KILL);
    }

    fn peer(&self) -> Option<String> {
        self.pipes.peer()
    }

    fn descriptors(&self) -> Option<&dyn Descriptors> {
        self.pipes.descriptors().map(|_| self as &dyn Descriptors)
    }
}

/// An end that the relay sees is the end only when the program has exited with status 0.
impl Descriptors for Running {
    fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<()>> {
        match direction {
            Direction::Read if self.group.closed.load(Ordering::Acquire) => self.exit.poll(cx),
            Direction::Read | Direction::Write => {
                Descriptors::poll_ready(&self.pipes, cx, direction)
            }
        }
    }

    fn try_io(
        &self,
        direction: Direction,
        f: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let n = self.pipes.try_io(direction, f)?;
        if n == 0 && direction == Direction::Read {
            match self.poll_end(&mut Context::from_waker(std::task::Waker::noop())) {
                Poll::Ready(end) => end?,
                Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
            }
        }
        Ok(n)
    }
}

impl AsyncRead for Running {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.pipes).poll_read(cx, buf))?;
        if self.pipes.has_ended() { self.poll_end(cx) } else { Poll::Ready(Ok(())) }
    }
}

impl AsyncWrite for Running {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipes).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipes).poll_shutdown(cx)
    }
}

/// A program and what it started.
#[derive(Debug)]
struct Group {
    leader: Pid,
    /// Whether the group is its own.
    whole: bool,
    /// The program itself is gone and waited for: its number may belong to another one soon.
    exited: AtomicBool,
    /// Nobody holds its standard output any more.
    closed: AtomicBool,
}

impl Group {
    /// Whether somebody may be left to signal. While a process of the group is there, the number
    /// of the group is not given to another one; one that holds the output is there.
    fn remains(&self) -> bool {
        !self.exited.load(Ordering::Acquire) || (self.whole && !self.closed.load(Ordering::Acquire))
    }

    fn signal(&self, signal: Signal) {
        if self.remains() {
            let kill = if self.whole { kill_process_group } else { kill_process };
            let _ = kill(self.leader, signal); // It may have gone in the meantime.
        }
    }
}

/// Sees to the end of a program.
struct Keeper {
    child: Child,
    group: Arc<Group>,
    grace: Duration,
    done: bool,
}

impl Keeper {
    async fn keep(
        mut self,
        exit: Arc<Exit>,
        stderr: Option<JoinHandle<()>>,
        mut left: oneshot::Receiver<()>,
    ) {
        tokio::select! {
            status = self.wait() => {
                if let Some(stderr) = stderr {
                    let _ = timeout(LAST_WORDS, stderr).await;
                }
                exit.set(status);
                let _ = left.await;
            }
            _ = &mut left => {}
        }
        // Its input has ended and its output leads nowhere.
        for signal in [Signal::TERM, Signal::KILL] {
            if timeout(self.grace, self.all_gone()).await.is_ok() {
                break;
            }
            self.group.signal(signal);
        }
        let _ = self.wait().await;
        self.done = true;
    }

    async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.group.exited.store(true, Ordering::Release);
        status
    }

    async fn all_gone(&mut self) {
        let _ = self.wait().await;
        // There is no news of processes that are not our children.
        while self.group.remains() && test_kill_process_group(self.group.leader).is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Runs early only if the runtime ends, which has to wait for a moment then.
impl Drop for Keeper {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        self.group.signal(Signal::TERM);
        let step = Duration::from_millis(1);
        let mut waited = Duration::ZERO;
        while waited < SHUTDOWN && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(step);
            waited += step;
        }
        self.group.signal(Signal::KILL);
        while matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(step);
        }
    }
}

/// Copies lines, each with `name` in front.
async fn pass_on(mut from: impl AsyncRead + Unpin, name: String, mut to: impl AsyncWrite + Unpin) {
    let mut line = format!("{name}: ").into_bytes();
    let start = line.len();
    let mut buf = [0; 4096];
    loop {
        let n = from.read(&mut buf).await.unwrap_or(0);
        for &byte in buf.iter().take(n) {
            line.push(byte);
            if byte == b'\n' || line.len() - start == LONGEST_LINE {
                write_line(&mut line, &mut to).await;
                line.truncate(start);
            }
        }
        if n == 0 {
            if line.len() > start {
                write_line(&mut line, &mut to).await;
            }
            return;
        }
    }
}

/// Writes a line at once, so that those of several programs do not mix.
async fn write_line(line: &mut Vec<u8>, to: &mut (impl AsyncWrite + Unpin)) {
    if line.last() != Some(&b'\n') {
        line.push(b'\n');
    }
    // If nobody can read it, the program must not hang for that.
    let _ = to.write_all(line).await;
    let _ = to.flush().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn passed_on(text: &[u8]) -> String {
        let mut out = Vec::new();
        pass_on(text, "x".into(), &mut out).await;
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn lines_get_a_name() {
        assert_eq!(passed_on(b"").await, "");
        assert_eq!(passed_on(b"one\n\ntwo").await, "x: one\nx: \nx: two\n");
    }

    #[tokio::test]
    async fn a_line_without_end_comes_in_pieces() {
        let text = passed_on(&vec![b'a'; 2 * LONGEST_LINE + 1]).await;
        let lengths: Vec<_> = text.lines().map(|line| line.len() - 3).collect();
        assert_eq!(lengths, [LONGEST_LINE, LONGEST_LINE, 1]);
    }
}
