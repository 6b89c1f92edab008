//! Where a link and its modem meet: packets in both directions, and who is heard.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ipfi_transport::{ByteStream, Line, Reading, Value};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::manners::Manners;
use crate::modem::{Mode, Packet};

/// Packets that wait for the link. It takes them at once; a stranger may not make us hold more.
const MOST_WAITING: usize = 64;

/// How long before the end of what it sends a modem is given the next packet: for a machine that is
/// busy meanwhile.
const AHEAD: Duration = Duration::from_millis(100);

/// Shared by the link's side, [`Packets`], and the modem's, a station.
#[derive(Clone, Debug)]
pub(crate) struct Desk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Each in the mode for which the link made it.
    outgoing: VecDeque<(Mode, Vec<u8>)>,
    incoming: VecDeque<Vec<u8>>,
    now: Now,
    /// The link has gone.
    left: bool,
    /// The sound has gone, and why.
    over: Option<String>,
    reader: Option<Waker>,
    /// Waits until the modem needs the next packet.
    writer: Option<Waker>,
    manners: Manners,
    figures: Figures,
}

/// What is on the air.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Somebody is on the air: this station, or what it hears.
    pub(crate) carrier: bool,
    /// How the next packets are sent, and how many in a burst at most.
    pub(crate) mode: Mode,
    pub(crate) burst: u32,
    /// Until everything that waits has been sent, and until the packet that arrives is complete.
    pub(crate) sending: Duration,
    pub(crate) hearing: Duration,
}

impl Now {
    fn silence(mode: Mode, burst: u32) -> Self {
        Self { carrier: false, mode, burst, sending: Duration::ZERO, hearing: Duration::ZERO }
    }
}

/// What a meter shows besides.
#[derive(Clone, Debug, Default)]
struct Figures {
    heard: Option<(Mode, f32, f32)>,
    corrected: u64,
    bad: u64,
}

impl Desk {
    pub(crate) fn new(mode: Mode, burst: u32, manners: Manners) -> Self {
        Self(Arc::new(Mutex::new(State {
            outgoing: VecDeque::new(),
            incoming: VecDeque::new(),
            now: Now::silence(mode, burst),
            left: false,
            over: None,
            reader: None,
            writer: None,
            manners,
            figures: Figures::default(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link's side.
    pub(crate) fn packets(&self, peer: String) -> Packets {
        Packets { desk: self.clone(), peer }
    }

    /// The next packet to send, and the mode for it.
    pub(crate) fn next(&self) -> Option<(Mode, Vec<u8>)> {
        self.lock().outgoing.pop_front()
    }

    /// Whether the link has gone and everything it had to say has been taken.
    pub(crate) fn is_left(&self) -> bool {
        let state = self.lock();
        state.left && state.outgoing.is_empty()
    }

    /// A packet has arrived.
    pub(crate) fn deliver(&self, packet: Packet) {
        let mut state = self.lock();
        state.figures.heard = Some((packet.mode, packet.snr_db, packet.margin_db));
        state.figures.corrected += packet.corrected as u64;
        if state.incoming.len() < MOST_WAITING {
            state.incoming.push_back(packet.bytes);
        }
        state.wake();
    }

    /// A packet had too many errors.
    pub(crate) fn missed(&self) {
        self.lock().figures.bad += 1;
    }

    /// What is on the air now, and how the next packets are to be.
    pub(crate) fn set(&self, now: Now) {
        let mut state = self.lock();
        let changed = state.now.carrier != now.carrier;
        state.now = now;
        if changed {
            state.wake();
        }
        if !state.is_full()
            && let Some(writer) = state.writer.take()
        {
            writer.wake();
        }
    }

    /// There will be no more sound.
    pub(crate) fn end(&self, why: String) {
        let mut state = self.lock();
        state.over.get_or_insert(why);
        state.wake();
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
    }

    /// What is known of the line.
    pub(crate) fn line(&self) -> Line {
        let state = self.lock();
        let mut line = state.manners.line(state.now.mode, state.now.burst);
        line.carrier = Some(state.now.carrier || !state.outgoing.is_empty());
        line
    }

    /// How the sound fares, for meters.
    pub(crate) fn health(&self) -> Vec<Reading> {
        let state = self.lock();
        let (now, figures) = (state.now, state.figures.clone());
        drop(state);
        let mut readings = vec![Reading::new("mode", Value::Text(now.mode.to_string()))];
        if let Some((mode, snr, margin)) = figures.heard {
            readings.push(Reading::new("heard", Value::Text(mode.to_string())));
            readings.push(Reading::new("snr-dB", Value::Number(f64::from(snr))));
            readings.push(Reading::new("margin-dB", Value::Number(f64::from(margin))));
        }
        readings.push(Reading::new("corrected", Value::Count(figures.corrected)));
        readings.push(Reading::new("bad-packets", Value::Count(figures.bad)));
        for (name, time) in [("sending-for", now.sending), ("hearing-for", now.hearing)] {
            if !time.is_zero() {
                readings.push(Reading::new(name, Value::Time(time)));
            }
        }
        readings
    }
}

impl State {
    /// Where no turns pass what is sent later knows more. With turns a burst is settled at once.
    fn is_full(&self) -> bool {
        let has_enough = !self.outgoing.is_empty() || self.now.sending > AHEAD;
        self.manners.is_full_duplex && has_enough
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// A modem as a stream of packets: each read and each write is one.
#[derive(Debug)]
pub(crate) struct Packets {
    desk: Desk,
    peer: String,
}

impl ByteStream for Packets {
    fn peer(&self) -> Option<String> {
        Some(self.peer.clone())
    }

    fn line(&self) -> Option<Line> {
        Some(self.desk.line())
    }
}

impl AsyncRead for Packets {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.desk.lock();
        if let Some(packet) = state.incoming.pop_front() {
            let length = packet.len().min(buf.remaining());
            buf.put_slice(packet.get(..length).unwrap_or_default());
            return Poll::Ready(Ok(()));
        }
        if let Some(why) = &state.over {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, why.clone())));
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Packets {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.desk.lock();
        if let Some(why) = &state.over {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, why.clone())));
        }
        if state.is_full() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mode = state.now.mode;
        state.outgoing.push_back((mode, buf.to_vec()));
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Packets {
    fn drop(&mut self) {
        self.desk.lock().left = true;
    }
}
