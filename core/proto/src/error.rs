//! What can go wrong: one type for each operation, and the codes that travel.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// Why a call, a stream or a wire ended, as it travels (SPEC.md, section 9).
///
/// The set is open: codes from 256 up belong to the application, and a peer may send codes that
/// this version does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a number, and nothing else")]
pub struct Code(pub u32);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($value);)*
        }

        impl fmt::Display for Code {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    $($value => f.write_str($text),)*
                    other => write!(f, "code {other}"),
                }
            }
        }
    };
}

codes! {
    /// It ended as it should.
    OK = 0, "finished";
    /// The caller gave up, or dropped its handle.
    CANCELLED = 1, "cancelled";
    /// The deadline of the call passed.
    DEADLINE = 2, "the deadline passed";
    /// A limit on calls at once was reached.
    REFUSED = 3, "refused: too many calls at once";
    /// There is no memory left within the limits.
    OVERLOADED = 4, "refused: no buffer space left";
    /// The wire is closing and takes no new calls.
    GOING_AWAY = 5, "refused: the peer is going away";
    /// No procedure has this name, or the number was never bound.
    NO_SUCH_PROCEDURE = 6, "no such procedure";
    /// The procedure exists with another signature.
    SIGNATURE_MISMATCH = 7, "the procedure has another signature";
    /// The callback does not exist or was released.
    NO_SUCH_CALLBACK = 8, "the callback does not exist any more";
    /// The arguments could not be decoded.
    BAD_ARGUMENTS = 9, "the arguments cannot be decoded";
    /// The result could not be encoded or decoded.
    BAD_RESULT = 10, "the result cannot be encoded or decoded";
    /// The procedure panicked.
    PANICKED = 11, "the procedure panicked";
    /// A message is longer than the receiver takes.
    TOO_LARGE = 12, "the message is too large";
    /// The arguments did not arrive in time.
    ARGUMENTS_TIMEOUT = 13, "the arguments did not arrive in time";
    /// The procedure says that it failed.
    FAILED = 14, "the procedure failed";
    /// The handle was dropped before its work was done.
    DROPPED = 15, "the handle was dropped";
    /// The peer may not do this.
    NOT_ALLOWED = 16, "not allowed";
    /// The wire broke or closed.
    WIRE_LOST = 17, "the wire is gone";
    /// The peer broke the protocol.
    PROTOCOL = 32, "the peer broke the protocol";
    /// The peer speaks another version of the protocol.
    VERSION = 33, "the peer speaks another version of the protocol";
    /// The peer encodes values in another way.
    CODEC = 34, "the peer uses another codec";
    /// A limit that was announced was passed.
    LIMIT = 35, "the peer passed a limit";
    /// More was sent than there was credit for.
    CREDIT = 36, "the peer sent more than it had credit for";
    /// Resets or empty frames came too often.
    RATE = 37, "the peer resets too often";
    /// Nothing came back from the peer for too long.
    TIMEOUT = 38, "the peer does not answer";
    /// Nothing was done on the wire for too long.
    IDLE = 39, "the wire was idle for too long";
}

/// Did the procedure begin to run? This says whether a retry is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Started {
    /// No: the call can be repeated without doing anything twice.
    No,
    /// It is not known, because the wire or the patience ended first.
    Maybe,
    /// Yes: only the application knows whether it may be repeated.
    Yes,
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The kind of failure.
    pub code: Code,
    /// For people; at most [`MAX_TEXT`](crate::MAX_TEXT) bytes.
    pub text: String,
    /// Whether the procedure began to run.
    pub started: Started,
}

impl Failure {
    /// A failure without a text.
    #[must_use]
    pub fn new(code: Code, started: Started) -> Self {
        Self { code, text: String::new(), started }
    }

