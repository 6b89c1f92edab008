//! The link: what the driver and the application call.

mod incoming;
mod outgoing;
mod outlook;
mod timers;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::config::{Config, EscapeMap, Fec, HalfDuplex, Profile};
use crate::congestion::Congestion;
use crate::error::{Ended, WriteError};
use crate::fec::{Finder, Mode};
use crate::frame::{Check, MAX_REASON, Reset, data_overhead};
use crate::framing::{Deframer, MAX_ENCODED};
use crate::line::Line;
use crate::loss::{LossEstimate, MIN_PAYLOAD};
use crate::receiver::{Arrivals, Assembler};
use crate::rtt::{MAX_TIMEOUT, PATIENT_TIMEOUT, Rtt};
use crate::sender::Outgoing;
use crate::statistics::Statistics;
use crate::time::Instant;
use crate::turn::Turn;
pub use outlook::Outlook;

/// How often a greeting goes out, at most, and how long until it does so less often.
const GREETING_INTERVAL: Duration = Duration::from_millis(200);
const PATIENT_GREETING_INTERVAL: Duration = Duration::from_secs(1);
const IMPATIENT_GREETINGS: u32 = 50;
/// An acknowledgement is held back no longer than this, nor for more than one further frame.
const ACK_DELAY: Duration = Duration::from_millis(10);
/// How often an abort is told, since nobody acknowledges it.
const RESETS: u8 = 3;
/// How long to stay in case that the other side has missed the farewell.
const LINGER: Duration = Duration::from_secs(2);
/// The payload of a coded frame, about.
const LONG_FRAME: usize = 440;
/// The largest payload of a modem's frame.
const MAX_PACKET_PAYLOAD: u16 = 1024;
/// Beside a frame as large as any, what a line carries in one part of a second in so many may be written before it
/// is sent. More would only be a queue that nothing urgent can overtake; with less, a program that is
/// late would make short frames.
const AHEAD: u32 = 20;
/// A frame with an acknowledgement, without payload and bitmap.
const LARGEST_HEADER: usize = 16;
/// Own greetings heard until this is taken for an echo.
const ECHOES: u32 = 5;

/// How far a link has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Looking for the other side.
    Connecting,
    /// Both sides know each other.
    Open,
    /// Both sides have finished; this one stays for a moment, in case the other did not hear it.
    Closing,
    /// Both sides finished, and every byte arrived.
    Closed,
    /// The stream ended too early.
    Failed(Ended),
}

#[derive(Clone, Debug)]
enum Phase {
    Greeting { next: Instant, tries: u32 },
    Open,
    Lingering { until: Instant },
    Closed,
    Failed(Ended),
}

/// The other side, as it introduced itself.
struct Peer {
    id: u32,
    max_payload: usize,
    takes_coded: bool,
    outgoing: Check,
    incoming: Check,
}

