//! What the allocator learns.

use std::{hint::black_box, sync::Once};

/// What glibc then keeps at most in each of its arenas is twice this.
const SHOWN: usize = 1 << 20;

/// glibc gives memory back to the system as soon as 128 KiB of it are free in a row, and takes a fault
/// for every page when it wants it again, which with large messages in flight is all the time: it
/// makes them three times slower. The limit is twice the largest block that it has seen freed
/// (`mallopt(3)`, `M_MMAP_THRESHOLD`), so it is shown one, of which no page is ever touched.
pub(crate) fn keep_what_is_freed() {
    static SHOW: Once = Once::new();
    if cfg!(target_env = "gnu") {
        SHOW.call_once(|| drop(black_box(Vec::<u8>::with_capacity(SHOWN))));
    }
}
