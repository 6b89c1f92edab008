//! Calls: `Call` builds one, `Pending` waits for its answer.

use std::{
    borrow::Cow,
    fmt,
    future::{Future, IntoFuture},
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use ipfi_proto::{CallOptions, Code, Failure, Received, Started, Target};
use serde::Deserialize;

use crate::{
    CallError, Inbound, Outbound, Parts, Priority, Value,
    handler::Given,
    raw::Came,
    scope::{self, Give},
    shape::{fingerprint, shape_of},
    shared::{Shared, Slot},
    sync::set_waker,
};

/// After so many calls in a row, those that wait are written while more are made.
const BURST: usize = 64;
/// Arguments up to this many bytes need no allocation.
const INLINE: usize = 64;

/// What to call.
pub(crate) enum To<'a> {
    Name { name: &'a str, key: usize, fingerprint: fn() -> u64 },
    Target(Target),
}

impl<'a> To<'a> {
    /// A procedure that takes `A` and gives `R`.
    #[inline]
    pub(crate) fn typed<A: Value, R: Deserialize<'static>>(name: &'a str) -> Self {
        let fingerprint: fn() -> u64 = || fingerprint(&shape_of::<A>(), &shape_of::<R>());
        // Different functions for different types, so that the type need not be 'static.
        Self::Name { name, key: fingerprint as usize, fingerprint }
    }

    /// A procedure whose types are not known here.
    pub(crate) fn untyped(name: &'a str) -> Self {
        Self::Name { name, key: 0, fingerprint: || 0 }
    }
}

/// Encoded arguments.
enum Payload {
    Inline([u8; INLINE], usize),
    Heap(Vec<u8>),
}

impl Payload {
    #[inline]
    fn new(buffer: &mut Vec<u8>) -> Self {
        let mut inline = [0; INLINE];
        match inline.get_mut(..buffer.len()) {
            Some(place) => {
                place.copy_from_slice(buffer);
                Self::Inline(inline, buffer.len())
            }
            None => Self::Heap(std::mem::take(buffer)),
        }
    }
}

type Decode<R> = fn(&Arc<Shared>, Cow<'_, [u8]>, Vec<Received>) -> Result<R, String>;

#[expect(clippy::needless_pass_by_value, reason = "others keep it")]
fn decode_value<R: Inbound>(
    shared: &Arc<Shared>,
    bytes: Cow<'_, [u8]>,
    handles: Vec<Received>,
) -> Result<R, String> {
    R::read(Came { shared, payload: &bytes, handles })
}

/// A call that was not made yet. Await it, [`start`](Self::start) it, or [`wait`](Self::wait) for it.
///
/// ```
/// # use ipfi::{Interface, Wire};
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ipfi::CallError> {
/// let server = Interface::new().procedure("add", |a: i64, b: i64| a + b);
/// let (wire, _other) = Wire::pair(Interface::new(), server);
/// let five: i64 = wire.call("add", (2, 3)).deadline(Duration::from_secs(1)).await?;
/// assert_eq!(five, 5);
/// # Ok(()) }
/// ```
#[must_use = "a call is made when it is awaited, started or waited for"]
pub struct Call<'a, R> {
    inner: Result<Inner<'a>, CallError>,
    decode: Decode<R>,
}

struct Inner<'a> {
    shared: Arc<Shared>,
    to: To<'a>,
    payload: Payload,
    given: Vec<Give>,
    options: CallOptions,
}

impl<R> fmt::Debug for Call<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Call");
        match &self.inner {
            Ok(Inner { to: To::Name { name, .. }, .. }) => debug.field("procedure", name),
            Ok(Inner { to: To::Target(target), .. }) => debug.field("target", target),
            Err(error) => debug.field("error", error),
        };
        debug.finish_non_exhaustive()
    }
}

impl<'a, R: Inbound> Call<'a, R> {
    #[inline]
    pub(crate) fn new<A: Outbound>(shared: Arc<Shared>, to: To<'a>, args: &A) -> Self {
        let inner = scope::with_buffer(|buffer| {
            let written = args.write(shared.codec_number(), buffer);
            let Given(given) = written.map_err(CallError::Encode)?;
            let payload = Payload::new(buffer);
            let deadline = shared.about.deadline;
            let options = CallOptions { deadline, ..CallOptions::default() };
            Ok(Inner { shared, to, payload, given, options })
        });
        Self { inner, decode: decode_value }
    }

