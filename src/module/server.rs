//! The server as seen from a callback: flags, clock, log, replication, timers.

use std::ffi::{CStr, CString, c_char, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use redis_module::raw;

use super::api::{OK, api, has};
use super::clock;
use super::key::KeyName;
use crate::engine::units::Millis;

/// The server's context of one callback.
pub struct Ctx<'a> {
    raw: NonNull<raw::RedisModuleCtx>,
    callback: PhantomData<&'a ()>,
}

/// A timer that has not fired.
#[derive(Clone, Copy, Debug)]
pub struct TimerId(raw::RedisModuleTimerID);

/// How far ahead a timer may be, in milliseconds: half an hour. Redis 7.0 counts what is left of the next
/// timer, once another one has fired, in microseconds of 32 bits: one that is due more than 35 minutes
/// later has it run in circles, with a core to itself.
pub const LONGEST_TIMER: u64 = 30 * 60 * 1_000;

/// What the server says about itself and the caller.
#[derive(Clone, Copy)]
pub struct Flags(u32);

impl Flags {
    /// This server is the primary.
    pub fn primary(self) -> bool {
        self.0 & raw::REDISMODULE_CTX_FLAGS_MASTER != 0
    }

    /// This server is a node of a cluster.
    pub fn cluster(self) -> bool {
        self.0 & raw::REDISMODULE_CTX_FLAGS_CLUSTER != 0
    }

    /// A file is being loaded.
    pub fn loading(self) -> bool {
        self.0 & raw::REDISMODULE_CTX_FLAGS_LOADING != 0
    }

    /// The command stands in a file that is being loaded. Where one is loaded beside what is there, commands
    /// are those of clients.
    pub fn comes_from_file(self) -> bool {
        self.loading() && self.0 & raw::REDISMODULE_CTX_FLAGS_ASYNC_LOADING == 0
    }

    /// The command comes from the primary's stream or from a file.
    pub fn replayed(self) -> bool {
        self.0 & raw::REDISMODULE_CTX_FLAGS_REPLICATED != 0 || self.comes_from_file()
    }

    /// The command is one of several in MULTI or in a script.
    pub fn in_transaction(self) -> bool {
        self.0 & (raw::REDISMODULE_CTX_FLAGS_MULTI | raw::REDISMODULE_CTX_FLAGS_LUA) != 0
    }

    /// The command runs in a script.
    pub fn in_script(self) -> bool {
        self.0 & raw::REDISMODULE_CTX_FLAGS_LUA != 0
    }

    /// True when work without a command is allowed now: on the primary, not while loading, not
    /// while clients are paused or a failover waits for the replicas. Writing to the replication
    /// stream in such a pause ends the server.
    pub fn may_work(self) -> bool {
        self.primary() && !self.loading() && !avoid_replica_traffic()
    }

    /// The client may be blocked until there is work for it. Not on a replica, even a writable one:
    /// nobody would be woken there.
    pub fn may_block(self) -> bool {
        self.primary() && self.may_wait()
    }

    /// The client may be blocked until others have changed something. On a replica that is what
    /// comes from its primary.
    pub fn may_wait(self) -> bool {
        self.0 & raw::REDISMODULE_CTX_FLAGS_DENY_BLOCKING == 0 && !self.in_transaction() && !self.replayed()
    }
}

