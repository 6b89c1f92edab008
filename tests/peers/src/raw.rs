//! A conversation by hand: frames written byte by byte, as the specification says.

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{ChildStdin, ChildStdout},
    time::timeout,
};

use crate::{
    Peer,
    process::{PATIENCE, Process},
};

/// Our hello: codec 2 and generous limits.
pub(crate) const HELLO: [u8; 8] = [0x1f, 0xf1, 1, 2, 0x75, 0xa6, 0x56, 0x77];
/// The same with the smallest limits, but for messages of up to 65,536 bytes.
pub(crate) const SMALL_HELLO: [u8; 8] = [0x1f, 0xf1, 1, 2, 0x00, 0x40, 0x00, 0x00];

/// The heads of frames.
pub(crate) mod head {
    pub(crate) const OPEN: u8 = 0xc0;
    pub(crate) const ARGUMENTS: u8 = 0xc1;
    pub(crate) const RESULT: u8 = 0xc2;
    pub(crate) const ERROR: u8 = 0xc3;
    pub(crate) const CANCEL: u8 = 0xc4;
    pub(crate) const ITEM: u8 = 0xc5;
    pub(crate) const END: u8 = 0xc6;
    pub(crate) const STOP: u8 = 0xc7;
    pub(crate) const CREDIT: u8 = 0xc8;
    pub(crate) const ADMIT_ARGUMENTS: u8 = 0xc9;
    pub(crate) const ADMIT_RESULT: u8 = 0xca;
    pub(crate) const BIND: u8 = 0xcb;
    pub(crate) const RELEASE: u8 = 0xcc;
    pub(crate) const PING: u8 = 0xcd;
    pub(crate) const PONG: u8 = 0xce;
    pub(crate) const GOAWAY: u8 = 0xcf;
    pub(crate) const BYE: u8 = 0xd0;
}

/// An integer in its shortest form.
pub(crate) fn integer(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (n & 0x7f) as u8;
        n >>= 7;
        if n == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A frame: its length, then the parts.
pub(crate) fn frame(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [integer(body.len() as u64), body].concat()
}

/// BIND with fingerprint 0.
pub(crate) fn bind(number: u8, name: &str) -> Vec<u8> {
    frame(&[&[head::BIND, number], &[0; 8], name.as_bytes()])
}

/// CALL of a number below 63.
pub(crate) fn call(number: u8, procedure: u8, arguments: &[u8]) -> Vec<u8> {
    frame(&[&[number, procedure], arguments])
}

/// What the peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Call {
        call: u64,
        arguments: Vec<u8>,
    },
    Answer {
        call: u64,
        result: Vec<u8>,
    },
    Items {
        stream: u64,
        payload: Vec<u8>,
    },
    /// Another: its head and what follows.
    Other {
        head: u8,
        fields: Vec<u8>,
    },
}

/// Takes an integer from the front.
pub(crate) fn take(bytes: &mut &[u8]) -> Result<u64> {
    let mut n = 0;
    for (at, &byte) in bytes.iter().enumerate().take(9) {
        n |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            *bytes = bytes.get(at + 1..).unwrap_or_default();
            return Ok(n);
        }
    }
    bail!("not an integer: {bytes:02x?}");
}

impl Frame {
    fn parse(body: &[u8]) -> Result<Option<Self>> {
        let Some((&head, mut rest)) = body.split_first() else { return Ok(None) };
        let mut number = u64::from(head & 63);
        if head < 0xc0 && number == 63 {
            number += take(&mut rest)?;
        }
        Ok(Some(match head >> 6 {
            0 => {
                take(&mut rest)?;
                Self::Call { call: number, arguments: rest.to_vec() }
            }
            1 => Self::Answer { call: number, result: rest.to_vec() },
            2 => Self::Items { stream: number, payload: rest.to_vec() },
            _ => Self::Other { head, fields: rest.to_vec() },
        }))
    }

    /// Bytes of payload that count against a window of messages.
    pub(crate) fn message(&self) -> Result<usize> {
        Ok(match self {
            Self::Call { arguments: payload, .. } | Self::Answer { result: payload, .. } => {
                payload.len()
            }
            Self::Other { head: head @ (head::OPEN | head::ARGUMENTS | head::RESULT), fields } => {
                let rest = &mut fields.as_slice();
                take(rest)?;
                let Some((&flags, after)) = rest.split_first() else { bail!("no flags") };
                *rest = after;
                if *head == head::OPEN {
                    if flags & 0x18 == 0x10 {
                        *rest = rest.get(8..).unwrap_or_default();
                        let len = usize::try_from(take(rest)?)?;
                        *rest = rest.get(len..).unwrap_or_default();
                    } else {
                        take(rest)?;
                    }
                    if flags & 4 != 0 {
                        take(rest)?;
                    }
                }
                if flags & 0x80 != 0 {
                    take(rest)?;
                }
                if flags & 2 != 0 {
                    for _ in 0..take(rest)? {
                        take(rest)?;
                    }
                }
                rest.len()
            }
            Self::Items { .. } | Self::Other { .. } => 0,
        })
    }
}

/// A peer that was just started, and the bytes to and from it.
pub(crate) struct Raw {
    process: Process,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    came: Vec<u8>,
}

