//! A program that runs, the stream to it, and the task that sees to its end: for `exec:` and for
//! plug-ins.

mod exit;

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
    sync::{Notify, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::duplex::Duplex;
use exit::Exit;

/// How long the end of a program waits for the rest of its standard error, which something else
/// may hold open.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// The longest line of standard error, in bytes; a longer one is cut in pieces.
const LONGEST_LINE: usize = 4096;
/// How long a program has to end when the runtime does.
const SHUTDOWN: Duration = Duration::from_millis(200);

/// How long a program that was told that its stream is cut has to pass that on.
const CUT: Duration = Duration::from_secs(1);
/// How long a program whose output has ended has to exit before that counts as a half-close. The
/// system closes the descriptors of a program that fails just before it has a status.
const HALF_CLOSE: Duration = Duration::from_millis(100);

/// How a program and its stream treat each other.
#[derive(Clone, Copy, Debug)]
pub struct Conduct {
    /// What messages call it.
    who: fn(&str) -> String,
    grace: Duration,
    own_group: bool,
    half_close: Option<Duration>,
    abort: Signal,
}

impl Conduct {
    /// A program that knows nothing of streams: its output ends when it has exited, an abort kills
    /// it, and a program that was left has `grace` before SIGTERM and again before SIGKILL.
    /// With `own_group` it leads a process group, which ends as a whole.
    #[must_use]
    pub fn program(grace: Duration, own_group: bool) -> Self {
        Self {
            who: |name| format!("exec: {name}"),
            grace,
            own_group,
            half_close: None,
            abort: Signal::KILL,
        }
    }

    /// A plug-in: it leads a process group, closing its output while it runs is a half-close, an
    /// abort is SIGTERM and, a second later, SIGKILL, and one that was left has a minute to pass
    /// on what it was given.
    #[must_use]
    pub fn plug_in() -> Self {
        Self {
            who: |name| format!("the plug-in `{name}`"),
            grace: Duration::from_secs(60),
            own_group: true,
            half_close: Some(HALF_CLOSE),
            abort: Signal::TERM,
        }
    }
}

/// The stream to a program.
///
/// Dropping it ends the program, and nobody has to wait for that; no zombie stays.
#[derive(Debug)]
pub struct Running {
    pipes: Duplex,
    abort: Signal,
    exit: Arc<Exit>,
    group: Arc<Group>,
    /// Dropping it tells the task that we left.
    _left: oneshot::Sender<()>,
}

impl Running {
    /// The stream to `child`, whose standard input and output are pipes. If its standard error is
    /// one too, its lines are passed on to ours with `name` in front.
    pub fn new(mut child: Child, name: &str, conduct: Conduct) -> io::Result<Self> {
        let stdin = child.stdin.take().map(ChildStdin::into_owned_fd).transpose()?;
        let stdout = child.stdout.take().map(ChildStdout::into_owned_fd).transpose()?;
        let stderr = child
            .stderr
            .take()
            .map(|stderr| tokio::spawn(pass_on(stderr, name.to_owned(), tokio::io::stderr())));
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        let group = Arc::new(Group {
            leader: pid.ok_or_else(|| io::Error::other("the program has no process id"))?,
            whole: conduct.own_group,
            exited: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            closing: Notify::new(),
            aborted: AtomicBool::new(false),
        });
        let exit = Arc::new(Exit::new((conduct.who)(name)));
        let (stay, left) = oneshot::channel();
        let keeper = Keeper { child, group: group.clone(), conduct, done: false };
        tokio::spawn(keeper.keep(exit.clone(), stderr, left));
        let peer = format!("{name} (pid {})", group.leader.as_raw_nonzero());
        let pipes = Duplex::new(stdout, stdin, peer)?;
        Ok(Self { pipes, abort: conduct.abort, exit, group, _left: stay })
    }

    /// Its output has ended; whether cleanly, its exit says.
    fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.group.closed.swap(true, Ordering::AcqRel) {
            self.group.closing.notify_one();
        }
        self.exit.poll(cx)
    }
}

impl ByteStream for Running {
    fn abort(&mut self) {
        self.group.aborted.store(true, Ordering::Release);
        self.group.signal(self.abort);
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
    /// Tells the keeper when that is so.
    closing: Notify,
    /// It was told that the stream is cut.
    aborted: AtomicBool,
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
    conduct: Conduct,
    done: bool,
}

impl Keeper {
    async fn keep(
        mut self,
        exit: Arc<Exit>,
        stderr: Option<JoinHandle<()>>,
        mut left: oneshot::Receiver<()>,
    ) {
        let group = self.group.clone();
        let half_close = half_close(&group, self.conduct.half_close);
        tokio::pin!(half_close);
        loop {
            tokio::select! {
                status = self.wait() => {
                    if let Some(stderr) = stderr {
                        let _ = timeout(LAST_WORDS, stderr).await;
                    }
                    exit.set(status);
                    let _ = left.await;
                    break;
                }
                () = &mut half_close, if !exit.is_half_closed() => exit.half_close(),
                _ = &mut left => break,
            }
        }
        // Its input has ended and its output leads nowhere.
        let (grace, signals) = if group.aborted.load(Ordering::Acquire) {
            (CUT, &[Signal::KILL][..])
        } else {
            (self.conduct.grace, &[Signal::TERM, Signal::KILL][..])
        };
        for &signal in signals {
            if timeout(grace, self.all_gone()).await.is_ok() {
                break;
            }
            group.signal(signal);
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

/// Waits until the output of a program has ended, and it has had its time to exit.
async fn half_close(group: &Group, patience: Option<Duration>) {
    match patience {
        Some(patience) => {
            group.closing.notified().await;
            sleep(patience).await;
        }
        None => std::future::pending().await,
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
