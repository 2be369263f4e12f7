//! `INFO workflow`.

use std::ffi::{CString, c_int};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use redis_module::raw;

use super::api::{OK, api};
use super::awaiting;
use super::blocking;
use super::eviction;
use super::reading;
use super::server::Ctx;
use super::value::GAUGES;
use crate::engine::state::{TaskState, WORKFLOW_WORDS};

/// What happened since the server started.
pub struct Counters {
    /// Effects applied, on a replica those of the primary.
    pub applied: AtomicU64,
    /// Leases that ran out.
    pub expired: AtomicU64,
    /// Attempts that took too long.
    pub timed_out: AtomicU64,
    /// Attempts that failed and are made again.
    pub retried: AtomicU64,
    /// Tasks that failed because too many deliveries were lost.
    pub poisoned: AtomicU64,
    /// Workflows that took too long.
    pub workflows_timed_out: AtomicU64,
    /// Looks of the timer at a space in which something was due.
    pub sweeps: AtomicU64,
    /// Entries appended to streams of events.
    pub events_appended: AtomicU64,
    /// Entries that a stream did not take.
    pub events_lost: AtomicU64,
}

/// The counters of INFO.
pub static COUNTERS: Counters = Counters {
    applied: AtomicU64::new(0),
    expired: AtomicU64::new(0),
    timed_out: AtomicU64::new(0),
    retried: AtomicU64::new(0),
    poisoned: AtomicU64::new(0),
    workflows_timed_out: AtomicU64::new(0),
    sweeps: AtomicU64::new(0),
    events_appended: AtomicU64::new(0),
    events_lost: AtomicU64::new(0),
};

/// Registers the section; false when the server refuses.
pub fn register(ctx: &Ctx<'_>) -> bool {
    // SAFETY: the context is valid.
    unsafe { api!(RedisModule_RegisterInfoFunc(ctx.raw(), Some(section))) == OK }
}

unsafe extern "C" fn section(to: *mut raw::RedisModuleInfoCtx, _for_crash_report: c_int) {
    // SAFETY: `to` is the server's. It says no when this section was not asked for.
    if unsafe { api!(RedisModule_InfoAddSection(to, c"".as_ptr())) } != OK {
        return;
    }
    let field = |name: &str, value: u64| {
        let Ok(name) = CString::new(name) else { return };
        // SAFETY: `to` is the server's, the server copies the name.
        unsafe { api!(RedisModule_InfoAddFieldULongLong(to, name.as_ptr(), value)) };
    };
    let gauge = |name: &str, value: &AtomicU64| field(name, value.load(Relaxed));
    gauge("spaces", &GAUGES.spaces);
    gauge("spaces_incomplete", &GAUGES.incomplete);
    for (word, value) in WORKFLOW_WORDS.iter().zip(&GAUGES.workflows) {
        gauge(&format!("workflows_{word}"), value);
    }
    for (state, value) in TaskState::ALL.iter().zip(&GAUGES.tasks) {
        gauge(&format!("tasks_{}", state.name()), value);
    }
    gauge("definitions", &GAUGES.definitions);
    field("waiting_clients", blocking::count());
    field("awaiting_clients", awaiting::count());
    field("documents_waiting", reading::count());
    field("documents_waiting_bytes", reading::bytes());
    gauge("effects_applied", &COUNTERS.applied);
    gauge("leases_expired", &COUNTERS.expired);
    gauge("attempts_timed_out", &COUNTERS.timed_out);
    gauge("attempts_retried", &COUNTERS.retried);
    gauge("poisoned_tasks", &COUNTERS.poisoned);
    gauge("deadlines_passed", &COUNTERS.workflows_timed_out);
    gauge("sweeps", &COUNTERS.sweeps);
    gauge("events_appended", &COUNTERS.events_appended);
    gauge("events_lost", &COUNTERS.events_lost);
    gauge("memory_bytes", &GAUGES.memory);
    if eviction::is_risky() {
        let (name, text) = (c"eviction_warning", eviction::WARNING);
        // SAFETY: `to` is the server's, the server copies the text.
        unsafe { api!(RedisModule_InfoAddFieldCString(to, name.as_ptr(), text.as_ptr())) };
    }
}
