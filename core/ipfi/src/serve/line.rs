//! Calls that wait until fewer run.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ipfi_proto::{Code, Failure, IncomingId, Instant, Received, Started};

use super::{
    Cancel, Procedure,
    jobs::{Message, Outcome, run_now},
};
use crate::{queue::Ticket, shared::Shared};

/// Lets a call wait for its turn, on a task of its own.
#[cold]
pub(super) fn wait(
    shared: &Arc<Shared>,
    id: IncomingId,
    procedure: &Procedure,
    (payload, handles, deadline, coming): Message<'_>,
    ticket: Ticket,
) {
    let cancel = Arc::<Cancel>::default();
    if shared.start_running(id, &cancel) {
        let (procedure, payload) = (procedure.clone(), payload.to_vec());
        let work = Some(Work { procedure, payload, handles, deadline, coming });
        let task = InLine { shared: shared.clone(), id, work, cancel, ticket };
        shared.runtime().spawn(Box::pin(task));
    }
}

struct Work {
    procedure: Procedure,
    payload: Vec<u8>,
    handles: Vec<Received>,
    deadline: Option<Instant>,
    coming: Option<IncomingId>,
}

struct InLine {
    shared: Arc<Shared>,
    id: IncomingId,
    /// `None` once it has left the line.
    work: Option<Work>,
    cancel: Arc<Cancel>,
    ticket: Ticket,
}

impl InLine {
    fn give_up(&mut self, code: Code) {
        if let Some(work) = self.work.take() {
            self.shared.dispose(work.handles.into_iter(), code);
            self.shared.finish_running(self.id, Err(Failure::new(code, Started::No)));
        }
    }
}

impl Future for InLine {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if let Some(code) = this.cancel.register(cx.waker()) {
            this.give_up(code);
            return Poll::Ready(());
        }
        let Poll::Ready(permit) = Pin::new(&mut this.ticket).poll(cx) else { return Poll::Pending };
        let Some(work) = this.work.take() else { return Poll::Ready(()) };
        let Work { procedure, payload, handles, deadline, coming } = work;
        let (mut reply, cancel) = (Vec::new(), Some(this.cancel.clone()));
        let (shared, message) = (&this.shared, (&*payload, handles, deadline, coming));
        match run_now(shared, this.id, &procedure, message, cancel, permit, &mut reply) {
            Outcome::Small(_) => shared.finish_running(this.id, Ok((reply, Vec::new()))),
            Outcome::Other(answer) => shared.finish_running(this.id, *answer),
            Outcome::Running => {}
        }
        Poll::Ready(())
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        // The runtime is shutting down.
        self.give_up(Code::CANCELLED);
    }
}
