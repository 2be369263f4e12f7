//! The only mutator. It reads no clock, draws no random number, depends on no hash order, and
//! cannot fail: what an effect asks for was checked by planning or by decoding.
//!
//! ON PUSH      the blueprint is interned, tasks without parents become ready (`push`)
//! ON DEFINE    the blueprint is interned and kept with the payloads; ON UNDEFINE they go (`start`)
//! ON START     a workflow is made of a definition, as by a push (`start`)
//! ON ADD       the workflow gets a larger blueprint; what has no open parent becomes ready (`add`)
//! ON CLAIM     a ready task leaves its queue and is leased (`lease`)
//! ON EXTEND    a lease gets a new deadline; one that ran out is taken up again (`lease`)
//! ON EXPIRE,   the lease ends; the task is ready again, or cancelled when its workflow has
//! ON RECOVER   failed (`lease`)
//! ON COMPLETE  the lease ends, children with no open parent left become ready (`finish`); results
//!              that nobody can want any more are freed (`results`)
//! ON FAIL      the lease ends, the workflow fails, what has not started is cancelled (`finish`)
//! ON SIGNAL    a task that waits for one completes or fails, or its time is over (`signal`)
//! ON RETRY     the lease ends, the task is delayed, or ready at once (`finish`)
//! ON DUE       a delayed task becomes ready (`finish`)
//! ON TIME OUT  the workflow fails of its deadline (`finish`)
//! ON SHIFT     leases and deadlines are moved by what the clock was set ahead (`shift`)
//! ON CANCEL    the workflow is called off, what has not started is cancelled (`finish`)
//! ON RERUN     what failed and what was cancelled behind it waits again (`rerun`)
//! ON PAUSE     ready tasks leave their queues; ON RELEASE they come back, and with them those
//!              whose parents completed meanwhile (`pause`)
//! ON DELETE    everything the workflow has goes (`delete`)

mod add;
mod at;
mod copy;
mod delete;
mod finish;
mod flow;
mod lease;
mod pause;
mod push;
mod rerun;
mod results;
mod shift;
mod signal;
mod start;

pub(super) use pause::open_parents;

use super::agenda::deadline_key;
use super::effect::Effect;
use super::invariant;
use super::report::{Event, Report};
use super::space::Space;
use super::units::{Millis, Slot};
use super::workflow::Workflow;

/// Debug builds check a space of up to so many workflows after each effect.
const CHECKED_WORKFLOWS: usize = 16;

/// Carries an effect out and reports what happened.
pub fn apply(space: &mut Space, effect: &Effect<'_>, report: &mut Report) {
    report.applied += match effect {
        Effect::Claim(lease) | Effect::Resume(lease) => lease.grants.len() as u64,
        _ => 1,
    };
    match *effect {
        Effect::Push(ref push) => push::push(space, push, report),
        Effect::Start { definition, ref terms } => start::start(space, definition, terms, report),
        Effect::Define(ref define) => start::define(space, define),
        Effect::Undefine { definition } => start::undefine(space, definition),
        Effect::Add(ref add) => add::add(space, add, report),
        Effect::Claim(ref lease) => lease::claim(space, lease),
        Effect::Resume(ref lease) => lease::resume(space, lease),
        Effect::Extend { task, deadline } => lease::extend(space, task, deadline),
        Effect::Expire { now, task } => {
            report.expired += 1;
            space.lifetime.lease_expiries += 1;
            report.events.add(Event::TaskExpired);
            lease::give_back(space, task, now, report);
        }
        Effect::Recover { now, task } => {
            report.events.add(Event::TaskRecovered);
            lease::take_back(space, task, now, report);
        }
        Effect::Complete { now, task, result, skipped, frees } => {
            finish::complete(space, task, now, finish::Completion { result, skipped, frees }, report);
        }
        Effect::Fail { now, task, error, cause } => finish::fail(space, task, now, error, cause, report),
        Effect::Signal { now, task, end } => signal::end(space, task, now, end, report),
        Effect::Retry { now, task, due, error, cause } => {
            finish::retry(space, task, (now, due), error, cause, report);
        }
        Effect::Due { now, task } => finish::due(space, task, now, report),
        Effect::TimeOut { now, slot } => finish::time_out(space, slot, now, report),
        Effect::Cancel { now, slot, reason } => finish::call_off(space, slot, now, reason, report),
        Effect::Rerun { now, slot, task } => rerun::rerun(space, slot, task, now, report),
        Effect::Shift { from, by } => shift::shift(space, from, by),
        Effect::Configure { setting, value } => space.overrides.set(setting, value),
        Effect::Stream { key } => space.overrides.set_events(key),
        Effect::Pause { target } => pause::pause(space, target, report),
        Effect::Release { now, target } => pause::release(space, target, now, report),
        Effect::Delete { slot } => delete::delete(space, slot, report),
    }
    if cfg!(debug_assertions) && space.workflows.len() <= CHECKED_WORKFLOWS {
        assert_eq!(invariant::check(space), Ok(()), "after {effect:?}");
    }
}

impl Space {
    /// Remembers the time of an effect.
    fn at_time(&mut self, now: Millis) {
        self.latest = self.latest.max(now);
    }

    /// The deadline of a workflow, if it has one, does not matter any more.
    fn drop_deadline(&mut self, slot: Slot) {
        if let Some(timeout) = self.extra(slot).timeout {
            self.agenda.deadlines.remove(deadline_key(timeout.deadline, slot));
        }
    }

    /// A workflow goes, and with it what few workflows have.
    fn retire_extra(&mut self, slot: Slot) {
        if self.workflows.at(slot).has_extra() {
            self.drop_deadline(slot);
            self.extras.remove(slot);
        }
    }

    /// Changes a workflow's state or pause and counts it under its new word.
    fn reword(&mut self, slot: Slot, change: impl FnOnce(&mut Workflow)) {
        let workflow = self.workflows.at_mut(slot);
        self.totals.workflows[workflow.word()] -= 1;
        change(workflow);
        self.totals.workflows[workflow.word()] += 1;
    }
}
