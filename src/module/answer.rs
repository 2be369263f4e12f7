//! From a reply as data to the server's reply functions: one walk, no tree.

use std::ffi::{CString, c_long};

use super::api::api;
use super::server::Ctx;
use crate::commands::call::CommandError;
use crate::commands::reply::{Item, Reply};

/// Sends a complete reply. Maps are flat arrays for clients that speak RESP2.
pub fn reply(ctx: &Ctx<'_>, reply: &Reply) {
    let to = ctx.raw();
    for item in reply.items() {
        // SAFETY: the context is valid, bulk strings are passed with their lengths.
        unsafe {
            match item {
                Item::Int(value) => api!(RedisModule_ReplyWithLongLong(to, value)),
                Item::Bulk(bytes) => {
                    api!(RedisModule_ReplyWithStringBuffer(to, bytes.as_ptr().cast(), bytes.len()))
                }
                Item::Ok => api!(RedisModule_ReplyWithSimpleString(to, c"OK".as_ptr())),
                Item::Null => api!(RedisModule_ReplyWithNull(to)),
                Item::Array(length) => api!(RedisModule_ReplyWithArray(to, count(length))),
                Item::Map(length) => api!(RedisModule_ReplyWithMap(to, count(length))),
            }
        };
    }
}

/// Sends an error.
pub fn error(ctx: &Ctx<'_>, error: &CommandError) {
    error_line(ctx, error.to_bytes());
}

/// Sends an error given as its whole line.
pub fn error_line(ctx: &Ctx<'_>, line: Vec<u8>) {
    let line = CString::new(line).unwrap_or_else(|_| c"ERR an error that cannot be shown".into());
    // SAFETY: the context is valid, the text ends with a NUL.
    unsafe { api!(RedisModule_ReplyWithError(ctx.raw(), line.as_ptr())) };
}

/// Sends the server's own error about a wrong number of arguments.
pub fn wrong_arity(ctx: &Ctx<'_>) {
    // SAFETY: the context is valid and that of a command.
    unsafe { api!(RedisModule_WrongArity(ctx.raw())) };
}

fn count(length: usize) -> c_long {
    c_long::try_from(length).expect("a reply that fits into memory")
}
