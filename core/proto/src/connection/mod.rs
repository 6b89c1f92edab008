//! One end of a wire.

mod answering;
mod arriving;
mod calls;
mod direct;
mod handles;
mod input;
mod lifecycle;
mod message;
mod outbox;
mod reading;
mod results;
mod sending;
mod serving;
mod streams;
mod transmit;

pub use self::direct::Direct;

use crate::budget::Budget;
use crate::event::{Event, Received};
use crate::limits::{Bucket, SMALL};
use crate::meter::Meter;
use crate::queue::Queue;
use crate::table::{Key, Numbers, Slab};
use crate::{Cause, Code, Config, Instant, Limits, MAX_NAME, PeerLimits, ProtocolError};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::size_of;

/// One end of a wire: the state of everything that is under way, without I/O, clock or codec.
///
/// # The loop of a driver
///
/// After *every* call of another method, before waiting for anything:
///
/// 1. [`poll_event`](Self::poll_event) until `None`, and act. What the engine does not have to hold
///    any more frees room: hand `release_arguments` and `consume` back early.
/// 2. [`poll_transmit`](Self::poll_transmit) into a buffer and write it out; again after the write.
///    `0` means that there is nothing to send now. The last frame of a graceful close makes
///    [`Event::Closed`], so look for events once more.
/// 3. [`poll_timeout`](Self::poll_timeout) says when to call
///    [`handle_timeout`](Self::handle_timeout) at the latest.
/// 4. Wait for bytes ([`receive`](Self::receive)), for the end of the byte stream
///    ([`receive_end`](Self::receive_end)), for room to write, for the time, or for the application.
///
/// Reading may stop whenever the application has not taken its events: the peer will wait.
/// When [`is_closed`](Self::is_closed) and `poll_transmit` gives `0`, the driver ends the byte stream.
///
/// ```
/// use ipfi_proto::{CallOptions, Called, Config, Connection, Event, Instant};
///
/// let now = Instant::from_micros(0);
/// let mut client = Connection::new(Config::default(), now);
/// let mut server = Connection::new(Config::default(), now);
/// let greet = client.bind("greet", 0x1234);
/// let call = client.open_call(now, &greet, b"Ada"[..].into(), &[], CallOptions::default()).unwrap();
///
/// let mut buffer = [0; 64];
/// let sent = client.poll_transmit(now, &mut buffer);
/// server.receive(now, &buffer[..sent]).unwrap();
/// while let Some(event) = server.poll_event() {
///     if let Event::Call { call, called: Called::Procedure(0), payload, .. } = event {
///         let answer = [b"Hello, ", &payload[..], b"!"].concat();
///         server.answer(now, call, answer.into(), &[]).unwrap();
///     }
/// }
/// let sent = server.poll_transmit(now, &mut buffer);
/// client.receive(now, &buffer[..sent]).unwrap();
/// assert!(matches!(client.poll_event(), Some(Event::Hello { .. })));
/// let Some(Event::Answer { call: answered, payload, .. }) = client.poll_event() else { panic!() };
/// assert_eq!((answered, &payload[..]), (call, &b"Hello, Ada!"[..]));
/// ```
#[derive(Debug)]
#[repr(C)] // in this order: what is asked for most stands in front, where offsets are short
pub struct Connection {
    config: Arc<Config>,
    streams: Slab<streams::Stream>,
    /// The peer's calls by their numbers.
    incoming: Vec<serving::InCall>,
    calls: Slab<calls::OutCall>,
    budget: Budget,
    events: VecDeque<Event>,
    state: State,
    out: outbox::Outbox,
    clock: lifecycle::Clock,
    input: input::Input,
    /// The codec of the peer's hello; `None` until it came.
    peer_codec: Option<u8>,
    peer: PeerLimits,
    meter: Meter,

    /// Which of our calls has which number on the wire.
    by_number: Vec<Option<Key>>,
    call_numbers: Numbers,
    /// Calls without a number yet: the peer takes no more at once.
    waiting: calls::Waiting,
    /// How many of them are not over.
    busy: usize,
    /// Messages that came half and wait for room.
    starving: Queue<message::Starving>,
    admitting: bool,
    /// Calls whose arguments are too long, unless the application takes them as they come.
    full: Vec<Key>,
    /// What came and is being let go of.
    doomed: Vec<(Received, Code)>,
    disposing: bool,

