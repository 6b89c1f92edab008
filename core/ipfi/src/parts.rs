//! Calls whose arguments are sent bit by bit.

use std::{fmt, future::poll_fn, marker::PhantomData, sync::Arc, task::Poll};

use ipfi_proto::CallId;

use crate::{
    CallError, Codec, Outbound, Pending, Raw,
    scope::{self, Written},
    shared::{Shared, Slot},
};

/// More than this is not left to the engine, in bytes: who sends waits until it is on its way.
const AHEAD: usize = 64 * 1024;

/// A call that is open while its arguments come bit by bit, even in fractions of one argument.
///
/// Most procedures begin when they are complete, in this many bytes at most:
/// [`Limits::max_message`](crate::Limits::max_message) of the peer, which waits for
/// [`Limits::arguments_timeout`](crate::Limits::arguments_timeout). Those that take their arguments
/// as they come ([`ArgumentReader`](crate::ArgumentReader)) begin at once, and any number of bytes may
/// follow, for as long as it takes. Dropping it cancels the call.
///
/// ```
/// use ipfi::{Bytes, Interface, Wire};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ipfi::CallError> {
/// let server = Interface::new().procedure("store", |name: String, content: Bytes| {
///     format!("{name}: {} bytes", content.len())
/// });
/// let (wire, _other) = Wire::pair(Interface::new(), server);
/// let mut call = wire.call_in_parts::<(String, Bytes), String>("store")?;
/// call.argument(&"file").await?;
/// // The second argument, from a file or a sensor, without ever having all of it.
/// call.begin_bytes(3000).await?;
/// for _ in 0..3 {
///     call.bytes(&[7; 1000]).await?;
/// }
/// assert_eq!(call.finish().await?, "file: 3000 bytes");
/// # Ok(()) }
/// ```
#[must_use = "dropping it cancels the call"]
pub struct Parts<R> {
    pending: Pending<R>,
    shared: Arc<Shared>,
    slot: u32,
    /// Streams and callbacks so far.
    handles: u32,
    result: PhantomData<fn() -> R>,
}

impl<R> fmt::Debug for Parts<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

impl<R> Parts<R> {
    pub(crate) fn new(pending: Pending<R>, shared: Arc<Shared>, slot: u32, handles: u32) -> Self {
        Self { pending, shared, slot, handles, result: PhantomData }
    }

    /// Sends the next argument as a whole. Types and their order are those of the signature: only
    /// the peer can find out that they are not.
    ///
    /// # Errors
    ///
    /// It cannot be encoded. If the call [is over](Self::is_over) already, nothing is sent, and
    /// [`finish`](Self::finish) tells how it ended.
    pub async fn argument<T: Outbound>(&mut self, value: &T) -> Result<(), CallError> {
        let mut message = Written::default();
        let codec = self.shared.codec_number();
        let written = scope::after(self.handles, || value.write(codec, &mut message));
        written.map_err(CallError::Encode)?;
        self.send(&message.bytes, message.given.take(), false)?;
        self.room().await;
        Ok(())
    }

    /// Sends more of the arguments, encoded: any number of bytes, values need not be whole.
    ///
    /// # Errors
    ///
    /// None of its own. If the call [is over](Self::is_over) already, nothing is sent, and
    /// [`finish`](Self::finish) tells how it ended: with [`Code::TOO_LARGE`](crate::Code::TOO_LARGE) if
    /// the peer takes no arguments of this length.
    pub async fn bytes(&mut self, mut bytes: &[u8]) -> Result<(), CallError> {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(AHEAD));
            self.send(now, Vec::new(), false)?;
            self.room().await;
            bytes = rest;
        }
        Ok(())
    }

    /// Begins an argument of type [`Bytes`](crate::Bytes) of this length: that many
    /// [`bytes`](Self::bytes) have to follow.
    ///
    /// # Errors
    ///
    /// As of [`argument`](Self::argument).
    pub async fn begin_bytes(&mut self, len: u32) -> Result<(), CallError> {
        let codec = Codec::of(self.shared.codec_number()).map_err(CallError::Encode)?;
        self.bytes(&codec.head_of_bytes(len)).await
    }

    /// Says whether the call has its answer already, so that nobody wants more arguments.
    #[must_use]
    pub fn is_over(&self) -> bool {
        open(&mut self.shared.lock(), self.slot).is_none()
    }

    /// Completes the arguments, and waits for the answer when it is awaited.
    pub fn finish(mut self) -> Pending<R> {
        // If it is over already, the answer says how.
        let _ = self.send(&[], Vec::new(), true);
        self.pending
    }

    fn send(&mut self, bytes: &[u8], given: Vec<scope::Give>, last: bool) -> Result<(), CallError> {
        let mut state = self.shared.lock();
        let Some(call) = open(&mut state, self.slot) else {
            drop(state);
            scope::refuse(given);
            return Ok(());
        };
        let handles = match scope::export(&self.shared, &mut state, given) {
            Ok(handles) => handles,
            Err((error, given)) => {
                drop(state);
                scope::refuse(given);
                return Err(CallError::Handles(error));
            }
        };
        self.handles += u32::try_from(handles.len()).unwrap_or(u32::MAX);
        // If it is over, the answer says how.
        let _ = state.engine.send_arguments(call, bytes, &handles, last);
        self.shared.kick(state);
        Ok(())
    }

    /// Waits until what was sent is on its way.
    async fn room(&mut self) {
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            let Some(call) = open(&mut state, self.slot) else { return Poll::Ready(()) };
            if state.engine.unsent_arguments(call) < AHEAD {
                return Poll::Ready(());
            }
            state.wait_for_arguments(call, AHEAD / 2, cx);
            Poll::Pending
        })
        .await;
    }
}

/// The call, if it is not over.
fn open(state: &mut crate::shared::State, slot: u32) -> Option<CallId> {
    match state.calls.get_mut(slot) {
        Some(Slot::Open { id, .. }) => Some(*id),
        _ => None,
    }
}

impl Parts<Raw> {
    /// Sends a stream or callback beside the arguments, at the next place.
    ///
    /// # Errors
    ///
    /// As of [`argument`](Self::argument).
    pub async fn handle(&mut self, handle: impl Into<crate::RawHandle>) -> Result<(), CallError> {
        self.argument(&Raw::default().with(handle)).await
    }
}
