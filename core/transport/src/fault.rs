//! A line that lies: drops, flips, invents, repeats, delays and falls silent.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    BoxStream, ByteStream, Layer, Line, OptionError, Properties, Reading, Side, Value,
    random::{Random, threshold},
};

crate::options! {
    /// Options of the layer `noise+`: what a bad line does to the bytes of each direction.
    ///
    /// Chances are for each byte (for `flip`, for each bit), between 0 and 1. The same seed on the
    /// same bytes does the same harm.
    pub struct Faults {
        /// Chance that a byte is lost.
        drop: f64 = "0",
        /// Chance that a bit is turned over (the bit error rate).
        flip: f64 = "0",
        /// Chance that a byte that nobody sent comes before a byte.
        insert: f64 = "0",
        /// Chance that a byte comes twice.
        duplicate: f64 = "0",
        /// How many bytes in a row a fault hits.
        burst: usize = "1",
        /// Arriving bytes come this much later.
        delay: Duration = "0s",
        /// Bytes a second of each direction; 0 for no limit.
        rate: u32 = "0",
        /// For this long out of each `every`, all bytes are lost.
        dead: Duration = "0s",
        /// How often the line goes dead.
        every: Duration = "10s",
        /// Where the random numbers start.
        seed: u64 = "1",
    }
}

/// How many delayed bytes are held before reading stops.
const MAX_HELD: usize = 1 << 20;
/// How many bytes are read and harmed at a time.
const CHUNK: usize = 4096;
/// How far ahead of the rate one piece may run.
const PACE: Duration = Duration::from_millis(10);
/// The bytes that the kernel holds for a terminal, which it sends without the program.
const QUEUE: u32 = 4096;

/// Harms the bytes that pass through a stream, in both directions.
///
/// For tests, and for users who want to know what their program does on a bad line. Needs a tokio
/// runtime with a clock; a paused clock makes it deterministic.
#[derive(Debug)]
pub struct FaultInjector<S> {
    inner: S,
    faults: Faults,
    reading: Lane,
    writing: Lane,
    arrived: VecDeque<(Instant, u8)>,
    ended: bool,
    harmed: VecDeque<u8>,
}

impl<S: ByteStream> FaultInjector<S> {
    /// Harms what passes through `inner` as `faults` say.
    pub fn new(inner: S, faults: Faults) -> Self {
        let start = Instant::now();
        Self {
            inner,
            reading: Lane::new(&faults, faults.seed, start),
            writing: Lane::new(&faults, !faults.seed, start),
            faults,
            arrived: VecDeque::new(),
            ended: false,
            harmed: VecDeque::new(),
        }
    }

    /// How many faults happened so far, reading and writing.
    pub fn faults(&self) -> u64 {
        self.reading.count + self.writing.count
    }

    /// Passes on what was harmed on its way out.
    fn poll_harmed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.harmed.is_empty() {
            let (front, _) = self.harmed.as_slices();
            let n = ready!(Pin::new(&mut self.inner).poll_write(cx, front))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.harmed.drain(..n);
        }
        Poll::Ready(Ok(()))
    }
}

/// The state of one direction.
#[derive(Debug)]
struct Lane {
    random: Random,
    chances: [u64; 4],
    burst: usize,
    start: Instant,
    free_at: Instant,
    /// Bytes have waited for the rate to let them pass: the lane was not idle.
    held_back: bool,
    count: u64,
    /// Its own, since both directions may wait at once.
    wake: Option<Pin<Box<Sleep>>>,
}

const DROP: usize = 0;
const FLIP: usize = 1;
const INSERT: usize = 2;
const DUPLICATE: usize = 3;

impl Lane {
    fn new(faults: &Faults, seed: u64, start: Instant) -> Self {
        let random = Random::new(seed);
        // A byte is hit when any of its eight bits is.
        let flip = 1.0 - (1.0 - faults.flip).powi(8);
        let chances = [faults.drop, flip, faults.insert, faults.duplicate].map(threshold);
        Self {
            random,
            chances,
            burst: faults.burst.max(1),
            start,
            free_at: start,
            held_back: false,
            count: 0,
            wake: None,
        }
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, when: Instant) -> Poll<()> {
        let sleep = self.wake.get_or_insert_with(|| Box::pin(sleep_until(when)));
        if sleep.deadline() != when {
            sleep.as_mut().reset(when);
        }
        sleep.as_mut().poll(cx)
    }

    /// Whether this fault hits the next byte.
    fn hits(&mut self, fault: usize) -> bool {
        let hits = self.random.hits(self.chances[fault]);
        self.count += u64::from(hits);
        hits
    }

    fn is_dead(&self, faults: &Faults, now: Instant) -> bool {
        let every = faults.every.as_micros();
        every > 0 && (now - self.start).as_micros() % every < faults.dead.as_micros()
    }

    fn harm(&mut self, faults: &Faults, now: Instant, bytes: &[u8], mut out: impl FnMut(u8)) {
        if self.is_dead(faults, now) {
            self.count += bytes.len() as u64;
            return;
        }
        let mut dropping = 0;
        let mut flipping = 0;
        for &byte in bytes {
            let mut byte = byte;
            if self.hits(INSERT) {
                for _ in 0..self.burst {
                    out(self.random.byte());
                }
            }
            if self.hits(DROP) {
                dropping = self.burst;
            }
            if self.hits(FLIP) {
                flipping = self.burst;
            }
            if flipping > 0 {
                flipping -= 1;
                byte ^= 1 << self.random.below(8);
            }
            if dropping > 0 {
                dropping -= 1;
                continue;
            }
            out(byte);
            if self.hits(DUPLICATE) {
                out(byte);
            }
        }
    }

