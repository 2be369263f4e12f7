//! Slots of a cluster that are on their way to this server.
//!
//! Where a slot moves as a whole (Valkey 9, Redis 8.4), its spaces are loaded here first and follow
//! their owner command by command, as on a replica, until the slot changes hands in one moment. Until then
//! no time may pass in them here: a lease that ended on both servers would end twice, and the effects
//! that still come would belong to another past. The same goes for what is left behind on the old
//! owner until it has removed it.
//!
//! Redis says of each slot whether its keys are in use here. Valkey tells when an import begins
//! and ends, and moves slots as a whole only if every module declares that it can follow.

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use redis_module::raw;

use super::api::{OK, api, has};
use super::server::Ctx;
use crate::commands::hash_slot;

/// Valkey's `VALKEYMODULE_OPTIONS_HANDLE_ATOMIC_SLOT_MIGRATION`. Redis has no option of this value.
pub const OPTION_ATOMIC_MIGRATION: u32 = 1 << 5;

/// Valkey's `VALKEYMODULE_EVENT_ATOMIC_SLOT_MIGRATION`. In Redis this number is another event.
const EVENT_ATOMIC_MIGRATION: u64 = 19;
const IMPORT_STARTED: u64 = 0;
const IMPORT_ABORTED: u64 = 2;
const IMPORT_COMPLETED: u64 = 4;

/// What comes with Valkey's event.
#[repr(C)]
struct MigrationInfo {
    version: u64,
    job_name: [c_char; 41],
    ranges: *const Range,
    count: u32,
}

/// Slots from the first to the last, both of them included.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
struct Range {
    first: c_int,
    last: c_int,
}

/// What Valkey is importing.
static IMPORTS: Mutex<Vec<Range>> = Mutex::new(Vec::new());
/// Whether that is anything.
static IMPORTING: AtomicBool = AtomicBool::new(false);

/// Subscribes to what Valkey tells; false when it refuses. Other servers, and Valkey before 9, have nothing
/// of the kind.
pub fn subscribe(ctx: &Ctx<'_>) -> bool {
    let version = ctx.info_field(c"server", c"valkey_version").unwrap_or_default();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 9) {
        return true;
    }
    let event = raw::RedisModuleEvent { id: EVENT_ATOMIC_MIGRATION, dataver: 1 };
    // SAFETY: the context is valid.
    unsafe { api!(RedisModule_SubscribeToServerEvent(ctx.raw(), event, Some(on_migration))) == OK }
}

unsafe extern "C" fn on_migration(
    _: *mut raw::RedisModuleCtx,
    _: raw::RedisModuleEvent,
    subevent: u64,
    data: *mut c_void,
) {
    // SAFETY: this event comes with this structure, which points to so many ranges.
    let ranges = unsafe {
        let info = &*data.cast::<MigrationInfo>();
        match info.ranges.is_null() {
            true => &[],
            false => std::slice::from_raw_parts(info.ranges, info.count as usize),
        }
    };
    let mut imports = IMPORTS.lock().unwrap_or_else(PoisonError::into_inner);
    match subevent {
        IMPORT_STARTED => imports.extend(ranges),
        // Slots are imported by one migration at a time, so equal ranges are those of the same one.
        IMPORT_ABORTED | IMPORT_COMPLETED => imports.retain(|range| !ranges.contains(range)),
        _ => {}
    }
    IMPORTING.store(!imports.is_empty(), Relaxed);
}

/// Whether time passes here in what this key holds; see the module's prose. True outside of a cluster.
pub fn is_in_use(ctx: &Ctx<'_>, key: &[u8]) -> bool {
    if has!(RedisModule_ClusterCanAccessKeysInSlot) {
        let slot = || c_int::from(hash_slot::of(key));
        // SAFETY: takes a number.
        return !ctx.flags().cluster()
            || unsafe { api!(RedisModule_ClusterCanAccessKeysInSlot(slot())) } != 0;
    }
    if !IMPORTING.load(Relaxed) {
        return true;
    }
    let slot = c_int::from(hash_slot::of(key));
    let imports = IMPORTS.lock().unwrap_or_else(PoisonError::into_inner);
    !imports.iter().any(|range| (range.first..=range.last).contains(&slot))
}
