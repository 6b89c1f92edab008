//! How streams and callbacks travel inside of values: while a value is written or read, a
//! thread-local list has what it refers to by its place.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use ipfi_proto::{Code, Direction, Handle, HandleError, Received, StreamId};
use serde::{Deserialize, Serialize};

use crate::{
    Codec,
    serve::Procedure,
    shared::{Shared, State},
};

/// A message while it is written: what it says, and what goes with it. Filled in place, because to
/// return the two costs more than to write a small item.
#[doc(hidden)]
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "not for users")]
pub struct Written {
    pub(crate) bytes: Vec<u8>,
    pub(crate) given: Gifts,
}

/// What goes with a message. While it is here the message has not left; dropped, it never will.
#[derive(Default)]
pub(crate) struct Gifts(Vec<Give>);

impl Gifts {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push(&mut self, give: Give) {
        self.0.push(give);
    }

    #[inline]
    pub(crate) fn take(&mut self) -> Vec<Give> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Gifts {
    #[inline]
    fn drop(&mut self) {
        if !self.0.is_empty() {
            refuse(self.take());
        }
    }
}

/// Something that goes to the peer with a message.
pub(crate) enum Give {
    Callback(Procedure),
    Stream(Arc<dyn Attach>, Direction),
}

/// The half of a stream that stays here.
pub(crate) trait Attach: Send + Sync {
    /// The other half goes to the peer by this stream.
    fn attach(&self, shared: &Arc<Shared>, state: &mut State, id: StreamId);
    /// The other half will never get there.
    fn refuse(&self);
}

/// What came with a message, until the value takes it.
pub(crate) struct Taking {
    pub(crate) shared: Arc<Shared>,
    pub(crate) handles: Vec<Option<Received>>,
}

thread_local! {
    static GIVING: Cell<Option<Codec>> = const { Cell::new(None) };
    /// Whether `GIVEN` has anything: looking at it costs more.
    static GAVE: Cell<bool> = const { Cell::new(false) };
    /// The place of the first.
    static FIRST: Cell<u32> = const { Cell::new(0) };
    static GIVEN: RefCell<Vec<Give>> = const { RefCell::new(Vec::new()) };
    static TAKING: RefCell<Option<Taking>> = const { RefCell::new(None) };
    static MESSAGE: RefCell<Written> =
        const { RefCell::new(Written { bytes: Vec::new(), given: Gifts(Vec::new()) }) };
}

/// A vector kept between messages is at most this large, in bytes.
const KEEP: usize = 64 * 1024;

/// While a value is written; it may panic.
struct Writing(Option<Codec>);

impl Drop for Writing {
    #[inline]
    fn drop(&mut self) {
        GIVING.set(self.0);
        if GAVE.replace(false) {
            refuse(GIVEN.take());
        }
    }
}

/// Appends a value; `given` gets what travels with it.
#[inline]
pub(crate) fn encode<T: Serialize + ?Sized>(
    codec: Codec,
    value: &T,
    out: &mut Vec<u8>,
    given: &mut Gifts,
) -> Result<(), String> {
    let writing = Writing(GIVING.replace(Some(codec)));
    let start = out.len();
    let result = codec.encode(value, out);
    if result.is_err() {
        out.truncate(start);
    } else if GAVE.replace(false) {
        given.0 = GIVEN.take();
    }
    drop(writing);
    result
}

/// Reads arguments.
#[inline]
pub(crate) fn decode_arguments<'de, T: Deserialize<'de>>(
    shared: &Arc<Shared>,
    bytes: &'de [u8],
    handles: Vec<Received>,
) -> Result<T, String> {
    match shared.codec() {
        Ok(codec) => decode(shared, codec.arguments(bytes), handles),
        Err(_) => decode(shared, bytes, handles),
    }
}

/// Lends an empty message with room.
#[inline]
pub(crate) fn with_message<R>(f: impl FnOnce(&mut Written) -> R) -> R {
    MESSAGE.with(|kept| {
        // What is written may write something else.
        let (mut own, mut kept) = (Written::default(), kept.try_borrow_mut());
        let message = kept.as_deref_mut().unwrap_or(&mut own);
        message.bytes.clear();
        let result = f(message);
        if message.bytes.capacity() > KEEP {
            message.bytes = Vec::new();
        }
        result
    })
}

/// Reads a value; what came with it and is not in it is let go.
#[inline]
pub(crate) fn decode<'de, T: Deserialize<'de>>(
    shared: &Arc<Shared>,
    bytes: &'de [u8],
    handles: Vec<Received>,
) -> Result<T, String> {
    if handles.is_empty() {
        return shared.codec().and_then(|codec| codec.decode(bytes));
    }
    decode_with_handles(shared, bytes, handles)
}

#[cold]
fn decode_with_handles<'de, T: Deserialize<'de>>(
    shared: &Arc<Shared>,
    bytes: &'de [u8],
    handles: Vec<Received>,
) -> Result<T, String> {
    struct Restore(Option<Taking>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let inner = TAKING.replace(self.0.take());
            if let Some(Taking { shared, handles }) = inner {
                shared.dispose(handles.into_iter().flatten(), Code::DROPPED);
            }
        }
    }
    let handles = handles.into_iter().map(Some).collect();
    let outer = TAKING.replace(Some(Taking { shared: shared.clone(), handles }));
    let _restore = Restore(outer);
    shared.codec().and_then(|codec| codec.decode(bytes))
}