    /// How many of `wanted` bytes the rate lets pass now, or when it lets some.
    fn pace(&mut self, rate: u32, now: Instant, wanted: usize) -> Result<usize, Instant> {
        if rate == 0 || wanted == 0 {
            return Ok(wanted);
        }
        if self.free_at > now {
            self.held_back = true;
            return Err(self.free_at);
        }
        let at_once = (PACE.as_secs_f64() * f64::from(rate)).max(1.0);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most a hundredth of a u32"
        )]
        Ok(wanted.min(at_once as usize))
    }

    fn paced(&mut self, rate: u32, now: Instant, n: usize) {
        if rate > 0 {
            let n = u32::try_from(n).unwrap_or(u32::MAX);
            // Timers fire late, and busy machines come late to them. So that the rate holds, that is made
            // good: of a lane with bytes to carry, for as long as a terminal's queue lasts.
            let queue = Duration::from_secs(1) * QUEUE / rate;
            let late = if self.held_back { queue.max(PACE) } else { PACE };
            let from = self.free_at.max(now.checked_sub(late).unwrap_or(now));
            self.free_at = from + Duration::from_secs(1) * n / rate;
            self.held_back &= self.free_at < now;
        }
    }
}

impl<S: ByteStream> AsyncRead for FaultInjector<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let now = Instant::now();
            let due = this.arrived.iter().take(buf.remaining()).take_while(|(t, _)| *t <= now);
            let due = due.count();
            match this.reading.pace(this.faults.rate, now, due) {
                Ok(0) => {}
                Ok(n) => {
                    for (_, byte) in this.arrived.drain(..n) {
                        buf.put_slice(&[byte]);
                    }
                    this.reading.paced(this.faults.rate, now, n);
                    return Poll::Ready(Ok(()));
                }
                Err(when) => {
                    ready!(this.reading.poll_until(cx, when));
                    continue;
                }
            }
            if !this.ended && this.arrived.len() < MAX_HELD {
                let mut chunk = [0; CHUNK];
                let mut chunk = ReadBuf::new(&mut chunk);
                if Pin::new(&mut this.inner).poll_read(cx, &mut chunk)?.is_ready() {
                    this.ended = chunk.filled().is_empty();
                    let (when, arrived) = (now + this.faults.delay, &mut this.arrived);
                    this.reading.harm(&this.faults, now, chunk.filled(), |byte| {
                        arrived.push_back((when, byte));
                    });
                    continue;
                }
            }
            match this.arrived.front() {
                Some(&(when, _)) => ready!(this.reading.poll_until(cx, when)),
                None if this.ended => return Poll::Ready(Ok(())),
                None => return Poll::Pending,
            }
        }
    }
}

impl<S: ByteStream> AsyncWrite for FaultInjector<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_harmed(cx))?;
        loop {
            let now = Instant::now();
            match this.writing.pace(this.faults.rate, now, buf.len().min(CHUNK)) {
                Ok(n) => {
                    let harmed = &mut this.harmed;
                    let sent = buf.get(..n).unwrap_or_default();
                    this.writing.harm(&this.faults, now, sent, |byte| harmed.push_back(byte));
                    this.writing.paced(this.faults.rate, now, n);
                    let _ = this.poll_harmed(cx)?; // The rest goes with the next write or flush.
                    return Poll::Ready(Ok(n));
                }
                Err(when) => ready!(this.writing.poll_until(cx, when)),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_harmed(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_harmed(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

impl<S: ByteStream> ByteStream for FaultInjector<S> {
    fn abort(&mut self) {
        self.inner.abort();
    }

    fn peer(&self) -> Option<String> {
        self.inner.peer()
    }

    fn line(&self) -> Option<Line> {
        let line = self.inner.line();
        if self.faults.rate == 0 {
            return line;
        }
        let queued = line.map_or(0, |line| line.queued) + self.harmed.len();
        Some(Line::new(Some(self.faults.rate), queued))
    }

    fn health(&self) -> Vec<Reading> {
        let mut health = self.inner.health();
        health.push(Reading::new("faults", Value::Count(self.faults())));
        health
    }
}

/// The layer `noise+`: a [`FaultInjector`] on any transport.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Noise;

impl Noise {
    /// The layer.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Layer for Noise {
    const NAME: &'static str = "noise";
    const SUMMARY: &'static str = "harms what passes: lost, flipped, invented and late bytes";
    const EXAMPLES: &'static [&'static str] =
        &["noise+serial:/dev/ttyUSB0,flip=1e-5", "arq+noise+tcp:localhost:7000,drop=0.01,seed=7"];
    type Options = Faults;

    async fn wrap(&self, inner: BoxStream, _: Side, faults: &Faults) -> io::Result<BoxStream> {
        Ok(Box::new(FaultInjector::new(inner, faults.clone())))
    }

    fn check(&self, faults: &Faults) -> Result<(), OptionError> {
        let chances = [
            ("drop", faults.drop),
            ("flip", faults.flip),
            ("insert", faults.insert),
            ("duplicate", faults.duplicate),
        ];
        match chances.iter().find(|(_, chance)| !(0.0..=1.0).contains(chance)) {
            None => Ok(()),
            Some((key, chance)) => Err(OptionError::Invalid {
                key: (*key).into(),
                value: chance.to_string(),
                good: "a chance from 0 to 1".into(),
            }),
        }
    }

    fn properties(&self, mut below: Properties, faults: &Faults) -> Properties {
        let harmless = [faults.drop, faults.flip, faults.insert, faults.duplicate]
            .iter()
            .all(|&chance| chance <= 0.0)
            && faults.dead.is_zero();
        below.reliable &= harmless;
        below
    }
}