    /// Streams that we created, by their numbers.
    mine: Vec<Option<Key>>,
    stream_numbers: Numbers,
    /// Streams that the peer created, by their numbers.
    theirs: Vec<streams::Their>,
    exports: Vec<handles::Export>,
    export_numbers: Numbers,
    imports: Vec<handles::Import>,
    /// How many procedures have numbers: ours and the peer's.
    bound: u32,
    peer_bound: u32,

    timers: lifecycle::Timers,
    resets: Bucket,
    empty_frames: Bucket,
}

/// How far the wire is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Everything goes.
    Open,
    /// We said go-away: finish what runs, refuse what is new.
    Leaving(Cause),
    /// Over; the last bytes may still have to be sent.
    Closed(Cause),
}

impl Connection {
    /// A wire of which nothing was sent or received yet. Both ends are alike: neither is the client.
    ///
    /// Many wires may share a configuration; [`Limits::rounded`] saves each a copy of its own.
    #[must_use]
    pub fn new(config: impl Into<Arc<Config>>, now: Instant) -> Self {
        let mut config = config.into();
        if !config.limits.is_rounded() {
            Arc::make_mut(&mut config).limits.round();
        }
        let limits = &config.limits;
        Self {
            peer: PeerLimits::INITIAL,
            peer_codec: None,
            state: State::Open,
            events: VecDeque::new(),
            budget: Budget::new(limits.max_buffered, config.budget.clone()),
            input: input::Input::default(),
            out: outbox::Outbox::new(config.codec, limits),
            meter: Meter::new(config.speed),
            calls: Slab::new(),
            by_number: Vec::new(),
            call_numbers: Numbers::default(),
            waiting: calls::Waiting::default(),
            incoming: Vec::new(),
            busy: 0,
            starving: Queue::new(),
            admitting: false,
            full: Vec::new(),
            doomed: Vec::new(),
            disposing: false,
            streams: Slab::new(),
            mine: Vec::new(),
            stream_numbers: Numbers::default(),
            theirs: Vec::new(),
            exports: Vec::new(),
            export_numbers: Numbers::default(),
            imports: Vec::new(),
            bound: 0,
            peer_bound: 0,
            timers: lifecycle::Timers::default(),
            resets: Bucket::new(limits.resets, now),
            empty_frames: Bucket::new(limits.empty_frames, now),
            clock: lifecycle::Clock::new(now),
            config,
        }
    }

