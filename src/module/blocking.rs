//! Clients that wait for tasks.
//!
//! Beside being blocked by the server (see `blocked`) the client stands in the module's own queue
//! ([`Waiting`]), which finds the one to wake without asking the others.
//!
//! To serve it, `wake` claims for it first, leaves the reply in its [`Parked`] record, and unblocks
//! it. For a client blocked on a key the server then calls the *timeout* callback, at once; a
//! record with a delivery in it means "served", one without means that time is up. Who cannot be
//! served goes on waiting, as with BLPOP, also when the key holds another type or is deleted.
//!
//! A record is shared by the server (as the private data of the blocked client) and by the queue.
//! The queue lets go of it when the client is served, when time is up, and when it disconnects,
//! which includes CLIENT UNBLOCK ... ERROR and a change of role; the server in `forget`.

use std::ffi::{c_int, c_void};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use redis_module::raw;

use super::answer;
use super::api::{ERR, OK, api};
use super::blocked::{self, Callbacks, Caller, Handle};
use super::key::{KeyName, Mode, Target};
use super::outcomes::{self, Borrowed};
use super::perform::{Conditions, on_space};
use super::schedule;
use super::server::{Ctx, live_time};
use crate::commands::claim::{self, Claim};
use crate::commands::reply::Reply;
use crate::commands::spec::Spec;
use crate::commands::waiting::{Place, PlaceRef, Ticket, Waiting, Wish};

/// One waiting client.
pub struct Parked {
    caller: Caller,
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
pub fn block(ctx: &Ctx<'_>, target: &Target<'_>, spec: &Spec, command: &KeyName<'_>, claim: Box<Claim>) {
    let block_ms = claim.block_ms.unwrap_or(0);
    let parked = Arc::new(Parked {
        caller: Caller::of(ctx, target, spec, command),
        claim,
        ticket: OnceLock::new(),
        delivery: Mutex::new(None),
    });
    let record = Arc::into_raw(parked.clone()).cast_mut().cast();
    // SAFETY: this is the command of a client that may be blocked; the record is a reference that is
    // returned in `forget`.
    let handle = unsafe { blocked::block(ctx, &target.name, block_ms, &CALLBACKS, record) };
    let wish = Wish { types: &parked.claim.types, max_priority: parked.claim.max_priority };
    let entry = Waiter { handle, parked: parked.clone() };
    let ticket = with_queue(|queue| queue.enrol(target.place(), wish, entry));
    parked.ticket.set(ticket).expect("set once");
}

const CALLBACKS: Callbacks = Callbacks { on_key_ready, on_timeout, on_disconnect, forget };

impl Waiter {
    /// What it waits for.
    pub fn claim(&self) -> &Claim {
        &self.parked.claim
    }

    /// See [`Caller::is_permitted`].
    pub fn is_permitted(&self, ctx: &Ctx<'_>) -> bool {
        self.parked.caller.is_permitted(ctx)
    }

    /// Gives it what it waited for, or an error; it waits no more.
    pub fn deliver(self, delivery: Delivery) {
        self.parked.leave();
        *self.parked.delivery() = Some(delivery);
        // SAFETY: the client stood in the queue until now, so the handle is valid.
        unsafe { self.handle.unblock() };
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

    /// Tries to claim and to reply in the context of the blocked client itself.
    fn serve_now(&self, ctx: &Ctx<'_>) -> bool {
        let target = self.caller.target();
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
    if parked.caller.is_permitted(&ctx) && parked.serve_now(&ctx) { OK } else { ERR }
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
