//! Messages of any size on their way: out in frames, in by pieces.

use super::Connection;
use super::serving::InCall;
use crate::budget::{Budget, Full};
use crate::event::{Handle, Received};
use crate::frame::kind;
use crate::table::{Tag, Tagged};
use crate::{Breach, Code, PeerLimits, ProtocolError, Started, Target};
use alloc::vec::Vec;

/// A message that is being sent: the arguments of a call of ours or the result of one of the peer.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "questions that are asked apart")]
pub(crate) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    pub(super) at: usize,
    /// What may still be sent without being admitted.
    pub(super) credit: u64,
    /// It was complete from the beginning.
    pub(super) whole: bool,
    /// Nothing will be appended any more.
    pub(super) complete: bool,
    /// The last frame is being sent or was.
    pub(super) last: bool,
    /// Nothing was sent yet.
    pub(super) first: bool,
    /// Takes part in the turns, or is current.
    pub(super) queued: bool,
    pub(super) handles: Vec<Handle>,
    /// How many of them were in frames already.
    pub(super) listed: usize,
    /// What is called; for the first frame.
    pub(super) target: Option<Target>,
    /// What was charged for it.
    pub(super) charged: usize,
    pub(super) sent: u64,
}

impl Outgoing {
    pub(super) fn new(bytes: Vec<u8>, handles: Vec<Handle>, complete: bool, credit: u64) -> Self {
        Self {
            bytes,
            at: 0,
            credit,
            whole: complete,
            complete,
            last: false,
            first: true,
            queued: false,
            handles,
            listed: 0,
            target: None,
            charged: 0,
            sent: 0,
        }
    }

    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn advance(&mut self, n: usize) {
        self.at += n;
        self.sent += n as u64;
        self.credit = self.credit.saturating_sub(n as u64);
    }

    /// What may go now, credit apart, to a peer that takes messages of `max` bytes. The byte that makes
    /// a message so long goes only with the last frame, or if there are more: otherwise it would say
    /// that there are.
    fn left(&self, max: usize) -> usize {
        let left = self.bytes.len() - self.at;
        let full = !self.complete && self.sent + left as u64 == max as u64;
        left.saturating_sub(usize::from(full))
    }

    /// Says whether there is a frame to send now.
    pub(super) fn is_ready(&self, max: usize) -> bool {
        if self.last {
            return false;
        }
        let left = self.left(max);
        (left > 0 && self.credit > 0)
            || (left == 0 && self.complete)
            || (self.first || self.listed < self.handles.len())
    }

    /// How much payload the next frame takes, which handles, and whether it is not the last.
    pub(super) fn cut(&mut self, frame: usize, peer: &PeerLimits) -> (usize, Vec<Handle>, bool) {
        let left = self.left(peer.max_message);
        // A full list of handles, and whatever else may stand in front.
        let handles = list(&self.handles, &mut self.listed, usize::MAX);
        let frame = if handles.is_empty() { frame } else { frame.min(peer.max_frame - 384) };
        let n = left.min(frame).min(usize::try_from(self.credit).unwrap_or(usize::MAX));
        self.first = false;
        self.last = self.complete && n == left && self.listed == self.handles.len();
        (n, handles, !self.last)
    }

    /// What the peer knows of the handles, and what it does not.
    pub(super) fn split_handles(&self) -> (&[Handle], &[Handle]) {
        self.handles.split_at_checked(self.listed).unwrap_or_default()
    }

    /// Appends to what was not sent yet.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        if self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
        } else if self.at > self.bytes.len() / 2 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }
}

/// Those of `handles` that go in the next frame.
pub(super) fn list(handles: &[Handle], listed: &mut usize, room: usize) -> Vec<Handle> {
    let end = handles.len().min(*listed + room.min(crate::MAX_HANDLES));
    let next = handles.get(*listed..end).unwrap_or_default().to_vec();
    *listed = end;
    next
}

/// A message that came half.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    pub(super) bytes: Vec<u8>,
    pub(super) handles: Vec<Received>,
    /// The capacity of `bytes`, or what was reserved for the whole.
    pub(super) charged: usize,
    pub(super) received: u64,
    /// What the peer may send in all.
    pub(super) granted: u64,
    pub(super) total: Option<u64>,
    /// May grow to its full size, which is this.
    pub(super) admitted: Option<usize>,
    /// Waits for that.
    starving: bool,
}

/// A message that waits to be admitted: the result of a call of ours, or the arguments of one of the peer.
pub(crate) type Starving = Tagged;

/// What became of a piece of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Taken,
    /// It does not fit.
    Refused(Code),
}

