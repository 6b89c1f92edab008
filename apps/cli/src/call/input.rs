//! Lines of standard input as items of a stream.

use std::io::IsTerminal;

use ipfi::proto::{Connection, SendError, StreamId};
use tokio::io::{AsyncBufReadExt, BufReader, Stdin};

use crate::{
    exit::Error,
    json::{self, Given},
    signature::Type,
};

/// The stream that the procedure reads, and the lines for it.
pub(super) struct Input {
    stream: StreamId,
    of: Type,
    raw: bool,
    lines: Option<BufReader<Stdin>>,
    /// What was read of the next line.
    line: Vec<u8>,
    /// Somebody types them.
    typed: bool,
    count: u64,
    /// An item for which there was no credit.
    waiting: Option<Vec<u8>>,
}

impl Input {
    /// Lines, or nothing, for a stream.
    pub(super) fn new(stream: StreamId, of: Type, lines: bool, raw: bool) -> Self {
        let lines = lines.then(|| BufReader::new(tokio::io::stdin()));
        let typed = lines.is_some() && std::io::stdin().is_terminal();
        Self { stream, of, raw, lines, line: Vec::new(), typed, count: 0, waiting: None }
    }

    pub(super) fn stream(&self) -> StreamId {
        self.stream
    }

    /// Whether there may be lines that nobody has read yet.
    pub(super) fn goes_on(&self) -> bool {
        self.lines.is_some()
    }

    /// Whether somebody may be typing one.
    pub(super) fn is_typed(&self) -> bool {
        self.typed && self.goes_on()
    }

    /// The peer was told of the stream: one without lines ends.
    pub(super) fn begin(&self, engine: &mut Connection) {
        if self.lines.is_none() {
            engine.finish(self.stream);
        }
    }

    /// Waits for the next line; `None` is the end of them. Cancel safe.
    pub(super) async fn line(&mut self) -> Result<Option<String>, Error> {
        let lines = match &mut self.lines {
            Some(lines) if self.waiting.is_none() => lines,
            _ => std::future::pending().await,
        };
        // What was read before somebody else was first is kept.
        let read = lines.read_until(b'\n', &mut self.line).await;
        read.map_err(|source| Error::Io { what: "standard input".into(), source })?;
        if self.line.is_empty() {
            return Ok(None);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            // The end of a line as Windows writes it; raw text is what it is.
            if self.line.last() == Some(&b'\r') && !self.raw {
                self.line.pop();
            }
        }
        self.count += 1;
        let line = String::from_utf8(std::mem::take(&mut self.line));
        line.map(Some).map_err(|_| Error::Usage(format!("{}: not UTF-8", self.place())))
    }

    /// Where the last line stands.
    fn place(&self) -> String {
        format!("line {} of standard input", self.count)
    }

    /// Sends a line; `None` is the end of them.
    pub(super) fn send(
        &mut self,
        engine: &mut Connection,
        line: Option<String>,
    ) -> Result<(), Error> {
        let Some(line) = line else {
            self.lines = None;
            engine.finish(self.stream);
            return Ok(());
        };
        if line.trim().is_empty() && !self.raw {
            return Ok(());
        }
        let place = self.place();
        let wrong = |why: String| Error::Usage(json::place(&place, &why));
        let json = json::word(&self.of, &line, self.raw).map_err(wrong)?;
        let mut given: Vec<Given> = Vec::new();
        let item =
            json::encode(&self.of, &json, &mut given).map_err(|why| wrong(why.to_string()))?;
        if !given.is_empty() {
            return Err(wrong("streams and callbacks within items are not supported".into()));
        }
        self.waiting = Some(json::pack(&item));
        self.retry(engine)
    }

    /// Sends what waits, if there is credit now.
    pub(super) fn retry(&mut self, engine: &mut Connection) -> Result<(), Error> {
        let Some(item) = &self.waiting else { return Ok(()) };
        match engine.send_item(self.stream, item) {
            Err(SendError::Blocked) => return Ok(()),
            Err(error @ SendError::TooLarge { .. }) => {
                return Err(Error::Usage(format!("{}: {error}", self.place())));
            }
            // Whether the procedure read it all is its own business.
            Ok(()) | Err(_) => self.waiting = None,
        }
        Ok(())
    }

    /// The procedure reads no more.
    pub(super) fn stop(&mut self) {
        self.lines = None;
        self.waiting = None;
    }
}