impl Ctx<'_> {
    /// # Safety
    /// `raw` is the context that the server passed to the running callback.
    pub unsafe fn new(raw: *mut raw::RedisModuleCtx) -> Self {
        Ctx { raw: NonNull::new(raw).expect("a context"), callback: PhantomData }
    }

    /// For direct calls.
    pub fn raw(&self) -> *mut raw::RedisModuleCtx {
        self.raw.as_ptr()
    }

    /// The state of the server and of the caller.
    pub fn flags(&self) -> Flags {
        // SAFETY: the context is valid.
        Flags(unsafe { api!(RedisModule_GetContextFlags(self.raw())) } as u32)
    }

    /// See [`Flags::may_work`].
    pub fn may_work(&self) -> bool {
        self.flags().may_work()
    }

    /// True when this server is a primary of a cluster and a command on this key, which is missing, would
    /// be sent elsewhere: the slot is moving, or has moved. The server then refuses to run one from here.
    pub fn is_moving(&self, key: &KeyName<'_>) -> bool {
        let flags = self.flags();
        if !flags.cluster() || !flags.primary() {
            return false;
        }
        // SAFETY: the context is valid; the format asks for a string of the server's; a reply is ours
        // to free.
        unsafe {
            let call = raw::RedisModule_Call.expect("RedisModule_Call");
            let reply = call(self.raw(), c"EXISTS".as_ptr(), c"s".as_ptr(), key.raw());
            if !reply.is_null() {
                api!(RedisModule_FreeCallReply(reply));
            }
            reply.is_null()
        }
    }

    /// The database of the caller.
    pub fn db(&self) -> i32 {
        // SAFETY: the context is valid.
        unsafe { api!(RedisModule_GetSelectedDb(self.raw())) }
    }

    /// Selects a database; for contexts of timers and events only, which have a client of their
    /// own. False when there is no such database.
    pub fn select(&self, db: i32) -> bool {
        // SAFETY: the context is valid.
        unsafe { api!(RedisModule_SelectDb(self.raw(), db)) == OK }
    }

    /// Passes the running command on as it came: on a replica, to its AOF. Never outside a
    /// command: that would write an empty command, and the AOF could not be loaded again.
    pub fn replicate_verbatim(&self) {
        // SAFETY: the context is valid and that of a command.
        unsafe { api!(RedisModule_ReplicateVerbatim(self.raw())) };
    }

    /// Tells WATCH and client-side caches that the key changed.
    pub fn signal_modified(&self, key: &KeyName<'_>) {
        // SAFETY: context and name are valid.
        unsafe { api!(RedisModule_SignalModifiedKey(self.raw(), key.raw())) };
    }

    /// Publishes a keyspace notification of class `d`. Names longer than 63 bytes are cut.
    pub fn notify(&self, event: &str, key: &KeyName<'_>) {
        let mut name = [0_u8; 64];
        let length = event.len().min(name.len() - 1);
        name[..length].copy_from_slice(&event.as_bytes()[..length]);
        let class = raw::REDISMODULE_NOTIFY_MODULE;
        // SAFETY: context and key name are valid, the event's name ends with a NUL.
        unsafe { api!(RedisModule_NotifyKeyspaceEvent(self.raw(), class, name.as_ptr().cast(), key.raw())) };
    }

    /// Calls `callback` once after `delay_ms`, at most [`LONGEST_TIMER`].
    pub fn start_timer(
        &self,
        delay_ms: u64,
        callback: unsafe extern "C" fn(*mut raw::RedisModuleCtx, *mut c_void),
    ) -> TimerId {
        debug_assert!(delay_ms <= LONGEST_TIMER);
        // SAFETY: the context is valid; `callback` needs no data.
        TimerId(unsafe {
            api!(RedisModule_CreateTimer(self.raw(), delay_ms as i64, Some(callback), ptr::null_mut()))
        })
    }

    /// Stops a timer that has not fired. From inside its own callback this is not allowed.
    pub fn stop_timer(&self, timer: TimerId) {
        // SAFETY: the context is valid; an unknown timer is an error code, not harm.
        unsafe { api!(RedisModule_StopTimer(self.raw(), timer.0, ptr::null_mut())) };
    }

    /// Writes to the server's log.
    pub fn log(&self, level: Level, text: &str) {
        // SAFETY: the context is valid.
        unsafe { log(self.raw(), level, text) };
    }

    /// One field of INFO.
    pub fn info_field(&self, section: &CStr, field: &CStr) -> Option<String> {
        // SAFETY: the context and the strings are valid; the field's text lives as long as
        // `data`, which is freed after it was copied.
        unsafe {
            let data = api!(RedisModule_GetServerInfo(self.raw(), section.as_ptr()));
            let text: *const c_char = api!(RedisModule_ServerInfoGetFieldC(data, field.as_ptr()));
            let text = (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned());
            api!(RedisModule_FreeServerInfo(self.raw(), data));
            text
        }
    }
}

fn avoid_replica_traffic() -> bool {
    // SAFETY: takes nothing.
    unsafe { api!(RedisModule_AvoidReplicaTraffic()) != 0 }
}

/// The time of the running command. Where the server has a cached clock (from 7.2), all commands
/// of a transaction and of a script see the same time, as with the server's own commands.
pub fn command_time() -> Millis {
    if has!(RedisModule_CachedMicroseconds) {
        // SAFETY: takes nothing.
        let now = unsafe { api!(RedisModule_CachedMicroseconds()) };
        return clock::read(u64::try_from(now).unwrap_or(0) / 1_000);
    }
    live_time()
}

/// The time on the clock, for work that is not a command: there the cached one may be old.
pub fn live_time() -> Millis {
    clock::read(wall())
}

/// The same, with a look at whether the clock was set.
pub fn checked_time() -> Millis {
    clock::look(wall())
}

fn wall() -> u64 {
    // SAFETY: takes nothing.
    u64::try_from(unsafe { api!(RedisModule_Milliseconds()) }).unwrap_or(0)
}

/// How loud a line of the log is.
#[derive(Clone, Copy)]
pub enum Level {
    /// Always shown.
    Warning,
    /// Shown by default.
    Notice,
}

impl Level {
    fn name(self) -> &'static CStr {
        match self {
            Level::Warning => c"warning",
            Level::Notice => c"notice",
        }
    }
}

/// One line of text for a C string: printable ASCII, everything else escaped.
fn line(text: &str) -> CString {
    CString::new(
        text.bytes()
            .flat_map(|byte| match byte {
                b' '..=b'~' => vec![byte],
                other => std::ascii::escape_default(other).collect(),
            })
            .collect::<Vec<u8>>(),
    )
    .expect("escaped")
}

/// Writes to the server's log where no context is at hand.
pub fn log_anywhere(level: Level, text: &str) {
    // SAFETY: without a context the server does not know whose line it is, and that is allowed.
    unsafe { log(ptr::null_mut(), level, &format!("workflow: {text}")) };
}

/// # Safety
/// `ctx` is valid or null.
unsafe fn log(ctx: *mut raw::RedisModuleCtx, level: Level, text: &str) {
    if has!(RedisModule_Log) {
        let text = line(text);
        // SAFETY: as the caller promises; the format asks for the one string it gets.
        unsafe {
            api!(RedisModule_Log(ctx, level.name().as_ptr(), c"%s".as_ptr(), text.as_ptr()));
        }
    }
}

/// Writes about a file that is being read to the server's log.
///
/// # Safety
/// `io` is the one that the server passed to the running callback.
pub unsafe fn log_io(io: *mut raw::RedisModuleIO, text: &str) {
    let text = line(text);
    // SAFETY: `io` is valid; the format asks for the one string it gets.
    unsafe {
        api!(RedisModule_LogIOError(io, Level::Warning.name().as_ptr(), c"%s".as_ptr(), text.as_ptr()))
    };
}
