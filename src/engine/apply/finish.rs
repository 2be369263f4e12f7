//! Tasks and workflows end.

use super::at::At;
use super::flow;
use super::lease::resumed;
use super::pause::release_workflow;
use super::results;
use crate::engine::choice;
use crate::engine::effect::Cause;
use crate::engine::extras::{Extra, Timeout};
use crate::engine::notes::NoteKind;
use crate::engine::report::{Event, Report};
use crate::engine::runs::Run;
use crate::engine::space::Space;
use crate::engine::state::{TaskState, WorkflowState};
use crate::engine::units::{Millis, Slot, TaskIndex, TaskRef};
use crate::engine::workflow::MARK_VOID;

/// What a completion says besides that it is one; as in [`Effect::Complete`].
///
/// [`Effect::Complete`]: crate::engine::effect::Effect::Complete
pub(super) struct Completion<'a> {
    pub(super) result: Option<&'a [u8]>,
    pub(super) skipped: &'a [TaskIndex],
    pub(super) frees: bool,
}

pub(super) fn complete(
    space: &mut Space,
    task: TaskRef,
    now: Millis,
    completion: Completion<'_>,
    report: &mut Report,
) {
    let (mut at, run) = acknowledged(space, task, now);
    at.workers.deeds(run.worker).complete(now);
    end(&mut at, now, &run, TaskState::Completed);
    // Why an earlier attempt failed is of no interest any more.
    annotate(space, task, NoteKind::Error, None);
    completed(space, task, now, completion, report);
}

/// What follows from a task's completion: its result is kept, its children get on but for those that it
/// skips.
#[inline]
pub(super) fn completed(
    space: &mut Space,
    task: TaskRef,
    now: Millis,
    Completion { result, skipped, frees }: Completion<'_>,
    report: &mut Report,
) {
    if let Some(result) = result {
        annotate(space, task, NoteKind::Result, Some(result));
    }
    if !skipped.is_empty() {
        choose(space, task, skipped);
    }
    let (workflow, blueprint) = space.workflow(task.slot);
    match blueprint.shape.is_flow() || workflow.has_choice() {
        true => flow::ended(space, task.slot, vec![task.index], now, report),
        false => {
            open_children(space, task, now, report);
            if frees && !space.notes.is_empty() {
                results::free_of_parents(space, task);
            }
        }
    }
    finish_if_done(space, task.slot, now, report);
}

/// A task that completes chooses to skip children.
#[cold]
fn choose(space: &mut Space, task: TaskRef, skipped: &[TaskIndex]) {
    annotate(space, task, NoteKind::Choice, Some(&choice::note(skipped)));
    space.workflows.at_mut(task.slot).set_choice(true);
}

/// A task fails for good.
pub(super) fn fail(
    space: &mut Space,
    task: TaskRef,
    now: Millis,
    error: Option<&[u8]>,
    cause: Cause,
    report: &mut Report,
) {
    let (mut at, run) = acknowledged(space, task, now);
    end(&mut at, now, &run, TaskState::Failed);
    blame(space, task, now, error, cause, report);
    failed(space, task, now, report);
}

/// What follows from a task's failure: it is a dead letter, and its workflow fails unless that is borne.
pub(super) fn failed(space: &mut Space, task: TaskRef, now: Millis, report: &mut Report) {
    let mut at = space.open(task);
    let run = at.run();
    at.mourn(&run);
    report.events.add(Event::TaskFailed);
    let (workflow, blueprint) = space.workflow(task.slot);
    let shape = &blueprint.shape;
    let (is_flow, fatal) = (shape.is_flow(), shape.is_fatal(task.index) && !shape.goes_on());
    if fatal && workflow.state() == WorkflowState::Running {
        stop(space, task.slot, vec![task.index], now, WorkflowState::Failed, report);
    } else if is_flow {
        flow::ended(space, task.slot, vec![task.index], now, report);
    }
    finish_if_done(space, task.slot, now, report);
}

/// An attempt failed and the task is tried again when `due` has come.
pub(super) fn retry(
    space: &mut Space,
    task: TaskRef,
    (now, due): (Millis, Millis),
    error: Option<&[u8]>,
    cause: Cause,
    report: &mut Report,
) {
    let (_, run) = acknowledged(space, task, now);
    blame(space, task, now, error, cause, report);
    space.lifetime.attempts_retried += 1;
    report.retried += 1;
    report.events.add(Event::TaskRetried);
    let mut at = space.open(task);
    let started = run.started.expect("a task that was handed out has started");
    at.entry.runs.record(at.within(now).since(started));
    // An attempt that is over has no start: that tells its token from one whose lease ran out.
    at.set_run(Run { started: None, ..run });
    at.ready_at(due, now, report);
}