    /// A callback of ours is not for us to call.
    pub(crate) fn impossible() -> Self {
        let text = "this callback is for the peer to call";
        let error = CallError::failed(Code::NO_SUCH_CALLBACK, Started::No, text);
        Self { inner: Err(error), decode: decode_value }
    }
}

impl<R> Call<'_, R> {
    /// Gives up, and tells the peer to stop, after this time. It travels as what is left of it.
    pub fn deadline(mut self, timeout: Duration) -> Self {
        if let Ok(inner) = &mut self.inner {
            inner.options.deadline = Some(timeout);
        }
        self
    }

    /// Puts arguments and answer into another class: before or after all others.
    pub fn priority(mut self, priority: Priority) -> Self {
        if let Ok(inner) = &mut self.inner {
            inner.options.priority = priority;
        }
        self
    }

    /// Makes the call now, but leaves its arguments open: more follow bit by bit.
    ///
    /// # Errors
    ///
    /// The call cannot be made; nothing was sent.
    pub fn in_parts(mut self) -> Result<Parts<R>, CallError> {
        let decode = self.decode;
        let inner = std::mem::replace(&mut self.inner, Err(CallError::Encode(String::new())));
        let mut inner = inner?;
        inner.options.more = true;
        let handles = u32::try_from(inner.given.len()).unwrap_or(u32::MAX);
        let (shared, slot, unsent) = launch(inner, true)?;
        let state = Progress::Open { shared: shared.clone(), slot, unsent };
        Ok(Parts::new(Pending { state, decode, result: PhantomData }, shared, slot, handles))
    }

    /// Makes the call now. It goes on while nobody waits for it, until the handle is dropped.
    #[inline]
    pub fn start(self) -> Pending<R> {
        self.launch(true)
    }

    /// Makes the call and blocks this thread until the answer is there. Needs no runtime on this
    /// thread, and must not be used on a thread of one.
    ///
    /// # Errors
    ///
    /// The call failed: see [`CallError`].
    pub fn wait(self) -> Result<R, CallError> {
        crate::wait(self.into_future())
    }

    #[inline]
    fn launch(mut self, now: bool) -> Pending<R> {
        let decode = self.decode;
        let inner = std::mem::replace(&mut self.inner, Err(CallError::Encode(String::new())));
        let state = inner.and_then(|inner| launch(inner, now));
        let state = match state {
            Ok((shared, slot, unsent)) => Progress::Open { shared, slot, unsent },
            Err(error) => Progress::Failed(error),
        };
        Pending { state, decode, result: PhantomData }
    }
}

impl<R> Drop for Call<'_, R> {
    fn drop(&mut self) {
        if let Ok(inner) = &mut self.inner {
            scope::refuse(std::mem::take(&mut inner.given));
        }
    }
}

/// Hands a call to the engine; wakes the driver if it is to go `now` and not when it is polled.
#[inline]
fn launch(inner: Inner<'_>, now: bool) -> Result<(Arc<Shared>, u32, bool), CallError> {
    let Inner { shared, to, payload, given, options } = inner;
    let mut state = shared.lock();
    let target = match to {
        To::Name { name, key, fingerprint } => state.target(name, key, fingerprint),
        To::Target(target) => target,
    };
    let handles = match scope::export(&shared, &mut state, given) {
        Ok(handles) => handles,
        Err((error, given)) => {
            let closed = state.closed.clone();
            drop(state);
            scope::refuse(given);
            return Err(match closed {
                Some(cause) => CallError::Lost { cause, started: Started::No },
                None => CallError::Handles(error),
            });
        }
    };
    let payload = match &payload {
        Payload::Inline(bytes, len) => bytes.get(..*len).unwrap_or_default().into(),
        Payload::Heap(bytes) if bytes.len() <= 2048 => bytes.as_slice().into(),
        Payload::Heap(_) => match payload {
            Payload::Heap(bytes) => bytes.into(),
            Payload::Inline(..) => return Err(CallError::Encode(String::new())),
        },
    };
    let time = match options.deadline {
        Some(_) => shared.runtime().now(),
        // Only deadlines look at it.
        None => ipfi_proto::Instant::from_micros(0),
    };
    match state.engine.open_call(time, &target, payload, &handles, options) {
        Ok(call) => {
            let slot = state.calls.add(call);
            let unsent = !now && options.deadline.is_none() && handles.is_empty();
            if unsent {
                drop(state);
            } else if state.calls.open().is_multiple_of(BURST) && !state.has_unsent_arguments() {
                drop(state);
                shared.runtime().flush(&shared);
            } else {
                shared.kick(state);
            }
            Ok((shared, slot, unsent))
        }
        Err(error) => {
            let closed = state.closed.clone();
            shared.kick(state);
            Err(match closed {
                Some(cause) => CallError::Lost { cause, started: Started::No },
                None => CallError::Refused(error),
            })
        }
    }
}

