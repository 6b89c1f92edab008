//! How a program ended.

use std::{
    io,
    process::ExitStatus,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

/// The end of a program, for the one who reads its output.
#[derive(Debug)]
pub(super) struct Exit {
    name: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `Err` is the reason why nobody knows.
    status: Option<Result<ExitStatus, String>>,
    reader: Option<Waker>,
}

impl Exit {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.into(), state: Mutex::default() }
    }

    pub(super) fn set(&self, status: io::Result<ExitStatus>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.status = Some(status.map_err(|error| error.to_string()));
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Waits for the end. It is `Ok` only if the program says that all went well.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
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
        let text = format!("exec: {} {how}", self.name);
        io::Error::new(io::ErrorKind::ConnectionAborted, text)
    }
}
