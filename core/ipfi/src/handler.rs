//! What can serve a procedure: `fn`, `async fn`, closures.

use std::{convert::identity, future::Future, sync::Arc};

use ipfi_proto::{Code, Failure, Started};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Context, Fault, Shape,
    scope::{self, Gifts, Give},
    serve::{Answer, Incoming, Procedure, Served},
    shape::shape_of,
    shared::Shared,
};

/// Where a result is written.
#[doc(hidden)]
#[derive(Debug)]
pub struct Place<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) out: &'a mut Vec<u8>,
}

/// What goes with a result.
#[doc(hidden)]
#[expect(missing_debug_implementations, reason = "not for users")]
pub struct Given(pub(crate) Vec<Give>);

/// What a procedure may return: any value, or `Result<value, Fault>` to fail the call.
#[diagnostic::on_unimplemented(
    message = "a procedure cannot return `{Self}`",
    note = "return a value that derives `serde::Serialize` and `serde::Deserialize`, or a `Result` of one and `ipfi::Fault`"
)]
pub trait Reply<Kind> {
    /// What the caller gets.
    type Value;
    #[doc(hidden)]
    fn shape() -> Shape;
    #[doc(hidden)]
    fn write(self, place: Place<'_>) -> Result<Given, Failure>;
}

impl<T: Serialize + Deserialize<'static>> Reply<AsValue> for T {
    type Value = T;

    fn shape() -> Shape {
        shape_of::<T>()
    }

    #[inline]
    fn write(self, place: Place<'_>) -> Result<Given, Failure> {
        let Place { shared, out } = place;
        let mut given = Gifts::default();
        let codec = shared.codec();
        match codec.and_then(|codec| scope::encode(codec, &self, out, &mut given)) {
            Ok(()) => Ok(Given(given.take())),
            Err(why) => Err(Failure::new(Code::BAD_RESULT, Started::Yes).with_text(why)),
        }
    }
}

impl<T: Serialize + Deserialize<'static>> Reply<OrFault> for Result<T, Fault> {
    type Value = T;

    fn shape() -> Shape {
        shape_of::<T>()
    }

    #[inline]
    fn write(self, place: Place<'_>) -> Result<Given, Failure> {
        match self {
            Ok(value) => value.write(place),
            Err(Fault { code, text }) => Err(Failure::new(code, Started::Yes).with_text(text)),
        }
    }
}

/// What is known of a procedure besides how to run it.
#[doc(hidden)]
#[expect(missing_debug_implementations, reason = "not for users")]
pub struct Erased {
    pub(crate) args: Shape,
    pub(crate) result: Shape,
    pub(crate) serve: Procedure,
}

/// Anything that can serve a procedure: a `fn`, an `async fn`, a closure or an async closure of up
/// to eight arguments, the first of which may be a [`Context`].
///
/// A plain `fn` runs in the driver of its wire, at once, and should be quick; see
/// [`Interface::blocking`](crate::Interface::blocking). An `async fn` is tried once in the driver and
/// gets a task of its own if it has to wait. If the caller gives up, its future is dropped, unless it
/// takes a [`Context`]: then it is told, and decides itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot serve a procedure",
    label = "not a procedure",
    note = "a procedure is a `Fn` or an async `Fn` of up to eight arguments that derive `serde::Deserialize`, optionally after an `ipfi::Context`, and whose result derives `serde::Serialize` and `serde::Deserialize`"
)]
pub trait Handler<Marker>: Send + Sync + 'static {
    /// The arguments, as a tuple.
    type Args;
    /// What the caller gets.
    type Output;
    #[doc(hidden)]
    fn erase(self) -> Erased;
    #[doc(hidden)]
    fn erase_blocking(self) -> Erased
    where
        Self: Sized;
}

/// Marks results that are values.
#[derive(Debug)]
#[non_exhaustive]
pub struct AsValue;
/// Marks results that may fail the call.
#[derive(Debug)]
#[non_exhaustive]
pub struct OrFault;
/// Marks plain functions.
#[derive(Debug)]
#[non_exhaustive]
pub struct Plain;
/// Marks async functions.
#[derive(Debug)]
#[non_exhaustive]
pub struct Async;
/// Marks functions that take a [`Context`].
#[derive(Debug)]
pub struct With<T>(std::marker::PhantomData<T>);

/// Reads the arguments.
#[inline]
fn arguments<A: DeserializeOwned>(call: &mut Incoming<'_>) -> Result<A, Served> {
    let handles = std::mem::take(&mut call.handles);
    scope::decode_arguments(call.shared, call.payload, handles).map_err(|why| {
        Served::Failed(Failure::new(Code::BAD_ARGUMENTS, Started::No).with_text(why))
    })
}

