//! Random bits for tokens, from the server's generator, which is seeded from the operating
//! system. Drawn in bulk: the generator costs a hash a call.

use std::sync::{Mutex, PoisonError};

use super::api::api;

const WORDS: usize = 128;

struct Drawn {
    bytes: [u8; WORDS * 4],
    left: usize,
}

static DRAWN: Mutex<Drawn> = Mutex::new(Drawn { bytes: [0; WORDS * 4], left: 0 });

/// Draws 32 bits.
pub fn draw() -> u32 {
    let mut drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    if drawn.left == 0 {
        // SAFETY: the server fills as many bytes as it is told.
        unsafe { api!(RedisModule_GetRandomBytes(drawn.bytes.as_mut_ptr(), WORDS * 4)) };
        drawn.left = WORDS;
    }
    drawn.left -= 1;
    let at = drawn.left * 4;
    u32::from_le_bytes([drawn.bytes[at], drawn.bytes[at + 1], drawn.bytes[at + 2], drawn.bytes[at + 3]])
}
