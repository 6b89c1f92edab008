//! Lines of standard input as items of a stream.

use ipfi::proto::{Connection, SendError, StreamId};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

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
    lines: Option<Lines<BufReader<Stdin>>>,
    count: u64,
    /// An item for which there was no credit.
    waiting: Option<Vec<u8>>,
}

impl Input {
    /// Lines, or nothing, for a stream.
    pub(super) fn new(stream: StreamId, of: Type, lines: bool, raw: bool) -> Self {
        let lines = lines.then(|| BufReader::new(tokio::io::stdin()).lines());
        Self { stream, of, raw, lines, count: 0, waiting: None }
    }

    pub(super) fn stream(&self) -> StreamId {
        self.stream
    }

    /// Whether there may be lines that nobody has read yet.
    pub(super) fn goes_on(&self) -> bool {
        self.lines.is_some()
    }

    /// The peer was told of the stream: one without lines ends.
    pub(super) fn begin(&self, engine: &mut Connection) {
        if self.lines.is_none() {
            engine.finish(self.stream);
        }
    }

    /// Waits for the next line. Cancel safe.
    pub(super) async fn line(&mut self) -> std::io::Result<Option<String>> {
        match &mut self.lines {
            Some(lines) if self.waiting.is_none() => lines.next_line().await,
            _ => std::future::pending().await,
        }
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
        self.count += 1;
        if line.trim().is_empty() && !self.raw {
            return Ok(());
        }
        let place = format!("line {} of standard input", self.count);
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
                return Err(Error::Usage(format!(
                    "line {} of standard input: {error}",
                    self.count
                )));
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
