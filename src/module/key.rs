//! Names of keys, and keys while they are open.

use std::ffi::c_int;
use std::marker::PhantomData;
use std::ptr;

use redis_module::raw;

use super::api::{OK, api};
use super::datatype;
use super::server::Ctx;
use super::value::SpaceValue;
use crate::commands::waiting::PlaceRef;

/// A string of the server's that somebody else keeps alive.
pub struct KeyName<'a> {
    raw: *mut raw::RedisModuleString,
    owner: PhantomData<&'a ()>,
}

impl<'a> KeyName<'a> {
    /// # Safety
    /// `raw` is a string of the server's that lives for `'a`.
    pub unsafe fn new(raw: *mut raw::RedisModuleString) -> KeyName<'a> {
        KeyName { raw, owner: PhantomData }
    }

    /// For direct calls.
    pub fn raw(&self) -> *mut raw::RedisModuleString {
        self.raw
    }

    /// The same string again.
    pub fn share(&self) -> KeyName<'a> {
        KeyName { raw: self.raw, owner: PhantomData }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &'a [u8] {
        let mut length = 0;
        // SAFETY: the string lives for `'a` and the server does not change shared strings.
        unsafe {
            let start = api!(RedisModule_StringPtrLen(self.raw, &mut length));
            std::slice::from_raw_parts(start.cast(), length)
        }
    }
}

/// A key of a database, to be opened.
pub struct Target<'a> {
    /// The database; the context at hand has it selected.
    pub db: i32,
    /// The key.
    pub name: KeyName<'a>,
}

impl<'a> Target<'a> {
    /// What the queues and the schedule know it by.
    pub fn place(&self) -> PlaceRef<'a> {
        PlaceRef { db: self.db, key: self.name.bytes() }
    }
}

/// A string of the server's with a reference of its own.
pub struct OwnedString(*mut raw::RedisModuleString);

// SAFETY: references are counted only under the server's global lock, as all of this folder runs.
unsafe impl Send for OwnedString {}
// SAFETY: the same; the bytes of a shared string never change.
unsafe impl Sync for OwnedString {}

impl OwnedString {
    /// Copies `bytes` into a new string.
    pub fn new(bytes: &[u8]) -> OwnedString {
        // SAFETY: without a context the string belongs to the caller.
        OwnedString(unsafe {
            api!(RedisModule_CreateString(ptr::null_mut(), bytes.as_ptr().cast(), bytes.len()))
        })
    }

    /// Another reference to `name`.
    pub fn hold(name: &KeyName<'_>) -> OwnedString {
        // SAFETY: without a context the reference belongs to the caller.
        OwnedString(unsafe { api!(RedisModule_HoldString(ptr::null_mut(), name.raw())) })
    }

    /// # Safety
    /// The caller gives its reference away. `None` for null.
    pub unsafe fn from_raw(raw: *mut raw::RedisModuleString) -> Option<OwnedString> {
        (!raw.is_null()).then_some(OwnedString(raw))
    }

    /// The string, borrowed.
    pub fn name(&self) -> KeyName<'_> {
        KeyName { raw: self.0, owner: PhantomData }
    }
}

impl Drop for OwnedString {
    fn drop(&mut self) {
        // SAFETY: the reference is ours and not used again.
        unsafe { api!(RedisModule_FreeString(ptr::null_mut(), self.0)) };
    }
}

/// What a key is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Looking.
    Look,
    /// Looking and changing.
    Change,
}

/// What an open key holds.
pub enum Holds<'a> {
    /// Nothing.
    Nothing,
    /// A value of another type.
    Another,
    /// A space.
    Space(&'a mut SpaceValue),
}

/// A key that is open; closed when dropped.
pub struct OpenKey<'a> {
    raw: *mut raw::RedisModuleKey,
    ctx: PhantomData<&'a ()>,
}

impl<'a> OpenKey<'a> {
    /// Opens a key of the context's database.
    pub fn open(ctx: &'a Ctx<'_>, name: &KeyName<'a>, mode: Mode) -> OpenKey<'a> {
        let mode = match mode {
            Mode::Look => raw::REDISMODULE_READ,
            Mode::Change => raw::REDISMODULE_READ | raw::REDISMODULE_WRITE,
        };
        // SAFETY: context and name are valid. The result is null for a missing key to look at.
        let raw = unsafe { api!(RedisModule_OpenKey(ctx.raw(), name.raw(), mode as c_int)) };
        OpenKey { raw, ctx: PhantomData }
    }

    /// What the key holds.
    pub fn holds(&mut self) -> Holds<'_> {
        // SAFETY: the key is open or null, both of which RM_KeyType takes. The value of a key of
        // our type is a `SpaceValue` that `datatype` made; `self` is borrowed as long as it is.
        unsafe {
            let kind = api!(RedisModule_KeyType(self.raw));
            if kind == raw::REDISMODULE_KEYTYPE_EMPTY as c_int {
                Holds::Nothing
            } else if kind == raw::REDISMODULE_KEYTYPE_MODULE as c_int
                && api!(RedisModule_ModuleTypeGetType(self.raw)) == datatype::space_type()
            {
                let value = api!(RedisModule_ModuleTypeGetValue(self.raw));
                Holds::Space(&mut *value.cast::<SpaceValue>())
            } else {
                Holds::Another
            }
        }
    }

    /// Stores a space under a key that holds nothing and is open for changing.
    pub fn store(&mut self, value: Box<SpaceValue>) {
        let value = Box::into_raw(value).cast();
        // SAFETY: the key is open for writing; from here on the server owns the value and frees
        // it with the type's callback.
        let status = unsafe { api!(RedisModule_ModuleTypeSetValue(self.raw, datatype::space_type(), value)) };
        assert_eq!(status, OK, "the key is open for writing");
    }
}

impl Drop for OpenKey<'_> {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: the key is open and not used again.
            unsafe { api!(RedisModule_CloseKey(self.raw)) };
        }
    }
}