    /// What the application has to know, oldest first.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        match &event {
            Some(Event::Answer { payload, .. }) => {
                let bytes = payload.capacity();
                self.free(bytes);
            }
            None if arriving::PARTIAL && !self.full.is_empty() => {
                self.refuse_full();
                return self.poll_event();
            }
            // A wire that rests takes little memory.
            None if self.events.capacity() > 64 || self.is_idle() => self.events = VecDeque::new(),
            Some(_) | None => {}
        }
        event
    }

    /// Says whether the wire is over. Bytes may still have to be sent.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    /// Says whether anything is open: calls of either side, or streams.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        // Streams that were not read to their ends may outlive the wire.
        self.is_closed() || (self.calls.len() == 0 && self.busy == 0 && self.streams.len() == 0)
    }

    /// The codec of this wire: ours, or if that is 0 the peer's once its hello came; 0 if unknown.
    #[must_use]
    pub fn codec(&self) -> u8 {
        if self.config.codec != 0 { self.config.codec } else { self.peer_codec.unwrap_or(0) }
    }

    /// What the peer takes: the smallest limits there are until its hello came.
    #[must_use]
    pub fn peer_limits(&self) -> PeerLimits {
        self.peer
    }

    /// What this side announced, rounded.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Figures for people and for tests.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            buffered: self.budget.used(),
            calls: self.calls.len(),
            waiting_calls: self.waiting.len(),
            incoming_calls: self.busy,
            streams: self.streams.len(),
            exported_callbacks: self.export_numbers.used() as usize,
            bytes_per_second: self.meter.rate(),
            frame_size: self.frame_size(),
        }
    }

    /// Gives room back, and lets those in who wait for it.
    #[inline]
    fn free(&mut self, bytes: usize) {
        self.budget.release(bytes);
        if !self.starving.is_empty() && !self.admitting {
            self.admitting = true;
            self.admit();
            self.admitting = false;
        }
    }

    /// Payload bytes in one frame of a large message.
    fn frame_size(&self) -> usize {
        // The headers are short, except for the names and handles of the first frame.
        self.meter.frame().min(self.peer.max_frame - 32)
    }

    /// The end: tells the application about every call, forgets everything, keeps what must be sent.
    fn finish_with(&mut self, cause: Cause, goodbye: Option<(Code, &str)>) {
        if self.is_closed() {
            return;
        }
        // What came with messages that were not complete nobody will ask for.
        let mut orphans = Vec::new();
        for key in self.calls.keys() {
            self.lose_call(key);
            if let Some(assembly) = self.calls.get_mut(key).and_then(|call| call.assembly.as_mut())
            {
                orphans.append(&mut assembly.handles);
            }
        }
        self.out.leave(goodbye, |source, n| {
            transmit::payload(&self.calls, &self.incoming, &self.streams, source)
                .and_then(|bytes| bytes.get(..n))
                .unwrap_or_default()
                .to_vec()
        });
        self.calls.clear();
        self.by_number = Vec::new();
        self.waiting = calls::Waiting::default();
        for call in core::mem::take(&mut self.incoming) {
            orphans.append(&mut call.into_handles());
        }
        self.full = Vec::new();
        self.busy = 0;
        self.starving = Queue::new();
        let unread = self.keep_unread(&mut orphans);
        self.mine = Vec::new();
        self.theirs = Vec::new();
        self.exports = Vec::new();
        self.export_numbers = Numbers::default();
        self.imports = Vec::new();
        self.timers = lifecycle::Timers::default();
        self.input.clear();
        self.state = State::Closed(cause.clone());
        self.events.push_back(Event::Closed { cause });
        // Only results that were not polled yet, and items that were not read, are still held.
        let mut held = unread;
        for event in &self.events {
            if let Event::Answer { payload, .. } = event {
                held += payload.capacity();
            }
        }
        self.budget.dismiss(Some(self.budget.admitted()));
        self.budget.release(self.budget.used().saturating_sub(held));
        self.dispose_all(orphans, Code::WIRE_LOST);
    }

    /// The peer broke the protocol.
    #[cold]
    fn violation(&mut self, error: ProtocolError) -> ProtocolError {
        let text = error.text();
        self.finish_with(Cause::Protocol(error), Some((error.code(), &text)));
        error
    }
}

/// Figures about a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Payload bytes held for the peer, as counted against
    /// [`Limits::max_buffered`](crate::Limits::max_buffered).
    pub buffered: usize,
    /// Calls of ours that are not over.
    pub calls: usize,
    /// Those of them that wait because the peer takes no more at once.
    pub waiting_calls: usize,
    /// Calls of the peer that are not over.
    pub incoming_calls: usize,
    /// Streams that are not over.
    pub streams: usize,
    /// Callbacks that the peer holds, or will get.
    pub exported_callbacks: usize,
    /// The wire's speed, if it is known.
    pub bytes_per_second: Option<u64>,
    /// Payload bytes in one frame of a large message.
    pub frame_size: usize,
}

/// What the tables, events and unsent frames for everything that a peer may have at once take.
pub(crate) fn overhead(limits: &Limits) -> usize {
    // Growing vectors hold up to twice what is in them, and the old copy while they move.
    const GROWTH: usize = 3;
    let calls = limits.max_calls as usize;
    let streams = limits.max_streams as usize;
    let callbacks = limits.max_callbacks as usize;
    let bindings = limits.max_bindings as usize;
    // Opened, arguments, cancelled; or called and cancelled.
    let call = GROWTH * (size_of::<serving::InCall>() + 3 * size_of::<Event>())
        + size_of::<serving::Receiving>().max(size_of::<arriving::Arriving>())
        + size_of::<message::Outgoing>()
        + GROWTH * (SMALL + 32)
        + 2 * MAX_NAME
        + 256; // timers
    let stream = GROWTH
        * (size_of::<streams::Stream>()
            + size_of::<Option<streams::Stream>>()
            + size_of::<streams::Their>()
            + 2 * size_of::<Event>())
        + GROWTH * size_of::<crate::Items>()
        + reading::STEP;
    let callback = GROWTH * (size_of::<handles::Import>() + size_of::<Received>());
    let binding = GROWTH * size_of::<Event>() + MAX_NAME;
    calls * call
        + streams * stream
        + callbacks * callback
        + bindings * binding
        + GROWTH * transmit::max_control(limits)
        + size_of::<Connection>()
        + 16 * 1024
}
