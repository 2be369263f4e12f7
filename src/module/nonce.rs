//! Random bits for tokens: a small generator (splitmix64) that is seeded, and seeded again every
//! few thousand draws, from the server's, which is seeded from the operating system. The server's
//! own costs a SHA-256 for every five draws, which was a tenth of the cost of a claimed task.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::api::api;

/// Draws between two seeds.
const DRAWS: u64 = 4096;

static STATE: AtomicU64 = AtomicU64::new(0);
static LEFT: AtomicU64 = AtomicU64::new(0);

/// Draws 32 bits. Everything here runs under the server's global lock; the atomics are for the
/// compiler.
pub fn draw() -> u32 {
    let left = LEFT.load(Relaxed);
    if left == 0 {
        let mut seed = [0u8; 8];
        // SAFETY: the server fills as many bytes as it is told.
        unsafe { api!(RedisModule_GetRandomBytes(seed.as_mut_ptr(), seed.len())) };
        STATE.store(u64::from_le_bytes(seed), Relaxed);
    }
    LEFT.store(if left == 0 { DRAWS } else { left - 1 }, Relaxed);
    let state = STATE.load(Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.store(state, Relaxed);
    let mut bits = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)) as u32
}
