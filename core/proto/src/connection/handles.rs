//! Streams and callbacks as values: given away in messages, received, let go.

use super::Connection;
use super::outbox::Mark;
use super::streams::{Announce, Role, Their};
use crate::event::{Handle, Received};
use crate::frame::{RawHandle, kind};
use crate::table::{Key, at_mut};
use crate::{Breach, CallbackId, Code, Event, HandleError, RemoteCallbackId, Target};
use alloc::vec::Vec;

/// A callback of ours.
#[derive(Debug, Default)]
pub(crate) struct Export {
    generation: u32,
    state: ExportState,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ExportState {
    #[default]
    Free,
    /// The peer does not know it yet, or holds it.
    Live,
    /// We refuse calls; the peer still holds it.
    Revoked,
}

/// A callback of the peer.
#[derive(Debug)]
pub(crate) struct Import {
    generation: u32,
    state: ImportState,
    /// Calls to it that the peer has not heard of.
    unsent: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ImportState {
    /// Let go; the peer may use the number again once it knows.
    Free(Mark),
    Live,
    /// Let go by the application, but calls to it still wait to be sent.
    Leaving,
}

impl Default for Import {
    fn default() -> Self {
        Self { generation: 0, state: ImportState::Free(Mark::SENT), unsent: 0 }
    }
}

impl Connection {
    /// Creates a callback, to be given away in a message. The peer's calls to it come as
    /// [`Called::Callback`](crate::Called::Callback); [`Event::Released`] says that the peer let go,
    /// and is the end of it.
    ///
    /// # Errors
    ///
    /// The peer takes no more callbacks at once, or the wire is over.
    pub fn export_callback(&mut self) -> Result<CallbackId, HandleError> {
        if self.is_closed() {
            return Err(HandleError::Closed);
        }
        let max = self.peer.max_callbacks;
        let number = self.export_numbers.take(max).ok_or(HandleError::Limit { max })?;
        let export = at_mut(&mut self.exports, number);
        export.generation = Key::next_generation(export.generation);
        export.state = ExportState::Live;
        Ok(CallbackId(Key::new(number, export.generation)))
    }

    /// Takes back a callback that was not given away in any message.
    pub fn discard_callback(&mut self, callback: CallbackId) {
        self.discard(&[Handle::Callback(callback)]);
    }

    /// Refuses all further calls to a callback of ours. It stays taken until the peer lets go.
    pub fn revoke_callback(&mut self, callback: CallbackId) {
        if let Some(export) = self.export_mut(callback.0) {
            export.state = ExportState::Revoked;
        }
    }

    /// Lets go of a callback of the peer. Calls to it that were opened before are made.
    pub fn release_callback(&mut self, callback: RemoteCallbackId) {
        let Some(import) = self.import_mut(callback.0) else { return };
        if import.state != ImportState::Live {
            return;
        }
        import.state = ImportState::Leaving;
        self.leave_import(callback.0);
    }

    fn leave_import(&mut self, key: Key) {
        let Some(import) = self.import_mut(key) else { return };
        if import.state == ImportState::Leaving && import.unsent == 0 {
            let mark = self.out.control(kind::RELEASE, &[u64::from(key.index())], &[]);
            if let Some(import) = self.import_mut(key) {
                import.state = ImportState::Free(mark);
            }
        }
    }

    fn export_mut(&mut self, key: Key) -> Option<&mut Export> {
        self.exports.get_mut(key.index() as usize).filter(|export| {
            export.generation == key.generation() && export.state != ExportState::Free
        })
    }

    fn import_mut(&mut self, key: Key) -> Option<&mut Import> {
        self.imports
            .get_mut(key.index() as usize)
            .filter(|import| import.generation == key.generation())
    }

    pub(super) fn is_import_live(&self, key: Key) -> bool {
        self.imports.get(key.index() as usize).is_some_and(|import| {
            import.generation == key.generation() && import.state == ImportState::Live
        })
    }

    pub(super) fn is_export_live(&self, key: Key) -> bool {
        self.exports.get(key.index() as usize).is_some_and(|export| {
            export.generation == key.generation() && export.state == ExportState::Live
        })
    }

    /// The callback of ours with this number, which may not exist.
    pub(super) fn export_id(&self, number: u32) -> CallbackId {
        let generation = self.exports.get(number as usize).map_or(0, |export| export.generation);
        CallbackId(Key::new(number, generation))
    }

    /// A call to a callback waits to be sent; it may not be let go before.
    pub(super) fn expect_call(&mut self, target: &Target) {
        if let Target::Callback(callback) = target
            && let Some(import) = self.import_mut(callback.0)
        {
            import.unsent += 1;
        }
    }

    /// That call was sent, or will not be.
    pub(super) fn unexpect_call(&mut self, target: &Target) {
        if let Target::Callback(callback) = target
            && let Some(import) = self.import_mut(callback.0)
        {
            import.unsent = import.unsent.saturating_sub(1);
            self.leave_import(callback.0);
        }
    }

    pub(super) fn take_release(&mut self, number: u32) -> Result<(), Breach> {
        let Some(export) =
            self.exports.get_mut(number as usize).filter(|e| e.state != ExportState::Free)
        else {
            return Err(Breach::bad_number("release of a callback that does not exist"));
        };
        export.state = ExportState::Free;
        let generation = export.generation;
        self.export_numbers.give(number);
        self.emit(Event::Released(CallbackId(Key::new(number, generation))));
        Ok(())
    }

