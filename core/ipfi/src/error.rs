//! What can go wrong, one type for each operation.

use std::fmt;

use ipfi_proto::{Cause, Code, Failure, HandleError, Started};

/// Why a call has no result.
///
/// [`started`](Self::started) says whether a retry is safe: whether the procedure began to run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// The peer, or this side on its behalf, says why: no such procedure, deadline, refused,
    /// panicked, and so on.
    Failed(Failure),
    /// The wire ended before the answer came.
    Lost {
        /// Why the wire ended.
        cause: Cause,
        /// Whether the procedure may have run.
        started: Started,
    },
    /// The arguments cannot be encoded; nothing was sent.
    Encode(String),
    /// The result came, and cannot be decoded.
    Decode(String),
    /// The call cannot be made on this wire; nothing was sent.
    Refused(ipfi_proto::CallError),
    /// The peer takes no more streams or callbacks at once; nothing was sent.
    Handles(HandleError),
}

impl CallError {
    /// The kind of failure, as it travels.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Failed(failure) => failure.code,
            Self::Encode(_) => Code::BAD_ARGUMENTS,
            Self::Decode(_) => Code::BAD_RESULT,
            Self::Refused(ipfi_proto::CallError::TooLarge { .. }) => Code::TOO_LARGE,
            Self::Refused(ipfi_proto::CallError::GoingAway) => Code::GOING_AWAY,
            Self::Refused(ipfi_proto::CallError::Released) => Code::NO_SUCH_CALLBACK,
            Self::Refused(ipfi_proto::CallError::ServeOnly) => Code::NOT_ALLOWED,
            Self::Lost { .. } | Self::Refused(_) => Code::WIRE_LOST,
            Self::Handles(_) => Code::REFUSED,
        }
    }

    /// Whether the procedure began to run. If it did not, a retry does nothing twice.
    #[must_use]
    pub fn started(&self) -> Started {
        match self {
            Self::Failed(failure) => failure.started,
            Self::Lost { started, .. } => *started,
            Self::Encode(_) | Self::Refused(_) | Self::Handles(_) => Started::No,
            Self::Decode(_) => Started::Yes,
        }
    }

    /// The same, told on to somebody else.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            other => {
                let code = match other.code() {
                    // What is said of one wire would be wrong of another.
                    Code::WIRE_LOST => Code::FAILED,
                    code => code,
                };
                Failure::new(code, other.started()).with_text(other.to_string())
            }
        }
    }

    pub(crate) fn failed(code: Code, started: Started, text: impl Into<String>) -> Self {
        Self::Failed(Failure::new(code, started).with_text(text))
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => failure.fmt(f),
            Self::Lost { cause, .. } => write!(f, "the wire is gone: {cause}"),
            Self::Encode(why) => write!(f, "the arguments cannot be encoded: {why}"),
            Self::Decode(why) => write!(f, "the result cannot be decoded: {why}"),
            Self::Refused(why) => why.fmt(f),
            Self::Handles(why) => write!(f, "too many streams or callbacks: {why}"),
        }
    }
}

impl std::error::Error for CallError {}

/// Why a stream ended before it was finished, or why an item could not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// The other side ended it: it dropped its half, failed, or was cancelled.
    Ended {
        /// What the other side said.
        code: Code,
        /// The same for people.
        text: String,
    },
    /// The wire ended.
    Lost(Cause),
    /// The item cannot be encoded; the stream goes on.
    Encode(String),
    /// The item cannot be decoded; the stream goes on.
    Decode(String),
    /// The item is longer than the peer takes; the stream goes on.
    TooLarge {
        /// The longest item, in bytes.
        max: usize,
    },
    /// The half that was to go to the peer never did: its call failed or was dropped.
    NotSent,
    /// The peer takes no more streams or callbacks at once; the item was not sent.
    Handles(HandleError),
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended { code, text } => {
                write!(f, "the stream was ended: {code}")?;
                if text.is_empty() { Ok(()) } else { write!(f, ": {text}") }
            }
            Self::Lost(cause) => write!(f, "the wire is gone: {cause}"),
            Self::Encode(why) => write!(f, "the item cannot be encoded: {why}"),
            Self::Decode(why) => write!(f, "the item cannot be decoded: {why}"),
            Self::TooLarge { max } => write!(f, "longer than the {max} bytes that the peer takes"),
            Self::NotSent => f.write_str("the other half never reached the peer"),
            Self::Handles(why) => write!(f, "too many streams or callbacks: {why}"),
        }
    }
}

impl std::error::Error for StreamError {}

/// What a procedure returns to fail a call: `Result<T, Fault>`.
///
/// The caller gets [`CallError::Failed`] with the code and the text. A procedure whose errors are
/// values that the caller should match on returns a serialisable `Result` instead.
///
/// ```
/// use ipfi::{Code, Fault};
/// fn divide(a: i64, b: i64) -> Result<i64, Fault> {
///     a.checked_div(b).ok_or_else(|| Fault::new("division by zero").with_code(Code(256)))
/// }
/// # assert_eq!(divide(6, 3), Ok(2));
/// # assert!(divide(6, 0).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(crate) code: Code,
    pub(crate) text: String,
}

impl Fault {
    /// A fault with this text for people and [`Code::FAILED`].
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { code: Code::FAILED, text: text.into() }
    }

    /// The same with another code; those from 256 up belong to applications.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }
}

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