/// The delay of a task is over.
pub(super) fn due(space: &mut Space, task: TaskRef, now: Millis, report: &mut Report) {
    space.at_time(now);
    let mut at = space.open(task);
    let run = at.run();
    at.leave_delayed(&run);
    at.make_ready(now, report);
}

/// The deadline of a workflow has passed.
pub(super) fn time_out(space: &mut Space, slot: Slot, now: Millis, report: &mut Report) {
    space.at_time(now);
    space.drop_deadline(slot);
    let extra = space.extra(slot).clone();
    let timeout = extra.timeout.map(|timeout| Timeout { passed: true, ..timeout });
    space.extras.set(slot, Extra { timeout, ..extra });
    space.lifetime.workflows_timed_out += 1;
    report.workflows_timed_out += 1;
    report.events.add(Event::WorkflowTimedOut);
    stop(space, slot, Vec::new(), now, WorkflowState::Failed, report);
    finish_if_done(space, slot, now, report);
}

/// Somebody calls the workflow off.
pub(super) fn call_off(
    space: &mut Space,
    slot: Slot,
    now: Millis,
    reason: Option<&[u8]>,
    report: &mut Report,
) {
    space.at_time(now);
    stop(space, slot, Vec::new(), now, WorkflowState::Cancelled, report);
    if let Some(reason) = reason {
        let extra = Extra { reason: Some(reason.into()), ..space.extra(slot).clone() };
        space.extras.set(slot, extra);
        space.workflows.at_mut(slot).set_extra(true);
    }
    finish_if_done(space, slot, now, report);
}

/// A task that is running, or whose lease ran out, is spoken of by its worker or by the clock: it
/// leaves its index. Gives its run, too.
fn acknowledged(space: &mut Space, task: TaskRef, now: Millis) -> (At<'_>, Run) {
    space.at_time(now);
    let mut at = space.open(task);
    let run = at.run();
    if at.state() == TaskState::Running {
        at.end_lease(&run);
    } else {
        at.leave_ready(&run);
    }
    (at, run)
}

/// The task, which is in no index, ends.
fn end(at: &mut At<'_>, now: Millis, run: &Run, state: TaskState) {
    let started = run.started.expect("a task that was handed out has started");
    let finished = at.within(now).max(started);
    at.set_times(resumed(*run).ready, Some(finished));
    at.move_to(state);
    at.workflow.close_one();
    at.entry.runs.record(finished.since(started));
    match state {
        TaskState::Completed => at.entry.completed += 1,
        _ => at.entry.failed += 1,
    }
}

/// Counts what an attempt came to, of the task and of its worker, and keeps the words.
fn blame(
    space: &mut Space,
    task: TaskRef,
    now: Millis,
    error: Option<&[u8]>,
    cause: Cause,
    report: &mut Report,
) {
    let mut at = space.open(task);
    let tried = at.tried();
    let worker = at.run().worker;
    let deeds = at.workers.deeds(worker);
    let counted = match cause {
        Cause::Reported | Cause::TimedOut => {
            deeds.failures += 1;
            tried.failed()
        }
        Cause::Expired | Cause::Recovered => {
            deeds.lost += 1;
            tried.lost()
        }
    };
    if matches!(cause, Cause::Reported | Cause::Recovered) {
        deeds.see(now);
    }
    at.set_tried(counted);
    match cause {
        Cause::Reported => {}
        Cause::TimedOut => {
            space.lifetime.tasks_timed_out += 1;
            report.timed_out += 1;
            report.events.add(Event::TaskTimedOut);
        }
        Cause::Expired => {
            space.lifetime.lease_expiries += 1;
            space.lifetime.tasks_poisoned += 1;
            report.poisoned += 1;
            report.expired += 1;
            report.events.add(Event::TaskExpired);
        }
        Cause::Recovered => {
            at.mark(MARK_VOID, true);
            space.lifetime.tasks_poisoned += 1;
            report.poisoned += 1;
        }
    }
    annotate(space, task, NoteKind::Error, error);
}

