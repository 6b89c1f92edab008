//! Callbacks as values.

use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, Mutex},
};

use ipfi_proto::{Received, RemoteCallbackId, Target};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned},
    ser,
};

use crate::{
    Call, Handler, Shape, Value,
    scope::{self, Give},
    serve::Procedure,
    shape::{Traced, shape_of},
    shared::Shared,
    sync::lock,
};

/// A function that the other side may call: it travels inside arguments, results and items.
///
/// `A` is the tuple of its arguments, `R` its result. Whoever makes it with [`new`](Self::new) sends
/// it once; whoever gets it may [`call`](Self::call) it until it is dropped or the wire ends.
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
    Theirs {
        shared: Arc<Shared>,
        id: RemoteCallbackId,
    },
    /// Of a type that was only asked for its shape.
    Nothing,
}

impl<A, R> fmt::Debug for Callback<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.inner {
            Inner::Ours(_) => "ours",
            Inner::Theirs { .. } => "theirs",
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

impl<A: Value, R: DeserializeOwned> Callback<A, R> {
    /// Calls the other side. Starts when it is awaited, started or waited for.
    ///
    /// A callback of ours cannot be called from here: that fails with
    /// [`Code::NO_SUCH_CALLBACK`](crate::Code::NO_SUCH_CALLBACK).
    #[expect(clippy::needless_pass_by_value, reason = "callers write the arguments in place")]
    pub fn call(&self, args: A) -> Call<'_, R> {
        match &self.inner {
            Inner::Theirs { shared, id } => {
                Call::new(shared.clone(), crate::call::To::Target(Target::Callback(*id)), &args)
            }
            Inner::Ours(_) | Inner::Nothing => Call::impossible(),
        }
    }
}

impl<A, R> Drop for Callback<A, R> {
    fn drop(&mut self) {
        if let Inner::Theirs { shared, id } = &self.inner {
            let mut state = shared.lock();
            state.engine.release_callback(*id);
            shared.kick(state);
        }
    }
}

impl<A, R> Serialize for Callback<A, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if scope::giving().is_none() {
            return Err(ser::Error::custom(scope::outside("callback")));
        }
        let Inner::Ours(procedure) = &self.inner else {
            return Err(ser::Error::custom("a callback that came from a peer cannot be sent on"));
        };
        let Some(procedure) = lock(procedure).take() else {
            return Err(ser::Error::custom("this callback was sent already"));
        };
        serializer.serialize_u32(scope::give(Give::Callback(procedure)).unwrap_or(u32::MAX))
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
        Ok(Self { inner: Inner::Theirs { shared, id }, types: PhantomData })
    }
}
