//! One user at a time.

/// A value that one user at a time has.
#[cfg(feature = "std")]
pub(crate) struct Lock<T>(std::sync::Mutex<T>);

#[cfg(feature = "std")]
impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    #[expect(clippy::unnecessary_wraps, reason = "without the standard library it may fail")]
    /// Waits for its turn. A panic of somebody else does not matter: what it broke was removed.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        Some(f(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)))
    }
}

/// A value that one user at a time has.
#[cfg(not(feature = "std"))]
pub(crate) struct Lock<T> {
    taken: core::sync::atomic::AtomicBool,
    value: core::cell::UnsafeCell<T>,
}

#[cfg(not(feature = "std"))]
#[expect(unsafe_code, reason = "there is no lock without an operating system")]
// SAFETY: `with` lends the value to one user at a time, whichever thread it is on, and users on other
// threads see what the one before did: the flag is taken with acquire and given back with release.
unsafe impl<T: Send> Sync for Lock<T> {}

#[cfg(not(feature = "std"))]
impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            taken: core::sync::atomic::AtomicBool::new(false),
            value: core::cell::UnsafeCell::new(value),
        }
    }

    /// `None` if somebody has it: there is nothing to wait with.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        use core::sync::atomic::Ordering;

        if self.taken.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: the flag was not taken and is now, so nobody else has a reference, and it is given
        // back only after `f` has returned. If `f` panics it stays taken for ever.
        #[expect(unsafe_code, reason = "there is no lock without an operating system")]
        let result = f(unsafe { &mut *self.value.get() });
        self.taken.store(false, Ordering::Release);
        Some(result)
    }
}
