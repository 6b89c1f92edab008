//! One end of a wire by numbers.

mod commands;
mod events;
mod reading;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use ipfi_proto::{Config, Connection, Handle, Instant, Items, Limits};

use crate::status::{
    IPFI_BAD_ARGUMENT, IPFI_BROKEN, IPFI_NO_THING, IPFI_NONE, IPFI_OK, IPFI_TOO_LARGE,
};
use crate::things::{Thing, Things};

pub use self::{commands::*, events::*};

/// The codec (section 3.4 of the specification): 0 follows the peer's; default 2, `MessagePack`.
pub const IPFI_OPTION_CODEC: u32 = 1;
/// What this side takes, as the last four bytes of its hello (section 3.1), the first of them most
/// significant; default `0x75a65677`, smallest 0.
pub const IPFI_OPTION_LIMITS: u32 = 2;
/// All payloads held for the peer, in bytes; at least twice the longest message. To be set after
/// the limits, by which it is 32 MiB, or eight messages if that is less.
pub const IPFI_OPTION_BUFFERED: u32 = 3;
/// Asks for a sign of life after so many milliseconds of silence; default 0, never.
pub const IPFI_OPTION_KEEPALIVE: u32 = 4;
/// Closes the wire when nothing was open for so many milliseconds; default 0, never.
pub const IPFI_OPTION_IDLE: u32 = 5;
/// Milliseconds for the peer's hello to come; 0 for ever; default 10,000.
pub const IPFI_OPTION_HANDSHAKE: u32 = 6;
/// Bytes a second that the wire carries, if that is known; default 0, not known.
pub const IPFI_OPTION_SPEED: u32 = 7;
/// 1 if this side calls nothing; default 0.
pub const IPFI_OPTION_SERVE_ONLY: u32 = 8;

/// No message may be longer, in bytes: the most that a hello can announce.
const LONGEST: usize = 4096 << 14;
/// The hello of the default limits.
const DEFAULT_LIMITS: u32 = 0x75a6_5677;

/// One end of a wire by numbers: what the C functions do, for guests in Rust.
///
/// Every method is the function of the same name in `ipfi.h`, without the handle, and says the same:
/// a number from 0 up, or one of the negative constants.
///
/// ```
/// use ipfi_ffi::{Port, *};
///
/// let (mut client, mut server) = (Port::new(), Port::new());
/// server.put_all(b"add");
/// server.offer(7, 0, 0);
/// client.put_all(b"add");
/// let add = client.bind(0, 0).unsigned_abs();
/// client.put_all(&[0x92, 2, 3]);
/// let call = client.call(add, 0, 0);
///
/// // The wire: one byte at a time.
/// while let Ok(byte) = u8::try_from(client.transmit()) {
///     server.receive(byte);
/// }
/// assert_eq!([server.event(), server.event()], [IPFI_EVENT_HELLO, IPFI_EVENT_CALL]);
/// assert_eq!((server.procedure(), server.length()), (7, 3));
/// let sum = (server.take(), server.take() + server.take()).1;
/// server.put(sum as u8);
/// server.answer(server.subject() as u32);
///
/// while let Ok(byte) = u8::try_from(server.transmit()) {
///     client.receive(byte);
/// }
/// assert_eq!([client.event(), client.event()], [IPFI_EVENT_HELLO, IPFI_EVENT_ANSWER]);
/// assert_eq!((client.subject(), client.take()), (call, 5));
/// ```
#[derive(Debug)]
pub struct Port {
    engine: Connection,
    config: Config,
    /// Whether options may still be set.
    fresh: bool,
    now: Instant,
    things: Things,
    /// What goes with the next command.
    staged: Vec<u8>,
    given: Vec<(u32, Handle)>,
    current: Current,
    offers: BTreeMap<String, Offer>,
    /// What the peer bound, by its numbers.
    bound: Vec<(String, u64)>,
    /// Items that were read from the engine, by the number of their stream.
    reading: BTreeMap<u32, Items>,
}

