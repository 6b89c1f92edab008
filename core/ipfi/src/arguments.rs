//! Arguments that a procedure takes as they come.

use std::{fmt, future::Future, future::poll_fn, marker::PhantomData, sync::Arc, task::Poll};

use ipfi_proto::{Arguments, Code, Failure, IncomingId, Started};
use serde::de::DeserializeOwned;

use crate::{
    Context, Fault, Raw, RawHandle, Reply, StreamError,
    handler::answer,
    raw,
    serve::{Incoming, Procedure, Served},
    shape::shape_of,
    shared::Shared,
};

/// An argument longer than this is tried again only when it has grown by an eighth, in bytes: so a
/// stranger who sends byte by byte costs no more time than bytes.
const RETRY: usize = 4096;

/// The arguments of a call that came so far, and those that are coming: for procedures of
/// [`Interface::streaming`](crate::Interface::streaming) and
/// [`Interface::raw_streaming`](crate::Interface::raw_streaming).
///
/// The procedure begins with the first byte. What the caller sends ahead of what was read is bounded by
/// [`Limits::message_window`](crate::Limits::message_window), and how much it sends in all by nothing:
/// arguments may be longer than the memory. A caller that has them as a whole is served as well, up to
/// [`Limits::max_message`](crate::Limits::max_message).
///
/// `A` is the tuple of all arguments, or [`Raw`]. The other side of it is
/// [`Parts`](crate::Parts).
///
/// ```
/// use ipfi::{ArgumentReader, Bytes, Fault, Interface, Wire};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ipfi::CallError> {
/// type Store = (String, Bytes);
/// let server = Interface::new().streaming("store", async |_, mut args: ArgumentReader<Store>| {
///     let name: String = args.argument().await?;
///     let mut sum = 0;
///     args.begin_bytes().await?;
///     while let Some(bytes) = args.bytes().await? {
///         // To a file, for example: only these are in memory.
///         sum += bytes.len();
///     }
///     Ok::<String, Fault>(format!("{name}: {sum} bytes"))
/// });
/// let (wire, _other) = Wire::pair(Interface::new(), server);
/// let mut call = wire.call_in_parts::<Store, String>("store")?;
/// call.argument(&"file").await?;
/// call.begin_bytes(50_000_000).await?;
/// for _ in 0..50 {
///     call.bytes(&[7; 1_000_000]).await?;
/// }
/// assert_eq!(call.finish().await?, "file: 50000000 bytes");
/// # Ok(()) }
/// ```
pub struct ArgumentReader<A = Raw> {
    shared: Arc<Shared>,
    source: Source,
    /// What came and was not used, from `at` on.
    held: Vec<u8>,
    at: usize,
    /// Bytes that were given out, and are used when more is asked for.
    lent: usize,
    /// What stands before a tuple was read.
    begun: bool,
    /// Bytes left of the argument that was begun.
    left: u64,
    handles: Vec<RawHandle>,
    arguments: PhantomData<fn() -> A>,
}

/// Where arguments come from.
enum Source {
    /// They came as a whole.
    Whole(Vec<u8>),
    Coming(IncomingId),
    Complete,
    Over(StreamError),
}

impl<A> fmt::Debug for ArgumentReader<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArgumentReader").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

impl<A> ArgumentReader<A> {
    fn new(call: &mut Incoming<'_>) -> Self {
        let handles = std::mem::take(&mut call.handles);
        Self {
            shared: call.shared.clone(),
            source: match call.coming {
                Some(id) => Source::Coming(id),
                None => Source::Whole(call.payload.to_vec()),
            },
            held: Vec::new(),
            at: 0,
            lent: 0,
            begun: false,
            left: 0,
            handles: raw::handles(call.shared, handles),
            arguments: PhantomData,
        }
    }

