//! The stream of a space's events: what a command noted is appended by XADD, in the unit of replication of
//! the `WF.APPLY` that it belongs to. So the AOF and replicas get both or neither, and an entry with the
//! id that it was given here; whoever repeats them appends nothing of its own.
//!
//! Finishing work is never refused, so nothing that goes wrong here fails the command: the entry is
//! lost, counted, and the log says why, once a minute.

use std::ffi::c_char;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use redis_module::raw;

use super::api::{OK, api};
use super::info::COUNTERS;
use super::key::{Holds, Mode, OpenKey, OwnedString, Target};
use super::server::{Ctx, Level, live_time};
use crate::commands::events::Journal;
use crate::commands::hash_slot;
use crate::engine::limits::Settings;
use crate::engine::space::Space;

/// How often the log tells of entries that are lost, in milliseconds.
const SILENCE_MS: u64 = 60_000;

/// When the log last told of it.
static TOLD: AtomicU64 = AtomicU64::new(0);

/// A stream, and what to know to append to it when the space is no longer open.
pub struct Stream {
    key: OwnedString,
    settings: Settings,
}

impl Stream {
    /// The stream of a space, if it has one.
    pub fn of(space: &Space, settings: &Settings) -> Option<Stream> {
        let key = OwnedString::new(space.overrides().events()?);
        Some(Stream { key, settings: space.settings(settings).into_owned() })
    }

    /// Appends what was noted of the space at `target`. The context is one in which `WF.APPLY` was just
    /// replicated. Not on a replica that may be written to: there the entries come from the primary.
    pub fn append(&self, ctx: &Ctx<'_>, target: &Target<'_>, journal: &Journal) {
        let flags = ctx.flags();
        if !flags.primary() {
            return;
        }
        // A space may have come to another slot by RESTORE. A cluster must not replicate both as one.
        let elsewhere =
            flags.cluster() && hash_slot::of(self.key.name().bytes()) != hash_slot::of(target.name.bytes());
        let mut lost = 0;
        for (event, fields) in journal.entries(&self.settings) {
            let result = match elsewhere {
                true => Err("the stream is in another slot than the space".to_owned()),
                false => self.add(ctx, target, event, fields),
            };
            if let Err(reason) = result {
                self.tell(ctx, target, &reason);
                lost += 1;
            }
        }
        COUNTERS.events_appended.fetch_add(journal.len() as u64 - lost, Relaxed);
        COUNTERS.events_lost.fetch_add(lost, Relaxed);
        if lost > 0
            && let Holds::Space(value) = OpenKey::open(ctx, &target.name, Mode::Look).holds()
        {
            value.space.lose_events(lost);
        }
    }

    fn add<'e>(
        &self,
        ctx: &Ctx<'_>,
        target: &Target<'_>,
        event: &str,
        fields: impl Iterator<Item = (&'static str, &'e [u8])>,
    ) -> Result<(), String> {
        let maxlen = self.settings.events_maxlen.to_string();
        let mut arguments: Vec<OwnedString> = Vec::with_capacity(32);
        let mut add = |argument: &[u8]| arguments.push(OwnedString::new(argument));
        if self.settings.events_maxlen > 0 {
            [&b"MAXLEN"[..], b"~", maxlen.as_bytes()].into_iter().for_each(&mut add);
        }
        [&b"*"[..], b"event", event.as_bytes(), b"space", target.name.bytes()].into_iter().for_each(&mut add);
        fields.flat_map(|(name, value)| [name.as_bytes(), value]).for_each(add);
        let vector: Vec<_> = arguments.iter().map(|argument| argument.name().raw()).collect();
        // `!` replicates the call as it turns out, with the id; `E` gives errors as replies. Without `M`
        // the call is not refused when the server is out of memory.
        // SAFETY: the format asks for a string and for a vector with its length, all of which live until
        // the call returns; the server counts its own references to them. The reply is ours to free.
        unsafe {
            let reply = api!(RedisModule_Call(
                ctx.raw(),
                c"XADD".as_ptr(),
                c"!Esv".as_ptr(),
                self.key.name().raw(),
                vector.as_ptr(),
                vector.len(),
            ));
            let result = outcome(reply);
            if !reply.is_null() {
                api!(RedisModule_FreeCallReply(reply));
            }
            result
        }
    }

    fn tell(&self, ctx: &Ctx<'_>, target: &Target<'_>, reason: &str) {
        let now = live_time().0;
        if now.abs_diff(TOLD.load(Relaxed)) < SILENCE_MS {
            return;
        }
        TOLD.store(now, Relaxed);
        let text = format!(
            "events of the space '{}' are lost, its stream '{}' does not take them: {reason}",
            target.name.bytes().escape_ascii(),
            self.key.name().bytes().escape_ascii()
        );
        ctx.log(Level::Warning, &text);
    }
}

/// # Safety
/// `reply` is null or a reply of the server's that has not been freed.
unsafe fn outcome(reply: *mut raw::RedisModuleCallReply) -> Result<(), String> {
    if reply.is_null() {
        return Err("XADD cannot be called".to_owned());
    }
    // SAFETY: as the caller promises; the text lives as long as the reply and is copied.
    unsafe {
        if api!(RedisModule_CallReplyType(reply)) != raw::REDISMODULE_REPLY_ERROR as i32 {
            return Ok(());
        }
        let mut length = 0;
        let start: *const c_char = api!(RedisModule_CallReplyStringPtr(reply, &mut length));
        if start.is_null() {
            return Err("XADD failed".to_owned());
        }
        Err(String::from_utf8_lossy(std::slice::from_raw_parts(start.cast(), length)).into_owned())
    }
}

/// Whether the client of a command may write to a key, by its ACL. A context without a user may: another
/// module's, or the server's own.
pub fn may_write(ctx: &Ctx<'_>, key: &[u8]) -> bool {
    let key = OwnedString::new(key);
    let needed = raw::REDISMODULE_CMD_KEY_INSERT | raw::REDISMODULE_CMD_KEY_DELETE;
    // SAFETY: the context is that of a command that was not replayed; the strings and the user are ours
    // to free; the strings are alive.
    unsafe {
        // The client that runs a script is not known by an id, but has the user of who called it.
        let user = match ctx.flags().in_script() {
            true => api!(RedisModule_GetCurrentUserName(ctx.raw())),
            false => {
                let client = api!(RedisModule_GetClientId(ctx.raw()));
                api!(RedisModule_GetClientUserNameById(ctx.raw(), client))
            }
        };
        let Some(user) = OwnedString::from_raw(user) else { return true };
        let user = api!(RedisModule_GetModuleUserFromUserName(user.name().raw()));
        if user.is_null() {
            return false;
        }
        let status = api!(RedisModule_ACLCheckKeyPermissions(user, key.name().raw(), needed as i32));
        api!(RedisModule_FreeModuleUser(user));
        status == OK
    }
}
