//! What happens without a command: delays that end, leases that run out, finished workflows that
//! have been kept long enough, and waking that was put off.
//!
//! For each key the schedule remembers a time not later than the first of it. It is a hint
//! by name, not a fact about a value: names change hands by RENAME, MOVE and SWAPDB, and a hint
//! for a key that holds no space any more costs one look. One timer stands for the earliest hint.
//! When it fires, the spaces due are swept in bounded batches and their hints renewed: one space a
//! turn, so that each change is a command of its own in the AOF (see [`super::replicate`]), and as many
//! timers as there are spaces due, so that a thousand of them do not take a thousand milliseconds.
//!
//! The server's timers follow the wall clock and stall when it steps back, so its cron event asks
//! too. Only a primary that is neither loading nor paused works; whoever may not comes back with
//! the next cron event, ten times a second.

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;
use redis_module::raw;

use super::blocking;
use super::clock;
use super::grace;
use super::info::COUNTERS;
use super::key::{Mode, OwnedString, Target};
use super::outcomes;
use super::perform::{Conditions, on_space};
use super::replicate::Unit;
use super::server::{Ctx, LONGEST_TIMER, TimerId, checked_time, live_time};
use super::slots;
use super::wake;
use crate::commands::call::Value;
use crate::commands::sweep;
use crate::commands::waiting::{Place, PlaceRef};
use crate::engine::limits::SWEEP_BATCH;
use crate::engine::units::Millis;

/// What opening and looking at a space costs, in tasks.
const LOOK: usize = 10;

/// When a space is looked at again whose slot is on its way, in milliseconds.
const SLOT_ON_ITS_WAY: u64 = 100;

/// Timers that take turns at the same time.
const TURNS: usize = 64;

#[derive(Default)]
struct Schedule {
    due: HashMap<Place, Millis>,
    order: BTreeSet<(Millis, Place)>,
    /// Keys at which clients are to be woken.
    deferred: BTreeSet<Place>,
    timer: Option<(TimerId, Millis)>,
    /// Timers beside that one that have not fired.
    helping: usize,
    in_turn: bool,
}

static SCHEDULE: Mutex<Option<Schedule>> = Mutex::new(None);

fn with_schedule<R>(body: impl FnOnce(&mut Schedule) -> R) -> R {
    let mut guard = SCHEDULE.lock().unwrap_or_else(PoisonError::into_inner);
    body(guard.get_or_insert_default())
}

impl Schedule {
    fn note(&mut self, place: PlaceRef<'_>, due: Millis) {
        if let Some(noted) = self.due.get_mut(&place) {
            if *noted <= due {
                return;
            }
            let place = place.own();
            let later = std::mem::replace(noted, due);
            self.order.remove(&(later, place.clone()));
            self.order.insert((due, place));
        } else {
            let place = place.own();
            self.order.insert((due, place.clone()));
            self.due.insert(place, due);
        }
    }

    fn take_due(&mut self, now: Millis) -> Option<Place> {
        if self.order.first()?.0 > now {
            return None;
        }
        let (_, place) = self.order.pop_first()?;
        self.due.remove(&place);
        Some(place)
    }

    /// How many keys are due or deferred, up to `most`.
    fn due_at_most(&self, now: Millis, most: usize) -> usize {
        let due = self.order.iter().take_while(|(due, _)| *due <= now);
        self.deferred.iter().map(|_| ()).chain(due.map(|_| ())).take(most).count()
    }

    /// When there is something to do.
    fn next(&self) -> Option<Millis> {
        if !self.deferred.is_empty() {
            return Some(Millis(0));
        }
        Some(self.order.first()?.0)
    }
}

/// Remembers that something falls due in a space at `due`.
pub fn note(place: PlaceRef<'_>, due: Millis) {
    with_schedule(|schedule| schedule.note(place, due));
}

/// The key was deleted or got another name.
pub fn forget(place: PlaceRef<'_>) {
    with_schedule(|schedule| {
        if let Some((place, due)) = schedule.due.remove_entry(&place) {
            schedule.order.remove(&(due, place));
        }
    });
}