    /// The next bytes, encoded, as many as there are: values need not be whole. `None` when all were
    /// read. They count as held for the caller until more is asked for.
    ///
    /// # Errors
    ///
    /// The caller gave up, there is no room for what it sends, or the wire is gone.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, StreamError> {
        self.give_back();
        let chunk = if self.at < self.held.len() {
            let chunk = self.held.split_off(self.at);
            self.held = Vec::new();
            self.at = 0;
            Some(chunk)
        } else {
            self.held = Vec::new();
            self.at = 0;
            self.part().await?
        };
        self.lent = chunk.as_ref().map_or(0, Vec::len);
        Ok(chunk)
    }

    /// The next argument, as a whole: of up to
    /// [`Limits::message_window`](crate::Limits::message_window) bytes, without streams or
    /// callbacks. Types and their order are those of the signature.
    ///
    /// # Errors
    ///
    /// As of [`chunk`](Self::chunk); or what comes is not a value of this type, is too long, or ends
    /// in the middle.
    pub async fn argument<T: DeserializeOwned>(&mut self) -> Result<T, StreamError> {
        if shape_of::<T>().has_endless_lists() {
            let why = "a list of values that take no bytes cannot be received";
            return Err(StreamError::Decode(why.into()));
        }
        self.begin().await?;
        let codec = self.shared.codec().map_err(StreamError::Decode)?;
        loop {
            let rest = self.held.get(self.at..).unwrap_or_default();
            if let Some((value, used)) = codec.decode_front(rest).map_err(StreamError::Decode)? {
                self.advance(used);
                return Ok(value);
            }
            let enough = if rest.len() < RETRY { 1 } else { rest.len() / 8 };
            self.fill(rest.len() + enough).await?;
        }
    }

    /// Begins an argument of type [`Bytes`](crate::Bytes), and says how long it is; it follows by
    /// [`bytes`](Self::bytes).
    ///
    /// # Errors
    ///
    /// As of [`argument`](Self::argument).
    pub async fn begin_bytes(&mut self) -> Result<u64, StreamError> {
        self.begin().await?;
        let codec = self.shared.codec().map_err(StreamError::Decode)?;
        loop {
            let rest = self.held.get(self.at..).unwrap_or_default();
            if let Some((len, used)) =
                codec.read_head_of_bytes(rest).map_err(StreamError::Decode)?
            {
                self.advance(used);
                self.left = len;
                return Ok(len);
            }
            self.fill(rest.len() + 1).await?;
        }
    }

    /// The next bytes of the argument that was begun; `None` when that is over. They count as held
    /// for the caller until more is asked for.
    ///
    /// # Errors
    ///
    /// As of [`chunk`](Self::chunk); or the arguments end in the middle of it.
    pub async fn bytes(&mut self) -> Result<Option<Vec<u8>>, StreamError> {
        if self.left == 0 {
            self.give_back();
            return Ok(None);
        }
        let Some(mut chunk) = self.chunk().await? else { return Err(cut()) };
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        if chunk.len() > most {
            self.held = chunk.split_off(most);
            self.lent = most;
        }
        self.left -= chunk.len() as u64;
        Ok(Some(chunk))
    }

    /// Says that all arguments were taken, waits for their end, and gives the streams and callbacks
    /// in them, in the order of their places.
    ///
    /// # Errors
    ///
    /// As of [`chunk`](Self::chunk); or there is more.
    pub async fn finish(mut self) -> Result<Vec<RawHandle>, StreamError> {
        self.begin().await?;
        let more = self.left + (self.held.len() - self.at) as u64;
        if more > 0 || self.chunk().await?.is_some() {
            return Err(StreamError::Decode("there are more arguments than expected".into()));
        }
        Ok(self.handles)
    }

    /// Reads what stands before the first argument.
    async fn begin(&mut self) -> Result<(), StreamError> {
        self.give_back();
        if self.left > 0 {
            return Err(StreamError::Decode("an argument was begun and not read".into()));
        }
        if !self.begun {
            let codec = self.shared.codec().map_err(StreamError::Decode)?;
            let head = codec.head_of_arguments();
            if head > 0 {
                self.fill(head).await?;
            }
            self.advance(head);
            self.begun = true;
        }
        Ok(())
    }

    /// Waits until so many bytes are held, or all that there are.
    async fn fill(&mut self, wanted: usize) -> Result<(), StreamError> {
        let limit = self.shared.lock().engine.limits().message_window;
        let before = self.held.len() - self.at;
        while self.held.len() - self.at < wanted {
            if self.held.len() - self.at >= limit {
                let why = format!("an argument of more than {limit} bytes: read it by `bytes`");
                return Err(StreamError::Decode(why));
            }
            match self.part().await? {
                Some(part) if self.at == self.held.len() => {
                    self.held = part;
                    self.at = 0;
                }
                Some(part) => {
                    self.held.drain(..self.at);
                    self.at = 0;
                    self.held.extend_from_slice(&part);
                }
                None if self.held.len() - self.at > before => return Ok(()),
                None => return Err(cut()),
            }
        }
        Ok(())
    }

    /// So many bytes of what is held are used.
    fn advance(&mut self, bytes: usize) {
        self.at += bytes.min(self.held.len() - self.at);
        self.lent = bytes;
        self.give_back();
    }

    /// Gives credit for what was used.
    fn give_back(&mut self) {
        let bytes = std::mem::take(&mut self.lent);
        if let Source::Coming(id) = self.source
            && bytes > 0
        {
            let mut state = self.shared.lock();
            state.engine.consume_arguments(id, bytes);
            if state.engine.wants_transmit() {
                self.shared.kick(state);
            }
        }
    }

    async fn part(&mut self) -> Result<Option<Vec<u8>>, StreamError> {
        poll_fn(|cx| {
            let id = match &mut self.source {
                Source::Whole(bytes) => {
                    let bytes = std::mem::take(bytes);
                    self.source = Source::Complete;
                    return Poll::Ready(Ok(Some(bytes).filter(|bytes| !bytes.is_empty())));
                }
                Source::Coming(id) => *id,
                Source::Complete => return Poll::Ready(Ok(None)),
                Source::Over(why) => return Poll::Ready(Err(why.clone())),
            };
            let mut state = self.shared.lock();
            match state.engine.read_arguments(id) {
                Arguments::Part(part) => Poll::Ready(Ok(Some(part))),
                Arguments::Pending => {
                    state.wait_for_part(id, cx);
                    Poll::Pending
                }
                Arguments::End { handles } => {
                    state.register(&handles);
                    self.shared.kick(state);
                    self.handles = raw::handles(&self.shared, handles);
                    self.source = Source::Complete;
                    Poll::Ready(Ok(None))
                }
                other => {
                    let code = match other {
                        Arguments::Over { code } => code,
                        _ => Code::CANCELLED,
                    };
                    let why = match state.engine.cause() {
                        Some(cause) => StreamError::Lost(cause.clone()),
                        None => StreamError::Ended { code, text: String::new() },
                    };
                    drop(state);
                    self.source = Source::Over(why.clone());
                    Poll::Ready(Err(why))
                }
            }
        })
        .await
    }
}

