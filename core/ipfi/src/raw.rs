//! Payloads that are encoded already.

use std::{future::Future, sync::Arc};

use ipfi_proto::{Code, Failure, Received, Started};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Callback, Codec, Context, Fault, Receiver, Sender,
    scope::{self, Written},
    serve::{Answer, Incoming, Procedure, Served},
    shared::Shared,
};

/// A payload that is encoded already, and the streams and callbacks beside it, to which it refers by
/// their places: for gateways, tools, and whoever has a codec of his own.
///
/// What is in a payload says section 14 of the specification (`core/proto/SPEC.md`). `Raw` stands
/// where otherwise a value would be: [`Wire::call_raw`](crate::Wire::call_raw),
/// [`Interface::raw`](crate::Interface::raw), `Sender<Raw>`, `Receiver<Raw>`, `Callback<Raw, Raw>`.
///
/// ```
/// use ipfi::{Codec, Fault, Interface, Raw, RawHandle, Wire, channel};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Counts the bytes of all items, whatever they are.
/// let server = Interface::new().raw("weigh", async |_, mut raw| {
///     let mut bytes = raw.payload.len();
///     while let Some(handle) = raw.handles.pop() {
///         if let RawHandle::Receiver(mut items) = handle {
///             while let Some(item) = items.recv().await? {
///                 bytes += item.payload.len();
///             }
///         }
///     }
///     let mut result = Vec::new();
///     Codec::Bincode.encode(&bytes, &mut result).map_err(Fault::new)?;
///     Ok(Raw::new(result))
/// });
/// let (wire, _other) = Wire::pair(Interface::new(), server);
/// let (sender, receiver) = channel::<Raw>(4);
/// // One argument: the receiver, which is at place 0.
/// let call = wire.call_raw("weigh", Raw::new([0]).with(receiver)).start();
/// sender.send(Raw::new([1, 2, 3])).await?;
/// sender.finish().await?;
/// assert_eq!(call.await?.payload, [4]);
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Raw {
    /// The encoded value.
    pub payload: Vec<u8>,
    /// What it refers to, by place.
    pub handles: Vec<RawHandle>,
}

/// A stream or callback beside a payload. Dropping it lets it go.
///
/// In a message that comes, these are ours; what is put in a message that goes is the peer's.
#[derive(Debug)]
#[non_exhaustive]
pub enum RawHandle {
    /// To be called by whoever gets it.
    Callback(Callback<Raw, Raw>),
    /// Whoever gets it receives.
    Receiver(Receiver<Raw>),
    /// Whoever gets it sends.
    Sender(Sender<Raw>),
}

impl Raw {
    /// A payload without handles.
    #[must_use]
    pub fn new(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: payload.into(), handles: Vec::new() }
    }

    /// The same with one handle more, at the next place.
    #[must_use]
    pub fn with(mut self, handle: impl Into<RawHandle>) -> Self {
        self.handles.push(handle.into());
        self
    }
}

impl From<Vec<u8>> for Raw {
    fn from(payload: Vec<u8>) -> Self {
        Self::new(payload)
    }
}

impl From<Callback<Raw, Raw>> for RawHandle {
    fn from(callback: Callback<Raw, Raw>) -> Self {
        Self::Callback(callback)
    }
}

impl From<Receiver<Raw>> for RawHandle {
    fn from(receiver: Receiver<Raw>) -> Self {
        Self::Receiver(receiver)
    }
}

impl From<Sender<Raw>> for RawHandle {
    fn from(sender: Sender<Raw>) -> Self {
        Self::Sender(sender)
    }
}

/// What can be sent as a whole message or item: whatever serde can write, or [`Raw`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent",
    note = "derive `serde::Serialize` for it"
)]
pub trait Outbound {
    #[doc(hidden)]
    fn write(&self, codec: u8, message: &mut Written) -> Result<(), String>;
}

impl<T: Serialize> Outbound for T {
    #[inline]
    fn write(&self, codec: u8, message: &mut Written) -> Result<(), String> {
        let Written { bytes, given } = message;
        scope::encode(Codec::of(codec)?, self, bytes, given)
    }
}

