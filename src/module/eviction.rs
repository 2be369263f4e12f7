//! Watches `maxmemory-policy`. An `allkeys-*` policy may evict a key with all its workflows when
//! memory runs short; the operator should hear of that before it happens.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::server::{Ctx, Level};

/// What the operator is told.
pub const WARNING: &CStr =
    c"maxmemory-policy is allkeys-*: when memory runs short the server may evict whole spaces \
      with all their workflows; noeviction is safe";

static RISKY: AtomicBool = AtomicBool::new(false);

/// True when a space could be evicted.
pub fn is_risky() -> bool {
    RISKY.load(Relaxed)
}

/// Looks at the policy, at load and whenever the configuration changed.
pub fn check(ctx: &Ctx<'_>) {
    let policy = ctx.info_field(c"memory", c"maxmemory_policy").unwrap_or_default();
    let risky = policy.starts_with("allkeys-");
    if risky && !RISKY.swap(risky, Relaxed) {
        ctx.log(Level::Warning, &WARNING.to_string_lossy());
    }
    RISKY.store(risky, Relaxed);
}
