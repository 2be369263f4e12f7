//! Leases: given, given again, extended, run out, taken back.

use super::finish;
use super::within;
use crate::engine::effect::{Grant, Lease};
use crate::engine::keys;
use crate::engine::report::Report;
use crate::engine::runs::Run;
use crate::engine::space::Space;
use crate::engine::state::{TaskState, WorkflowState};
use crate::engine::units::{Millis, TaskRef, WorkerId};
use crate::engine::workflow::MARK_VOID;

pub(super) fn claim(space: &mut Space, lease: &Lease<'_>) {
    space.at_time(lease.now);
    let worker = space.workers.intern(lease.worker);
    for grant in lease.grants {
        space.leave_ready(grant.task);
        let before = space.run_of(grant.task);
        let ready = before.ready.unwrap_or(space.workflows.at(grant.task.slot).created());
        let started = within(lease.now, space.workflows.at(grant.task.slot)).max(ready);
        let type_id = space.type_of(grant.task);
        space.types.at_mut(type_id).waits.record(started.since(ready));
        hand_out(space, grant, worker, Run { ready: Some(ready), started: Some(started), ..before });
        space.move_task(grant.task, TaskState::Running);
    }
}

pub(super) fn resume(space: &mut Space, lease: &Lease<'_>) {
    space.at_time(lease.now);
    let worker = space.workers.intern(lease.worker);
    for grant in lease.grants {
        let before = space.run_of(grant.task);
        end_lease(space, grant.task);
        let ready = before.ready.unwrap_or(Millis(0));
        let started = within(lease.now, space.workflows.at(grant.task.slot)).max(ready);
        hand_out(space, grant, worker, Run { started: Some(started), ..before });
    }
}

/// Writes the run of a new attempt and enters its lease.
fn hand_out(space: &mut Space, grant: &Grant, worker: WorkerId, run: Run) {
    space.workers.mention(worker);
    if run.attempt > 0 {
        space.workers.forget(run.worker);
    }
    let run = Run { nonce: grant.nonce, attempt: run.attempt + 1, worker, ..run };
    space.workflows.at_mut(grant.task.slot).set_marks(grant.task.index, MARK_VOID, false);
    enter_lease(space, grant.task, run, grant.deadline);
}

fn enter_lease(space: &mut Space, task: TaskRef, run: Run, deadline: Millis) {
    let deadline = within(deadline, space.workflows.at(task.slot));
    space.set_run(task, Run { finished: Some(deadline), ..run });
    space.leases.insert(keys::lease(deadline, task));
    let held = space.held_key(task);
    space.workers.at_mut(run.worker).held.insert(held);
}

/// Takes a running task out of the index of leases and from its worker.
pub(super) fn end_lease(space: &mut Space, task: TaskRef) {
    let run = space.run_of(task);
    let deadline = run.finished.expect("a running task has a deadline");
    let held = space.held_key(task);
    space.leases.remove(keys::lease(deadline, task));
    space.workers.at_mut(run.worker).held.remove(held);
}

pub(super) fn extend(space: &mut Space, task: TaskRef, deadline: Millis) {
    let run = space.run_of(task);
    if space.state_of(task) == TaskState::Running {
        end_lease(space, task);
    } else {
        space.leave_ready(task);
        space.move_task(task, TaskState::Running);
    }
    enter_lease(space, task, resumed(run), deadline);
}

/// The run of a task whose lease ran out and whose worker turned up before anybody else claimed
/// it: the second time it became ready is forgotten, so that it did not start before it was ready.
pub(super) fn resumed(run: Run) -> Run {
    Run { ready: run.ready.min(run.started), ..run }
}

/// The lease ends without an acknowledgement: the task is ready again, its token good until the
/// next claim; or it is cancelled, when its workflow has failed.
pub(super) fn give_back(space: &mut Space, task: TaskRef, now: Millis, report: &mut Report) {
    space.at_time(now);
    end_lease(space, task);
    if space.workflows.at(task.slot).state() == WorkflowState::Running {
        let started = space.run_of(task).started;
        space.make_ready(task, now.max(started.unwrap_or(now)), report);
    } else {
        finish::cancel(space, task, now);
        finish::finish_if_done(space, task.slot, now, report);
    }
}

/// As [`give_back`], and the token is void at once.
pub(super) fn take_back(space: &mut Space, task: TaskRef, now: Millis, report: &mut Report) {
    space.workflows.at_mut(task.slot).set_marks(task.index, MARK_VOID, true);
    give_back(space, task, now, report);
}
