//! What a peer may make this side hold.

use crate::handshake::Hello;
use crate::{PeerLimits, SharedBudget};
use alloc::sync::Arc;
use core::time::Duration;

/// The longest text of a failure or a go-away, in bytes.
pub const MAX_TEXT: usize = 1024;
/// The longest name of a procedure, in bytes.
pub const MAX_NAME: usize = 255;
/// The most streams and callbacks that one frame may carry.
pub const MAX_HANDLES: usize = 64;
/// Credit that a stream or callback in an item costs, in bytes.
pub(crate) const HANDLE_COST: usize = 128;
/// Messages up to this many bytes are queued as finished frames.
pub(crate) const SMALL: usize = 2048;

/// Whether there are short cuts for small messages, classes of what is sent, and frames as large as the wire is
/// fast: without the feature the compiler leaves them out.
pub(crate) const SPEED: bool = cfg!(feature = "speed");
/// How many classes take turns in what is sent.
pub(crate) const CLASSES: usize = if SPEED { 3 } else { 1 };

/// Limits on what a peer may make this side hold. All are checked before anything is allocated.
///
/// Those that are announced in the hello are powers of two times a smallest value, and are rounded
/// *down* to one. A peer that passes a limit that was announced breaks the protocol; where a limit
/// was not announced, the call is refused with a code and the wire goes on.
///
/// [`Limits::worst_case`] is the sum.
///
/// ```
/// use ipfi_proto::Limits;
/// let limits = Limits { max_calls: 20, ..Limits::default() }.rounded();
/// assert_eq!(limits.max_calls, 16);
/// assert!(limits.worst_case() > limits.max_buffered);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "written with ..Limits::default()")]
pub struct Limits {
    /// Longest frame, in bytes; announced; 1 KiB to 16 MiB; default 128 KiB. Frames are taken as they
    /// come, so this costs no memory.
    pub max_frame: usize,
    /// Longest arguments, result or item, in bytes; announced; 4 KiB to 64 MiB; default 4 MiB.
    pub max_message: usize,
    /// What the peer may send of a message before it is admitted, in bytes; announced; 4 KiB to
    /// `max_message`; default 256 KiB. Beyond that, messages wait for room instead of being
    /// refused; if all calls at once have such a window in half of `max_buffered`, none is refused.
    /// Of arguments that are [taken as they come](crate::Connection::take_arguments), this much is
    /// held at once.
    pub message_window: usize,
    /// All payloads held for this peer, in bytes: arguments until they are released, results until
    /// they are polled, items until they are consumed, answers until they are sent. Not announced:
    /// a call that finds no room is refused as [`Code::OVERLOADED`](crate::Code::OVERLOADED). At least
    /// twice `max_message`, of which one is kept free for a message that is under way, so that it
    /// can always be finished; default 128 MiB, of which half are the windows of all calls at once.
    pub max_buffered: usize,
    /// Calls that the peer may have open at once; announced; 8 to 131,072; default 256.
    pub max_calls: u32,
    /// Streams that the peer may have created and not seen the end of; announced; 8 to 131,072;
    /// default 256.
    pub max_streams: u32,
    /// What the peer may send on a stream ahead of its consumer, in bytes; announced; 1 KiB to
    /// 16 MiB; default 64 KiB. An item costs its length and the length of its length, so items of no
    /// size cost one byte.
    pub stream_window: usize,
    /// Callbacks of the peer that this side holds at once; announced; 8 to 131,072; default 1,024.
    pub max_callbacks: u32,
    /// Procedures that the peer may give numbers to; announced; 8 to 131,072; default 1,024. The
    /// calls to any others carry their names.
    pub max_bindings: u32,
    /// Cancelled calls, stopped streams and the like in a second, and at once; default 10,000.
    pub resets: u32,
    /// Frames without effect in a second, and at once; default 10,000.
    pub empty_frames: u32,
    /// Time for the peer's hello, counted from the last sign of life; `None` for ever; default
    /// 10 s, and never less than 64 byte times at the measured speed.
    pub handshake_timeout: Option<Duration>,
    /// Time from the first to the last byte of a call's arguments; `None` for ever; default 60 s, and
    /// 16 byte times at the measured speed for each byte that came. It does not hold for those that
    /// the application [takes as they come](crate::Connection::take_arguments).
    pub arguments_timeout: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: 128 << 10,
            max_message: 4 << 20,
            message_window: 256 << 10,
            max_buffered: 128 << 20,
            max_calls: 256,
            max_streams: 256,
            stream_window: 64 << 10,
            max_callbacks: 1024,
            max_bindings: 1024,
            resets: 10_000,
            empty_frames: 10_000,
            handshake_timeout: Some(Duration::from_secs(10)),
            arguments_timeout: Some(Duration::from_secs(60)),
        }
    }
}

