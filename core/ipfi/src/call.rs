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

use ipfi_proto::{CallOptions, Code, Failure, Received, RemoteCallbackId, Started, Target};
use serde::Deserialize;

use crate::{
    CallError, Inbound, Outbound, Parts, Priority, Value,
    raw::Came,
    scope::{self, Gifts},
    shape::{fingerprint, shape_of},
    shared::{Shared, Slot},
    sync::set_waker,
};

/// After so many calls in a row, those that wait are written while more are made. Each time costs
/// both sides as much as fifty calls.
const BURST: usize = 128;
/// Arguments up to this many bytes need no allocation.
const INLINE: usize = 46;

/// What to call.
pub(crate) enum To<'a> {
    /// Without a fingerprint signatures are not compared.
    Name(&'a str, Option<fn() -> u64>),
    Callback(RemoteCallbackId),
}

impl<'a> To<'a> {
    /// A procedure that takes `A` and gives `R`.
    #[inline]
    pub(crate) fn typed<A: Value, R: Deserialize<'static>>(name: &'a str) -> Self {
        Self::Name(name, Some(|| fingerprint(&shape_of::<A>(), &shape_of::<R>())))
    }

    /// A procedure whose types are not known here.
    pub(crate) fn untyped(name: &'a str) -> Self {
        Self::Name(name, None)
    }
}

/// Encoded arguments.
enum Payload {
    /// So many bytes.
    Inline(u8, [u8; INLINE]),
    Heap(Vec<u8>),
}

impl Payload {
    /// To be called once.
    #[inline]
    fn fill(&mut self, buffer: &mut Vec<u8>) {
        if let Self::Inline(len, bytes) = self
            && let Some(place) = bytes.get_mut(..buffer.len())
            && let Ok(size) = u8::try_from(buffer.len())
        {
            place.copy_from_slice(buffer);
            *len = size;
        } else {
            *self = Self::Heap(std::mem::take(buffer));
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
    shared: Option<Arc<Shared>>,
    to: To<'a>,
    payload: Payload,
    given: Gifts,
    deadline: Option<Duration>,
    priority: Priority,
    /// Why it cannot be made.
    error: Option<Box<CallError>>,
    decode: Decode<R>,
}

impl<R> fmt::Debug for Call<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Call");
        match (&self.error, &self.to) {
            (Some(error), _) => debug.field("error", error),
            (None, To::Name(name, _)) => debug.field("procedure", name),
            (None, To::Callback(callback)) => debug.field("callback", callback),
        };
        debug.finish_non_exhaustive()
    }
}

impl<'a, R: Inbound> Call<'a, R> {
    #[inline]
    pub(crate) fn new<A: Outbound>(shared: Arc<Shared>, to: To<'a>, args: &A) -> Self {
        let mut payload = Payload::Inline(0, [0; INLINE]);
        let mut error = None;
        let given = scope::with_message(|message| {
            match args.write(shared.codec_number(), message) {
                Ok(()) => payload.fill(&mut message.bytes),
                Err(why) => error = Some(Box::new(CallError::Encode(why))),
            }
            std::mem::take(&mut message.given)
        });
        Self {
            deadline: shared.about.deadline,
            shared: Some(shared),
            to,
            payload,
            given,
            priority: Priority::Normal,
            error,
            decode: decode_value,
        }
    }

    /// A callback of ours is not for us to call.
    pub(crate) fn impossible() -> Self {
        let text = "this callback is for the peer to call";
        let error = CallError::failed(Code::NO_SUCH_CALLBACK, Started::No, text);
        Self {
            shared: None,
            to: To::untyped(""),
            payload: Payload::Heap(Vec::new()),
            given: Gifts::default(),
            deadline: None,
            priority: Priority::Normal,
            error: Some(Box::new(error)),
            decode: decode_value,
        }
    }
}

