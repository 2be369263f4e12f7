//! Clients that wait for tasks.
//!
//! A waiting client is blocked on a key, so redirects in a cluster, CLIENT UNBLOCK, changes of role
//! and disconnects are handled by the server. That key is not the space's own but a stand-in in
//! the same slot that nobody creates: when a key appears, the server calls every client that is
//! blocked on it, and with 8,000 workers waiting for the first push that push took 8 ms on Redis
//! and 870 ms on Valkey. What makes a space appear under a name other than a push (RESTORE,
//! RENAME, MOVE, COPY, SWAPDB) is told by the server's events: see `events`.
//!
//! Beside that the client stands in the module's own queue ([`Waiting`]), which finds the one to
//! wake without asking the others.
//!
//! To serve it, `wake` claims for it first, leaves the reply in its [`Parked`] record, and unblocks
//! it. For a client blocked on a key the server then calls the *timeout* callback, at once; a
//! record with a delivery in it means "served", one without means that time is up. Who cannot be
//! served goes on waiting, as with BLPOP, also when the key holds another type or is deleted.
//!
//! A record is shared by the server (as the private data of the blocked client) and by the queue.
//! The queue lets go of it when the client is served, when time is up, and when it disconnects,
//! which includes CLIENT UNBLOCK ... ERROR and a change of role; the server in `forget`.

use std::ffi::{c_int, c_longlong, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use redis_module::raw;

use super::answer;
use super::api::{ERR, OK, api};
use super::key::{KeyName, Mode, OwnedString, Target};
use super::outcomes::{self, Borrowed};
use super::perform::{Conditions, on_space};
use super::schedule;
use super::server::{Ctx, live_time};
use crate::commands::claim::{self, Claim};
use crate::commands::reply::Reply;
use crate::commands::waiting::{Place, PlaceRef, Ticket, Waiting, Wish};

/// One waiting client.
pub struct Parked {
    db: i32,
    /// The name of the command and of the key, for asking the ACL again.
    argv: [OwnedString; 2],
    client: u64,
    claim: Box<Claim>,
    ticket: OnceLock<Ticket>,
    delivery: Mutex<Option<Delivery>>,
}

/// What a waiting client gets.
pub enum Delivery {
    /// A claim that has been made for it.
    Tasks(Borrowed),
    /// An error, as its whole line.
    Error(Vec<u8>),
}

/// The queue's entry.
#[derive(Clone)]
pub struct Waiter {
    handle: Handle,
    parked: Arc<Parked>,
}

/// The server's handle of a blocked client. Valid as long as the client stands in the queue.
#[derive(Clone, Copy)]
struct Handle(*mut raw::RedisModuleBlockedClient);

// SAFETY: used under the server's global lock only.
unsafe impl Send for Handle {}

static WAITING: Mutex<Option<Waiting<Waiter>>> = Mutex::new(None);

fn with_queue<R>(body: impl FnOnce(&mut Waiting<Waiter>) -> R) -> R {
    let mut guard = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    body(guard.get_or_insert_default())
}

/// How many clients wait.
pub fn count() -> u64 {
    // Called for a crash report too, perhaps while the queue is locked.
    WAITING.try_lock().ok().and_then(|guard| guard.as_ref().map(Waiting::len)).unwrap_or(0) as u64
}

/// True when somebody waits at this key.
pub fn any_at(place: PlaceRef<'_>) -> bool {
    with_queue(|queue| queue.any_at(place))
}

/// All keys at which somebody waits.
pub fn places() -> Vec<Place> {
    with_queue(|queue| queue.places().cloned().collect())
}

/// The oldest waiter that can take such a task.
pub fn oldest(place: PlaceRef<'_>, task_type: &[u8], priority: u32) -> Option<Ticket> {
    with_queue(|queue| queue.oldest(place, task_type, priority))
}

/// A waiter that still waits.
pub fn waiter(ticket: Ticket) -> Option<Waiter> {
    with_queue(|queue| queue.get(ticket).cloned())
}

/// Blocks the client of a command until there is something for `claim`.
pub fn block(ctx: &Ctx<'_>, target: &Target<'_>, command: &KeyName<'_>, claim: Box<Claim>) {
    let timeout = c_longlong::try_from(claim.block_ms.unwrap_or(0)).unwrap_or(0);
    let parked = Arc::new(Parked {
        db: target.db,
        argv: [OwnedString::hold(command), OwnedString::hold(&target.name)],
        // SAFETY: the context is valid.
        client: unsafe { api!(RedisModule_GetClientId(ctx.raw())) },
        claim,
        ticket: OnceLock::new(),
        delivery: Mutex::new(None),
    });
    let stand_in = stand_in(target.name.bytes()).map(|name| OwnedString::new(&name));
    let mut key = stand_in.as_ref().map_or(target.name.raw(), |name| name.name().raw());
    // SAFETY: the context is that of a command of a client that may be blocked; the server copies
    // the key's name; the private data is one reference to the record, returned in `forget`.
    let handle = unsafe {
        let handle = api!(RedisModule_BlockClientOnKeys(
            ctx.raw(),
            Some(on_key_ready),
            Some(on_timeout),
            Some(forget),
            timeout,
            &mut key,
            1,
            Arc::into_raw(parked.clone()).cast_mut().cast(),
        ));
        api!(RedisModule_SetDisconnectCallback(handle, Some(on_disconnect)));
        Handle(handle)
    };
    let wish = Wish { types: &parked.claim.types, max_priority: parked.claim.max_priority };
    let entry = Waiter { handle, parked: parked.clone() };
    let ticket = with_queue(|queue| queue.enrol(target.place(), wish, entry));
    parked.ticket.set(ticket).expect("set once");
}

/// A name in the slot of `key` that nobody uses. `None` for keys with a `}` and no hash tag, which
/// have no such name; their waiters are blocked on the key itself.
fn stand_in(key: &[u8]) -> Option<Vec<u8>> {
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

impl Waiter {
    /// What it waits for.
    pub fn claim(&self) -> &Claim {
        &self.parked.claim
    }

    /// True when the ACL still lets the client claim here. The server's own blocking commands ask
    /// again when they are woken, from Redis 7.2 on.
    pub fn is_permitted(&self, ctx: &Ctx<'_>) -> bool {
        self.parked.is_permitted(ctx)
    }

    /// Gives it what it waited for, or an error; it waits no more.
    pub fn deliver(self, delivery: Delivery) {
        self.parked.leave();
        *self.parked.delivery() = Some(delivery);
        // SAFETY: the client stood in the queue until now, so the handle is valid. The server
        // calls `on_timeout` before this returns. For clients blocked on keys the second
        // argument is not used.
        unsafe { api!(RedisModule_UnblockClient(self.handle.0, ptr::null_mut())) };
    }
}

/// The error of a client whose permission was revoked while it waited.
pub fn not_permitted() -> Delivery {
    Delivery::Error(b"NOPERM the permission to claim from this key was revoked".to_vec())
}

impl Parked {
    fn delivery(&self) -> MutexGuard<'_, Option<Delivery>> {
        self.delivery.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves the queue, if it still stands there.
    fn leave(&self) {
        if let Some(&ticket) = self.ticket.get() {
            drop(with_queue(|queue| queue.remove(ticket)));
        }
    }

    fn is_permitted(&self, ctx: &Ctx<'_>) -> bool {
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
            let mut argv = [self.argv[0].name().raw(), self.argv[1].name().raw()];
            let status = api!(RedisModule_ACLCheckCommandPermissions(user, argv.as_mut_ptr(), 2));
            api!(RedisModule_FreeModuleUser(user));
            status == OK
        }
    }

    /// Tries to claim and to reply in the context of the blocked client itself.
    fn serve_now(&self, ctx: &Ctx<'_>) -> bool {
        let target = Target { db: self.db, name: self.argv[1].name() };
        if !ctx.may_work() {
            schedule::defer(target.place());
            return false;
        }
        let mut out = outcomes::borrow();
        let result = on_space(ctx, &target, &conditions_of_serving(), &mut out, |call| {
            claim::serve(&self.claim, call)
        });
        if !matches!(result, Ok(true)) {
            return false;
        }
        self.leave();
        answer::reply(ctx, &out.reply);
        true
    }
}

/// How a claim for a waiting client runs: nothing expires then, that is for commands and timers,
/// so whoever cannot be served has changed nothing.
pub fn conditions_of_serving() -> Conditions<'static> {
    Conditions {
        args: &[],
        mode: Mode::Change,
        now: live_time(),
        expire_from: None,
        replayed: false,
        may_block: false,
    }
}

