//! Calls of ours, as their handles see them.

use std::task::Waker;

use ipfi_proto::{CallId, Failure, Received};

/// Answers up to this many bytes wait for their handles in the table itself.
pub(crate) const INLINE: usize = 46;

/// One call.
#[derive(Debug)]
pub(crate) enum Slot {
    Free,
    Open {
        id: CallId,
        waker: Option<Waker>,
    },
    /// Answered, with so many bytes and nothing else.
    Small(u8, [u8; INLINE]),
    Done(Result<(Vec<u8>, Vec<Received>), Failure>),
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Those whose handles wait.
    open: usize,
    /// By the engine's number of the call.
    by_call: Vec<u32>,
}

impl Calls {
    /// How many have no answer yet.
    #[inline]
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// A place for the answer of a call that the engine has.
    #[inline]
    pub(crate) fn add(&mut self, id: CallId) -> u32 {
        let open = Slot::Open { id, waker: None };
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.slots.get_mut(slot as usize) {
                    *place = open;
                }
                slot
            }
            None => {
                self.slots.push(open);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let index = id.index();
        if index >= self.by_call.len() {
            self.by_call.resize(index + 1, u32::MAX);
        }
        if let Some(entry) = self.by_call.get_mut(index) {
            *entry = slot;
        }
        self.open += 1;
        slot
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        self.slots.get_mut(slot as usize)
    }

    /// Empties a place; says what was in it.
    #[inline]
    pub(crate) fn take(&mut self, slot: u32) -> Slot {
        let Some(place) = self.slots.get_mut(slot as usize) else { return Slot::Free };
        let taken = std::mem::replace(place, Slot::Free);
        match taken {
            Slot::Free => return taken,
            Slot::Open { .. } => self.open -= 1,
            Slot::Small(..) | Slot::Done(_) => {}
        }
        self.free.push(slot);
        taken
    }

    /// The answer of a call came; says whom to wake.
    #[inline]
    pub(super) fn complete(
        &mut self,
        call: CallId,
        outcome: Result<(Vec<u8>, Vec<Received>), Failure>,
    ) -> Option<Waker> {
        let (place, waker) = self.close(call)?;
        *place = Slot::Done(outcome);
        waker
    }

    /// The same for an answer without handles, and without allocating for a small one.
    #[inline]
    pub(super) fn complete_small(&mut self, call: CallId, answer: &[u8]) -> Option<Waker> {
        let (place, waker) = self.close(call)?;
        *place = Slot::Small(0, [0; INLINE]);
        if let Slot::Small(len, bytes) = place
            && let Some(bytes) = bytes.get_mut(..answer.len())
            && let Ok(size) = u8::try_from(answer.len())
        {
            // In place: what was just written is slow to copy.
            *len = size;
            bytes.copy_from_slice(answer);
        } else {
            *place = Slot::Done(Ok((answer.to_vec(), Vec::new())));
        }
        waker
    }

    #[inline]
    fn close(&mut self, call: CallId) -> Option<(&mut Slot, Option<Waker>)> {
        let slot = *self.by_call.get(call.index())?;
        let place = self.slots.get_mut(slot as usize)?;
        let Slot::Open { id, waker } = place else { return None };
        if *id != call {
            return None;
        }
        let waker = waker.take();
        self.open -= 1;
        Some((place, waker))
    }
}
