//! How streams end before their time.

use alloc::string::String;
use core::error::Error;
use core::fmt;

use crate::frame::VERSION;

/// Why a stream ended without having been finished by both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// This side called [`Link::abort`](crate::Link::abort).
    Aborted,
    /// Nobody greeted back in time.
    ConnectTimedOut,
    /// The other end speaks another version of the protocol, or is set up for another medium.
    Incompatible {
        /// The other end's version.
        version: u8,
        /// The other end's [`Profile`](crate::Profile), as a number of `SPEC.md`.
        profile: u8,
        /// This end's profile.
        ours: u8,
    },
    /// All that this side sends comes back: there is no other end, but an echo.
    LoopedBack,
    /// The program at the other end has been started anew: it knows nothing of this stream.
    PeerRestarted,
    /// The other side aborted the stream.
    Reset {
        /// A number for programs.
        code: u8,
        /// Words for people, at most 64 bytes.
        reason: String,
    },
    /// The other side has been silent for too long.
    TimedOut,
}

/// Why bytes were not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The stream has ended.
    Ended(Ended),
    /// This side has called [`Link::finish`](crate::Link::finish).
    Finished,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aborted => f.write_str("the stream was aborted by this end"),
            Self::ConnectTimedOut => {
                f.write_str("nobody answers on the link: does the other end use `arq+` as well?")
            }
            Self::Incompatible { version, profile, ours } => write!(
                f,
                "the other end speaks version {version}, profile {profile} of the arq protocol, \
                 this end version {VERSION}, profile {ours}: set both up alike"
            ),
            Self::LoopedBack => f.write_str(
                "the link sends back what it is sent: turn its echo off, or plug in the other end",
            ),
            Self::PeerRestarted => f.write_str(
                "the other end has started anew: what it had not acknowledged may be lost",
            ),
            Self::Reset { code, reason } => {
                write!(f, "the other end aborted the stream: {reason} (code {code})")
            }
            Self::TimedOut => f.write_str("the other end has fallen silent"),
        }
    }
}

impl Error for Ended {}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(cause) => cause.fmt(f),
            Self::Finished => f.write_str("this end has finished the stream"),
        }
    }
}

impl Error for WriteError {}
