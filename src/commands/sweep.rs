//! What time does: delays end, leases run out, attempts and workflows time out, finished workflows
//! have been kept long enough. In bounded batches: before each claim, and from a timer so that it
//! happens with nobody else about.

use super::call::{Call, CommandError, Outcome, Writing};
use super::carry_out;
use crate::engine::due;
use crate::engine::effect::{Cause, Effect, SignalEnd};
use crate::engine::limits::{SWEEP_BATCH, Settings};
use crate::engine::plan::still_wanted;
use crate::engine::space::Space;
use crate::engine::state::TaskState;
use crate::engine::units::{Millis, TaskRef};
use crate::engine::verdict::{Overdue, Wish, overdue, retry_at, vain};

/// What a sweep may do, and by which clock.
pub struct Sweep<'s> {
    /// The time.
    pub now: Millis,
    /// Leases and deadlines count as passed only from here on: see [`Call::expire_from`].
    pub expire_from: Option<Millis>,
    /// The module's settings.
    pub settings: &'s Settings,
}

/// Sweeps one batch; true when more is due now.
pub fn sweep(call: &mut Call<'_>) -> Result<bool, CommandError> {
    let sweep = Sweep { now: call.now, expire_from: call.expire_from, settings: call.settings };
    let Some(Writing { space, out, random }) = call.writing()? else { return Ok(false) };
    Ok(sweep.run(space, out, random))
}

/// The clock was set ahead by `by` milliseconds when it should have shown `from`: leases and deadlines
/// from before keep what they had left.
pub fn shift(call: &mut Call<'_>, from: Millis, by: u64) -> Result<(), CommandError> {
    let Some((space, out)) = call.space_mut()? else { return Ok(()) };
    if !space.agenda().leases.is_empty() || !space.agenda().deadlines.is_empty() {
        carry_out(space, &Effect::Shift { from, by }, out);
    }
    Ok(())
}

impl Sweep<'_> {
    /// Does one batch of what is due, if anything may be swept now; true when more is due.
    pub fn run(&self, space: &mut Space, out: &mut Outcome, random: &mut dyn FnMut() -> u32) -> bool {
        let Some(expire_from) = self.expire_from else { return false };
        let now = self.now;
        let settings = space.settings(self.settings);
        let mut left = SWEEP_BATCH;
        for task in due::delayed(space, now, left) {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(end_wait(space, task, now, out));
        }
        if expire_from <= now {
            for task in due::leases(space, now, left) {
                expire(space, task, now, &settings, out, random);
                left -= 1;
            }
            while left > 0
                && let Some(&slot) = due::deadlines(space, now, 1).first()
            {
                left = left.saturating_sub(space.workflow(slot).1.shape.len());
                carry_out(space, &Effect::TimeOut { now, slot }, out);
            }
        }
        while left > 0
            && let Some(slot) = space.archive().first_to_go(&settings, now)
        {
            left = left.saturating_sub(space.workflow(slot).1.shape.len());
            carry_out(space, &Effect::Delete { slot }, out);
        }
        left == 0
    }
}

/// A delay is over, or a signal did not come in time. Says how much work that was.
fn end_wait(space: &mut Space, task: TaskRef, now: Millis, out: &mut Outcome) -> usize {
    if let Some(after_ms) = vain(space, task) {
        let running = still_wanted(space, task.slot);
        let text = format!("timed out after {after_ms} ms");
        let end = SignalEnd::TimedOut(Some(text.as_bytes()));
        carry_out(space, &Effect::Signal { now, task, end }, out);
        let stopped = running && !still_wanted(space, task.slot);
        return if stopped { space.workflow(task.slot).1.shape.len() } else { 1 };
    }
    // What was due before it may have failed its workflow.
    if space.state_of(task) == TaskState::Delayed {
        carry_out(space, &Effect::Due { now, task }, out);
    }
    1
}

/// The deadline of a running task has passed.
fn expire(
    space: &mut Space,
    task: TaskRef,
    now: Millis,
    settings: &Settings,
    out: &mut Outcome,
    random: &mut dyn FnMut() -> u32,
) {
    match overdue(space, task, now, settings) {
        Overdue::GiveBack => carry_out(space, &Effect::Expire { now, task }, out),
        Overdue::Poisoned(error) => {
            let error = Some(&*error);
            carry_out(space, &Effect::Fail { now, task, error, cause: Cause::Expired }, out);
        }
        Overdue::TimedOut(after_ms) => {
            let text = format!("timed out after {after_ms} ms");
            let (error, cause) = (Some(text.as_bytes()), Cause::TimedOut);
            let effect = match retry_at(space, task, now, Wish::AsSet, settings, random) {
                Some(due) => Effect::Retry { now, task, due, error, cause },
                None => Effect::Fail { now, task, error, cause },
            };
            carry_out(space, &effect, out);
        }
    }
}
