//! Where a link and its modem meet: packets in both directions, and who is heard.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ipfi_transport::{ByteStream, Line, Reading, Value};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::modem::{Mode, Packet};

/// Packets that wait for the link. It takes them at once; a stranger may not make us hold more.
const MOST_WAITING: usize = 64;

/// Shared by the link's side, [`Packets`], and the modem's, a station.
#[derive(Clone, Debug)]
pub(crate) struct Desk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    outgoing: VecDeque<Vec<u8>>,
    incoming: VecDeque<Vec<u8>>,
    /// Somebody is on the air: this station, or what it hears.
    carrier: bool,
    /// The link has gone.
    left: bool,
    /// The sound has gone, and why.
    over: Option<String>,
    reader: Option<Waker>,
    figures: Figures,
}

/// What a meter shows.
#[derive(Clone, Debug)]
struct Figures {
    mode: Mode,
    heard: Option<(Mode, f32, f32)>,
    corrected: u64,
    bad: u64,
    /// Until everything that waits has been sent.
    sending: Duration,
}

impl Desk {
    pub(crate) fn new(mode: Mode) -> Self {
        Self(Arc::new(Mutex::new(State {
            outgoing: VecDeque::new(),
            incoming: VecDeque::new(),
            carrier: false,
            left: false,
            over: None,
            reader: None,
            figures: Figures { mode, heard: None, corrected: 0, bad: 0, sending: Duration::ZERO },
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link's side.
    pub(crate) fn packets(&self, peer: String) -> Packets {
        Packets { desk: self.clone(), peer }
    }

    /// The next packet to send.
    pub(crate) fn next(&self) -> Option<Vec<u8>> {
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

    /// Says who is on the air and how long that will last, if it is this station.
    pub(crate) fn set(&self, carrier: bool, mode: Mode, sending: Duration) {
        let mut state = self.lock();
        state.figures.mode = mode;
        state.figures.sending = sending;
        if state.carrier != carrier {
            state.carrier = carrier;
            state.wake();
        }
    }

    /// There will be no more sound.
    pub(crate) fn end(&self, why: String) {
        let mut state = self.lock();
        state.over.get_or_insert(why);
        state.wake();
    }

    /// How the sound fares, for meters.
    pub(crate) fn health(&self) -> Vec<Reading> {
        let figures = self.lock().figures.clone();
        let mut readings = vec![Reading::new("mode", Value::Text(figures.mode.to_string()))];
        if let Some((mode, snr, margin)) = figures.heard {
            readings.push(Reading::new("heard", Value::Text(mode.to_string())));
            readings.push(Reading::new("snr dB", Value::Number(f64::from(snr))));
            readings.push(Reading::new("margin dB", Value::Number(f64::from(margin))));
        }
        readings.push(Reading::new("corrected", Value::Count(figures.corrected)));
        readings.push(Reading::new("bad packets", Value::Count(figures.bad)));
        if !figures.sending.is_zero() {
            readings.push(Reading::new("sending for", Value::Time(figures.sending)));
        }
        readings
    }
}

impl State {
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
        let state = self.desk.lock();
        let mut line = Line::new(None, 0);
        line.carrier = Some(state.carrier || !state.outgoing.is_empty());
        Some(line)
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
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.desk.lock();
        if let Some(why) = &state.over {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, why.clone())));
        }
        state.outgoing.push_back(buf.to_vec());
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
