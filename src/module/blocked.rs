//! What all clients that wait have in common, whatever they wait for.
//!
//! A waiting client is blocked on a key, so redirects in a cluster, CLIENT UNBLOCK, changes of role
//! and disconnects are handled by the server. That key is not the space's own but a stand-in in
//! the same slot that nobody creates: when a key appears, the server calls every client that is
//! blocked on it, and with 8,000 workers waiting for the first push that push took 8 ms on Redis
//! and 870 ms on Valkey. What makes a space appear under a name other than a push (RESTORE,
//! RENAME, MOVE, COPY, SWAPDB) is told by the server's events: see `events`.

use std::ffi::{c_int, c_longlong, c_void};
use std::ptr;
use std::sync::Arc;

use redis_module::raw;
use smallvec::{SmallVec, smallvec};

use super::api::{ERR, OK, api};
use super::key::{KeyName, OwnedString, Target};
use super::server::Ctx;
use crate::commands::spec::Spec;

/// The record of one client that waits. The server shares it from [`block`] to its last callback.
pub trait Waits: Send + Sync + 'static {
    /// The key appeared, which only happens where it is its own stand-in. True when the client was told, and
    /// waits no more.
    fn key_appeared(&self, _ctx: &Ctx<'_>) -> bool {
        false
    }

    /// Tells the client what its wait came to: the handle was used, or time is up. For a client blocked on
    /// a key both are the same.
    fn tell(&self, ctx: &Ctx<'_>);

    /// It waits no more. Comes before [`Waits::tell`], when the client went away or the server unblocked it
    /// with an error of its own, and at the end in any case.
    fn leave(&self);
}

/// The server's handle of a blocked client. Valid as long as the client stands in a queue of ours.
#[derive(Clone, Copy)]
pub struct Handle(*mut raw::RedisModuleBlockedClient);

// SAFETY: used under the server's global lock only.
unsafe impl Send for Handle {}

/// Blocks the client of a command for so many milliseconds, 0: for ever.
///
/// # Safety
/// The context is that of a command of a client that may be blocked.
pub unsafe fn block<W: Waits>(ctx: &Ctx<'_>, key: &KeyName<'_>, block_ms: u64, record: &Arc<W>) -> Handle {
    let shared = Arc::into_raw(record.clone()).cast_mut().cast();
    let stand_in = stand_in(key.bytes()).map(|name| OwnedString::new(&name));
    let mut key = stand_in.as_ref().map_or(key.raw(), |name| name.name().raw());
    // SAFETY: as the caller promises; the server copies the key's name; the callbacks are those of such a
    // record, and `forget` returns the reference that the server has.
    unsafe {
        let handle = api!(RedisModule_BlockClientOnKeys(
            ctx.raw(),
            Some(on_key_ready::<W>),
            Some(on_timeout::<W>),
            Some(forget::<W>),
            c_longlong::try_from(block_ms).unwrap_or(0),
            &mut key,
            1,
            shared,
        ));
        api!(RedisModule_SetDisconnectCallback(handle, Some(on_disconnect::<W>)));
        Handle(handle)
    }
}

/// The record of the client of a callback.
///
/// # Safety
/// `ctx` is the context of a callback of a client that was blocked with such a record.
unsafe fn record<'a, W: Waits>(ctx: &'a Ctx<'_>) -> &'a W {
    // SAFETY: the private data of the client is a reference to its record, held until `forget`, which is
    // the last callback.
    unsafe { &*api!(RedisModule_GetBlockedClientPrivateData(ctx.raw())).cast::<W>() }
}

unsafe extern "C" fn on_key_ready<W: Waits>(
    ctx: *mut raw::RedisModuleCtx,
    _argv: *mut *mut raw::RedisModuleString,
    _argc: c_int,
) -> c_int {
    // SAFETY: the server's context.
    let ctx = unsafe { Ctx::new(ctx) };
    // SAFETY: `block` set this callback for such a record.
    let told = unsafe { record::<W>(&ctx) }.key_appeared(&ctx);
    if told { OK } else { ERR }
}