    /// The same with a text, which is cut at [`MAX_TEXT`](crate::MAX_TEXT) bytes when it is sent.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)?;
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

impl core::error::Error for Failure {}

/// The peer broke the protocol; the wire is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The first bytes are not those of this protocol.
    NotIpfi,
    /// The peer speaks no version that this engine knows.
    Version {
        /// The version the peer announced.
        theirs: u8,
    },
    /// Both sides insist on a codec, and not on the same.
    Codec {
        /// Our codec number.
        ours: u8,
        /// The peer's codec number.
        theirs: u8,
    },
    /// A frame is longer than announced in our hello.
    FrameTooLong {
        /// Its length in bytes.
        len: u64,
        /// The longest that is allowed.
        max: u64,
    },
    /// A frame does not follow its format.
    Malformed(&'static str),
    /// A number is used that the peer may not use, or not now.
    BadNumber(&'static str),
    /// More bytes were sent than there was credit for.
    CreditExceeded,
    /// Calls or streams were reset more often than [`Limits::resets`](crate::Limits::resets).
    TooManyResets,
    /// Frames without effect came more often than [`Limits::empty_frames`](crate::Limits::empty_frames).
    TooManyEmptyFrames,
    /// The peer makes us answer and does not take the answers.
    NotReading,
}

impl ProtocolError {
    /// The code that the go-away frame carries.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotIpfi | Self::Malformed(_) | Self::BadNumber(_) => Code::PROTOCOL,
            Self::Version { .. } => Code::VERSION,
            Self::Codec { .. } => Code::CODEC,
            Self::FrameTooLong { .. } | Self::NotReading => Code::LIMIT,
            Self::CreditExceeded => Code::CREDIT,
            Self::TooManyResets | Self::TooManyEmptyFrames => Code::RATE,
        }
    }
}

impl ProtocolError {
    /// What went wrong, for people. Put together by hand: it is all that an engine says in words, and the
    /// machinery of `format!` is a tenth of a small guest.
    pub(crate) fn text(&self) -> String {
        let between = |before, first, then, second, after| {
            let mut text = String::from(before);
            push_number(&mut text, first);
            text.push_str(then);
            push_number(&mut text, second);
            text.push_str(after);
            text
        };
        let (what, more) = match *self {
            Self::Version { theirs } => {
                let (ours, then) = (crate::VERSION.into(), ", this is version ");
                return between("the peer speaks version ", theirs.into(), then, ours, "");
            }
            Self::Codec { ours, theirs } => {
                let then = ", this side uses codec ";
                return between("the peer uses codec ", theirs.into(), then, ours.into(), "");
            }
            Self::FrameTooLong { len, max } => {
                return between("a frame of ", len, " bytes, at most ", max, " are allowed");
            }
            Self::NotIpfi => ("the peer does not speak IPFI", ""),
            Self::Malformed(what) => ("malformed ", what),
            Self::BadNumber(what) => ("a number that may not be used: ", what),
            Self::CreditExceeded => ("more bytes than there was credit for", ""),
            Self::TooManyResets => ("too many resets in a second", ""),
            Self::TooManyEmptyFrames => ("too many frames without effect in a second", ""),
            Self::NotReading => ("the peer does not take what it asked for", ""),
        };
        [what, more].concat()
    }
}

fn push_number(text: &mut String, number: u64) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10).to_le_bytes()[0]));
}

/// A breach of the protocol on its way out of the engine: a pointer, because nearly every function may fail so,
/// and what is rare should not be carried through all results.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Breach(Box<ProtocolError>);

