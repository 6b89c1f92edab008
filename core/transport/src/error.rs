//! Why an address cannot be opened.

use std::io;

use crate::{OptionError, options::hint};

/// Why an address cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The transport does not listen.
    #[error("`{scheme}` cannot listen; write `{scheme}:` without `-listen`")]
    #[allow(missing_docs, reason = "the message says it")]
    CannotListen { scheme: String },
    /// The link itself said no.
    #[error("cannot {} `{address}`: {}", if *.listen { "listen at" } else { "open" }, reason(.source))]
    #[allow(missing_docs, reason = "the message says it")]
    Io { address: String, listen: bool, source: io::Error },
    /// The location makes no sense for the transport.
    #[error("{}: {reason}", place(.scheme, .location))]
    #[allow(missing_docs, reason = "the message says it")]
    Location { scheme: String, location: String, reason: String },
    /// An option of the transport or of a layer.
    #[error("`{address}`: {source}")]
    #[allow(missing_docs, reason = "the message says it")]
    Option { address: String, source: OptionError },
    /// There is no such layer.
    #[error("there is no layer `{name}`{}", hint(.guess.as_deref(), .known).replace("takes", "is one of"))]
    #[allow(missing_docs, reason = "the message says it")]
    UnknownLayer { name: String, guess: Option<String>, known: Vec<String> },
    /// There is no such transport.
    #[error(
        "there is no transport `{scheme}`{}{looked_for}",
        hint(.guess.as_deref(), .known).replace("takes", "is one of")
    )]
    #[allow(missing_docs, reason = "the message says it")]
    UnknownTransport {
        scheme: String,
        guess: Option<String>,
        known: Vec<String>,
        looked_for: String,
    },
    /// The link may lose bytes, and the user needs them all.
    #[error(
        "`{address}` may lose bytes, and calls need them all{}{}",
        match layered { Some(layered) => format!(": use `{layered}` on both ends"), None => String::new() },
        if *.can_trust { ", or add `,reliable` if it never does" } else { "" }
    )]
    Unreliable {
        /// As it was given.
        address: String,
        /// The same with a layer that mends it, if there is one.
        layered: Option<String>,
        /// Whether the option `reliable` says that the link is good.
        can_trust: bool,
    },
}

impl OpenError {
    /// Whether the address itself is wrong, so that another try cannot help.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::CannotListen { .. }
            | Self::Location { .. }
            | Self::Option { .. }
            | Self::UnknownLayer { .. }
            | Self::UnknownTransport { .. }
            | Self::Unreliable { .. } => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::InvalidInput,
        }
    }
}

impl From<OpenError> for io::Error {
    fn from(error: OpenError) -> Self {
        let kind = match &error {
            OpenError::Io { source, .. } => source.kind(),
            OpenError::CannotListen { .. }
            | OpenError::Location { .. }
            | OpenError::Option { .. }
            | OpenError::UnknownLayer { .. }
            | OpenError::UnknownTransport { .. }
            | OpenError::Unreliable { .. } => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

/// What is wrong: the location, or without one the address as a whole.
fn place(scheme: &str, location: &str) -> String {
    match location {
        "" => format!("`{scheme}:`"),
        location => format!("`{location}` is not a location for `{scheme}`"),
    }
}

/// An error of the system in words, in lower case and with the way out where there is one.
///
/// ```
/// let error = std::io::Error::from_raw_os_error(98);
/// assert_eq!(
///     ipfi_transport::reason(&error),
///     "address already in use; stop the program that uses it or choose another one",
/// );
/// ```
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    if error.raw_os_error().is_none() {
        return text; // A transport's own words already say what to do.
    }
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    let lower = chars.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
    let text = lower + chars.as_str();
    #[allow(clippy::wildcard_enum_match_arm, reason = "most kinds speak for themselves")]
    let way_out = match error.kind() {
        io::ErrorKind::AddrInUse => "stop the program that uses it or choose another one",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        io::ErrorKind::ConnectionRefused => "nothing listens there",
        io::ErrorKind::NotFound => "check the name",
        io::ErrorKind::PermissionDenied => "ask for access or run as a user who has it",
        io::ErrorKind::TimedOut => "nobody answered",
        _ => return text,
    };
    format!("{text}; {way_out}")
}