impl Assembly {
    pub(super) fn new(window: usize, total: Option<u64>) -> Self {
        Self { granted: window as u64, total, ..Self::default() }
    }

    /// Takes a piece, after which `left` bytes of the same frame will come.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        left: usize,
        budget: &mut Budget,
        max_message: usize,
    ) -> Result<Piece, Breach> {
        self.received += bytes.len() as u64;
        if self.received > self.granted {
            return Err(Breach::new(ProtocolError::CreditExceeded));
        }
        let len = self.bytes.len() + bytes.len();
        if len > max_message || self.total.is_some_and(|total| total > max_message as u64) {
            return Ok(Piece::Refused(Code::TOO_LARGE));
        }
        if len > self.bytes.capacity() && !self.grow(len, left, budget, max_message) {
            return Ok(Piece::Refused(Code::OVERLOADED));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(Piece::Taken)
    }

    /// Makes room for `len` bytes, and for more if there is enough: for the rest of the frame, which
    /// nothing else can come before, and for twice as much as there was, so that small pieces are
    /// not copied again and again. Never for more than may come: that is the room of others.
    fn grow(&mut self, len: usize, left: usize, budget: &mut Budget, max_message: usize) -> bool {
        let most = match (self.admitted, self.total) {
            (Some(size), _) => size,
            (None, Some(total)) => usize::try_from(total.min(self.granted)).unwrap_or(usize::MAX),
            (None, None) => usize::try_from(self.granted).unwrap_or(usize::MAX).min(max_message),
        };
        let frame = (len + left).min(most).max(len);
        let headroom = if self.admitted.is_some() { 0 } else { budget.headroom(max_message) };
        for wanted in [(self.bytes.capacity() * 2).min(most).max(frame), len] {
            let more = wanted.saturating_sub(self.charged);
            if more == 0 || budget.charge_leaving(more, headroom).is_ok() {
                self.charged += more;
                self.bytes.reserve_exact(wanted - self.bytes.len());
                return true;
            }
        }
        false
    }

    /// To be asked after a frame that is not the last.
    pub(super) fn needs_admission(&mut self) -> bool {
        let wanted = match self.total {
            Some(total) => total > self.granted,
            None => self.received * 2 > self.granted,
        };
        let needs = wanted && self.admitted.is_none() && !self.starving;
        self.starving |= needs;
        needs
    }
}

impl Connection {
    /// Lets messages that wait grow to their full size, first come, first served, as long as there
    /// is room for all of it. So each that is admitted can be finished, and two can never wait for
    /// each other.
    #[cold]
    pub(super) fn admit(&mut self) {
        let max = self.config.limits.max_message;
        while let Some(&next) = self.starving.front() {
            let Some(assembly) = self.assembly_mut(next) else {
                self.starving.pop_front();
                continue;
            };
            let size = match assembly.total {
                Some(total) => usize::try_from(total).map_or(max, |total| total.min(max)),
                None => max,
            };
            let more = size.saturating_sub(assembly.charged);
            let (granted, charged) = (assembly.granted, assembly.charged);
            match self.budget.charge_admitted(size, more) {
                Ok(()) => {}
                Err(Full::Own) => return,
                Err(Full::Shared) => {
                    self.starving.pop_front();
                    self.refuse_message(next, Code::OVERLOADED);
                    continue;
                }
            }
            self.starving.pop_front();
            let grant = (size as u64).saturating_sub(granted);
            let key = next.key();
            let (head, number) = match next.tag() {
                Tag::Call => {
                    (kind::ADMIT_RESULT, self.calls.get(key).map_or(0, |call| call.number))
                }
                Tag::Incoming | Tag::Arguments | Tag::Stream => {
                    (kind::ADMIT_ARGUMENTS, key.index())
                }
            };
            if grant > 0 {
                self.control(head, &[u64::from(number), grant]);
            }
            if let Some(assembly) = self.assembly_mut(next) {
                assembly.admitted = Some(size);
                assembly.granted = granted + grant;
                assembly.charged = charged + more;
            }
        }
    }

    fn assembly_mut(&mut self, message: Starving) -> Option<&mut Assembly> {
        let key = message.key();
        match message.tag() {
            Tag::Call => self.calls.get_mut(key)?.assembly.as_deref_mut(),
            Tag::Incoming | Tag::Arguments | Tag::Stream => {
                self.incoming_mut(key).and_then(InCall::assembly_mut)
            }
        }
    }

    fn refuse_message(&mut self, message: Starving, code: Code) {
        let key = message.key();
        match message.tag() {
            Tag::Call => self.give_up_call(key, code, Started::Yes),
            Tag::Incoming | Tag::Arguments | Tag::Stream => self.refuse(key, code, ""),
        }
    }
}
