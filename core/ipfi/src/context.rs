//! What a procedure may know about its call.

use std::{any::Any, fmt, future::poll_fn, sync::Arc, task::Poll, time::Duration};

use ipfi_proto::{Code, Instant};

use crate::{
    Wire,
    serve::{Cancel, Incoming},
    shared::Shared,
};

/// What a procedure may know about its call: take it as the first argument.
///
/// ```
/// use ipfi::{Context, Interface};
/// let interface = Interface::new().procedure("whoami", |context: Context| {
///     context.peer().unwrap_or("somebody").to_owned()
/// });
/// # let _ = interface;
/// ```
#[derive(Clone)]
pub struct Context {
    shared: Arc<Shared>,
    cancel: Arc<Cancel>,
    deadline: Option<Instant>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("peer", &self.peer())
            .field("cancelled", &self.cancel.code())
            .finish_non_exhaustive()
    }
}

impl Context {
    pub(crate) fn new(call: &mut Incoming<'_>) -> Self {
        let cancel = call.cancel();
        Self { shared: call.shared.clone(), cancel, deadline: call.deadline }
    }

    /// Why nobody waits for the result any more: the caller gave up, its deadline passed, or the
    /// wire ended. `None` while somebody does.
    #[must_use]
    pub fn cancelled(&self) -> Option<Code> {
        self.cancel.code()
    }

    /// Waits until nobody waits for the result any more.
    pub async fn on_cancel(&self) -> Code {
        poll_fn(|cx| match self.cancel.register(cx.waker()) {
            Some(code) => Poll::Ready(code),
            None => Poll::Pending,
        })
        .await
    }

    /// How long the caller will still wait, if it has a deadline.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline - self.shared.runtime().now())
    }

    /// Who calls, as the transport or whoever made the wire names it.
    #[must_use]
    pub fn peer(&self) -> Option<&str> {
        self.shared.about.peer.as_deref()
    }

    /// What was stored with the wire under this type:
    /// [`WireOptions::data`](crate::WireOptions::data).
    #[must_use]
    pub fn data<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.shared.about.data.as_deref().and_then(|data| data.downcast_ref())
    }

    /// The wire that the call came by, to call its other end.
    #[must_use]
    pub fn wire(&self) -> Wire {
        Wire::borrowed(self.shared.clone())
    }
}
