//! Leases: given, given again, extended, run out, taken back.

use super::at::At;
use super::{finish, flow};
use crate::engine::effect::{Grant, Lease};
use crate::engine::report::Report;
use crate::engine::runs::Run;
use crate::engine::space::Space;
use crate::engine::state::{TaskState, WorkflowState};
use crate::engine::units::{Millis, TaskRef, WorkerId};
use crate::engine::workflow::MARK_VOID;

pub(super) fn claim(space: &mut Space, lease: &Lease<'_>) {
    space.at_time(lease.now);
    let worker = space.workers.intern(lease.worker);
    space.workers.deeds(worker).claim(lease.grants.len(), lease.now);
    for grant in lease.grants {
        let mut at = space.open(grant.task);
        let before = at.run();
        at.leave_ready(&before);
        let ready = before.ready.unwrap_or(at.workflow.created());
        let started = at.within(lease.now).max(ready);
        at.entry.waits.record(started.since(ready));
        hand_out(&mut at, grant, worker, Run { ready: Some(ready), started: Some(started), ..before });
        at.move_to(TaskState::Running);
    }
}

pub(super) fn resume(space: &mut Space, lease: &Lease<'_>) {
    space.at_time(lease.now);
    let worker = space.workers.intern(lease.worker);
    space.workers.deeds(worker).claim(lease.grants.len(), lease.now);
    for grant in lease.grants {
        let mut at = space.open(grant.task);
        let before = at.run();
        at.end_lease(&before);
        at.set_tried(at.tried().lost());
        at.workers.deeds(before.worker).lost += 1;
        let started = at.within(lease.now).max(before.ready.unwrap_or_default());
        hand_out(&mut at, grant, worker, Run { started: Some(started), ..before });
    }
}

/// Writes the run of a new attempt and enters its lease.
fn hand_out(at: &mut At<'_>, grant: &Grant, worker: WorkerId, run: Run) {
    at.workers.mention(worker);
    if run.attempt > 0 {
        at.workers.forget(run.worker);
    }
    at.mark(MARK_VOID, false);
    let run = Run { nonce: grant.nonce, attempt: run.attempt + 1, worker, ..run };
    at.begin_lease(run, grant.deadline);
}

pub(super) fn extend(space: &mut Space, task: TaskRef, deadline: Millis) {
    let mut at = space.open(task);
    let run = at.run();
    if at.state() == TaskState::Running {
        at.end_lease(&run);
    } else {
        at.leave_ready(&run);
        at.move_to(TaskState::Running);
    }
    at.begin_lease(resumed(run), deadline);
}

/// The run of a task whose lease ran out and whose worker turned up before anybody else claimed
/// it: the second time it became ready is forgotten, so that it did not start before it was ready.
pub(super) fn resumed(run: Run) -> Run {
    Run { ready: run.ready.min(run.started), ..run }
}

/// The lease ends without an acknowledgement: the task is ready again, its token good until the
/// next claim; or it is cancelled, when its workflow has failed.
pub(super) fn give_back(space: &mut Space, task: TaskRef, now: Millis, report: &mut Report) {
    end_lost(
        space,
        task,
        now,
        |at, run| {
            at.set_tried(at.tried().lost());
            at.workers.deeds(run.worker).lost += 1;
        },
        report,
    );
}

/// As [`give_back`], and nobody is to blame for it.
pub(super) fn end_unheard(space: &mut Space, task: TaskRef, now: Millis, report: &mut Report) {
    end_lost(space, task, now, |_, _| {}, report);
}

/// As [`give_back`], and the token is void at once. The worker itself asked for it.
pub(super) fn take_back(space: &mut Space, task: TaskRef, now: Millis, report: &mut Report) {
    end_lost(
        space,
        task,
        now,
        |at, run| {
            at.set_tried(at.tried().lost());
            at.mark(MARK_VOID, true);
            let deeds = at.workers.deeds(run.worker);
            deeds.lost += 1;
            deeds.see(now);
        },
        report,
    );
}

/// The lease ends; `count` writes down whose loss that is.
fn end_lost(
    space: &mut Space,
    task: TaskRef,
    now: Millis,
    count: impl FnOnce(&mut At<'_>, &Run),
    report: &mut Report,
) {
    space.at_time(now);
    let mut at = space.open(task);
    let run = at.run();
    count(&mut at, &run);
    at.end_lease(&run);
    if at.workflow.state() == WorkflowState::Running || at.shape.survives(task.index) {
        return at.make_ready(run.started.map_or(now, |started| now.max(started)), report);
    }
    at.end_unstarted(now, TaskState::Cancelled);
    if at.shape.is_flow() {
        flow::ended(space, task.slot, vec![task.index], now, report);
    }
    finish::finish_if_done(space, task.slot, now, report);
}
