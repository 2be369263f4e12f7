//! The server's memory as Rust's allocator, so `used_memory`, `maxmemory` and the fragmentation
//! figures count every byte of every space.
//!
//! Alignment: Redis and Valkey build their jemalloc with size classes 8 bytes apart, so a block of
//! 24, 40 or 56 bytes is aligned to 8 only, whereas `malloc` promises 16. (Debian's package uses
//! the system's jemalloc and hides that.) A block whose size is a multiple of 16 is aligned to 16
//! everywhere, so sizes are rounded up to a multiple of the alignment. What needs more than 16
//! gets a larger block and remembers where that begins.
//!
//! Where there is no server (the test runner of this crate), the system's allocator steps in.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_void;
use std::ptr;

use super::api::{api, has};

#[global_allocator]
static SERVER_MEMORY: ServerMemory = ServerMemory;

struct ServerMemory;

/// The largest alignment that a block of the server's has when its size is a multiple of it.
const NATURAL: usize = 16;

/// The size to ask for.
fn padded(size: usize, layout: &Layout) -> usize {
    size.next_multiple_of(layout.align())
}

/// The block behind an over-aligned pointer stands in front of it.
fn behind(pointer: *mut u8) -> *mut *mut c_void {
    pointer.cast::<*mut c_void>().wrapping_sub(1)
}

// SAFETY: each method hands out blocks of at least the layout's size and alignment, from one and
// the same allocator for the life of the process: `RedisModule_Init` comes before the first
// allocation in a server and never in a test.
unsafe impl GlobalAlloc for ServerMemory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !has!(RedisModule_Alloc) {
            // SAFETY: the caller's promise is the one `System` asks for.
            return unsafe { System.alloc(layout) };
        }
        if layout.align() <= NATURAL {
            // SAFETY: RM_Alloc takes any size.
            return unsafe { api!(RedisModule_Alloc(padded(layout.size(), &layout))) }.cast();
        }
        let Some(size) = layout.size().checked_add(layout.align()) else {
            return ptr::null_mut();
        };
        // SAFETY: RM_Alloc takes any size.
        let block = unsafe { api!(RedisModule_Alloc(size)) };
        if block.is_null() {
            return ptr::null_mut();
        }
        // One step further than the block's beginning at least, which leaves room for a pointer,
        // because the block is aligned to 16 and the layout to more.
        let start = block.cast::<u8>();
        let padding = layout.align() - start.addr() % layout.align();
        // SAFETY: `padding` is at most `layout.align()`, by which the block is larger; it is a
        // multiple of 16, so the pointer in front is inside the block and aligned.
        unsafe {
            let pointer = start.add(padding);
            behind(pointer).write(block);
            pointer
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !has!(RedisModule_Free) {
            // SAFETY: the caller's promise is the one `System` asks for.
            unsafe { System.dealloc(pointer, layout) };
        } else if layout.align() <= NATURAL {
            // SAFETY: `pointer` came from RM_Alloc, RM_Calloc or RM_Realloc.
            unsafe { api!(RedisModule_Free(pointer.cast())) };
        } else {
            // SAFETY: `alloc` left the block's beginning in front of the pointer.
            unsafe { api!(RedisModule_Free(behind(pointer).read())) };
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !has!(RedisModule_Calloc) {
            // SAFETY: the caller's promise is the one `System` asks for.
            return unsafe { System.alloc_zeroed(layout) };
        }
        if layout.align() <= NATURAL {
            // SAFETY: RM_Calloc takes any size.
            return unsafe { api!(RedisModule_Calloc(1, padded(layout.size(), &layout))) }.cast();
        }
        // SAFETY: as the caller promised to us.
        let pointer = unsafe { self.alloc(layout) };
        if !pointer.is_null() {
            // SAFETY: `pointer` is good for `layout.size()` bytes.
            unsafe { pointer.write_bytes(0, layout.size()) };
        }
        pointer
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !has!(RedisModule_Realloc) {
            // SAFETY: the caller's promise is the one `System` asks for.
            return unsafe { System.realloc(pointer, layout, new_size) };
        }
        if layout.align() <= NATURAL {
            let size = padded(new_size, &layout);
            // SAFETY: `pointer` came from RM_Alloc, RM_Calloc or RM_Realloc.
            return unsafe { api!(RedisModule_Realloc(pointer.cast::<c_void>(), size)) }.cast();
        }
        // SAFETY: the caller promises that `new_size` fits the layout's alignment; the blocks are
        // different and as long as what is copied; the old one is not used again.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                ptr::copy_nonoverlapping(pointer, new, layout.size().min(new_size));
                self.dealloc(pointer, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn over_aligned_blocks_are_aligned_and_keep_their_bytes() {
        #[repr(align(256))]
        struct Wide([u8; 300]);
        let mut all: Vec<Box<Wide>> = Vec::new();
        for n in 0..50 {
            all.push(Box::new(Wide([n; 300])));
        }
        for (n, wide) in all.iter().enumerate() {
            assert_eq!(std::ptr::from_ref::<Wide>(wide).addr() % 256, 0);
            assert!(wide.0.iter().all(|&byte| usize::from(byte) == n));
        }
    }
}