/// A procedure of this side.
#[derive(Clone, Copy, Debug)]
struct Offer {
    id: u32,
    fingerprint: u64,
}

/// What came last, by an event or by reading.
#[derive(Debug, Default)]
struct Current {
    payload: Vec<u8>,
    at: usize,
    /// Things that nobody took yet.
    things: VecDeque<u32>,
    subject: u32,
    procedure: u32,
    code: u32,
    started: i32,
    deadline: Option<Instant>,
}

impl Default for Port {
    fn default() -> Self {
        Self::new()
    }
}

/// A fingerprint of two halves.
fn fingerprint(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// A count as a result.
fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn number(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

impl Port {
    /// An end of which nothing was sent or received yet, at time 0.
    #[must_use]
    pub fn new() -> Self {
        let mut config = Config::default().with_codec(2);
        config.limits = limits(DEFAULT_LIMITS, &config.limits);
        let now = Instant::from_micros(0);
        Self {
            engine: Connection::new(config.clone(), now),
            config,
            fresh: true,
            now,
            things: Things::default(),
            staged: Vec::new(),
            given: Vec::new(),
            current: Current::default(),
            offers: BTreeMap::new(),
            bound: Vec::new(),
            reading: BTreeMap::new(),
        }
    }

    /// Sets an option, before anything else is done with this end.
    pub fn option(&mut self, option: u32, value: u32) -> i32 {
        if !self.fresh {
            return IPFI_BAD_ARGUMENT;
        }
        let config = &mut self.config;
        let time = (value > 0).then(|| Duration::from_millis(value.into()));
        match option {
            IPFI_OPTION_CODEC => match u8::try_from(value) {
                Ok(codec) => config.codec = codec,
                Err(_) => return IPFI_BAD_ARGUMENT,
            },
            IPFI_OPTION_LIMITS if (0..8).any(|at| value >> (4 * at) & 15 == 15) => {
                return IPFI_BAD_ARGUMENT;
            }
            IPFI_OPTION_LIMITS => config.limits = limits(value, &config.limits),
            IPFI_OPTION_BUFFERED => config.limits.max_buffered = value as usize,
            IPFI_OPTION_KEEPALIVE => config.keepalive = time,
            IPFI_OPTION_IDLE => config.idle_timeout = time,
            IPFI_OPTION_HANDSHAKE => config.limits.handshake_timeout = time,
            IPFI_OPTION_SPEED => config.speed = (value > 0).then_some(value.into()),
            IPFI_OPTION_SERVE_ONLY => config.serve_only = value != 0,
            _ => return IPFI_BAD_ARGUMENT,
        }
        self.engine = Connection::new(self.config.clone(), self.now);
        IPFI_OK
    }

    /// The engine, from when on no option may be set.
    fn engine(&mut self) -> &mut Connection {
        self.fresh = false;
        &mut self.engine
    }

    /// Hands over a byte that arrived.
    pub fn receive(&mut self, byte: u8) -> i32 {
        self.receive_all(&[byte])
    }

    /// Hands over bytes that arrived.
    pub fn receive_all(&mut self, bytes: &[u8]) -> i32 {
        let now = self.now;
        match self.engine().receive(now, bytes) {
            Ok(()) => IPFI_OK,
            Err(_) => IPFI_BROKEN,
        }
    }

    /// The bytes ended: nothing more will arrive.
    pub fn receive_end(&mut self) -> i32 {
        self.engine().receive_end();
        IPFI_OK
    }

    /// The next byte to send, or [`IPFI_NONE`].
    pub fn transmit(&mut self) -> i32 {
        let mut byte = [0];
        match self.transmit_all(&mut byte) {
            1 => byte[0].into(),
            _ => IPFI_NONE,
        }
    }

    /// Fills a buffer with bytes to send; says how many.
    pub fn transmit_all(&mut self, buffer: &mut [u8]) -> i32 {
        let now = self.now;
        count(self.engine().poll_transmit(now, buffer))
    }

    /// Lets time pass, in microseconds, and does what was to be done meanwhile.
    pub fn elapse(&mut self, micros: u32) -> i32 {
        self.now = self.now + Duration::from_micros(micros.into());
        let now = self.now;
        self.engine().handle_timeout(now);
        IPFI_OK
    }

    /// Milliseconds until time has to pass at the latest, or [`IPFI_NONE`].
    #[must_use]
    pub fn timeout(&self) -> i32 {
        let Some(at) = self.engine.poll_timeout() else { return IPFI_NONE };
        let millis = (at - self.now).as_micros().div_ceil(1000);
        i32::try_from(millis).unwrap_or(i32::MAX)
    }

    /// Whether the wire is over: 1 or 0. Bytes may still have to be sent.
    #[must_use]
    pub fn is_closed(&self) -> i32 {
        self.engine.is_closed().into()
    }

    /// Adds a byte to what goes with the next command.
    pub fn put(&mut self, byte: u8) -> i32 {
        self.put_all(&[byte])
    }

    /// Adds bytes to what goes with the next command.
    pub fn put_all(&mut self, bytes: &[u8]) -> i32 {
        if bytes.len() > LONGEST.saturating_sub(self.staged.len()) {
            return IPFI_TOO_LARGE;
        }
        self.staged.extend_from_slice(bytes);
        IPFI_OK
    }

    /// Adds a stream or callback of this side to what goes with the next command; says which place
    /// it has: what the payload has to say to mean it.
    pub fn give(&mut self, thing: u32) -> i32 {
        let handle = match self.things.get_mut(thing) {
            Some(
                Thing::Sender { id, mine: mine @ true } | Thing::Receiver { id, mine: mine @ true },
            ) => {
                *mine = false;
                Handle::Stream(*id)
            }
            Some(Thing::Callback { id, mine: mine @ true }) => {
                *mine = false;
                Handle::Callback(*id)
            }
            _ => return IPFI_NO_THING,
        };
        self.given.push((thing, handle));
        count(self.given.len() - 1)
    }

    /// Forgets what was put. What was given may be given again.
    pub fn clear(&mut self) -> i32 {
        self.staged.clear();
        for (thing, _) in core::mem::take(&mut self.given) {
            if let Some(
                Thing::Sender { mine, .. }
                | Thing::Receiver { mine, .. }
                | Thing::Callback { mine, .. },
            ) = self.things.get_mut(thing)
            {
                *mine = true;
            }
        }
        IPFI_OK
    }

    /// What was put and given, for a command.
    fn staged(&mut self) -> (Vec<u8>, Vec<Handle>) {
        let given = core::mem::take(&mut self.given);
        let handles = given.into_iter().map(|(_, handle)| handle).collect();
        (core::mem::take(&mut self.staged), handles)
    }

    /// What was put, as text.
    fn staged_text(&mut self) -> Result<String, i32> {
        String::from_utf8(self.staged().0).map_err(|_| IPFI_BAD_ARGUMENT)
    }
}

/// What four bytes of a hello mean.
fn limits(hello: u32, other: &Limits) -> Limits {
    let exponent = |at: u32| hello >> (28 - 4 * at) & 15;
    let max_message = 4096 << exponent(2);
    Limits {
        max_frame: 1024 << exponent(0),
        max_calls: 8 << exponent(1),
        max_message,
        message_window: 4096 << exponent(3),
        max_streams: 8 << exponent(4),
        stream_window: 1024 << exponent(5),
        max_callbacks: 8 << exponent(6),
        max_bindings: 8 << exponent(7),
        max_buffered: (8 * max_message).clamp(64 << 10, 32 << 20).max(2 * max_message),
        ..other.clone()
    }
}