unsafe extern "C" fn on_timeout<W: Waits>(
    ctx: *mut raw::RedisModuleCtx,
    _argv: *mut *mut raw::RedisModuleString,
    _argc: c_int,
) -> c_int {
    // SAFETY: the server's context.
    let ctx = unsafe { Ctx::new(ctx) };
    // SAFETY: `block` set this callback for such a record.
    let record = unsafe { record::<W>(&ctx) };
    record.leave();
    record.tell(&ctx);
    OK
}

unsafe extern "C" fn on_disconnect<W: Waits>(
    ctx: *mut raw::RedisModuleCtx,
    _client: *mut raw::RedisModuleBlockedClient,
) {
    // SAFETY: the server's context.
    let ctx = unsafe { Ctx::new(ctx) };
    // SAFETY: `block` set this callback for such a record.
    unsafe { record::<W>(&ctx) }.leave();
}

unsafe extern "C" fn forget<W: Waits>(_ctx: *mut raw::RedisModuleCtx, shared: *mut c_void) {
    // SAFETY: `block` made this reference.
    let record = unsafe { Arc::from_raw(shared.cast::<W>().cast_const()) };
    record.leave();
}

/// A name in the slot of `key` that nobody uses. `None` for keys with a `}` and no hash tag, which
/// have no such name; their waiters are blocked on the key itself.
pub fn stand_in(key: &[u8]) -> Option<Vec<u8>> {
    const SUFFIX: &[u8] = b"\0 waits for tasks";
    let tag = key.iter().position(|&byte| byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|&byte| byte == b'}').filter(|&length| length > 0)
    });
    if tag.is_some() {
        return Some([key, SUFFIX].concat());
    }
    let whole = !key.is_empty() && !key.contains(&b'}');
    whole.then(|| [b"{", key, b"}", SUFFIX].concat())
}

impl Handle {
    /// Ends the wait: the server calls `on_timeout`, before this returns or soon after.
    ///
    /// # Safety
    /// The handle is valid.
    pub unsafe fn unblock(self) {
        // SAFETY: as the caller promises. For clients blocked on keys the second argument is not used.
        unsafe { api!(RedisModule_UnblockClient(self.0, ptr::null_mut())) };
    }
}

/// Who sent a command, and what for.
pub struct Caller {
    db: i32,
    /// The name of the command and of the key, for asking the ACL again.
    argv: [OwnedString; 2],
    /// The fewest words of the command, its name and the key among them.
    words: usize,
    client: u64,
}

impl Caller {
    /// Of the running command.
    pub fn of(ctx: &Ctx<'_>, target: &Target<'_>, spec: &Spec, command: &KeyName<'_>) -> Caller {
        Caller {
            db: target.db,
            argv: [OwnedString::hold(command), OwnedString::hold(&target.name)],
            words: spec.arity.unsigned_abs() as usize,
            // SAFETY: the context is valid.
            client: unsafe { api!(RedisModule_GetClientId(ctx.raw())) },
        }
    }

    /// The key.
    pub fn target(&self) -> Target<'_> {
        Target { db: self.db, name: self.argv[1].name() }
    }

    /// True when the ACL still lets the client run the command. The server's own blocking commands ask
    /// again when they are woken, from Redis 7.2 on.
    pub fn is_permitted(&self, ctx: &Ctx<'_>) -> bool {
        // SAFETY: the context is valid; both results are ours to free; the strings are alive.
        unsafe {
            let user = api!(RedisModule_GetClientUserNameById(ctx.raw(), self.client));
            let Some(user) = OwnedString::from_raw(user) else {
                return true;
            };
            let user = api!(RedisModule_GetModuleUserFromUserName(user.name().raw()));
            if user.is_null() {
                return false;
            }
            // From 8.6 on, Redis refuses a line that is too short for its command. What follows the key
            // does not matter to the ACL, so the key stands for all of it.
            let [command, key] = [self.argv[0].name().raw(), self.argv[1].name().raw()];
            let mut argv: SmallVec<[_; 4]> = smallvec![key; self.words];
            argv[0] = command;
            let count = self.words as c_int;
            let status = api!(RedisModule_ACLCheckCommandPermissions(user, argv.as_mut_ptr(), count));
            api!(RedisModule_FreeModuleUser(user));
            status == OK
        }
    }
}
