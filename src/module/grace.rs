//! The grace period: after a restart with data, and after a promotion, no lease expires for
//! `grace-ms`, because workers could not extend while nobody answered.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::settings;
use crate::engine::units::Millis;

/// When this server last became able to answer; 0: it always was.
static SINCE: AtomicU64 = AtomicU64::new(0);

/// Starts the grace period.
pub fn start(now: Millis) {
    SINCE.store(now.0, Relaxed);
}

/// The moment from which leases may expire.
pub fn expire_from() -> Millis {
    match SINCE.load(Relaxed) {
        0 => Millis(0),
        since => Millis(since).plus(settings::current().grace_ms),
    }
}