impl<R> IntoFuture for Call<'_, R> {
    type Output = Result<R, CallError>;
    type IntoFuture = Pending<R>;

    #[inline]
    fn into_future(self) -> Pending<R> {
        self.launch(false)
    }
}

/// A call under way. Dropping it cancels the call.
#[must_use = "dropping a pending call cancels it"]
pub struct Pending<R> {
    state: Progress,
    decode: Decode<R>,
    result: PhantomData<fn() -> R>,
}

enum Progress {
    Open {
        shared: Arc<Shared>,
        slot: u32,
        /// The driver was not told yet.
        unsent: bool,
    },
    Failed(CallError),
    Over,
}

impl<R> fmt::Debug for Pending<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

impl<R> Unpin for Pending<R> {}

impl<R> Pending<R> {
    /// Blocks this thread until the answer is there.
    ///
    /// # Errors
    ///
    /// The call failed: see [`CallError`].
    pub fn wait(self) -> Result<R, CallError> {
        crate::wait(self)
    }
}

impl<R> Future for Pending<R> {
    type Output = Result<R, CallError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Progress::Open { shared, slot, unsent } = &mut this.state else {
            return match std::mem::replace(&mut this.state, Progress::Over) {
                Progress::Failed(error) => Poll::Ready(Err(error)),
                Progress::Open { .. } | Progress::Over => Poll::Pending,
            };
        };
        let mut state = shared.lock();
        if let Some(Slot::Open { waker, .. }) = state.calls.get_mut(*slot) {
            set_waker(waker, cx);
            if std::mem::replace(unsent, false) {
                if state.calls.open() == 1 && !state.has_unsent_arguments() {
                    // Nothing to put together with it, so it may as well go from here.
                    drop(state);
                    shared.runtime().flush(shared);
                } else {
                    shared.kick(state);
                }
            }
            return Poll::Pending;
        }
        let taken = state.calls.take(*slot);
        let cause = match &taken {
            Slot::Done(Err(failure)) if failure.code == Code::WIRE_LOST => state.closed.clone(),
            _ => None,
        };
        drop(state);
        let outcome = match taken {
            Slot::Small(len, bytes) => {
                let bytes = bytes.get(..usize::from(len)).unwrap_or_default();
                (this.decode)(shared, bytes.into(), Vec::new()).map_err(CallError::Decode)
            }
            Slot::Done(Ok((bytes, handles))) => {
                (this.decode)(shared, bytes.into(), handles).map_err(CallError::Decode)
            }
            Slot::Done(Err(failure)) => Err(failed(failure, cause)),
            Slot::Free | Slot::Open { .. } => Err(CallError::Decode("the call is over".into())),
        };
        this.state = Progress::Over;
        Poll::Ready(outcome)
    }
}

#[cold]
fn failed(failure: Failure, cause: Option<ipfi_proto::Cause>) -> CallError {
    match cause {
        Some(cause) => CallError::Lost { cause, started: failure.started },
        None => CallError::Failed(failure),
    }
}

impl<R> Drop for Pending<R> {
    fn drop(&mut self) {
        if let Progress::Open { shared, slot, .. } = &self.state {
            let mut state = shared.lock();
            let taken = state.calls.take(*slot);
            if let Slot::Open { id, .. } = taken {
                state.engine.cancel(id, Code::CANCELLED);
                shared.kick(state);
            } else {
                drop(state);
                if let Slot::Done(Ok((_, handles))) = taken {
                    shared.dispose(handles.into_iter(), Code::DROPPED);
                }
            }
        }
    }
}
