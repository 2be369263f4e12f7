//! `CONFIG SET workflow.<name>`, and lines `workflow.<name> <value>` in redis.conf: one numeric
//! setting for each line of the engine's table.

use std::ffi::{CString, c_char, c_int, c_longlong, c_void};
use std::ptr;
use std::sync::{LazyLock, PoisonError, RwLock};

use redis_module::raw;

use super::api::{OK, api};
use super::server::Ctx;
use crate::engine::limits::{SETTINGS, SettingSpec, Settings};

static CURRENT: LazyLock<RwLock<Settings>> = LazyLock::new(RwLock::default);

/// The settings as they are now.
pub fn current() -> Settings {
    CURRENT.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Registers the settings and takes over what redis.conf says; false when the server refuses.
pub fn register(ctx: &Ctx<'_>) -> bool {
    SETTINGS.iter().all(|spec| register_one(ctx, spec)) && {
        // SAFETY: the context is that of loading the module.
        let status = unsafe { api!(RedisModule_LoadConfigs(ctx.raw())) };
        status == OK
    }
}

fn register_one(ctx: &Ctx<'_>, spec: &'static SettingSpec) -> bool {
    let Ok(name) = CString::new(spec.name) else { return false };
    // Sizes may be written as `1mb`.
    let flags = match spec.name.ends_with("-bytes") {
        true => raw::REDISMODULE_CONFIG_MEMORY,
        false => raw::REDISMODULE_CONFIG_DEFAULT,
    };
    // SAFETY: the context is valid, the server copies the name; the data is a `'static` table
    // line, which the callbacks only read.
    let status = unsafe {
        api!(RedisModule_RegisterNumericConfig(
            ctx.raw(),
            name.as_ptr(),
            number(spec.default),
            flags,
            number(spec.min),
            number(spec.max),
            Some(get),
            Some(set),
            None,
            ptr::from_ref(spec).cast_mut().cast(),
        ))
    };
    status == OK
}

fn number(value: u64) -> c_longlong {
    c_longlong::try_from(value).unwrap_or(c_longlong::MAX)
}

/// # Safety
/// `data` is what `register_one` passed to the server.
unsafe fn spec(data: *mut c_void) -> &'static SettingSpec {
    // SAFETY: as the caller promises.
    unsafe { &*data.cast::<SettingSpec>().cast_const() }
}

unsafe extern "C" fn get(_name: *const c_char, data: *mut c_void) -> c_longlong {
    // SAFETY: the server passes our data.
    let spec = unsafe { spec(data) };
    number((spec.get)(&current()))
}

/// The server has checked the range.
unsafe extern "C" fn set(
    _name: *const c_char,
    value: c_longlong,
    data: *mut c_void,
    _error: *mut *mut raw::RedisModuleString,
) -> c_int {
    // SAFETY: the server passes our data.
    let spec = unsafe { spec(data) };
    let mut settings = CURRENT.write().unwrap_or_else(PoisonError::into_inner);
    (spec.set)(&mut settings, u64::try_from(value).unwrap_or(spec.min));
    OK
}
