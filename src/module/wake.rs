//! Who gets the next task: after something made tasks ready, the clients that wait for them are
//! served in order of arrival, one task waking one client.
//!
//! This runs inside the command that made the tasks ready, so AOF and replicas see both in order
//! and as one `WF.APPLY`. After MULTI and scripts a timer does it, at once: what is
//! inside must not see a claim that came in between.
//!
//! Each ready type has one candidate, its oldest waiter; the oldest candidate goes first. A
//! candidate is looked up again when its turn comes: serving others can only have made the type
//! less attractive, so the new candidate is never older than the one it replaces.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::blocking::{self, Delivery, conditions_of_serving};
use super::key::{Holds, Mode, OpenKey, OwnedString, Target};
use super::outcomes;
use super::perform::on_space;
use super::replicate::Unit;
use super::schedule;
use super::server::Ctx;
use crate::commands::claim;
use crate::commands::waiting::{Place, Ticket};
use crate::engine::report::Report;
use crate::engine::space::Space;
use crate::engine::units::TypeId;

/// Clients served in one turn of the event loop; a timer goes on with the rest.
const SERVED_PER_TURN: usize = 128;

type Candidates = BinaryHeap<Reverse<(Ticket, TypeId)>>;

/// Wakes for what a command or a sweep made ready.
pub fn after(ctx: &Ctx<'_>, target: &Target<'_>, report: &Report) {
    let nothing = report.readied.is_empty() && !report.readied_all;
    if nothing || !blocking::any_at(target.place()) {
        return;
    }
    let flags = ctx.flags();
    if flags.in_transaction() || !flags.may_work() {
        schedule::defer(target.place());
        schedule::arm(ctx);
        return;
    }
    serve_all(ctx, target, |space| match report.readied_all {
        true => candidates(space, target, space.claimable_types()),
        false => candidates(space, target, report.readied.iter().copied()),
    });
}

/// Wakes at a key whatever became ready there, for the timer; true when somebody was served.
pub fn at(ctx: &Ctx<'_>, place: &Place) -> bool {
    if !ctx.select(place.db) || !blocking::any_at(place.view()) {
        return false;
    }
    let name = OwnedString::new(&place.key);
    let _unit = Unit::begin(ctx);
    serve_at(ctx, &Target { db: place.db, name: name.name() })
}

/// Wakes at an open key whatever can be claimed there; true when somebody was served.
pub fn serve_at(ctx: &Ctx<'_>, target: &Target<'_>) -> bool {
    serve_all(ctx, target, |space| candidates(space, target, space.claimable_types()))
}

fn serve_all(ctx: &Ctx<'_>, target: &Target<'_>, collect: impl FnOnce(&Space) -> Candidates) -> bool {
    let mut waiting = look(ctx, target, collect).unwrap_or_default();
    let mut served = 0;
    while let Some(Reverse((ticket, task_type))) = waiting.pop() {
        let next = look(ctx, target, |space| candidate(space, target, task_type)).flatten();
        let Some(next) = next else { continue };
        if next != ticket {
            waiting.push(Reverse((next, task_type)));
            continue;
        }
        if served == SERVED_PER_TURN {
            schedule::defer(target.place());
            schedule::arm(ctx);
            return true;
        }
        if serve(ctx, target, ticket) {
            served += 1;
            waiting.push(Reverse((ticket, task_type)));
        }
    }
    served > 0
}

/// True when the client does not wait any more.
fn serve(ctx: &Ctx<'_>, target: &Target<'_>, ticket: Ticket) -> bool {
    let Some(waiter) = blocking::waiter(ticket) else {
        return true;
    };
    if !waiter.is_permitted(ctx) {
        waiter.deliver(blocking::not_permitted());
        return true;
    }
    let mut out = outcomes::borrow();
    let result =
        on_space(ctx, target, &conditions_of_serving(), &mut out, |call| claim::serve(waiter.claim(), call));
    match result {
        Ok(false) => return false,
        Ok(true) => waiter.deliver(Delivery::Tasks(out)),
        Err(error) => waiter.deliver(Delivery::Error(error.to_bytes())),
    }
    true
}

fn look<R>(ctx: &Ctx<'_>, target: &Target<'_>, at: impl FnOnce(&Space) -> R) -> Option<R> {
    match OpenKey::open(ctx, &target.name, Mode::Look).holds() {
        Holds::Space(value) => Some(at(&value.space)),
        Holds::Nothing | Holds::Another => None,
    }
}

fn candidate(space: &Space, target: &Target<'_>, task_type: TypeId) -> Option<Ticket> {
    let priority = space.head_priority(task_type)?;
    blocking::oldest(target.place(), space.type_name(task_type), priority)
}

fn candidates(space: &Space, target: &Target<'_>, types: impl Iterator<Item = TypeId>) -> Candidates {
    types.filter_map(|task_type| Some(Reverse((candidate(space, target, task_type)?, task_type)))).collect()
}
