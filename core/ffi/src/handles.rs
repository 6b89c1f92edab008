//! Connections by their handles.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::Port;
use crate::lock::Lock;
use crate::status::{IPFI_BUSY, IPFI_FAULT, IPFI_NO_HANDLE};

/// A place for a connection. The handle is the place's number and how often it was used.
struct Place {
    generation: u32,
    port: Option<Arc<Lock<Port>>>,
}

/// Bits of a handle that number the place.
const PLACE: u32 = 16;

static PLACES: Lock<Vec<Place>> = Lock::new(Vec::new());

/// A new connection's handle; 0 if there are 65,535 already.
pub(crate) fn open() -> u32 {
    let opened = PLACES.with(|places| {
        let port = Arc::new(Lock::new(Port::new()));
        let free = places.iter().position(|place| place.port.is_none());
        let index = free.unwrap_or(places.len());
        // The first handle is 1, because 0 means that there is none.
        let number = u32::try_from(index + 1).ok().filter(|number| *number < 1 << PLACE)?;
        match places.get_mut(index) {
            Some(place) => place.port = Some(port),
            None => places.push(Place { generation: 0, port: Some(port) }),
        }
        let generation = places.get(index)?.generation;
        Some(generation << PLACE | number)
    });
    opened.flatten().unwrap_or(0)
}

fn place(places: &mut [Place], handle: u32) -> Option<&mut Place> {
    let number = handle & ((1 << PLACE) - 1);
    let place = places.get_mut((number as usize).checked_sub(1)?)?;
    (place.generation == handle >> PLACE && place.port.is_some()).then_some(place)
}

/// Forgets a connection; whoever uses it right now finishes first.
pub(crate) fn free(handle: u32) -> i32 {
    let freed = PLACES.with(|places| {
        let place = place(places, handle)?;
        // 15 bits, so that handles fit into a signed integer.
        place.generation = (place.generation + 1) & ((1 << (31 - PLACE)) - 1);
        place.port.take()
    });
    match freed {
        None => IPFI_BUSY,
        Some(None) => IPFI_NO_HANDLE,
        // Dropped here, where nobody waits for the other places.
        Some(Some(_)) => 0,
    }
}

/// Does something with a connection.
pub(crate) fn with(handle: u32, f: impl FnOnce(&mut Port) -> i32) -> i32 {
    let mut f = Some(f);
    // Written once for all functions: it is most of the code of each.
    with_dyn(handle, &mut |port| f.take().map_or(IPFI_FAULT, |f| f(port)))
}

fn with_dyn(handle: u32, f: &mut dyn FnMut(&mut Port) -> i32) -> i32 {
    let port = match PLACES.with(|places| place(places, handle)?.port.clone()) {
        None => return IPFI_BUSY,
        Some(None) => return IPFI_NO_HANDLE,
        Some(Some(port)) => port,
    };
    match guarded(|| port.with(f)) {
        Some(result) => result.unwrap_or(IPFI_BUSY),
        None => {
            free(handle);
            IPFI_FAULT
        }
    }
}

/// Runs something that must not unwind into its caller, who is not of Rust; `None` if it panicked.
#[cfg(feature = "std")]
fn guarded<R>(f: impl FnOnce() -> R) -> Option<R> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).ok()
}

/// Without the standard library a panic does not unwind.
#[cfg(not(feature = "std"))]
#[expect(clippy::unnecessary_wraps, reason = "with the standard library it may fail")]
fn guarded<R>(f: impl FnOnce() -> R) -> Option<R> {
    Some(f())
}