/// Puts something in the list; says its place. `None` outside of a message.
pub(crate) fn give(give: Give) -> Option<u32> {
    GIVING.get()?;
    GAVE.set(true);
    GIVEN.with_borrow_mut(|given| {
        given.push(give);
        u32::try_from(given.len() - 1).ok()?.checked_add(FIRST.get())
    })
}

/// Writes a part of a message in which there are so many handles already.
pub(crate) fn after<R>(handles: u32, f: impl FnOnce() -> R) -> R {
    let outer = FIRST.replace(handles);
    let result = f();
    FIRST.set(outer);
    result
}

/// The codec of the message that is being written.
pub(crate) fn giving() -> Option<Codec> {
    GIVING.get()
}

/// Writes something that is not part of the message, in the middle of it.
pub(crate) fn aside<R>(f: impl FnOnce() -> R) -> R {
    let (gave, given) = (GAVE.replace(false), GIVEN.take());
    let result = after(0, f);
    GIVEN.set(given);
    GAVE.set(gave);
    result
}

/// Takes what is at a place of the list, if it is of the right kind.
pub(crate) fn take<R>(
    place: u32,
    pick: impl FnOnce(Received) -> Option<R>,
) -> Option<(Arc<Shared>, R)> {
    TAKING.with_borrow_mut(|taking| {
        let taking = taking.as_mut()?;
        let entry = taking.handles.get_mut(place as usize)?;
        let picked = pick((*entry)?)?;
        *entry = None;
        Some((taking.shared.clone(), picked))
    })
}

/// Tells those who wait for the other half that it will not get there.
#[inline]
pub(crate) fn refuse(given: Vec<Give>) {
    for give in given {
        if let Give::Stream(half, _) = give {
            half.refuse();
        }
    }
}

/// Gives numbers to what goes with a message.
#[inline]
pub(crate) fn export(
    shared: &Arc<Shared>,
    state: &mut State,
    given: Vec<Give>,
) -> Result<Vec<Handle>, (HandleError, Vec<Give>)> {
    if given.is_empty() { Ok(Vec::new()) } else { export_all(shared, state, given) }
}

#[cold]
fn export_all(
    shared: &Arc<Shared>,
    state: &mut State,
    given: Vec<Give>,
) -> Result<Vec<Handle>, (HandleError, Vec<Give>)> {
    let mut handles = Vec::with_capacity(given.len());
    let mut failed = None;
    for give in &given {
        let handle = match give {
            Give::Callback(_) => state.engine.export_callback().map(Handle::Callback),
            Give::Stream(_, direction) => state.engine.open_stream(*direction).map(Handle::Stream),
        };
        match handle {
            Ok(handle) => handles.push(handle),
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    if let Some(error) = failed {
        state.engine.discard(&handles);
        return Err((error, given));
    }
    for (give, handle) in given.into_iter().zip(&handles) {
        match (give, *handle) {
            (Give::Callback(procedure), Handle::Callback(id)) => state.export(id, procedure),
            (Give::Stream(half, _), Handle::Stream(id)) => half.attach(shared, state, id),
            _ => {}
        }
    }
    Ok(handles)
}

/// Why something that travels cannot be written here.
pub(crate) fn outside(what: &str) -> String {
    format!("a {what} travels only inside the arguments, results or items of a call")
}