#[inline]
fn reply<K, R: Reply<K>>(result: R, call: &mut Incoming<'_>) -> Served {
    match result.write(Place { shared: call.shared, out: call.reply }) {
        Ok(Given(given)) => Served::Done(given),
        Err(failure) => Served::Failed(failure),
    }
}

pub(crate) fn answer<K, R: Reply<K>>(result: R, shared: &Arc<Shared>) -> Answer {
    let mut bytes = Vec::new();
    let Given(given) = result.write(Place { shared, out: &mut bytes })?;
    Ok((bytes, given))
}

/// Runs a future; it may be ready at once.
fn go_on<K, F>(future: F, call: &Incoming<'_>, told: bool) -> Served
where
    F: Future<Output: Reply<K>> + Send + 'static,
{
    let shared = call.shared.clone();
    Served::Later(Box::pin(async move { answer(future.await, &shared) }), told)
}

/// A procedure that cannot be served.
fn unsuitable(args: Shape, result: Shape) -> Erased {
    let text = "a list of values that take no bytes, such as Vec<()>, cannot be received";
    let failure = Failure::new(Code::BAD_ARGUMENTS, Started::No).with_text(text);
    let serve = Arc::new(move |_: Incoming<'_>| Served::Failed(failure.clone()));
    Erased { args, result, serve }
}

fn erase<A: DeserializeOwned, K, R: Reply<K>>(
    serve: impl Fn(Incoming<'_>) -> Served + Send + Sync + 'static,
) -> Erased {
    let (args, result) = (shape_of::<A>(), R::shape());
    if args.has_endless_lists() {
        return unsuitable(args, result);
    }
    Erased { args, result, serve: Arc::new(serve) }
}

/// For functions of these arguments: plain and async, with a context before them and without.
macro_rules! handlers { ($(($($A:ident)*))*) => { $(
    handler!(($($A,)*), [], false, $($A)*);
    handler!(With<($($A,)*)>, [Context], true, $($A)*);
)* } }

macro_rules! handler { ($marker:ty, [$($Context:ident)?], $told:literal, $($A:ident)*) => {
    #[allow(non_snake_case, unused_parens, clippy::allow_attributes_without_reason)]
    impl<F, K, R, $($A),*> Handler<(Plain, K, R, $marker)> for F
    where
        F: Fn($($Context,)? $($A),*) -> R + Send + Sync + 'static,
        R: Reply<K> + 'static,
        K: 'static,
        $($A: DeserializeOwned + Send + 'static),*
    {
        type Args = ($($A,)*);
        type Output = R::Value;

        fn erase(self) -> Erased {
            erase::<($($A,)*), K, R>(move |mut call| {
                match arguments::<($($A,)*)>(&mut call) {
                    Ok(($($A,)*)) => {
                        let result = self($($Context::new(&mut call),)? $($A),*);
                        reply(result, &mut call)
                    }
                    Err(failed) => failed,
                }
            })
        }

        fn erase_blocking(self) -> Erased {
            let this = Arc::new(self);
            erase::<($($A,)*), K, R>(move |mut call| {
                match arguments::<($($A,)*)>(&mut call) {
                    Ok(($($A,)*)) => {
                        let (this, shared) = (this.clone(), call.shared.clone());
                        $(let context = $Context::new(&mut call);)?
                        Served::Blocking(Box::new(move || {
                            answer(this($(identity::<$Context>(context),)? $($A),*), &shared)
                        }))
                    }
                    Err(failed) => failed,
                }
            })
        }
    }

    #[allow(non_snake_case, unused_parens, clippy::allow_attributes_without_reason)]
    impl<F, K, Fut, $($A),*> Handler<(Async, K, Fut, $marker)> for F
    where
        F: Fn($($Context,)? $($A),*) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Reply<K>,
        K: 'static,
        $($A: DeserializeOwned + Send + 'static),*
    {
        type Args = ($($A,)*);
        type Output = <Fut::Output as Reply<K>>::Value;

        fn erase(self) -> Erased {
            erase::<($($A,)*), K, Fut::Output>(move |mut call| {
                match arguments::<($($A,)*)>(&mut call) {
                    Ok(($($A,)*)) => {
                        let future = self($($Context::new(&mut call),)? $($A),*);
                        go_on(future, &call, $told)
                    }
                    Err(failed) => failed,
                }
            })
        }

        fn erase_blocking(self) -> Erased {
            self.erase()
        }
    }
} }

handlers! { () (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E G) (A B C D E G H) (A B C D E G H I) }
