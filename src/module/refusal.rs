//! Whether the server refuses work now, asked where no command of a client's is at hand.
//!
//! The server asks itself before it runs a command; of what runs later it knows nothing. So a command
//! that writes and needs memory, but changes nothing, is run as a script would run it, which makes the
//! server look at the disk, at its replicas and at its memory, and answer in its own words.

use redis_module::raw;

use super::api::api;
use super::blocked::stand_in;
use super::key::{KeyName, OwnedString};
use super::server::Ctx;

/// First words of the errors that mean "not now". Others are about the command that asks.
const WORDS: [&[u8]; 4] = [b"OOM", b"MISCONF", b"NOREPLICAS", b"READONLY"];

/// The error that a command which adds work to this key would get, as its whole line.
pub fn of_more_work(ctx: &Ctx<'_>, key: &KeyName<'_>) -> Option<Vec<u8>> {
    // A key of the same slot that holds nothing: SETRANGE with an empty value leaves it so, as it
    // leaves anything else as it is.
    let stand_in = stand_in(key.bytes()).map(|name| OwnedString::new(&name));
    let key = stand_in.as_ref().map_or(key.raw(), |name| name.name().raw());
    let mut length = 0;
    // SAFETY: the context is valid; the format asks for a string of the server's and two C strings, and
    // for errors as replies; a reply is ours to free, and its text lives until then.
    let line = unsafe {
        let call = raw::RedisModule_Call.expect("RedisModule_Call");
        let (command, format) = (c"SETRANGE", c"sccSME");
        let reply = call(ctx.raw(), command.as_ptr(), format.as_ptr(), key, c"0".as_ptr(), c"".as_ptr());
        if reply.is_null() {
            return None;
        }
        let is_error = api!(RedisModule_CallReplyType(reply)) == raw::REDISMODULE_REPLY_ERROR as i32;
        let text = api!(RedisModule_CallReplyStringPtr(reply, &mut length));
        let line = (is_error && !text.is_null())
            .then(|| std::slice::from_raw_parts(text.cast::<u8>(), length).trim_ascii().to_vec());
        api!(RedisModule_FreeCallReply(reply));
        line?
    };
    let line = line.strip_prefix(b"-").unwrap_or(&line);
    WORDS.iter().any(|word| line.starts_with(word)).then(|| line.to_vec())
}
