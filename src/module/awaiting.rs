//! Clients that wait for workflows to end.
//!
//! Beside being blocked by the server (see `blocked`) the client stands at one of its workflows that
//! has not ended ([`Awaiting`]). When that ends, or its key changes hands, the client is looked at: it
//! goes on to another of its workflows, or is unblocked because there is none.
//!
//! Whoever is unblocked, for whatever reason, is told how its workflows stand at that moment, as by
//! WF.WAIT without BLOCK. Redis 8.2 calls `on_timeout` only after the command that unblocked the client,
//! when a workflow that is not kept may be gone, so the answer lies ready in the [`Parked`] record.
//!
//! Looking changes nothing, so it happens on replicas and while clients are paused, too. It happens
//! inside the command that ended the workflow, but after MULTI and scripts: what is between their
//! commands is not seen. Where no command is at hand, and when there is more to do than one turn of the
//! event loop should, a timer goes on.

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use redis_module::raw;

use super::answer;
use super::blocked::{self, Caller, Handle, Waits};
use super::key::{Holds, KeyName, Mode, OpenKey, Target};
use super::outcomes::{self, Borrowed};
use super::perform::{Conditions, on_space};
use super::server::{Ctx, live_time};
use crate::commands::awaiting::{Arrival, Awaiting};
use crate::commands::spec::Spec;
use crate::commands::wait::{self, Standing, Wait};
use crate::commands::waiting::{Place, PlaceRef};

/// What one turn of the event loop does at most, in tasks and ids looked at: about 1 ms of work.
const EFFORT_PER_TURN: usize = 2_000;
/// What looking at a client and answering it costs beside.
const EFFORT_PER_CLIENT: usize = 10;

/// One waiting client.
struct Parked {
    caller: Caller,
    wait: Box<Wait>,
    /// The place of the workflow it stands at.
    open: AtomicUsize,
    arrival: OnceLock<Arrival>,
    answer: Mutex<Option<Answer>>,
}

/// What a client is told.
enum Answer {
    /// How its workflows stand.
    Told(Borrowed),
    /// An error, as its whole line.
    Error(Vec<u8>),
}

/// The entry of one who waits.
#[derive(Clone)]
struct Waiter {
    handle: Handle,
    parked: Arc<Parked>,
}

static AWAITING: Mutex<Option<Awaiting<Waiter>>> = Mutex::new(None);
/// How many wait: mostly nobody, and then a command asks no more than this.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// A timer has been started and has not fired.
static TIMER: AtomicBool = AtomicBool::new(false);

/// Keys that are missing because their slot is moving to another node of the cluster. Those who wait
/// there are redirected by the server when it has moved, and looked at again until then.
static MOVING: Mutex<BTreeSet<Place>> = Mutex::new(BTreeSet::new());

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with_all<R>(body: impl FnOnce(&mut Awaiting<Waiter>) -> R) -> R {
    let mut guard = lock(&AWAITING);
    let all = guard.get_or_insert_default();
    let result = body(all);
    COUNT.store(all.len(), Relaxed);
    result
}

/// How many clients wait.
pub fn count() -> u64 {
    COUNT.load(Relaxed) as u64
}

/// True when somebody waits for a workflow of this key.
pub fn any_at(place: PlaceRef<'_>) -> bool {
    COUNT.load(Relaxed) > 0 && with_all(|all| all.any_at(place))
}

/// Blocks the client of a command until the workflows have ended.
pub fn block(ctx: &Ctx<'_>, target: &Target<'_>, spec: &Spec, command: &KeyName<'_>, wait: Box<Wait>) {
    let (block_ms, open) = (wait.block_ms, AtomicUsize::new(wait.open));
    let parked = Arc::new(Parked {
        caller: Caller::of(ctx, target, spec, command),
        wait,
        open,
        arrival: OnceLock::new(),
        answer: Mutex::new(None),
    });
    // SAFETY: this is the command of a client that may be blocked.
    let handle = unsafe { blocked::block(ctx, &target.name, block_ms, &parked) };
    let waiter = Waiter { handle, parked: parked.clone() };
    let arrival = with_all(|all| all.enrol(target.place(), parked.stands_at(), waiter));
    parked.arrival.set(arrival).expect("set once");
}

/// Workflows of a key ended or were removed, by a command or by itself.
pub fn ended(ctx: &Ctx<'_>, target: &Target<'_>, workflows: &[Box<[u8]>]) {
    with_all(|all| workflows.iter().for_each(|workflow| all.wake(target.place(), workflow)));
    if ctx.flags().in_transaction() { arm(ctx) } else { look_at_the_woken(ctx) }
}

/// Anything may have happened at some keys.
pub fn changed(ctx: &Ctx<'_>, wanted: impl FnMut(&Place) -> bool) {
    if COUNT.load(Relaxed) > 0 {
        with_all(|all| all.wake_where(wanted));
        arm(ctx);
    }
}