/// One end of a reliable stream of bytes over a medium that is not: a state machine.
///
/// The driver of a link calls, whenever something has happened, in this order: what happened
/// ([`receive`](Self::receive), [`write`](Self::write), [`read`](Self::read), ...), then
/// [`handle_timeout`](Self::handle_timeout) if [`poll_timeout`](Self::poll_timeout) has been
/// reached, then [`poll_transmit`](Self::poll_transmit) until it returns 0; then it waits for bytes,
/// for the application or for `poll_timeout`.
///
/// A link is one session: when it has ended, a new link with a new id makes a new stream, and
/// nothing of the old one is ever seen in it.
///
/// ```
/// use core::time::Duration;
/// use ipfi_arq::{Config, Instant, Link, State};
///
/// let mut now = Instant::from_micros(0);
/// let mut left = Link::new(Config::serial(None), 1, now);
/// let mut right = Link::new(Config::serial(None), 2, now);
/// left.write(b"hello").unwrap();
/// let mut wire = [0; 64];
/// for _ in 0..10 {
///     let n = left.poll_transmit(now, &mut wire);
///     right.receive(now, &wire[..n]);
///     let n = right.poll_transmit(now, &mut wire);
///     left.receive(now, &wire[..n]);
///     now = now + Duration::from_millis(1);
/// }
/// assert_eq!(left.state(), State::Open);
/// let mut text = [0; 8];
/// assert_eq!(right.read(&mut text), Ok(Some(5)));
/// assert_eq!(&text[..5], b"hello");
/// ```
#[allow(clippy::struct_excessive_bools, reason = "each is a kind of frame that waits to be sent")]
pub struct Link {
    config: Config,
    id: u32,
    started: Instant,
    phase: Phase,
    peer: Option<Peer>,
    escapes: EscapeMap,
    deframer: Deframer,
    /// With error correction: looks for coded frames; how the other side sends at present.
    finder: Option<Finder>,
    hears_strong: bool,
    /// Bad frames and bytes skipped before the coded frame that may be arriving.
    before_coded: (u64, u64),
    line: Line,
    /// With a half-duplex medium.
    turn: Option<Turn>,
    rtt: Rtt,
    outgoing: Outgoing,
    assembler: Assembler,
    arrivals: Arrivals,
    /// The offset up to which the other side was told that there is room.
    promised: u64,
    /// Frames that arrived since the last acknowledgement, and when it goes out at the latest.
    unacknowledged: u32,
    ack_at: Option<Instant>,
    /// When the last answer came, and since when one is owed.
    heard_at: Instant,
    owed_since: Option<Instant>,
    /// Questions in a row that nobody answered; when the wait for an answer began.
    in_vain: u32,
    /// Questions in a row that were answered with "no room yet".
    patience: u32,
    waiting_since: Instant,
    probe: bool,
    ping: bool,
    /// A greeting is to go out although this side is open: the other may not be.
    greet: bool,
    /// With datagrams: what the other side is to get back as a proof of this side's address; and
    /// an id that is to be asked whether it has heard this side.
    cookie: Option<u64>,
    stranger: Option<u32>,
    /// The other side is to be told that all is done.
    farewell: bool,
    echoes: u32,
    reset: Reset,
    resets_left: u8,
    next_reset: Instant,
    /// The frame that is on its way out.
    out: Vec<u8>,
    out_taken: usize,
    scratch: Vec<u8>,
    frame: Vec<u8>,
    statistics: Statistics,
}

impl Link {
    /// A link that starts to look for the other side at once.
    ///
    /// `id` is to be drawn at random for each link: it is how the other end tells a restarted
    /// program from the one before. Zero stands for one.
    #[must_use]
    pub fn new(config: Config, id: u32, now: Instant) -> Self {
        let unit = config.profile.credit_unit();
        let window = u64::from(config.window).clamp(unit, unit * 255);
        let allowed = 2 * usize::from(config.max_payload);
        let capacity = usize::try_from(config.send_buffer.max(1)).unwrap_or(usize::MAX);
        let shared = config.profile == Profile::HalfDuplex;
        let turn = shared.then(|| Turn::new(config.half_duplex, id, now));
        let coded = config.profile.is_framed() && config.escape.is_empty();
        let fec = if coded { config.fec } else { Fec::Off };
        let is_network = config.profile == Profile::Datagram;
        let frame = usize::from(config.max_payload) + data_overhead(config.profile);
        let congestion = is_network.then(|| Congestion::new(frame));
        let mut outgoing = Outgoing::new(capacity, congestion, fec);
        if config.profile.is_modem() {
            outgoing.loss = LossEstimate::packets(usize::from(config.max_payload));
        }
        Self {
            id: id.max(1),
            started: now,
            phase: Phase::Greeting { next: now, tries: 0 },
            peer: None,
            escapes: config.escape,
            deframer: Deframer::default(),
            finder: (fec != Fec::Off).then(Finder::default),
            hears_strong: false,
            before_coded: (0, 0),
            line: Line::new(config.line_rate, allowed),
            turn,
            rtt: Rtt::new(if is_network { PATIENT_TIMEOUT } else { MAX_TIMEOUT }),
            outgoing,
            assembler: Assembler::new(window),
            arrivals: Arrivals::default(),
            promised: window,
            unacknowledged: 0,
            ack_at: None,
            heard_at: now,
            owed_since: None,
            in_vain: 0,
            patience: 0,
            waiting_since: now,
            probe: false,
            ping: false,
            greet: false,
            cookie: None,
            stranger: None,
            farewell: false,
            echoes: 0,
            reset: Reset { code: 0, reason: String::new() },
            resets_left: 0,
            next_reset: now,
            out: Vec::with_capacity(MAX_ENCODED),
            out_taken: 0,
            scratch: Vec::new(),
            frame: Vec::new(),
            statistics: Statistics::default(),
            config,
        }
    }