impl Breach {
    #[cold]
    #[inline(never)]
    pub(crate) fn new(error: ProtocolError) -> Self {
        Self(Box::new(error))
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn malformed(what: &'static str) -> Self {
        Self::new(ProtocolError::Malformed(what))
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn bad_number(what: &'static str) -> Self {
        Self::new(ProtocolError::BadNumber(what))
    }

    pub(crate) fn error(self) -> ProtocolError {
        *self.0
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl core::error::Error for ProtocolError {}

/// Why a wire is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Both sides finished what they were doing.
    Graceful,
    /// This side gave up.
    Aborted {
        /// What the peer was told.
        code: Code,
        /// The same for people.
        text: String,
    },
    /// The peer gave up and said why.
    Peer {
        /// What it said.
        code: Code,
        /// The same for people.
        text: String,
    },
    /// The peer broke the protocol.
    Protocol(ProtocolError),
    /// The byte stream ended in the middle of things.
    Lost,
    /// The byte stream failed.
    Broken {
        /// What it said of that.
        text: String,
    },
    /// The peer's hello did not come in time.
    HandshakeTimeout,
    /// The peer did not answer a keepalive in time.
    KeepaliveTimeout,
    /// Nothing was done for the configured idle time.
    Idle,
    /// The time for a graceful close ran out.
    CloseTimeout,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Graceful => f.write_str("closed"),
            Self::Aborted { code, text } | Self::Peer { code, text } => {
                f.write_str(if matches!(self, Self::Peer { .. }) {
                    "closed by the peer: "
                } else {
                    "closed: "
                })?;
                if text.is_empty() { code.fmt(f) } else { f.write_str(text) }
            }
            Self::Protocol(error) => error.fmt(f),
            Self::Lost => f.write_str("the byte stream ended unexpectedly"),
            Self::Broken { text } => {
                f.write_str("the byte stream broke: ")?;
                f.write_str(text)
            }
            Self::HandshakeTimeout => f.write_str("the peer did not say hello in time"),
            Self::KeepaliveTimeout => f.write_str("the peer does not answer"),
            Self::Idle => f.write_str("closed after the idle time-out"),
            Self::CloseTimeout => f.write_str("closed before everything was finished"),
        }
    }
}

impl core::error::Error for Cause {}

const GONE: &str = "a stream or callback in the message is over or was given away before: announce it with `carry`";

/// Why a call cannot be opened or continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// The wire is over.
    Closed,
    /// One of the two sides is going away.
    GoingAway,
    /// This wire only serves: [`Config::serve_only`](crate::Config::serve_only).
    ServeOnly,
    /// The message is longer than the peer takes.
    TooLarge {
        /// The longest message that the peer takes, in bytes.
        max: usize,
    },
    /// The call is over, or its last argument was sent.
    Finished,
    /// The callback that was to be called was released.
    Released,
    /// A stream or callback among the handles is over, or is with the peer already.
    HandleGone,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the wire is closed"),
            Self::GoingAway => f.write_str("the wire is going away and takes no new calls"),
            Self::ServeOnly => f.write_str("this wire only serves calls"),
            Self::TooLarge { max } => write!(f, "longer than the {max} bytes that the peer takes"),
            Self::Finished => f.write_str("the call is over"),
            Self::Released => f.write_str("the callback was released"),
            Self::HandleGone => f.write_str(GONE),
        }
    }
}

impl core::error::Error for CallError {}

/// Why an item cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No credit or no room now: wait for [`Event::Writable`](crate::Event::Writable).
    Blocked,
    /// The stream is over.
    Finished,
    /// The item is longer than the peer takes.
    TooLarge {
        /// The longest item that the peer takes, in bytes.
        max: usize,
    },
    /// A stream or callback among the handles is over, or is with the peer already.
    HandleGone,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked => f.write_str("no credit left: wait until the stream is writable"),
            Self::Finished => f.write_str("the stream is over"),
            Self::TooLarge { max } => write!(f, "longer than the {max} bytes that the peer takes"),
            Self::HandleGone => f.write_str(GONE),
        }
    }
}

impl core::error::Error for SendError {}

/// Why a stream or a callback cannot be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandleError {
    /// The wire is over.
    Closed,
    /// The peer takes no more of them at once.
    Limit {
        /// How many it takes.
        max: u32,
    },
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the wire is closed"),
            Self::Limit { max } => write!(f, "the peer takes at most {max} at once"),
        }
    }
}

impl core::error::Error for HandleError {}