impl<R> Call<'_, R> {
    /// Gives up, and tells the peer to stop, after this time. It travels as what is left of it.
    pub fn deadline(mut self, timeout: Duration) -> Self {
        self.deadline = Some(timeout);
        self
    }

    /// Puts arguments and answer into another class: before or after all others.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Makes the call now, but leaves its arguments open: more follow bit by bit.
    ///
    /// # Errors
    ///
    /// The call cannot be made; nothing was sent.
    pub fn in_parts(mut self) -> Result<Parts<R>, CallError> {
        let shared = self.wire().map_err(|error| *error)?;
        let handles = u32::try_from(self.given.len()).unwrap_or(u32::MAX);
        let decode = self.decode;
        let (slot, unsent) = self.make(&shared, true, true)?;
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
        let state = match self.wire() {
            Ok(shared) => match self.make(&shared, now, false) {
                Ok((slot, unsent)) => Progress::Open { shared, slot, unsent },
                Err(error) => Progress::Failed(Box::new(error)),
            },
            Err(error) => Progress::Failed(error),
        };
        Pending { state, decode: self.decode, result: PhantomData }
    }

    /// Where it goes, or why it cannot.
    #[inline]
    fn wire(&mut self) -> Result<Arc<Shared>, Box<CallError>> {
        match (self.error.take(), self.shared.take()) {
            (None, Some(shared)) => Ok(shared),
            (Some(error), _) => Err(error),
            (None, None) => Err(Box::new(CallError::Encode("it was made already".into()))),
        }
    }

    /// Hands the call to the engine; wakes the driver if it is to go `now` and not when it is
    /// polled.
    fn make(
        &mut self,
        shared: &Arc<Shared>,
        now: bool,
        more: bool,
    ) -> Result<(u32, bool), CallError> {
        let mut state = shared.lock();
        let target = match self.to {
            To::Name(name, fingerprint) => state.target(name, fingerprint),
            To::Callback(id) => Target::Callback(id),
        };
        let handles = match scope::export(shared, &mut state, self.given.take()) {
            Ok(handles) => handles,
            Err((error, given)) => {
                let closed = state.engine.cause().cloned();
                drop(state);
                scope::refuse(given);
                return Err(lost(closed, || CallError::Handles(error)));
            }
        };
        let payload = match &mut self.payload {
            Payload::Inline(len, bytes) => {
                bytes.get(..usize::from(*len)).unwrap_or_default().into()
            }
            Payload::Heap(bytes) if bytes.len() <= 2048 => bytes.as_slice().into(),
            Payload::Heap(bytes) => std::mem::take(bytes).into(),
        };
        let time = match self.deadline {
            Some(_) => shared.runtime().now(),
            // Only deadlines look at it.
            None => ipfi_proto::Instant::from_micros(0),
        };
        let options = CallOptions { deadline: self.deadline, priority: self.priority, more };
        match state.engine.open_call(time, &target, payload, &handles, options) {
            Ok(call) => {
                let slot = state.calls.add(call);
                let unsent = !now && self.deadline.is_none() && handles.is_empty();
                if unsent {
                    drop(state);
                } else if state.calls.open().is_multiple_of(BURST) && !state.has_unsent_arguments()
                {
                    drop(state);
                    shared.runtime().flush(shared);
                } else {
                    shared.kick(state);
                }
                Ok((slot, unsent))
            }
            Err(error) => {
                let closed = state.engine.cause().cloned();
                shared.kick(state);
                Err(lost(closed, || CallError::Refused(error)))
            }
        }
    }
}

/// Why a call was not made: because the wire is over, or else.
#[cold]
fn lost(closed: Option<ipfi_proto::Cause>, or: impl FnOnce() -> CallError) -> CallError {
    match closed {
        Some(cause) => CallError::Lost { cause, started: Started::No },
        None => or(),
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
    Failed(Box<CallError>),
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
                Progress::Failed(error) => Poll::Ready(Err(*error)),
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
            Slot::Done(Err(failure)) if failure.code == Code::WIRE_LOST => {
                state.engine.cause().cloned()
            }
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