impl Raw {
    pub(crate) fn start(peer: &Peer) -> Result<Self> {
        let (process, stdin, stdout) = peer.start()?;
        Ok(Self { process, stdin: Some(stdin), stdout, came: Vec::new() })
    }

    /// Starts a peer, says this, and reads its hello.
    pub(crate) async fn greet(peer: &Peer, bytes: &[u8]) -> Result<(Self, [u8; 8])> {
        let mut raw = Self::start(peer)?;
        raw.send(bytes).await?;
        let hello = raw.hello().await?;
        Ok((raw, hello))
    }

    /// Sends bytes. That the peer does not take them any more is no error: it may have said why.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(stdin) = &mut self.stdin {
            let writing = async {
                stdin.write_all(bytes).await?;
                stdin.flush().await
            };
            let _ = timeout(PATIENCE, writing).await.context("the peer does not read")?;
        }
        Ok(())
    }

    /// Ends what goes to the peer.
    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
    }

    async fn more(&mut self) -> Result<bool> {
        let reading = self.stdout.read_buf(&mut self.came);
        Ok(timeout(PATIENCE, reading).await.context("the peer says nothing")?? > 0)
    }

    pub(crate) async fn hello(&mut self) -> Result<[u8; 8]> {
        loop {
            if let Some((hello, rest)) = self.came.split_first_chunk() {
                let hello = *hello;
                self.came = rest.to_vec();
                return Ok(hello);
            }
            ensure!(self.more().await?, "the peer ended before its hello");
        }
    }

    /// The next frame; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            let mut rest = self.came.as_slice();
            if let Ok(len) = take(&mut rest)
                && let Some(body) = rest.get(..usize::try_from(len)?)
            {
                let frame = Frame::parse(body);
                let used = self.came.len() - rest.len() + body.len();
                self.came.drain(..used);
                if let Some(frame) = frame? {
                    return Ok(Some(frame));
                }
                continue;
            }
            if !self.more().await? {
                ensure!(self.came.is_empty(), "half a frame at the end: {:02x?}", self.came);
                return Ok(None);
            }
        }
    }

    /// The next frame that is none of those that a peer may send at any time.
    pub(crate) async fn expect(&mut self) -> Result<Frame> {
        loop {
            match self.next().await?.context("the peer ended the wire")? {
                Frame::Other {
                    head: head::CREDIT | head::ADMIT_ARGUMENTS | head::BIND | head::PING,
                    ..
                } => {}
                frame => return Ok(frame),
            }
        }
    }

    /// The result of a call with this number.
    pub(crate) async fn answer(&mut self, number: u64) -> Result<Vec<u8>> {
        match self.expect().await? {
            Frame::Answer { call, result } if call == number => Ok(result),
            // RESULT in one part and without anything beside it.
            Frame::Other { head: head::RESULT, fields }
                if fields.starts_with(&[integer(number), vec![0]].concat()) =>
            {
                Ok(fields.get(integer(number).len() + 1..).unwrap_or_default().to_vec())
            }
            other => bail!("no answer to call {number}: {other:02x?}"),
        }
    }

    /// The failure of a call: code and *started*.
    pub(crate) async fn failure(&mut self, number: u64) -> Result<(u64, u8)> {
        let frame = self.expect().await?;
        let Frame::Other { head: head::ERROR, fields } = &frame else {
            bail!("no failure of call {number}: {frame:02x?}")
        };
        let rest = &mut fields.as_slice();
        ensure!(take(rest)? == number, "not of call {number}: {frame:02x?}");
        let Some((&started, after)) = rest.split_first() else { bail!("too short: {frame:02x?}") };
        *rest = after;
        Ok((take(rest)?, started))
    }

    /// Everything up to the answer to a PING that is sent now.
    pub(crate) async fn fence(&mut self, token: u8) -> Result<Vec<Frame>> {
        self.send(&[2, head::PING, token]).await?;
        let pong = Frame::Other { head: head::PONG, fields: vec![token] };
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await?.context("the peer ended the wire")?;
            if frame == pong {
                return Ok(frames);
            }
            frames.push(frame);
        }
    }

    /// Everything up to the end, and that the process then ends.
    pub(crate) async fn rest(mut self, allowed: &[i32]) -> Result<Vec<Frame>> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await? {
            frames.push(frame);
        }
        self.process.exits(allowed).await?;
        Ok(frames)
    }

    /// The peer says GOAWAY with one of these codes, and ends.
    pub(crate) async fn breaks(self, codes: &[u64]) -> Result<()> {
        let frames = self.rest(&[1]).await?;
        let Some(Frame::Other { head: head::GOAWAY, fields }) = frames.last() else {
            bail!("the last frame is not GOAWAY: {:02x?}", frames.last());
        };
        let code = take(&mut fields.as_slice())?;
        ensure!(codes.contains(&code), "GOAWAY with code {code} instead of {codes:?}");
        Ok(())
    }

    /// Closes in peace.
    pub(crate) async fn leaves(mut self) -> Result<()> {
        self.send(&[2, head::GOAWAY, 0, 1, head::BYE]).await?;
        self.rest(&[0]).await.map(drop)
    }
}