/// Another value, or none, is at a key.
pub fn changed_at(ctx: &Ctx<'_>, place: PlaceRef<'_>) {
    left(place);
    arm(ctx);
}

/// A space leaves its key. Where no event tells of it, too, the next heartbeat of the server does
/// what is to be done.
pub fn left(place: PlaceRef<'_>) {
    if any_at(place) {
        with_all(|all| all.wake_all_at(place));
    }
}

/// The server's heartbeat: does what a stalled timer should have done.
pub fn cron(ctx: &Ctx<'_>) {
    for place in std::mem::take(&mut *lock(&MOVING)) {
        left(place.view());
    }
    look_at_the_woken(ctx);
}

/// Sees to it that a timer fires when somebody is to be looked at.
fn arm(ctx: &Ctx<'_>) {
    if COUNT.load(Relaxed) > 0 && with_all(|all| all.any_woken()) && !TIMER.swap(true, Relaxed) {
        ctx.start_timer(0, on_timer);
    }
}

unsafe extern "C" fn on_timer(ctx: *mut raw::RedisModuleCtx, _: *mut c_void) {
    TIMER.store(false, Relaxed);
    // SAFETY: the server's context.
    look_at_the_woken(&unsafe { Ctx::new(ctx) });
}

/// A bounded amount of work.
fn look_at_the_woken(ctx: &Ctx<'_>) {
    // What is being loaded is not what was there, and not yet what will be.
    if COUNT.load(Relaxed) == 0 || ctx.flags().loading() {
        return;
    }
    let db = ctx.db();
    let mut effort = 0;
    while effort < EFFORT_PER_TURN {
        let next = with_all(|all| all.next_woken().map(|(arrival, waiter)| (arrival, waiter.clone())));
        let Some((arrival, waiter)) = next else { break };
        effort += EFFORT_PER_CLIENT + waiter.look(ctx, arrival);
    }
    ctx.select(db);
    arm(ctx);
}

impl Waiter {
    /// Answers the client or lets it stand at another workflow; returns what that cost.
    fn look(self, ctx: &Ctx<'_>, arrival: Arrival) -> usize {
        let parked = &self.parked;
        let target = parked.caller.target();
        ctx.select(target.db);
        let (ids, from) = (&parked.wait.ids, parked.open.load(Relaxed));
        let standing = match OpenKey::open(ctx, &target.name, Mode::Look).holds() {
            // It will not tell of any end: the answer is an error.
            Holds::Space(value) if value.space.incomplete() => Standing::Ended { effort: 0 },
            Holds::Space(value) => wait::standing(Some(&value.space), ids, from),
            Holds::Nothing if ctx.is_moving(&target.name) => {
                lock(&MOVING).insert(target.place().own());
                Standing::Open(from)
            }
            Holds::Nothing | Holds::Another => wait::standing(None, ids, from),
        };
        match standing {
            Standing::Open(at) => {
                parked.open.store(at, Relaxed);
                with_all(|all| all.stand_at(arrival, parked.stands_at()));
                (at + ids.len() - from) % ids.len()
            }
            Standing::Ended { effort } => {
                *lock(&parked.answer) = Some(parked.ask(ctx));
                drop(with_all(|all| all.remove(arrival)));
                // SAFETY: the client was enrolled until now, so the handle is valid.
                unsafe { self.handle.unblock() };
                effort
            }
        }
    }
}

impl Parked {
    fn stands_at(&self) -> &[u8] {
        &self.wait.ids[self.open.load(Relaxed)]
    }

    /// How the workflows stand. The context has the database selected.
    fn ask(&self, ctx: &Ctx<'_>) -> Answer {
        if !self.caller.is_permitted(ctx) {
            return Answer::Error(b"NOPERM the permission to look at this key was revoked".to_vec());
        }
        let looking = Conditions {
            args: &[],
            mode: Mode::Look,
            now: live_time(),
            expire_from: None,
            replayed: false,
            may_block: false,
        };
        let mut out = outcomes::borrow();
        let told = on_space(ctx, &self.caller.target(), &looking, &mut out, |call| {
            wait::answer(&self.wait.ids, call)
        });
        match told {
            Ok(()) => Answer::Told(out),
            Err(error) => Answer::Error(error.to_bytes()),
        }
    }
}

impl Waits for Parked {
    fn tell(&self, ctx: &Ctx<'_>) {
        let ready = lock(&self.answer).take();
        match ready.unwrap_or_else(|| self.ask(ctx)) {
            Answer::Told(out) => answer::reply(ctx, &out.reply),
            Answer::Error(line) => answer::error_line(ctx, line),
        }
    }

    /// Waits no more, if it still did.
    fn leave(&self) {
        if let Some(&arrival) = self.arrival.get() {
            drop(with_all(|all| all.remove(arrival)));
        }
    }
}
