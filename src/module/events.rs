//! What the server tells the module: changes of role, loading, databases that swap, keys that
//! change their name, the configuration, and its heartbeat.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::Ordering::Relaxed;

use redis_module::raw;

use super::api::{OK, api};
use super::awaiting;
use super::blocking;
use super::eviction;
use super::grace;
use super::key::{Holds, KeyName, Mode, OpenKey, Target};
use super::reading;
use super::schedule;
use super::server::{Ctx, live_time};
use super::settings;
use super::value::GAUGES;
use crate::commands::waiting::Place;

const EVENTS: [u64; 6] = [
    raw::REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED,
    raw::REDISMODULE_EVENT_LOADING,
    raw::REDISMODULE_EVENT_FLUSHDB,
    raw::REDISMODULE_EVENT_SWAPDB,
    raw::REDISMODULE_EVENT_CRON_LOOP,
    raw::REDISMODULE_EVENT_CONFIG,
];

/// Subscribes to everything; false when the server refuses.
pub fn subscribe(ctx: &Ctx<'_>) -> bool {
    let all = EVENTS.into_iter().all(|id| {
        // The header has its events as `static const`, of which there is no symbol to link to.
        let event = raw::RedisModuleEvent { id, dataver: 1 };
        // SAFETY: the context is valid.
        unsafe { api!(RedisModule_SubscribeToServerEvent(ctx.raw(), event, Some(on_event))) == OK }
    });
    let class =
        raw::REDISMODULE_NOTIFY_GENERIC | raw::REDISMODULE_NOTIFY_EXPIRED | raw::REDISMODULE_NOTIFY_EVICTED;
    // SAFETY: the context is valid.
    all && unsafe { api!(RedisModule_SubscribeToKeyspaceEvents(ctx.raw(), class, Some(on_key))) == OK }
}

unsafe extern "C" fn on_event(
    ctx: *mut raw::RedisModuleCtx,
    event: raw::RedisModuleEvent,
    subevent: u64,
    data: *mut c_void,
) {
    // SAFETY: the server's context.
    let ctx = unsafe { Ctx::new(ctx) };
    match event.id {
        raw::REDISMODULE_EVENT_CRON_LOOP => {
            schedule::cron(&ctx);
            awaiting::cron(&ctx);
            reading::cron(&ctx);
        }
        raw::REDISMODULE_EVENT_LOADING if subevent == raw::REDISMODULE_SUBEVENT_LOADING_ENDED => {
            loaded(&ctx);
        }
        raw::REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED
            if subevent == raw::REDISMODULE_EVENT_REPLROLECHANGED_NOW_MASTER =>
        {
            grace::start(live_time());
            schedule::arm(&ctx);
        }
        raw::REDISMODULE_EVENT_FLUSHDB if subevent == raw::REDISMODULE_SUBEVENT_FLUSHDB_START => {
            // SAFETY: this event comes with this structure.
            let db = unsafe { &*data.cast::<raw::RedisModuleFlushInfo>() }.dbnum;
            schedule::forget_database((db != -1).then_some(db));
            awaiting::changed(&ctx, |place| db == -1 || place.db == db);
        }
        raw::REDISMODULE_EVENT_SWAPDB => {
            // SAFETY: this event comes with this structure.
            let swap = unsafe { &*data.cast::<raw::RedisModuleSwapDbInfo>() };
            schedule::swap_databases(swap.dbnum_first, swap.dbnum_second);
            let swapped = [swap.dbnum_first, swap.dbnum_second];
            look_again(&ctx, |place| swapped.contains(&place.db));
            awaiting::changed(&ctx, |place| swapped.contains(&place.db));
        }
        raw::REDISMODULE_EVENT_CONFIG => {
            eviction::check(&ctx);
            schedule::look_at_all(live_time());
            schedule::arm(&ctx);
        }
        _ => {}
    }
}

/// A file was loaded: by a start, by DEBUG RELOAD, or from the primary. Clients that were waiting
/// before may find tasks now.
fn loaded(ctx: &Ctx<'_>) {
    if GAUGES.spaces.load(Relaxed) > 0 {
        grace::start(live_time());
    }
    look_again(ctx, |_| true);
    awaiting::changed(ctx, |_| true);
}

/// Spaces may have appeared under names at which clients wait: they are looked at from a timer,
/// because nothing may be replicated from inside an event.
fn look_again(ctx: &Ctx<'_>, wanted: impl Fn(&Place) -> bool) {
    for place in blocking::places().iter().filter(|place| wanted(place)) {
        schedule::defer(place.view());
    }
    schedule::arm(ctx);
}

/// A key changed its name: when something is due in it next is noted under the name it has now, and whoever
/// waits there is served.
unsafe extern "C" fn on_key(
    ctx: *mut raw::RedisModuleCtx,
    _class: c_int,
    event: *const c_char,
    key: *mut raw::RedisModuleString,
) -> c_int {
    // SAFETY: the server's context, the name of an event that ends with a NUL, and a string that
    // lives as long as the callback runs.
    let (ctx, event, name) = unsafe { (Ctx::new(ctx), CStr::from_ptr(event).to_bytes(), KeyName::new(key)) };
    let target = Target { db: ctx.db(), name };
    match event {
        b"rename_to" | b"move_to" | b"copy_to" | b"restore" => named(&ctx, &target),
        b"rename_from" | b"move_from" | b"del" | b"expired" | b"evicted" => schedule::forget(target.place()),
        _ => return OK,
    }
    awaiting::changed_at(&ctx, target.place());
    OK
}

fn named(ctx: &Ctx<'_>, target: &Target<'_>) {
    let due = match OpenKey::open(ctx, &target.name, Mode::Look).holds() {
        Holds::Space(value) => value.space.next_due(&settings::current(), grace::expire_from()),
        Holds::Nothing | Holds::Another => None,
    };
    if let Some(due) = due {
        schedule::note(target.place(), due);
    }
    if blocking::any_at(target.place()) {
        schedule::defer(target.place());
    }
    schedule::arm(ctx);
}
