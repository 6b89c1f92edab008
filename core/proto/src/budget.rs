//! Bytes that a peer, and all peers together, make this process hold.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

/// What each wire may hold without asking the shared budget.
///
/// Small calls stay below it, so that they cost no traffic between processors.
pub const FREE_ALLOWANCE: usize = 4096;

/// How much a wire takes from the shared budget at once.
const SLICE: usize = 16 * 1024;

/// A cap on the bytes that all the peers of a process hold together, shared by many
/// [`Connection`](crate::Connection)s.
///
/// The worst case for `n` wires is `limit + n * FREE_ALLOWANCE` bytes of payloads.
///
/// ```
/// let budget = ipfi_proto::SharedBudget::new(64 << 20);
/// let config = ipfi_proto::Config::default().with_budget(budget.clone());
/// assert_eq!(budget.used(), 0);
/// # let _ = config;
/// ```
#[derive(Debug)]
pub struct SharedBudget {
    limit: usize,
    used: AtomicUsize,
}

impl SharedBudget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    /// Bytes in use now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|&sum| sum <= self.limit)
            })
            .is_ok()
    }

    fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Which budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Own,
    Shared,
}

/// One wire's account.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: usize,
    /// Of that, what messages take that were admitted and are under way.
    admitted: usize,
    /// Taken from `shared`; a multiple of `SLICE`.
    borrowed: usize,
    shared: Option<Arc<SharedBudget>>,
}

impl Budget {
    pub(crate) fn new(limit: usize, shared: Option<Arc<SharedBudget>>) -> Self {
        Self { limit, used: 0, admitted: 0, borrowed: 0, shared }
    }

    pub(crate) fn used(&self) -> usize {
        self.used
    }

    pub(crate) fn admitted(&self) -> usize {
        self.admitted
    }

    /// Lets a message of `size` bytes, of which all but `more` were charged, have its full size. One
    /// can always be let in, several may take half of all, so that the beginnings of others find
    /// room.
    pub(crate) fn charge_admitted(&mut self, size: usize, more: usize) -> Result<(), Full> {
        if self.admitted > 0 && self.admitted + size > self.limit / 2 {
            return Err(Full::Own);
        }
        self.charge_leaving(more, 0)?;
        self.admitted += size;
        Ok(())
    }

    /// It is finished, or given up.
    pub(crate) fn dismiss(&mut self, bytes: Option<usize>) {
        self.admitted -= bytes.unwrap_or(0);
    }

    /// What those that were not admitted have to leave: room for one message of `max` bytes that
    /// is, unless such a message has its room already.
    pub(crate) fn headroom(&self, max: usize) -> usize {
        max.saturating_sub(self.admitted)
    }

    /// Says whether `bytes` more may be held, and if so counts them.
    #[inline]
    #[must_use]
    pub(crate) fn charge(&mut self, bytes: usize) -> bool {
        self.charge_leaving(bytes, 0).is_ok()
    }

    /// The same if `headroom` bytes stay free.
    #[inline]
    pub(crate) fn charge_leaving(&mut self, bytes: usize, headroom: usize) -> Result<(), Full> {
        let sum = self.used.checked_add(bytes).ok_or(Full::Own)?;
        if sum > self.limit - headroom.min(self.limit) {
            return Err(Full::Own);
        }
        if sum > FREE_ALLOWANCE + self.borrowed && !self.borrow(sum) {
            return Err(Full::Shared);
        }
        self.used = sum;
        Ok(())
    }

    fn borrow(&mut self, sum: usize) -> bool {
        let Some(shared) = &self.shared else { return true };
        let more = (sum - FREE_ALLOWANCE - self.borrowed).next_multiple_of(SLICE);
        if shared.take(more) {
            self.borrowed += more;
            return true;
        }
        false
    }

    #[inline]
    pub(crate) fn release(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.used, "released {bytes} of {}", self.used);
        self.used = self.used.saturating_sub(bytes);
        if self.borrowed > 0 {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        let needed = self.used.saturating_sub(FREE_ALLOWANCE).next_multiple_of(SLICE);
        // Keep one slice while anything is held, so that the edge is not crossed at every message.
        let keep = if self.used == 0 { 0 } else { needed.max(SLICE) };
        if let Some(shared) = &self.shared
            && self.borrowed > keep
        {
            shared.give(self.borrowed - keep);
            self.borrowed = keep;
        }
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.give(self.borrowed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shared_limit_holds_for_all_and_everything_is_given_back() {
        let shared = SharedBudget::new(64 * 1024);
        let mut wires: alloc::vec::Vec<_> =
            (0..8).map(|_| Budget::new(1 << 20, Some(shared.clone()))).collect();
        let mut held = 0;
        for wire in &mut wires {
            assert!(wire.charge(FREE_ALLOWANCE));
            while wire.charge(1000) {
                held += 1000;
            }
        }
        assert!(held <= 64 * 1024 && held > 48 * 1024, "{held}");
        let first = &mut wires[0];
        first.release(first.used());
        assert!(wires[7].charge(8000));
        drop(wires);
        assert_eq!(shared.used(), 0);
    }
}
