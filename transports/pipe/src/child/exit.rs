//! How a program ended.

use std::{
    io,
    process::ExitStatus,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// The end of a program, for the one who reads its output.
#[derive(Debug)]
pub(super) struct Exit {
    /// What it is and its name.
    who: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `Err` is the reason why nobody knows.
    status: Option<Result<ExitStatus, String>>,
    /// Its output has ended, and it runs on.
    half_closed: bool,
    reader: Option<Waker>,
}

impl Exit {
    pub(super) fn new(who: String) -> Self {
        Self { who, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, status: io::Result<ExitStatus>) {
        let mut state = self.state();
        state.status = Some(status.map_err(|error| error.to_string()));
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// The peer has finished, and we may go on.
    pub(super) fn half_close(&self) {
        let mut state = self.state();
        state.half_closed = true;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn is_half_closed(&self) -> bool {
        self.state().half_closed
    }

    /// Waits for the end. It is `Ok` only if the program says that all went well.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if state.half_closed {
            return Poll::Ready(Ok(()));
        }
        let Some(status) = &state.status else {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        Poll::Ready(match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(self.cut(&match status.code() {
                Some(code) => format!("exited with status {code}"),
                None => format!("was ended by {}", status.to_string().replace(": ", " ")),
            })),
            Err(reason) => Err(self.cut(&format!("cannot be waited for: {reason}"))),
        })
    }

    fn cut(&self, how: &str) -> io::Error {
        let text = format!("{} {how}", self.who);
        io::Error::new(io::ErrorKind::ConnectionAborted, text)
    }
}