    /// Says that these handles go with a message or an item that is handed over later: what ends
    /// before that is told to the peer once it knows of it. Otherwise a stream that ends before it
    /// is in any message is gone, and must not be given away any more.
    pub fn carry(&mut self, handles: &[Handle]) {
        for handle in handles {
            if let Handle::Stream(stream) = handle
                && let Some(stream) = self.streams.get_mut(stream.0)
                && stream.announce == Announce::Idle
            {
                stream.announce = Announce::Carried;
            }
        }
    }

    /// Says whether all handles can go in a message, each once: those that ended, and streams that
    /// the peer knows, have no number that would mean them there.
    pub(super) fn can_give(&self, handles: &[Handle]) -> bool {
        handles.iter().enumerate().all(|(place, handle)| {
            let exists = match handle {
                Handle::Stream(id) => {
                    let stream = self.streams.get(id.0);
                    stream.is_some_and(|stream| stream.announce != Announce::Announced)
                }
                Handle::Callback(id) => {
                    self.exports.get(id.0.index() as usize).is_some_and(|export| {
                        export.generation == id.0.generation() && export.state != ExportState::Free
                    })
                }
            };
            exists && !handles.iter().take(place).any(|before| before == handle)
        })
    }

    /// Takes back handles that were not handed over with any message, and will not be.
    pub fn discard(&mut self, handles: &[Handle]) {
        for handle in handles {
            match *handle {
                Handle::Stream(stream) => self.drop_unannounced(stream.0),
                Handle::Callback(callback) => {
                    if let Some(export) = self.export_mut(callback.0) {
                        export.state = ExportState::Free;
                        self.export_numbers.give(callback.0.index());
                        self.emit(Event::Released(callback));
                    }
                }
            }
        }
    }

    /// The frame with these handles was sent.
    pub(super) fn announced(&mut self, handles: &[Handle]) {
        for handle in handles {
            if let Handle::Stream(stream) = handle {
                self.stream_announced(stream.0);
            }
        }
    }

    /// How handles look on the wire.
    pub(super) fn raw_handles(&self, handles: &[Handle]) -> Vec<RawHandle> {
        let raw = |handle: &Handle| match handle {
            Handle::Callback(callback) => RawHandle::Callback(callback.0.index()),
            Handle::Stream(id) => match self.streams.get(id.0) {
                Some(stream) => match stream.role {
                    Role::Producer(_) => RawHandle::Receiver(stream.number),
                    Role::Consumer(_) => RawHandle::Sender(stream.number),
                },
                None => RawHandle::Callback(u32::MAX >> 4),
            },
        };
        handles.iter().map(raw).collect()
    }

    /// Takes what came with a message in which there were `before` already.
    pub(super) fn register(
        &mut self,
        handles: &[RawHandle],
        before: usize,
    ) -> Result<Vec<Received>, Breach> {
        // All of a message are alive at once, because nobody has heard of them yet.
        let limits = &self.config.limits;
        let max = limits.max_streams as usize + limits.max_callbacks as usize;
        if before + handles.len() > max {
            return Err(Breach::bad_number("more handles than there may be"));
        }
        let mut received = Vec::with_capacity(handles.len());
        for handle in handles {
            received.push(self.register_one(*handle)?);
        }
        Ok(received)
    }

    fn register_one(&mut self, handle: RawHandle) -> Result<Received, Breach> {
        let (number, limit) = match handle {
            RawHandle::Callback(number) => (number, self.config.limits.max_callbacks),
            RawHandle::Receiver(number) | RawHandle::Sender(number) => {
                (number, self.config.limits.max_streams)
            }
        };
        if number >= limit {
            return Err(Breach::bad_number("stream or callback over the limit"));
        }
        let is_consumer = match handle {
            RawHandle::Callback(_) => {
                let out = &self.out;
                let import = at_mut(&mut self.imports, number);
                if !matches!(import.state, ImportState::Free(mark) if out.is_sent(mark)) {
                    return Err(Breach::bad_number("callback that exists"));
                }
                import.generation = Key::next_generation(import.generation);
                import.state = ImportState::Live;
                import.unsent = 0;
                let key = Key::new(number, import.generation);
                return Ok(Received::Callback(RemoteCallbackId(key)));
            }
            RawHandle::Receiver(_) => true,
            RawHandle::Sender(_) => false,
        };
        let their = at_mut(&mut self.theirs, number);
        match their {
            Their::Free(mark) if self.out.is_sent(*mark) => {}
            Their::Free(_) | Their::Live(_) => {
                return Err(Breach::bad_number("stream that exists"));
            }
        }
        Ok(self.add_their_stream(number, is_consumer))
    }

    /// Lets go of something that came in a message and is not wanted: the streams are reset with
    /// `code`.
    pub fn dispose(&mut self, received: Received, code: Code) {
        self.doomed.push((received, code));
        // Streams may be in the items of streams, to any depth: one after another, not one inside
        // another.
        if !core::mem::replace(&mut self.disposing, true) {
            while let Some((received, code)) = self.doomed.pop() {
                match received {
                    Received::Sender(stream) => self.reset(stream, code, ""),
                    Received::Receiver(stream) => self.stop(stream, code),
                    Received::Callback(callback) => self.release_callback(callback),
                }
            }
            self.doomed = Vec::new();
            self.disposing = false;
        }
    }

    pub(super) fn dispose_all(&mut self, received: Vec<Received>, code: Code) {
        for received in received {
            self.dispose(received, code);
        }
    }
}