impl Limits {
    /// The smallest limits that can be announced: for small devices.
    ///
    /// ```
    /// assert!(ipfi_proto::Limits::smallest().worst_case() < 512 * 1024);
    /// ```
    #[must_use]
    pub fn smallest() -> Self {
        Self {
            max_frame: 0,
            max_message: 0,
            message_window: 0,
            max_buffered: 64 << 10,
            max_calls: 0,
            max_streams: 0,
            stream_window: 0,
            max_callbacks: 0,
            max_bindings: 0,
            ..Self::default()
        }
        .rounded()
    }

    /// The limits as they hold: rounded down to what can be announced, and consistent.
    #[must_use]
    pub fn rounded(&self) -> Self {
        let mut limits = self.clone();
        limits.round();
        limits
    }

    pub(crate) fn round(&mut self) {
        let announced = Hello::new(0, self).limits();
        self.max_frame = announced.max_frame;
        self.max_message = announced.max_message;
        self.message_window = announced.message_window;
        self.max_buffered = self.max_buffered.max(2 * announced.max_message);
        self.max_calls = announced.max_calls;
        self.max_streams = announced.max_streams;
        self.stream_window = announced.stream_window;
        self.max_callbacks = announced.max_callbacks;
        self.max_bindings = announced.max_bindings;
    }

    /// Says whether [`round`](Self::round) would change nothing.
    pub(crate) fn is_rounded(&self) -> bool {
        let as_they_are = PeerLimits {
            max_frame: self.max_frame,
            max_calls: self.max_calls,
            max_message: self.max_message,
            message_window: self.message_window,
            max_streams: self.max_streams,
            stream_window: self.stream_window,
            max_callbacks: self.max_callbacks,
            max_bindings: self.max_bindings,
        };
        as_they_are == Hello::new(0, self).limits() && self.max_buffered >= 2 * self.max_message
    }

    /// The most bytes that a peer can make the engine hold, whatever it sends and however little it
    /// reads: all payloads (`max_buffered`), and for each thing that a peer may have at once the
    /// tables, events and unsent frames that it needs.
    ///
    /// What the application itself sends (calls it opens, items it sends on credit) is its own and
    /// not in the sum.
    #[must_use]
    pub fn worst_case(&self) -> usize {
        let limits = self.rounded();
        // A large item grows by a quarter at a time.
        let payloads = limits.max_buffered.saturating_add(limits.max_buffered / 4);
        payloads.saturating_add(crate::connection::overhead(&limits))
    }
}

/// How one end of a wire behaves.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// What the peer may make this side hold.
    pub limits: Limits,
    /// The number of the codec in which values are written; 0 means: the one that the peer names.
    pub codec: u8,
    /// This side opens no calls and calls no callbacks.
    pub serve_only: bool,
    /// Tell of calls whose arguments have begun to come
    /// ([`Event::Opened`](crate::Event::Opened)), so that they can be taken as they come. Needs the
    /// feature `partial`.
    pub partial_arguments: bool,
    /// How many bytes a second the wire carries, if that is known and the wire's buffers hide it: a
    /// serial line, a modem.
    pub speed: Option<u64>,
    /// How long a short question and its answer take, if that is more than the speed says: where turns
    /// are taken. Time-outs allow for four of them.
    pub round_trip: Option<Duration>,
    /// Ask for a sign of life after this time of silence.
    pub keepalive: Option<Duration>,
    /// Close the wire when nothing was open on it for this long.
    pub idle_timeout: Option<Duration>,
    /// A cap shared with other wires.
    pub budget: Option<Arc<SharedBudget>>,
}

