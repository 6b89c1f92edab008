//! Exit codes. They are part of the interface: scripts act on them.

use std::{io, process::ExitCode};

use ipfi::{Cause, Code, Started, proto::Failure};
use ipfi_transport::OpenError;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// 0: it did what was asked for.
    Done,
    /// 1: something else went wrong.
    Failed,
    /// 2: the command line, an address or JSON is wrong; another try cannot help.
    Usage,
    /// 3: the address could not be opened.
    CannotOpen,
    /// 4: the wire was lost before the end.
    Lost,
    /// 5: the peer refused; nothing has run.
    Refused,
    /// 6: the procedure ran and failed.
    Remote,
    /// 7: there was no answer before the deadline.
    Deadline,
    /// 130: interrupted; the call was cancelled.
    Interrupted,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::CannotOpen => 3,
            Self::Lost => 4,
            Self::Refused => 5,
            Self::Remote => 6,
            Self::Deadline => 7,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// For the help: what the exit codes mean.
pub(crate) const HELP: &str = "\
Exit codes:
  0    it did what was asked for
  1    something else went wrong
  2    the command line, an address or JSON is wrong
  3    the address could not be opened
  4    the wire was lost before the end
  5    the peer refused the call: nothing has run
  6    the procedure ran and failed
  7    there was no answer before the deadline
  130  interrupted; the call was cancelled";

/// Why the program did not do what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("lost `{address}`: {why}")]
    Lost { address: String, why: String },
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Remote(String),
    #[error("{0}")]
    Deadline(String),
    #[error("interrupted")]
    Interrupted,
    #[error("{what}: {}", ipfi_transport::reason(.source))]
    Io { what: String, source: io::Error },
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        Self::Io { what: "standard output".into(), source }
    }
}

impl Error {
    /// A wire that ended before its time.
    pub(crate) fn lost(address: &str, cause: &Cause) -> Self {
        let codec = match cause {
            Cause::Protocol(ipfi::proto::ProtocolError::Codec { .. }) => true,
            Cause::Peer { code, .. } => *code == Code::CODEC,
            _ => false,
        };
        if codec {
            return Self::Refused(format!(
                "`{address}` does not speak MessagePack: serve with `WireOptions::codec_of_peer` there"
            ));
        }
        let mut why = cause.to_string();
        if *cause == Cause::HandshakeTimeout {
            why.push_str("; --patience waits longer");
        }
        Self::Lost { address: address.into(), why }
    }

    /// A call of `name` that has no answer when its time is over.
    pub(crate) fn late(name: &str) -> Self {
        Self::Deadline(format!("`{name}`: the deadline passed"))
    }

    /// A call of `name` that failed.
    pub(crate) fn failed(name: &str, failure: &Failure) -> Self {
        let text = format!("`{name}`: {failure}");
        match (failure.code, failure.started) {
            (Code::DEADLINE, _) => Self::Deadline(text),
            (_, Started::No) => Self::Refused(text),
            _ => Self::Remote(text),
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Open(error) if error.is_usage() => Exit::Usage,
            Self::Open(_) => Exit::CannotOpen,
            Self::Lost { .. } => Exit::Lost,
            Self::Refused(_) => Exit::Refused,
            Self::Remote(_) => Exit::Remote,
            Self::Deadline(_) => Exit::Deadline,
            Self::Interrupted => Exit::Interrupted,
            // Whoever reads our output has seen enough.
            Self::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Io { .. } => Exit::Failed,
        }
    }
}
