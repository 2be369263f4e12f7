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

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::answer;
use super::blocked::{self, Caller, Handle, Waits};
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
    // SAFETY: this is the command of a client that may be blocked.
    let handle = unsafe { blocked::block(ctx, &target.name, block_ms, &parked) };
    let wish = Wish { types: &parked.claim.types, max_priority: parked.claim.max_priority };
    let entry = Waiter { handle, parked: parked.clone() };
    let ticket = with_queue(|queue| queue.enrol(target.place(), wish, entry));
    parked.ticket.set(ticket).expect("set once");
}

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

impl Waits for Parked {
    fn key_appeared(&self, ctx: &Ctx<'_>) -> bool {
        // One that is not permitted any more is told when a task is ready for it.
        self.caller.is_permitted(ctx) && self.serve_now(ctx)
    }

    fn tell(&self, ctx: &Ctx<'_>) {
        let delivery = self.delivery().take();
        match delivery {
            Some(Delivery::Tasks(out)) => answer::reply(ctx, &out.reply),
            Some(Delivery::Error(line)) => answer::error_line(ctx, line),
            None => {
                let mut reply = Reply::default();
                claim::empty_reply(&mut reply);
                answer::reply(ctx, &reply);
            }
        }
    }

    /// Leaves the queue, if it still stands there.
    fn leave(&self) {
        if let Some(&ticket) = self.ticket.get() {
            drop(with_queue(|queue| queue.remove(ticket)));
        }
    }
}
