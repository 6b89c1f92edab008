//! Exit codes. They are part of the interface: scripts and service managers act on them.

use std::{io, process::ExitCode};

use ipfi_transport::OpenError;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// 0: both ends finished, or the program was asked to stop and drained.
    Finished,
    /// 1: something else went wrong.
    Failed,
    /// 2: the command line, an address or the config file is wrong; another try cannot help.
    Usage,
    /// 3: an end could not be opened.
    CannotOpen,
    /// 4: an end was cut and was not to be reopened.
    Lost,
    /// 130: stopped at once by a second signal.
    Interrupted,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Finished => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::CannotOpen => 3,
            Self::Lost => 4,
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
  0    both ends finished, or asked to stop and drained
  1    something else went wrong
  2    the command line, an address or the config file is wrong
  3    an end could not be opened
  4    an end was cut and was not to be reopened
  130  stopped at once by a second signal";

/// Why a bridge ended before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BridgeError {
    #[error("{0}")]
    Config(String),
    #[error("lost `{address}`: {reason}")]
    Lost { address: String, reason: String },
    #[error(transparent)]
    Open(#[from] OpenError),
}

pub(crate) fn of(error: &anyhow::Error) -> Exit {
    match error.downcast_ref::<BridgeError>() {
        Some(BridgeError::Config(_)) => Exit::Usage,
        Some(BridgeError::Lost { .. }) => Exit::Lost,
        Some(BridgeError::Open(error)) if error.is_usage() => Exit::Usage,
        Some(BridgeError::Open(_)) => Exit::CannotOpen,
        None => Exit::Failed,
    }
}

pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