fn cut() -> StreamError {
    StreamError::Decode("the arguments end in the middle".into())
}

/// A procedure that takes its arguments as they come. Its future is dropped if the caller gives up.
pub(crate) fn streaming<A, K, F, Fut>(serve: F) -> Procedure
where
    A: 'static,
    F: Fn(Context, ArgumentReader<A>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: Reply<K>> + Send + 'static,
{
    Arc::new(move |mut call: Incoming<'_>| {
        let reader = ArgumentReader::new(&mut call);
        let shared = call.shared.clone();
        let result = serve(Context::new(&mut call), reader);
        Served::Later(Box::pin(async move { answer(result.await, &shared) }), false)
    })
}

/// The same with a result that is encoded already.
pub(crate) fn raw_streaming<F, Fut>(serve: F) -> Procedure
where
    F: Fn(Context, ArgumentReader) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Raw, Fault>> + Send + 'static,
{
    Arc::new(move |mut call: Incoming<'_>| {
        let reader = ArgumentReader::new(&mut call);
        let shared = call.shared.clone();
        let result = serve(Context::new(&mut call), reader);
        let failure = |Fault { code, text }| Failure::new(code, Started::Yes).with_text(text);
        let answer = async move { raw::result(&shared, result.await.map_err(failure)?) };
        Served::Later(Box::pin(answer), false)
    })
}