/// # Safety
/// `ctx` is the context of a callback of a blocked client.
unsafe fn parked<'a>(ctx: &'a Ctx<'_>) -> &'a Parked {
    // SAFETY: the private data of our blocked clients is a reference to a record, held until
    // `forget`, which is the last callback.
    unsafe { &*api!(RedisModule_GetBlockedClientPrivateData(ctx.raw())).cast::<Parked>() }
}

/// The key appeared, which only happens where it is its own stand-in.
unsafe extern "C" fn on_key_ready(
    ctx: *mut raw::RedisModuleCtx,
    _argv: *mut *mut raw::RedisModuleString,
    _argc: c_int,
) -> c_int {
    // SAFETY: the server's context.
    let ctx = unsafe { Ctx::new(ctx) };
    // SAFETY: this is a callback of a blocked client.
    let parked = unsafe { parked(&ctx) };
    // One that is not permitted any more is told when a task is ready for it.
    if parked.is_permitted(&ctx) && parked.serve_now(&ctx) { OK } else { ERR }
}

/// Served, or time is up.
unsafe extern "C" fn on_timeout(
    ctx: *mut raw::RedisModuleCtx,
    _argv: *mut *mut raw::RedisModuleString,
    _argc: c_int,
) -> c_int {
    // SAFETY: the server's context.
    let ctx = unsafe { Ctx::new(ctx) };
    // SAFETY: this is a callback of a blocked client.
    let parked = unsafe { parked(&ctx) };
    parked.leave();
    let delivery = parked.delivery().take();
    match delivery {
        Some(Delivery::Tasks(out)) => answer::reply(&ctx, &out.reply),
        Some(Delivery::Error(line)) => answer::error_line(&ctx, line),
        None => {
            let mut reply = Reply::default();
            claim::empty_reply(&mut reply);
            answer::reply(&ctx, &reply);
        }
    }
    OK
}

/// The client went away, or the server unblocked it with an error of its own.
unsafe extern "C" fn on_disconnect(
    ctx: *mut raw::RedisModuleCtx,
    _client: *mut raw::RedisModuleBlockedClient,
) {
    // SAFETY: the server's context.
    let ctx = unsafe { Ctx::new(ctx) };
    // SAFETY: this is a callback of a blocked client.
    unsafe { parked(&ctx) }.leave();
}

/// The server's reference to the record ends.
unsafe extern "C" fn forget(_ctx: *mut raw::RedisModuleCtx, data: *mut c_void) {
    // SAFETY: `block` made this reference.
    let parked = unsafe { Arc::from_raw(data.cast::<Parked>().cast_const()) };
    parked.leave();
}
