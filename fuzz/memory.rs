//! An allocator that counts, so that a few bytes that make the module allocate gigabytes are noticed
//! and not just survived.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[cfg_attr(feature = "module", allow(dead_code))]
struct Counting;

// With the glue the crate has the server's allocator, and only one can be there.
#[cfg_attr(not(feature = "module"), global_allocator)]
#[cfg_attr(feature = "module", allow(dead_code))]
static COUNTING: Counting = Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// More than this is refused, so that the machine survives as well.
const MOST: usize = 2 << 30;

fn grows(by: usize) -> bool {
    let live = LIVE.fetch_add(by, Relaxed) + by;
    PEAK.fetch_max(live, Relaxed);
    live <= MOST
}

// SAFETY: all memory comes from and goes back to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !grows(layout.size()) {
            LIVE.fetch_sub(layout.size(), Relaxed);
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // While it moves, both are there.
        if !grows(size) {
            LIVE.fetch_sub(size, Relaxed);
            return std::ptr::null_mut();
        }
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Does something, and says how many bytes more were allocated at the highest than before.
pub fn peak<R>(body: impl FnOnce() -> R) -> (R, usize) {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = body();
    (result, PEAK.load(Relaxed).saturating_sub(before))
}

/// Does something with an input of `len` bytes; an error when it allocates more than `base` bytes and
/// `factor` for each byte.
pub fn within<R>(len: usize, base: usize, factor: usize, body: impl FnOnce() -> R) -> Result<R, String> {
    let (result, bytes) = peak(body);
    match bytes <= base + factor * len {
        true => Ok(result),
        false => Err(format!("{bytes} bytes were allocated for an input of {len}")),
    }
}

/// What is allocated and freed again is seen.
pub fn self_test() {
    let large = || drop(std::hint::black_box(vec![1_u8; 100_000]));
    assert!(within(10, 1_000, 10_000, large).is_ok());
    assert!(within(10, 1_000, 1, large).is_err());
}
