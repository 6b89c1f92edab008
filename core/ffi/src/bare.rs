//! What WebAssembly lacks without the standard library: a heap, and what is to be done at a panic.
#![expect(unsafe_code, reason = "an allocator is made of pointers")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

#[global_allocator]
static HEAP: Heap =
    Heap(UnsafeCell::new(State { free: [ptr::null_mut(); CLASSES], top: 0, end: 0 }));

/// Sizes are rounded up to powers of two; what is given back is kept for the next of its size. An eighth of the
/// code of a general allocator, which matters more to a guest than the room between sizes.
struct Heap(UnsafeCell<State>);

/// Powers of two up to 1 GiB.
const CLASSES: usize = 31;
/// Bytes of a page, as a power of two.
const PAGE: usize = 16;

struct State {
    /// What was given back, by size: each begins with a pointer to the next.
    free: [*mut u8; CLASSES],
    /// Of what was never used: where it begins and ends.
    top: usize,
    end: usize,
}

// SAFETY: a module without the standard library has one thread.
unsafe impl Sync for Heap {}

/// The power of two that is large enough, and at least a pointer.
fn class(layout: Layout) -> usize {
    let size = layout.size().max(layout.align()).max(size_of::<*mut u8>());
    (usize::BITS - (size - 1).leading_zeros()) as usize
}

// SAFETY: `alloc` gives room that nobody else has: either what was given back before, or what lies behind all
// that was given out. It is as large as its class, and aligned to that, or to a page if it is larger: a part of
// the memory that begins at a multiple of its size, or of a page. Nothing panics.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, and neither function calls the other or anything else that allocates.
        let state = unsafe { &mut *self.0.get() };
        let class = class(layout);
        let Some(free) = state.free.get_mut(class) else { return ptr::null_mut() };
        if !free.is_null() {
            let place = *free;
            // SAFETY: `dealloc` wrote a pointer there, and the place was nobody's since.
            *free = unsafe { place.cast::<*mut u8>().read_unaligned() };
            return place;
        }
        let size = 1 << class;
        // Larger ones are aligned to a page, so that what is added below is enough.
        let align = size.min(1 << PAGE);
        if layout.align() > align {
            return ptr::null_mut();
        }
        let mut start = (state.top + align - 1) & !(align - 1);
        if start + size > state.end {
            let pages = (size >> PAGE) + 1;
            let before = core::arch::wasm32::memory_grow(0, pages);
            if before == usize::MAX {
                return ptr::null_mut();
            }
            // Somebody else may have made the memory grow as well.
            if before << PAGE != state.end {
                state.top = before << PAGE;
            }
            state.end = (before + pages) << PAGE;
            start = (state.top + align - 1) & !(align - 1);
            if start + size > state.end {
                return ptr::null_mut();
            }
        }
        state.top = start + size;
        ptr::with_exposed_provenance_mut(start)
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        let state = unsafe { &mut *self.0.get() };
        if let Some(free) = state.free.get_mut(class(layout)) {
            // SAFETY: the place is at least as large as a pointer, and nobody uses it any more.
            unsafe { place.cast::<*mut u8>().write_unaligned(*free) };
            *free = place;
        }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size is one of a layout.
        let larger = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if class(larger) == class(layout) {
            return place;
        }
        // SAFETY: of the old place as much is copied as both have.
        unsafe {
            let new = self.alloc(larger);
            if !new.is_null() {
                ptr::copy_nonoverlapping(place, new, layout.size().min(size));
                self.dealloc(place, layout);
            }
            new
        }
    }
}
