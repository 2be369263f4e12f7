//! Calling the server's C functions.
//!
//! `redis-module` declares one static function pointer for each function of the module API.
//! `RedisModule_Init` fills in those that the server has; the others stay empty.

/// Calls a function that every supported server has. To be used in an `unsafe` block.
macro_rules! api {
    ($name:ident($($argument:expr),* $(,)?)) => {
        (redis_module::raw::$name.expect(stringify!($name)))($($argument),*)
    };
}

/// True when the server has the function.
macro_rules! has {
    ($name:ident) => {{
        // SAFETY: the pointer is written once, by `RedisModule_Init`, before other threads run.
        let pointer = unsafe { redis_module::raw::$name };
        pointer.is_some()
    }};
}

pub(super) use {api, has};

/// The status of success.
pub const OK: i32 = redis_module::raw::REDISMODULE_OK as i32;
/// The status of failure.
pub const ERR: i32 = redis_module::raw::REDISMODULE_ERR as i32;
