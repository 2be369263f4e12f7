//! The data type `workflows`: the callbacks by which the server saves, loads, copies, measures
//! and frees a space. Each is a few lines that hand over to the pure parts.
//!
//! Bytes from disk are hostile input: `encoding` bounds them, builds, and checks invariants, and
//! whatever is wrong ends as an error of the loading command, never as a panic. A truncated file
//! shows as a null string, because the module sets `HANDLE_IO_ERRORS`.
//!
//! The `unlink` callback fires on RENAME and MOVE too, but not on FLUSHALL or SWAPDB, so no state
//! depends on it: it only says that whoever waits at the key should be looked at, because a key that is
//! overwritten tells nobody else. Defragmentation is left to the server's allocator.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use redis_module::raw;

use super::api::api;
use super::awaiting;
use super::key::KeyName;
use super::schedule;
use super::server::{Ctx, log_io};
use super::settings;
use super::value::SpaceValue;
use crate::commands::waiting::PlaceRef;
use crate::encoding::bytes::DecodeError;
use crate::encoding::digest::{self, DigestSink};
use crate::encoding::snapshot::{self, Loader};
use crate::engine::space::Space;
use crate::engine::units::Millis;

static TYPE: AtomicPtr<raw::RedisModuleType> = AtomicPtr::new(ptr::null_mut());

/// The type, once it is registered.
pub fn space_type() -> *mut raw::RedisModuleType {
    TYPE.load(Relaxed)
}

/// Registers the type; false when the server refuses.
pub fn register(ctx: &Ctx<'_>) -> bool {
    let mut methods = raw::RedisModuleTypeMethods {
        // What Redis 7.0 knows. A larger number would only add fields that are empty here.
        version: 4,
        rdb_load: Some(rdb_load),
        rdb_save: Some(rdb_save),
        aof_rewrite: Some(aof_rewrite),
        mem_usage: None,
        digest: Some(digest),
        free: Some(free),
        aux_load: None,
        aux_save: None,
        aux_save_triggers: 0,
        free_effort: None,
        unlink: None,
        copy: None,
        defrag: None,
        mem_usage2: Some(mem_usage),
        free_effort2: Some(free_effort),
        unlink2: Some(unlink),
        copy2: Some(copy),
        aux_save2: None,
    };
    let version = snapshot::VERSION as c_int;
    // SAFETY: the context is valid; the server copies the methods.
    let made =
        unsafe { api!(RedisModule_CreateDataType(ctx.raw(), c"workflows".as_ptr(), version, &mut methods)) };
    TYPE.store(made, Relaxed);
    !made.is_null()
}

/// # Safety
/// `value` is what the server keeps for a key of our type, and nobody changes it meanwhile.
unsafe fn space<'a>(value: *const c_void) -> &'a SpaceValue {
    // SAFETY: as the caller promises; only this file makes such values.
    unsafe { &*value.cast::<SpaceValue>() }
}

unsafe extern "C" fn rdb_load(io: *mut raw::RedisModuleIO, version: c_int) -> *mut c_void {
    if version > snapshot::VERSION as c_int {
        let text = format!(
            "a space is saved in layout {version}, this module reads layout {}: \
             load it with the version of the module that wrote it, or a newer one",
            snapshot::VERSION
        );
        // SAFETY: `io` is the server's.
        unsafe { log_io(io, &text) };
        return ptr::null_mut();
    }
    // SAFETY: `io` is the server's.
    match unsafe { read_space(io) } {
        Ok(space) => {
            if space.incomplete() {
                // SAFETY: `io` is the server's.
                unsafe { log_io(io, "a space was incomplete when it was saved: it refuses every command") };
            }
            let due = space.next_due(&settings::current(), Millis(0));
            // SAFETY: `io` is the server's; the name lives as long as the callback runs. There is
            // no name when the bytes come from another module.
            let (name, db) =
                unsafe { (api!(RedisModule_GetKeyNameFromIO(io)), api!(RedisModule_GetDbIdFromIO(io))) };
            if let (Some(due), false) = (due, name.is_null()) {
                // SAFETY: see above.
                let name = unsafe { KeyName::new(name.cast_mut()) };
                schedule::note(PlaceRef { db, key: name.bytes() }, due);
            }
            Box::into_raw(SpaceValue::new(*space)).cast()
        }
        Err(text) => {
            // SAFETY: `io` is the server's.
            unsafe { log_io(io, &text) };
            ptr::null_mut()
        }
    }
}

