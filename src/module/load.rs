//! What happens when the server loads the module.

use std::ffi::{CStr, c_char, c_int};

use redis_module::raw;

use super::api::{ERR, OK, api, has};
use super::server::{Ctx, Level};
use super::{datatype, events, eviction, info, panic, register, settings, slots};

/// The name of the module: the prefix of its settings and of its fields in INFO.
const NAME: &CStr = c"workflow";

/// Called by the server. Nothing may be allocated before `RedisModule_Init`.
///
/// # Safety
/// For the server only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RedisModule_OnLoad(
    ctx: *mut raw::RedisModuleCtx,
    _argv: *mut *mut raw::RedisModuleString,
    argc: c_int,
) -> c_int {
    let api_version = raw::REDISMODULE_APIVER_1 as c_int;
    let name: *const c_char = NAME.as_ptr();
    // SAFETY: the context is the server's.
    if unsafe { raw::Export_RedisModule_Init(ctx, name, version(), api_version) } != OK {
        return ERR;
    }
    panic::install();
    // SAFETY: the context is the server's.
    let ctx = unsafe { Ctx::new(ctx) };
    match load(&ctx, argc) {
        Ok(()) => OK,
        Err(reason) => {
            ctx.log(Level::Warning, reason);
            ERR
        }
    }
}

fn load(ctx: &Ctx<'_>, argc: c_int) -> Result<(), &'static str> {
    let recent = has!(RedisModule_RegisterNumericConfig)
        && has!(RedisModule_SetCommandInfo)
        && has!(RedisModule_BlockClientOnKeys)
        && has!(RedisModule_ACLCheckCommandPermissions);
    if !recent {
        return Err("this server is too old: the module needs Redis 7.0, Valkey 8.0 or newer");
    }
    if argc > 0 {
        return Err("the module takes no arguments: write a line `workflow.<setting> <value>` \
                    for each setting instead");
    }
    let options = raw::REDISMODULE_OPTIONS_HANDLE_IO_ERRORS
        | raw::REDISMODULE_OPTIONS_HANDLE_REPL_ASYNC_LOAD
        | raw::REDISMODULE_OPTION_NO_IMPLICIT_SIGNAL_MODIFIED
        | slots::OPTION_ATOMIC_MIGRATION;
    // SAFETY: the context is valid.
    unsafe { api!(RedisModule_SetModuleOptions(ctx.raw(), options as c_int)) };
    /// Something to register; false when the server refuses.
    type Step = fn(&Ctx<'_>) -> bool;
    // The settings come first: a bad one is the likeliest reason to stop.
    let steps: [(Step, &str); 6] = [
        (settings::register, "the server refuses a setting: look for a line `workflow.<setting>`"),
        (datatype::register, "the server refuses the data type `workflows`"),
        (register::register, "the server refuses a command: is another one of its name loaded?"),
        (info::register, "the server refuses the INFO section"),
        (events::subscribe, "the server refuses its events"),
        (slots::subscribe, "the server refuses its events of slots that move"),
    ];
    for (step, reason) in steps {
        if !step(ctx) {
            return Err(reason);
        }
    }
    eviction::check(ctx);
    ctx.log(Level::Notice, concat!("version ", env!("CARGO_PKG_VERSION"), " is ready"));
    Ok(())
}

/// The crate's version as one number: 1.2.3 is 10203.
fn version() -> c_int {
    let part = |text: &str| text.parse::<c_int>().unwrap_or(0);
    part(env!("CARGO_PKG_VERSION_MAJOR")) * 10_000
        + part(env!("CARGO_PKG_VERSION_MINOR")) * 100
        + part(env!("CARGO_PKG_VERSION_PATCH"))
}