/// A database was emptied; `None`: all of them.
pub fn forget_database(db: Option<i32>) {
    let gone = |place: &Place| db.is_none_or(|db| place.db == db);
    with_schedule(|schedule| {
        schedule.due.retain(|place, _| !gone(place));
        schedule.order.retain(|(_, place)| !gone(place));
    });
}

/// Settings changed, and with them perhaps when something is due: each space is looked at again.
pub fn look_at_all(now: Millis) {
    with_schedule(|schedule| {
        let places: Vec<Place> = schedule.due.keys().cloned().collect();
        places.iter().for_each(|place| schedule.note(place.view(), now));
    });
}

/// Puts waking at this key off to a timer.
pub fn defer(place: PlaceRef<'_>) {
    with_schedule(|schedule| schedule.deferred.insert(place.own()));
}

/// Two databases changed places.
pub fn swap_databases(first: i32, second: i32) {
    with_schedule(|schedule| {
        schedule.order.clear();
        for (mut place, due) in std::mem::take(&mut schedule.due) {
            if place.db == first {
                place.db = second;
            } else if place.db == second {
                place.db = first;
            }
            schedule.note(place.view(), due);
        }
    });
}

/// Sees to it that a timer fires when there is something to do.
pub fn arm(ctx: &Ctx<'_>) {
    let plan = with_schedule(|schedule| {
        let next = schedule.next().filter(|_| !schedule.in_turn)?;
        match schedule.timer {
            Some((_, fires)) if fires <= next => None,
            later => Some((next, later)),
        }
    });
    let Some((next, later)) = plan.filter(|_| ctx.flags().primary()) else { return };
    if let Some((timer, _)) = later {
        ctx.stop_timer(timer);
    }
    let now = live_time();
    // Too early is no harm: there is nothing to do then but to start the next one.
    let delay = next.since(now).min(LONGEST_TIMER);
    let timer = ctx.start_timer(delay, on_timer);
    let help = with_schedule(|schedule| {
        schedule.timer = Some((timer, now.plus(delay)));
        let due = schedule.due_at_most(now, TURNS);
        let more = due.saturating_sub(1 + schedule.helping);
        schedule.helping += more;
        more
    });
    for _ in 0..help {
        ctx.start_timer(0, on_helping_timer);
    }
}

unsafe extern "C" fn on_timer(ctx: *mut raw::RedisModuleCtx, _: *mut c_void) {
    with_schedule(|schedule| schedule.timer = None);
    // SAFETY: the server's context.
    turn(&unsafe { Ctx::new(ctx) });
}

unsafe extern "C" fn on_helping_timer(ctx: *mut raw::RedisModuleCtx, _: *mut c_void) {
    with_schedule(|schedule| schedule.helping -= 1);
    // SAFETY: the server's context.
    turn(&unsafe { Ctx::new(ctx) });
}

/// The server's cron event: does what a stalled timer should have done.
pub fn cron(ctx: &Ctx<'_>) {
    let now = checked_time();
    if !clock::ahead(0).is_empty() {
        match ctx.flags().primary() {
            true => return turn(ctx),
            // The primary moves what is to be moved.
            false => clock::forget_ahead(),
        }
    }
    match with_schedule(|schedule| schedule.next()) {
        None => {}
        Some(next) if next <= now => turn(ctx),
        Some(_) => {
            if clock::is_behind()
                && let Some((timer, _)) = with_schedule(|schedule| schedule.timer.take())
            {
                // It was set by a clock that has been set back since, and stands still.
                ctx.stop_timer(timer);
            }
            arm(ctx);
        }
    }
}

/// Whoever waits at a key was there before a client that asks now: what is due, or was put off to a
/// timer, is done first. Costs one look when nobody waits.
pub fn serve_those_before(ctx: &Ctx<'_>, target: &Target<'_>) {
    if !blocking::any_at(target.place()) {
        return;
    }
    let place = target.place().own();
    if with_schedule(|schedule| schedule.deferred.remove(&place)) {
        wake::serve_at(ctx, target);
    }
    sweep_space(ctx, target, live_time());
}

