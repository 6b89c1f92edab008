//! Streams that are sent on: items go from wire to wire as they are.

use std::{future::poll_fn, sync::Arc, task::Poll};

use ipfi_proto::{Code, Direction};

use super::{Chan, Half, Incoming, Outgoing, Outlet, Receiver, Sender};
use crate::{Raw, StreamError, scope::Give, shared::Shared, sync::lock};

/// A sender that came by `shared` goes on: what is sent on it there, is sent here.
pub(super) fn sender(shared: &Arc<Shared>, outlet: Arc<Outlet>) -> Give {
    let chan = Arc::new(Chan::<Raw>::new(1));
    lock(&chan.queue).sender = Half::Sent;
    let pump = pump(Receiver::new(chan.clone()), Onward(Some(Sender::onto(outlet))));
    shared.runtime().spawn(Box::pin(pump));
    Give::Stream(Arc::new(Incoming(chan)), Direction::Incoming)
}

/// A receiver that came by `shared` goes on: what comes here, is sent there.
pub(super) fn receiver(shared: &Arc<Shared>, rest: Receiver<Raw>) -> Give {
    let chan = Arc::new(Chan::<Raw>::new(1));
    lock(&chan.queue).receiver = Half::Sent;
    shared.runtime().spawn(Box::pin(pump(rest, Onward(Some(Sender::new(chan.clone()))))));
    Give::Stream(Arc::new(Outgoing(chan)), Direction::Outgoing)
}

/// A sender that fails unless it is finished: whoever receives must not take a relay that was
/// dropped for the end.
struct Onward(Option<Sender<Raw>>);

impl Onward {
    fn fail(&mut self, code: Code, text: &str) {
        if let Some(sender) = self.0.take() {
            sender.fail(code, text);
        }
    }
}

impl Drop for Onward {
    fn drop(&mut self) {
        self.fail(Code::DROPPED, "whoever sent the stream on is gone");
    }
}

async fn pump(mut from: Receiver<Raw>, mut to: Onward) {
    loop {
        let Some(sender) = &to.0 else { return };
        let next = poll_fn(|cx| match sender.poll_closed(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => from.poll_recv(cx).map(Some),
        });
        let outcome = match next.await {
            // Dropping `from` tells it on.
            None => return,
            Some(Ok(Some(item))) => sender.send(item).await,
            Some(Ok(None)) => {
                drop(to.0.take());
                return;
            }
            Some(Err(error)) => Err(error),
        };
        match outcome {
            Ok(()) => {}
            Err(StreamError::Ended { code, text }) => return to.fail(code, &text),
            Err(error) => return to.fail(Code::DROPPED, &error.to_string()),
        }
    }
}
