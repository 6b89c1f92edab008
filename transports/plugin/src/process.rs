//! One run of a plug-in.

use std::{io, path::Path, process::Stdio, time::Duration};

use ipfi_pipe::child::{Conduct, Running};
use ipfi_transport::{ByteStream, Pairs};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    time::timeout,
};

use crate::{
    manifest::{MAX_MANIFEST, Manifest},
    reply::Reply,
    text::MAX_LINE,
};

/// How long `describe` may take.
const DESCRIBE: Duration = Duration::from_secs(5);

/// A plug-in that has not said `ok` yet. Dropping it ends it.
pub(crate) struct Starting {
    running: Option<Running>,
    /// The line that is being read. It stays when a read is given up.
    line: Vec<u8>,
    name: String,
}

impl Starting {
    /// Runs `file` with a verb: `dial` or `listen`.
    pub(crate) fn new(
        file: &Path,
        name: &str,
        verb: &str,
        location: &str,
        options: Pairs<'_>,
    ) -> io::Result<Self> {
        let mut command = command(file);
        command.args([verb, location]).stdin(Stdio::piped());
        command.args(options.iter().map(|(key, value)| format!("{key}={value}")));
        let running = start(command, file, name)?;
        Ok(Self { running: Some(running), line: Vec::new(), name: name.into() })
    }

    /// The next thing that it says. Cancel safe.
    pub(crate) async fn reply(&mut self) -> io::Result<Reply> {
        let Some(running) = &mut self.running else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        // A byte at a time: what comes after "ok\n" belongs to the stream.
        loop {
            let mut byte = [0];
            if running.read(&mut byte).await? == 0 {
                return Err(self.broken("it ended before it said `ok` or `error ...`"));
            }
            match byte {
                [b'\n'] => break,
                [byte] if self.line.len() < MAX_LINE => self.line.push(byte),
                _ => return Err(self.broken("its first line has no end")),
            }
        }
        let line = std::mem::take(&mut self.line);
        String::from_utf8_lossy(&line)
            .parse()
            .map_err(|error: crate::NotAReply| self.broken(&error.to_string()))
    }

    /// The stream, once it has said `ok`.
    pub(crate) fn into_stream(mut self) -> io::Result<Running> {
        self.running.take().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// An error in the plug-in itself, as opposed to one that it reports.
    pub(crate) fn broken(&self, how: &str) -> io::Error {
        broken(&self.name, how)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            running.abort();
        }
    }
}

/// Asks a plug-in what it is.
pub(crate) async fn describe(file: &Path, name: &str) -> io::Result<Manifest> {
    let mut command = command(file);
    command.arg("describe").stdin(Stdio::null());
    let mut running = start(command, file, name)?;
    let mut text = Vec::new();
    let result = timeout(DESCRIBE, read(&mut running, &mut text)).await;
    if !matches!(result, Ok(Ok(()))) {
        running.abort();
    }
    result.map_err(|_| broken(name, "`describe` takes more than 5 seconds"))??;
    let text = String::from_utf8(text);
    let text = text.map_err(|_| broken(name, "what `describe` prints is not UTF-8"))?;
    text.parse().map_err(|error| broken(name, &format!("`describe`: {error}")))
}

/// Reads all there is, and a byte more than there may be.
async fn read(from: &mut (impl AsyncRead + Unpin), text: &mut Vec<u8>) -> io::Result<()> {
    from.take(MAX_MANIFEST as u64 + 1).read_to_end(text).await.map(drop)
}

fn command(file: &Path) -> Command {
    let mut command = Command::new(file);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    command
}

fn start(mut command: Command, file: &Path, name: &str) -> io::Result<Running> {
    let child = command.spawn().map_err(|error| {
        let reason = if error.kind() == io::ErrorKind::NotFound {
            "the interpreter that its first line names is missing".into()
        } else {
            ipfi_transport::reason(&error)
        };
        broken(name, &format!("cannot run `{}`: {reason}", file.display()))
    })?;
    Running::new(child, name, Conduct::plug_in())
}

fn broken(name: &str, how: &str) -> io::Error {
    io::Error::other(format!("the plug-in `{name}` is broken: {how}"))
}