/// Writes or drops a note and the mark that tells of it.
pub(super) fn annotate(space: &mut Space, task: TaskRef, kind: NoteKind, text: Option<&[u8]>) {
    let mark = kind.mark();
    let workflow = space.workflows.at_mut(task.slot);
    let marked = workflow.marks(task.index) & mark != 0;
    match text {
        Some(text) => space.notes.set(task, kind, text),
        None if marked => space.notes.remove(task, kind),
        None => return,
    }
    workflow.set_marks(task.index, mark, text.is_some());
}

/// Counts a completed parent off at its children; those without an open parent become ready.
fn open_children(space: &mut Space, parent: TaskRef, now: Millis, report: &mut Report) {
    let workflow = space.workflows.at_mut(parent.slot);
    let shape = &space.blueprints.get(workflow.blueprint()).shape;
    let live = workflow.is_live();
    let mut ready: smallvec::SmallVec<[TaskIndex; 8]> = smallvec::SmallVec::new();
    for child in shape.children(parent.index) {
        let open = match shape.join_of(child) {
            None => 0,
            Some(join) => {
                let open = workflow.counter(shape, join) - 1;
                workflow.set_counter(shape, join, open);
                open
            }
        };
        // After a rerun a child may stay cancelled for another parent's sake.
        if open == 0 && live && workflow.task_state(child) == TaskState::Waiting {
            ready.push(child);
        }
    }
    for index in ready {
        space.open(TaskRef { slot: parent.slot, index }).open_gate(now, report);
    }
}

/// The workflow fails or is cancelled: what has not started is cancelled, except what edges that ask for
/// a failure or for any end still reach; what runs runs down. `ended` is what has just ended and whose
/// children do not know yet.
fn stop(
    space: &mut Space,
    slot: Slot,
    mut ended: Vec<TaskIndex>,
    now: Millis,
    state: WorkflowState,
    report: &mut Report,
) {
    let shape = &space.workflow(slot).1.shape;
    let (count, is_flow, survivors) = (shape.len() as u32, shape.is_flow(), shape.survivors());
    let paused = space.workflows.at(slot).paused();
    for index in (0..count).map(TaskIndex) {
        if survivors.get(index.at()).is_some_and(|&left| left) {
            continue;
        }
        let mut at = space.open(TaskRef { slot, index });
        match at.state() {
            TaskState::Ready => {
                let run = at.run();
                at.leave_ready(&run);
            }
            TaskState::Delayed => {
                let run = at.run();
                at.leave_delayed(&run);
            }
            TaskState::Waiting => {}
            TaskState::Running => continue,
            TaskState::Completed | TaskState::Failed | TaskState::Skipped | TaskState::Cancelled => continue,
        }
        at.end_unstarted(now, TaskState::Cancelled);
        ended.push(index);
    }
    space.drop_deadline(slot);
    space.reword(slot, |workflow| {
        workflow.set_state(state);
        workflow.set_paused(false);
    });
    if is_flow {
        flow::ended(space, slot, ended, now, report);
        // What is left is not held up by a pause that nobody can undo any more.
        if paused {
            release_workflow(space, slot, now, report);
        }
    }
}

/// The workflow reaches its final state when nothing of it is left.
pub(super) fn finish_if_done(space: &mut Space, slot: Slot, now: Millis, report: &mut Report) {
    let workflow = space.workflows.at(slot);
    if workflow.open() > 0 {
        return;
    }
    if workflow.state() == WorkflowState::Running {
        space.drop_deadline(slot);
        let (workflow, blueprint) = space.workflow(slot);
        // A failure that did not stop it, or that a rerun left out.
        let shape = &blueprint.shape;
        let failed = |task| workflow.task_state(task) == TaskState::Failed && shape.is_fatal(task);
        let left = shape.indexes().any(failed);
        let (state, event) = match left {
            true => (WorkflowState::Failed, Event::WorkflowFailed),
            false => (WorkflowState::Completed, Event::WorkflowCompleted),
        };
        report.events.add(event);
        space.reword(slot, |workflow| {
            workflow.set_state(state);
            workflow.set_paused(false);
        });
        if state == WorkflowState::Completed && !space.notes.is_empty() {
            results::free_all(space, slot);
        }
    } else {
        report.events.add(match workflow.state() {
            WorkflowState::Cancelled => Event::WorkflowCancelled,
            _ => Event::WorkflowFailed,
        });
    }
    let shape = &space.blueprints.get(space.workflows.at(slot).blueprint()).shape;
    space.workflows.change(slot, |workflow| workflow.finish(shape, now));
    let finished = space.finished(slot).expect("it finished just now");
    space.archive.insert(&finished);
    report.end(|| space.id_of(slot));
}
