//! The live link to one peer, as users hold it.

use std::{fmt, future::poll_fn, sync::Arc, task::Poll, time::Duration};

use ipfi_proto::{Cause, Code, Stats};
use serde::de::DeserializeOwned;

use crate::{
    Call, CallError, Parts, Raw, Value,
    call::To,
    describe::{self, Answer, Description},
    serve::Flag,
    shape::shape_of,
    shared::Shared,
};

/// The live link to one peer: cheap to clone, for any task or thread.
///
/// When the last clone is dropped the wire closes in peace: what runs is finished, in both
/// directions, nothing new begins. [`detach`](Self::detach) leaves that to the peer.
#[derive(Clone)]
pub struct Wire {
    pub(crate) shared: Arc<Shared>,
    owner: Option<Arc<Owner>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

/// Closes the wire when all who hold it are gone.
struct Owner {
    shared: Arc<Shared>,
    detached: Flag,
}

impl Drop for Owner {
    fn drop(&mut self) {
        if !self.detached.get() {
            begin_close(&self.shared, None);
        }
    }
}

fn begin_close(shared: &Arc<Shared>, within: Option<Duration>) {
    let now = shared.runtime().now();
    let mut state = shared.lock();
    state.engine.close(now, within);
    shared.kick(state);
}

impl Wire {
    pub(crate) fn owned(shared: Arc<Shared>) -> Self {
        let owner = Owner { shared: shared.clone(), detached: Flag::default() };
        Self { shared, owner: Some(Arc::new(owner)) }
    }

    /// For those who shall not keep it open.
    pub(crate) fn borrowed(shared: Arc<Shared>) -> Self {
        Self { shared, owner: None }
    }

    /// A wire over any stream with default [options](crate::WireOptions), on a task of the tokio
    /// runtime of this thread.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[cfg(feature = "tokio")]
    pub fn spawn<S>(stream: S, interface: impl Into<Arc<crate::Interface>>) -> Self
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        crate::WireOptions::new().spawn(stream, interface)
    }

    /// Both ends of a wire within this process, for tests and examples.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[cfg(feature = "tokio")]
    pub fn pair(
        a: impl Into<Arc<crate::Interface>>,
        b: impl Into<Arc<crate::Interface>>,
    ) -> (Self, Self) {
        let (here, there) = tokio::io::duplex(64 * 1024);
        (Self::spawn(here, a), Self::spawn(there, b))
    }

    /// Calls a procedure of the peer: the arguments are a tuple.
    ///
    /// The signature is compared with the peer's before the first call; if it differs, calls fail
    /// with [`Code::SIGNATURE_MISMATCH`].
    #[inline]
    #[expect(clippy::needless_pass_by_value, reason = "callers write the arguments in place")]
    pub fn call<'a, R: DeserializeOwned>(&self, name: &'a str, args: impl Value) -> Call<'a, R> {
        call(self, name, &args)
    }

    /// Calls a procedure with arguments that are encoded already, and gives the encoded result:
    /// both with the streams and callbacks beside them. Signatures are not compared.
    pub fn call_raw<'a>(&self, name: &'a str, args: impl Into<Raw>) -> Call<'a, Raw> {
        Call::new(self.shared.clone(), To::untyped(name), &args.into())
    }

    /// Calls a procedure without comparing signatures: for codecs that describe themselves, and
    /// for those who know what they do.
    #[expect(clippy::needless_pass_by_value, reason = "callers write the arguments in place")]
    pub fn call_unchecked<'a, R: DeserializeOwned>(
        &self,
        name: &'a str,
        args: impl Value,
    ) -> Call<'a, R> {
        Call::new(self.shared.clone(), To::untyped(name), &args)
    }

    /// Calls a procedure whose arguments follow bit by bit. `A` is the tuple of all of them.
    ///
    /// For encoded arguments: [`call_raw`](Self::call_raw) and [`in_parts`](Call::in_parts).
    ///
    /// # Errors
    ///
    /// The call cannot be made; nothing was sent.
    pub fn call_in_parts<A: Value, R: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Parts<R>, CallError> {
        let codec = self.shared.codec().map_err(CallError::Encode)?;
        let head = Raw::new(codec.head_of_tuple(shape_of::<A>().arity()));
        Call::new(self.shared.clone(), To::typed::<A, R>(name), &head).in_parts()
    }

    /// What the peer offers. If `known` has it already, by its hash, only the hash travels.
    ///
    /// # Errors
    ///
    /// The call fails; with [`Code::NO_SUCH_PROCEDURE`] if the peer does not tell.
    pub async fn describe(&self, known: &[Description]) -> Result<Description, CallError> {
        let hashes: Vec<u64> = known.iter().map(|description| description.hash).collect();
        match self.call_unchecked::<Answer>(describe::NAME, (hashes,)).await? {
            Answer::New(description) => Ok(description),
            Answer::Known(hash) => {
                let known = known.iter().find(|description| description.hash == hash);
                known.cloned().ok_or_else(|| {
                    CallError::Decode("the peer names a description that was not offered".into())
                })
            }
        }
    }

    /// Measures a round trip.
    ///
    /// # Errors
    ///
    /// Why the wire is closed.
    pub async fn ping(&self) -> Result<Duration, Cause> {
        let now = self.shared.runtime().now();
        {
            let mut state = self.shared.lock();
            state.pong = None;
            state.engine.ping(now);
            self.shared.kick(state);
        }
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            if let Some(round_trip) = state.pong {
                return Poll::Ready(Ok(round_trip));
            }
            if let Some(cause) = &state.closed {
                return Poll::Ready(Err(cause.clone()));
            }
            state.pong_wakers.push(cx.waker().clone());
            state.on_close(cx);
            Poll::Pending
        })
        .await
    }

    /// Waits until the wire is closed, and says why.
    pub async fn closed(&self) -> Cause {
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            if let Some(cause) = &state.closed {
                return Poll::Ready(cause.clone());
            }
            state.on_close(cx);
            Poll::Pending
        })
        .await
    }

    /// Why the wire is closed; `None` as long as it is open.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.shared.lock().closed.clone()
    }

    /// Closes the wire in peace and waits for that: what runs is finished, new calls are refused on
    /// both sides; after `within` the rest is cut off.
    pub async fn close(&self, within: Option<Duration>) -> Cause {
        begin_close(&self.shared, within);
        self.closed().await
    }

    /// Ends the wire at once, and tells the peer why. Codes from 256 up belong to applications.
    pub fn abort(&self, code: Code, text: &str) {
        let mut state = self.shared.lock();
        state.engine.abort(code, text);
        self.shared.kick(state);
    }

    /// Leaves the wire open until the peer closes it, whoever drops it here.
    pub fn detach(self) {
        if let Some(owner) = &self.owner {
            owner.detached.set();
        }
    }

    /// Who is at the other end, if anybody said.
    #[must_use]
    pub fn peer(&self) -> Option<&str> {
        self.shared.about.peer.as_deref()
    }

    /// Figures for people and for tests.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.lock().engine.stats()
    }
}

#[inline]
fn call<'a, A: Value, R: DeserializeOwned>(wire: &Wire, name: &'a str, args: &A) -> Call<'a, R> {
    Call::new(wire.shared.clone(), To::typed::<A, R>(name), args)
}