    /// Takes bytes of the stream to be sent, as many as there is room for, and says how many.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, WriteError> {
        if let Phase::Failed(cause) = &self.phase {
            Err(WriteError::Ended(cause.clone()))
        } else if self.outgoing.is_finished() {
            Err(WriteError::Finished)
        } else {
            let (taken, _) = bytes.split_at(bytes.len().min(self.writable()));
            self.outgoing.write(taken);
            Ok(taken.len())
        }
    }

    /// How many bytes [`write`](Self::write) would take.
    #[must_use]
    pub fn writable(&self) -> usize {
        let ahead = match self.config.line_rate {
            Some(rate) if self.config.profile == Profile::Serial => {
                let more = usize::try_from(rate / AHEAD).unwrap_or(usize::MAX);
                self.largest_payload().saturating_add(more)
            }
            _ => usize::MAX,
        };
        self.outgoing.room().min(ahead.saturating_sub(self.outgoing.unsent()))
    }

    /// How many bytes wait before the other side can begin to receive what is written now: those of
    /// the stream that are to be sent, and those that the medium was given and has not carried yet.
    #[must_use]
    pub fn queued(&self, now: Instant) -> usize {
        self.outgoing.waiting().saturating_add(self.line.queued(now))
    }

    /// Whether the other side's link has all bytes written so far.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.outgoing.is_flushed()
    }

    /// Moves received bytes of the stream into `buf`.
    ///
    /// `Ok(None)`: none are there yet. `Ok(Some(0))`: the stream is over and complete. An error
    /// comes after all bytes that arrived in order before it.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<Option<usize>, Ended> {
        let count = self.assembler.read(buf);
        self.statistics.bytes_read += count as u64;
        if count > 0 {
            self.promise_more();
            return Ok(Some(count));
        }
        if self.assembler.is_read() {
            return Ok(Some(0));
        }
        match &self.phase {
            Phase::Failed(cause) if self.assembler.readable() == 0 => Err(cause.clone()),
            Phase::Failed(_)
            | Phase::Greeting { .. }
            | Phase::Open
            | Phase::Lingering { .. }
            | Phase::Closed => Ok(None),
        }
    }

    /// How many bytes [`read`](Self::read) could give now.
    #[must_use]
    pub fn readable(&self) -> usize {
        self.assembler.readable()
    }

    /// No more bytes will be written. The other direction goes on.
    pub fn finish(&mut self) {
        self.outgoing.finish();
    }

    /// Whether the other side has received everything, and that it is everything.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.outgoing.is_complete()
    }

    /// Whether the whole stream of the other side is here, read or not.
    #[must_use]
    pub fn has_arrived(&self) -> bool {
        self.assembler.is_complete()
    }

    /// The other side is known to be gone: there is nobody to stay for in [`State::Closing`].
    pub fn leave(&mut self) {
        if matches!(self.phase, Phase::Lingering { .. }) {
            self.phase = Phase::Closed;
        }
        self.farewell = false;
    }

    /// Ends the stream now, without regard for what is on its way, and tells the other side why:
    /// a number for programs, and up to 64 bytes for people.
    pub fn abort(&mut self, now: Instant, code: u8, reason: &str) {
        if matches!(self.phase, Phase::Failed(_) | Phase::Closed) {
            return;
        }
        let length = (0..=MAX_REASON).rev().find(|&n| reason.is_char_boundary(n)).unwrap_or(0);
        let reason = reason.get(..length.min(reason.len())).unwrap_or_default();
        self.reset = Reset { code, reason: String::from(reason) };
        self.resets_left = if self.peer.is_some() { RESETS } else { 0 };
        self.next_reset = now;
        self.phase = Phase::Failed(Ended::Aborted);
    }

    /// How far the link has come.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.phase {
            Phase::Greeting { .. } => State::Connecting,
            Phase::Open => State::Open,
            Phase::Lingering { .. } => State::Closing,
            Phase::Closed => State::Closed,
            Phase::Failed(cause) => State::Failed(cause.clone()),
        }
    }

    /// Whether the link has nothing to send any more: the driver may let go of it.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let over = matches!(self.phase, Phase::Closed | Phase::Failed(_));
        over && self.resets_left == 0
            && !self.greet
            && !self.farewell
            && self.out_taken == self.out.len()
    }

    /// What the link has seen so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let mut statistics = self.statistics.clone();
        statistics.bytes_skipped += self.deframer.skipped;
        statistics.error_correction = match self.mode() {
            Mode::Off => "off",
            Mode::Light => "light",
            Mode::Strong => "strong",
        };
        statistics.bytes_delivered = self.outgoing.acked().min(self.outgoing.written());
        statistics.round_trip = self.rtt.smoothed();
        statistics.payload_size = self.payload_size();
        statistics.bytes_per_error = self.outgoing.loss.bytes_per_error();
        statistics
    }

    /// Tells the link how many of the bytes that it gave out still wait in the system, if the
    /// driver knows: `TIOCOUTQ` of a serial port. It keeps the link's idea of the line right.
    pub fn set_queued(&mut self, now: Instant, bytes: usize) {
        let here = self.out.len() - self.out_taken;
        self.line.set_queued(now, bytes + here);
    }

    /// Tells a half-duplex link that something is on the medium, be it its own burst, the other
    /// side's or a stranger's, or nothing any more. Without it the link goes by the times that
    /// frames should take.
    pub fn set_carrier(&mut self, now: Instant, busy: bool) {
        if let Some(turn) = &mut self.turn {
            turn.set_carrier(now, busy);
        }
    }

    /// Tells a half-duplex link that its modem has gone over to another mode: the next packets are
    /// as [`Config::half_duplex`] says for these numbers.
    pub fn set_medium(&mut self, bytes_per_second: u32, packet: u16, medium: HalfDuplex) {
        if let Some(turn) = &mut self.turn {
            turn.set_medium(medium);
            self.line.change_rate(bytes_per_second);
            let config = Config::half_duplex(bytes_per_second, packet, medium);
            let payload = config.max_payload;
            self.outgoing.set_capacity(usize::try_from(config.send_buffer).unwrap_or(usize::MAX));
            if payload != self.config.max_payload {
                // How the other mode fared says nothing of this one.
                self.outgoing.loss = LossEstimate::packets(usize::from(payload));
                self.config.max_payload = payload;
            }
        }
    }

    /// The largest payload that this side takes.
    fn takes(&self) -> u16 {
        // The other side's modem may change its mode.
        if self.config.profile.is_modem() { MAX_PACKET_PAYLOAD } else { self.config.max_payload }
    }

    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Lingering { .. })
    }

    fn fail(&mut self, cause: Ended) {
        if !matches!(self.phase, Phase::Closed | Phase::Failed(_)) {
            self.phase = Phase::Failed(cause);
        }
    }

    /// Room for the other side, in units from the first missing offset on.
    fn credit(&self) -> u8 {
        let room = self.assembler.limit().saturating_sub(self.assembler.next());
        u8::try_from(room / self.config.profile.credit_unit()).unwrap_or(u8::MAX)
    }

    /// Acknowledges again when reading has made much room.
    fn promise_more(&mut self) {
        let step = u64::from(self.config.window) / 4;
        let unit = self.config.profile.credit_unit();
        // Where a frame costs a turn, room is told with the next one, unless there was none left.
        let has_some = self.turn.is_some() && self.promised > self.assembler.next() + step;
        if self.is_open()
            && !has_some
            && !self.assembler.is_complete()
            && self.assembler.limit() >= self.promised + step.max(unit)
        {
            self.ping = true;
        }
    }

    /// How frames with much payload go out at present.
    fn mode(&self) -> Mode {
        // A coded frame cannot be made shorter for a line that is slow as well.
        let fits = self.line.limit_payload(LONG_FRAME) == LONG_FRAME;
        if fits && self.takes_coded() { self.outgoing.fec.mode() } else { Mode::Off }
    }

    /// Bytes that a frame costs besides its own.
    fn preamble(&self) -> usize {
        let fixed = usize::from(self.config.half_duplex.preamble);
        self.turn.as_ref().map_or(fixed, Turn::preamble)
    }

    /// The most that either side takes, and that a line of bytes carries in good time.
    fn largest_payload(&self) -> usize {
        let theirs = self.peer.as_ref().map_or(usize::MAX, |peer| peer.max_payload);
        let max = usize::from(self.config.max_payload).min(theirs).max(1);
        match self.config.profile {
            Profile::Serial => self.line.limit_payload(max).max(MIN_PAYLOAD.min(max)),
            Profile::HalfDuplex | Profile::FullDuplex | Profile::Datagram => max,
        }
    }

    /// The payload of a full plain frame at present.
    fn payload_size(&self) -> usize {
        let max = self.largest_payload();
        let header = data_overhead(self.config.profile);
        match self.config.profile {
            Profile::HalfDuplex | Profile::FullDuplex => {
                let overhead = header + self.preamble();
                self.outgoing.loss.best_payload(overhead, MIN_PAYLOAD / 2, max)
            }
            Profile::Datagram => max,
            Profile::Serial => self.outgoing.loss.best_payload(header + 2, MIN_PAYLOAD, max),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("id", &self.id)
            .field("peer", &self.peer.as_ref().map(|peer| peer.id))
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