/// One bounded amount of work: on one space that changes, and on any number that do not. Where the
/// timers stand still there is no other turn soon, so it is on all of them.
fn turn(ctx: &Ctx<'_>) {
    if !ctx.may_work() || with_schedule(|schedule| std::mem::replace(&mut schedule.in_turn, true)) {
        return;
    }
    let now = live_time();
    follow_the_clock(ctx, now);
    let stalled = clock::is_behind();
    let mut budget = SWEEP_BATCH;
    let mut changed = false;
    while budget > 0
        && (!changed || stalled)
        && let Some(place) = with_schedule(|schedule| schedule.take_due(now))
    {
        let done = sweep_one(ctx, &place, now);
        changed |= done > 0;
        budget = budget.saturating_sub(LOOK + done);
    }
    // As many as there are now: what is put off again waits for the next turn.
    let mut waits = with_schedule(|schedule| schedule.deferred.len());
    while waits > 0
        && (!changed || stalled)
        && let Some(place) = with_schedule(|schedule| schedule.deferred.pop_first())
    {
        changed |= wake::at(ctx, &place);
        waits -= 1;
    }
    with_schedule(|schedule| schedule.in_turn = false);
    arm(ctx);
}

/// Where nothing happens by itself soon, leases and deadlines are moved along with a clock that was
/// set ahead by looking at each space: [`on_space`] does it. All at once, however many there are.
fn follow_the_clock(ctx: &Ctx<'_>, now: Millis) {
    if clock::ahead(0).is_empty() {
        return;
    }
    let places: Vec<Place> = with_schedule(|schedule| schedule.due.keys().cloned().collect());
    for place in places {
        if ctx.select(place.db) && slots::is_in_use(ctx, &place.key) {
            let name = OwnedString::new(&place.key);
            let target = Target { db: place.db, name: name.name() };
            let look = conditions(now, Some(grace::expire_from()));
            // A key that holds something else by now has no leases to move.
            let _ = on_space(ctx, &target, &look, &mut outcomes::borrow(), |_| Ok(()));
            note(target.place(), now);
        }
    }
    clock::forget_ahead();
}

fn conditions(now: Millis, expire_from: Option<Millis>) -> Conditions<'static> {
    Conditions { args: &[], mode: Mode::Change, now, expire_from, replayed: false, may_block: false }
}

/// Sweeps one space and notes when to come back; returns how much was done.
fn sweep_one(ctx: &Ctx<'_>, place: &Place, now: Millis) -> usize {
    if !ctx.select(place.db) {
        return 0;
    }
    if !slots::is_in_use(ctx, &place.key) {
        note(place.view(), now.plus(SLOT_ON_ITS_WAY));
        return 0;
    }
    let name = OwnedString::new(&place.key);
    let _unit = Unit::begin(ctx);
    sweep_space(ctx, &Target { db: place.db, name: name.name() }, now)
}

fn sweep_space(ctx: &Ctx<'_>, target: &Target<'_>, now: Millis) -> usize {
    let expire_from = grace::expire_from();
    let conditions = conditions(now, Some(expire_from));
    let mut out = outcomes::borrow();
    let next = on_space(ctx, target, &conditions, &mut out, |call| {
        if !matches!(call.value, Value::Space(_)) {
            return Ok(None);
        }
        COUNTERS.sweeps.fetch_add(1, Relaxed);
        let soonest = match sweep::sweep(call)? {
            true => now,
            false => now.plus(1),
        };
        let settings = call.settings;
        let due = call.space()?.and_then(|space| space.next_due(settings, expire_from));
        Ok(due.map(|due| due.max(soonest)))
    });
    if let Ok(Some(due)) = next {
        note(target.place(), due);
    }
    wake::after(ctx, target, &out.report);
    out.report.applied as usize
}