/// Reads chunks up to the empty one.
///
/// # Safety
/// `io` is the one that the server passed to `rdb_load`.
unsafe fn read_space(io: *mut raw::RedisModuleIO) -> Result<Box<Space>, String> {
    let mut loader = Loader::new();
    loop {
        let mut length = 0;
        // SAFETY: `io` is valid; null means that the file ended early.
        let chunk = unsafe { api!(RedisModule_LoadStringBuffer(io, &mut length)) };
        if chunk.is_null() {
            return Err("a space ends early: the file or the DUMP is truncated".into());
        }
        // SAFETY: `io` is valid.
        let result = if unsafe { api!(RedisModule_IsIOError(io)) } != 0 {
            Some(Err(DecodeError::CutOff))
        } else if length == 0 {
            None
        } else {
            // SAFETY: the server returned a buffer of this length, which is now ours.
            Some(loader.chunk(unsafe { std::slice::from_raw_parts(chunk.cast(), length) }))
        };
        // SAFETY: the buffer is ours and not used again.
        unsafe { api!(RedisModule_Free(chunk.cast())) };
        match result {
            None => break,
            Some(result) => result.map_err(|error| format!("a space cannot be read: {error}"))?,
        }
    }
    loader.finish().map_err(|error| format!("a space cannot be read: {error}"))
}

unsafe extern "C" fn rdb_save(io: *mut raw::RedisModuleIO, value: *mut c_void) {
    // SAFETY: the server passes a value of our type.
    let value = unsafe { space(value) };
    let mut save = |chunk: &[u8]| {
        // SAFETY: `io` is the server's; errors stick to it and are reported by the server.
        unsafe { api!(RedisModule_SaveStringBuffer(io, chunk.as_ptr().cast(), chunk.len())) };
    };
    snapshot::save(&value.space, &mut save);
    save(b"");
}

unsafe extern "C" fn aof_rewrite(
    io: *mut raw::RedisModuleIO,
    key: *mut raw::RedisModuleString,
    value: *mut c_void,
) {
    // SAFETY: the server passes a value of our type.
    let value = unsafe { space(value) };
    snapshot::save(&value.space, &mut |chunk| {
        // SAFETY: `io` and `key` are the server's; the format asks for a string, a C string, and
        // a buffer with its length.
        unsafe {
            api!(RedisModule_EmitAOF(
                io,
                c"WF.APPLY".as_ptr(),
                c"scb".as_ptr(),
                key,
                c"snapshot".as_ptr(),
                chunk.as_ptr(),
                chunk.len(),
            ));
        }
    });
}

unsafe extern "C" fn free(value: *mut c_void) {
    // SAFETY: the server gives the value back and does not use it again.
    drop(unsafe { Box::from_raw(value.cast::<SpaceValue>()) });
}

unsafe extern "C" fn unlink(of: *mut raw::RedisModuleKeyOptCtx, _: *const c_void) {
    // SAFETY: `of` is the server's; the name lives as long as the callback runs.
    let (name, db) =
        unsafe { (api!(RedisModule_GetKeyNameFromOptCtx(of)), api!(RedisModule_GetDbIdFromOptCtx(of))) };
    if !name.is_null() {
        // SAFETY: see above.
        let name = unsafe { KeyName::new(name.cast_mut()) };
        awaiting::left(PlaceRef { db, key: name.bytes() });
    }
}

unsafe extern "C" fn mem_usage(
    _: *mut raw::RedisModuleKeyOptCtx,
    value: *const c_void,
    _samples: usize,
) -> usize {
    // SAFETY: the server passes a value of our type.
    unsafe { space(value) }.memory()
}

unsafe extern "C" fn free_effort(_: *mut raw::RedisModuleKeyOptCtx, value: *const c_void) -> usize {
    // SAFETY: the server passes a value of our type.
    unsafe { space(value) }.space.effort()
}

/// The copy starts without leases: a token works on one of the two spaces only, the original.
unsafe extern "C" fn copy(_: *mut raw::RedisModuleKeyOptCtx, value: *const c_void) -> *mut c_void {
    // SAFETY: the server passes a value of our type.
    let original = unsafe { space(value) };
    Box::into_raw(SpaceValue::new(original.space.void_copy())).cast()
}

unsafe extern "C" fn digest(to: *mut raw::RedisModuleDigest, value: *mut c_void) {
    // SAFETY: the server passes a value of our type.
    let value = unsafe { space(value) };
    digest::walk(&value.space, &mut ServerDigest(to));
}

/// The server's digest under construction. Lives inside one `digest` callback.
struct ServerDigest(*mut raw::RedisModuleDigest);

impl DigestSink for ServerDigest {
    fn bytes(&mut self, bytes: &[u8]) {
        // SAFETY: the digest is the server's, the bytes come with their length.
        unsafe {
            api!(RedisModule_DigestAddStringBuffer(self.0, bytes.as_ptr().cast(), bytes.len()));
        }
    }

    fn int(&mut self, value: i64) {
        // SAFETY: the digest is the server's.
        unsafe { api!(RedisModule_DigestAddLongLong(self.0, value)) };
    }

    fn end(&mut self) {
        // SAFETY: the digest is the server's.
        unsafe { api!(RedisModule_DigestEndSequence(self.0)) };
    }
}