impl Config {
    /// The same with these limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same with this codec number (SPEC.md, section 3).
    #[must_use]
    pub fn with_codec(mut self, codec: u8) -> Self {
        self.codec = codec;
        self
    }

    /// The same, but opening no calls and calling no callbacks.
    #[must_use]
    pub fn with_serve_only(mut self) -> Self {
        self.serve_only = true;
        self
    }

    /// The same, telling of calls whose arguments have begun to come.
    #[must_use]
    pub fn with_partial_arguments(mut self) -> Self {
        self.partial_arguments = true;
        self
    }

    /// The same on a wire of a known speed, in bytes a second.
    #[must_use]
    pub fn with_speed(mut self, bytes_per_second: u64) -> Self {
        self.speed = Some(bytes_per_second.max(1));
        self
    }

    /// The same on a wire where a short question and its answer take so long.
    #[must_use]
    pub fn with_round_trip(mut self, round_trip: Duration) -> Self {
        self.round_trip = Some(round_trip);
        self
    }

    /// The same, asking for a sign of life after this time of silence. The answer may take as long
    /// again, and 256 byte times at the measured speed.
    #[must_use]
    pub fn with_keepalive(mut self, silence: Duration) -> Self {
        self.keepalive = Some(silence);
        self
    }

    /// The same, closing when nothing was open for this long.
    #[must_use]
    pub fn with_idle_timeout(mut self, idle: Duration) -> Self {
        self.idle_timeout = Some(idle);
        self
    }

    /// The same under a cap shared with other wires.
    #[must_use]
    pub fn with_budget(mut self, budget: Arc<SharedBudget>) -> Self {
        self.budget = Some(budget);
        self
    }
}

/// A limit on how often something happens: `rate` in a second, and at most `rate` at once.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: u32,
    left: u32,
    filled: crate::Instant,
}

impl Bucket {
    pub(crate) fn new(rate: u32, now: crate::Instant) -> Self {
        Self { rate, left: rate, filled: now }
    }

    /// Says whether it may happen once more.
    pub(crate) fn take(&mut self, now: crate::Instant) -> bool {
        if self.left == 0 {
            // It holds what a second brings.
            let earned = now.since(self.filled).min(1_000_000) * u64::from(self.rate) / 1_000_000;
            self.left = u32::try_from(earned).unwrap_or(self.rate);
            if self.left > 0 {
                self.filled = now;
            }
        }
        self.left.checked_sub(1).map(|left| self.left = left).is_some()
    }
}

/// Which of the calls and messages that wait are sent first. Without the feature `speed` it travels, and
/// means nothing to this side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// When nothing else waits, and once in eight turns.
    Low,
    /// In turn with all the others.
    #[default]
    Normal,
    /// Before the others, seven turns out of eight.
    High,
}

impl Priority {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    pub(crate) fn index(self) -> usize {
        if SPEED { self as usize } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;

    #[test]
    fn no_call_within_the_defaults_can_be_refused_for_want_of_room() {
        for limits in [Limits::default(), Limits::smallest()] {
            let windows = limits.max_calls as usize * limits.message_window;
            assert!(windows <= limits.max_buffered / 2, "{windows} of {}", limits.max_buffered);
        }
    }

    #[test]
    fn a_bucket_holds_its_rate() {
        let mut bucket = Bucket::new(10, Instant::from_micros(0));
        let mut taken = 0;
        for ms in 0..3000 {
            while bucket.take(Instant::from_micros(ms * 1000)) {
                taken += 1;
            }
        }
        assert!((30..=40).contains(&taken), "{taken}");
    }
}
