//! Callbacks as values.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    sync::{Arc, Mutex},
};

use ipfi_proto::{Received, RemoteCallbackId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::{
    Call, CallError, Context, Fault, Handler, Inbound, Outbound, Raw, Shape,
    call::To,
    raw::{self, same_codec},
    scope::{self, Give},
    serve::Procedure,
    shape::{Traced, shape_of},
    shared::Shared,
    sync::lock,
};

/// A function that the other side may call: it travels inside arguments, results and items.
///
/// `A` is the tuple of its arguments, `R` its result. Whoever makes it with [`new`](Self::new) sends
/// it once; whoever gets it may [`call`](Self::call) it until it is dropped or the wire ends, and may
/// send it on, to the same peer or another: calls are then relayed.
///
/// ```
/// use ipfi::Callback;
/// let progress: Callback<(u32, u32)> = Callback::new(|done: u32, of: u32| {
///     println!("{done}/{of}");
/// });
/// # drop(progress);
/// ```
pub struct Callback<A, R = ()> {
    inner: Inner,
    types: PhantomData<fn(A) -> R>,
}

enum Inner {
    Ours(Mutex<Option<Procedure>>),
    Theirs(Arc<Theirs>),
    /// Of a type that was only asked for its shape.
    Nothing,
}

/// A callback of the peer; it is let go when nobody has it any more.
struct Theirs {
    shared: Arc<Shared>,
    id: RemoteCallbackId,
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.engine.release_callback(self.id);
        self.shared.kick(state);
    }
}

impl<A, R> fmt::Debug for Callback<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.inner {
            Inner::Ours(_) => "ours",
            Inner::Theirs(_) => "theirs",
            Inner::Nothing => "nothing",
        };
        f.debug_tuple("Callback").field(&side).finish()
    }
}

impl<A, R> Callback<A, R> {
    /// A callback of ours, to be sent to the peer.
    pub fn new<M>(handler: impl Handler<M, Args = A, Output = R>) -> Self {
        let procedure = handler.erase().serve;
        Self { inner: Inner::Ours(Mutex::new(Some(procedure))), types: PhantomData }
    }
}

impl<A: Outbound, R: Inbound> Callback<A, R> {
    /// Calls the other side. Starts when it is awaited, started or waited for.
    ///
    /// A callback of ours cannot be called from here: that fails with
    /// [`Code::NO_SUCH_CALLBACK`](crate::Code::NO_SUCH_CALLBACK).
    #[expect(clippy::needless_pass_by_value, reason = "callers write the arguments in place")]
    pub fn call(&self, args: A) -> Call<'_, R> {
        match &self.inner {
            Inner::Theirs(theirs) => theirs.call(&args),
            Inner::Ours(_) | Inner::Nothing => Call::impossible(),
        }
    }
}

impl Theirs {
    fn call<A: Outbound, R: Inbound>(&self, args: &A) -> Call<'static, R> {
        Call::new(self.shared.clone(), To::Callback(self.id), args)
    }
}

/// A callback of a peer goes on to somebody else: whoever calls it there, calls it here.
fn relay(theirs: Arc<Theirs>) -> Procedure {
    raw::procedure(move |context, args| {
        let call = theirs.call::<Raw, Raw>(&args);
        let call = match context.time_left() {
            Some(left) => call.deadline(left),
            None => call,
        };
        let call = call.start();
        async move { call.await.map_err(CallError::into_failure) }
    })
}

impl Callback<Raw, Raw> {
    /// A callback of ours that takes and gives encoded values. Its future is dropped if the
    /// caller gives up.
    pub fn raw<F, Fut>(handler: F) -> Self
    where
        F: Fn(Context, Raw) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Raw, Fault>> + Send + 'static,
    {
        let inner = Inner::Ours(Mutex::new(Some(raw::faulty(handler))));
        Self { inner, types: PhantomData }
    }
}

impl<A, R> Callback<A, R> {
    /// A callback that came from a peer.
    pub(crate) fn theirs(shared: Arc<Shared>, id: RemoteCallbackId) -> Self {
        Self { inner: Inner::Theirs(Arc::new(Theirs { shared, id })), types: PhantomData }
    }

    /// It goes away in a message, by a wire of this codec.
    pub(crate) fn give(&self, codec: u8) -> Result<Give, String> {
        match &self.inner {
            Inner::Ours(procedure) => match lock(procedure).take() {
                Some(procedure) => Ok(Give::Callback(procedure)),
                None => Err("this callback was sent already".into()),
            },
            Inner::Theirs(theirs) => {
                same_codec(&theirs.shared, codec, "callback")?;
                Ok(Give::Callback(relay(theirs.clone())))
            }
            Inner::Nothing => Err("this is no callback".into()),
        }
    }
}

impl<A, R> Serialize for Callback<A, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(codec) = scope::giving() else {
            return Err(ser::Error::custom(scope::outside("callback")));
        };
        let give = self.give(codec.number()).map_err(ser::Error::custom)?;
        serializer.serialize_u32(scope::give(give).unwrap_or(u32::MAX))
    }
}

impl<'de, A: Deserialize<'static>, R: Deserialize<'static>> Deserialize<'de> for Callback<A, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if Traced::is_active() {
            let (args, result) = (Box::new(shape_of::<A>()), Box::new(shape_of::<R>()));
            Traced::handle(Shape::Callback(args, result));
            u32::deserialize(deserializer)?;
            return Ok(Self { inner: Inner::Nothing, types: PhantomData });
        }
        let place = u32::deserialize(deserializer)?;
        let taken = scope::take(place, |received| match received {
            Received::Callback(id) => Some(id),
            _ => None,
        });
        let Some((shared, id)) = taken else {
            return Err(de::Error::custom(scope::outside("callback")));
        };
        Ok(Self::theirs(shared, id))
    }
}