impl Outbound for Raw {
    fn write(&self, codec: u8, message: &mut Written) -> Result<(), String> {
        let Written { bytes, given } = message;
        bytes.extend_from_slice(&self.payload);
        for handle in &self.handles {
            let give = match handle {
                RawHandle::Callback(callback) => callback.give(codec),
                RawHandle::Receiver(receiver) => receiver.give(codec),
                RawHandle::Sender(sender) => sender.give(codec),
            };
            match give {
                Ok(give) => given.push(give),
                Err(why) => {
                    scope::refuse(given.take());
                    return Err(why);
                }
            }
        }
        Ok(())
    }
}

/// A message or item that came.
#[doc(hidden)]
#[derive(Debug)]
pub struct Came<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) payload: &'a [u8],
    pub(crate) handles: Vec<Received>,
}

/// What can be received as a whole message or item: whatever serde can read without borrowing, or
/// [`Raw`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be received",
    note = "derive `serde::Deserialize` for it, and let it own what is in it"
)]
pub trait Inbound: Sized {
    #[doc(hidden)]
    fn read(came: Came<'_>) -> Result<Self, String>;
}

impl<T: DeserializeOwned> Inbound for T {
    #[inline]
    fn read(came: Came<'_>) -> Result<Self, String> {
        scope::decode(came.shared, came.payload, came.handles)
    }
}

impl Inbound for Raw {
    fn read(came: Came<'_>) -> Result<Self, String> {
        let Came { shared, payload, handles } = came;
        Ok(Self { payload: payload.to_vec(), handles: self::handles(shared, handles) })
    }
}

/// What came beside a payload.
pub(crate) fn handles(shared: &Arc<Shared>, handles: Vec<Received>) -> Vec<RawHandle> {
    let handle = |received| match received {
        Received::Callback(id) => Some(Callback::theirs(shared.clone(), id).into()),
        Received::Receiver(id) => Some(Receiver::theirs(shared.clone(), id).into()),
        Received::Sender(id) => Some(Sender::theirs(shared, id).into()),
        other => {
            shared.dispose(std::iter::once(other), Code::DROPPED);
            None
        }
    };
    handles.into_iter().filter_map(handle).collect()
}

/// A result that is encoded already.
pub(crate) fn result(shared: &Shared, raw: Raw) -> Answer {
    let Raw { payload, handles } = raw;
    let mut message = Written::default();
    let beside = Raw { payload: Vec::new(), handles };
    match beside.write(shared.codec_number(), &mut message) {
        Ok(()) => Ok((payload, message.given.take())),
        Err(why) => Err(Failure::new(Code::BAD_RESULT, Started::Yes).with_text(why)),
    }
}

/// Whether what came by a wire of one codec can go on by one of another; says why not.
pub(crate) fn same_codec(from: &Shared, to: u8, what: &str) -> Result<(), String> {
    let from = from.codec_number();
    if from == to {
        return Ok(());
    }
    Err(format!("a {what} from a wire of codec {from} cannot be sent on by one of codec {to}"))
}

/// A procedure that takes and gives encoded values. Its future is dropped if the caller gives up.
pub(crate) fn procedure<F, Fut>(serve: F) -> Procedure
where
    F: Fn(Context, Raw) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Raw, Failure>> + Send + 'static,
{
    Arc::new(move |mut call: Incoming<'_>| {
        let shared = call.shared.clone();
        let handles = std::mem::take(&mut call.handles);
        let raw = Raw::read(Came { shared: &shared, payload: call.payload, handles });
        let raw = match raw {
            Ok(raw) => raw,
            Err(why) => {
                let failure = Failure::new(Code::BAD_ARGUMENTS, Started::No);
                return Served::Failed(failure.with_text(why));
            }
        };
        let answer = serve(Context::new(&mut call), raw);
        Served::Later(Box::pin(async move { result(&shared, answer.await?) }), false)
    })
}

/// The same for those that fail with a fault.
pub(crate) fn faulty<F, Fut>(handler: F) -> Procedure
where
    F: Fn(Context, Raw) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Raw, Fault>> + Send + 'static,
{
    procedure(move |context, raw| {
        let answer = handler(context, raw);
        async move {
            let failure = |Fault { code, text }| Failure::new(code, Started::Yes).with_text(text);
            answer.await.map_err(failure)
        }
    })
}
