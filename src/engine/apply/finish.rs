//! Tasks and workflows end.

use super::lease::resumed;
use crate::engine::notes::NoteKind;
use crate::engine::report::{Event, Report};
use crate::engine::runs::Run;
use crate::engine::space::Space;
use crate::engine::state::{TaskState, WorkflowState};
use crate::engine::units::{Millis, Slot, TaskIndex, TaskRef};
use crate::engine::workflow::{MARK_ERROR, MARK_RESULT};

pub(super) fn complete(
    space: &mut Space,
    task: TaskRef,
    now: Millis,
    result: Option<&[u8]>,
    report: &mut Report,
) {
    end(space, task, now, TaskState::Completed);
    if let Some(result) = result {
        space.notes.set(task, NoteKind::Result, result);
        space.workflows.at_mut(task.slot).set_marks(task.index, MARK_RESULT, true);
    }
    open_children(space, task, now, report);
    finish_if_done(space, task.slot, now, report);
}

pub(super) fn fail(space: &mut Space, task: TaskRef, now: Millis, error: Option<&[u8]>, report: &mut Report) {
    end(space, task, now, TaskState::Failed);
    if let Some(error) = error {
        space.notes.set(task, NoteKind::Error, error);
        space.workflows.at_mut(task.slot).set_marks(task.index, MARK_ERROR, true);
    }
    report.events.add(Event::TaskFailed);
    if space.workflows.at(task.slot).state() == WorkflowState::Running {
        fail_workflow(space, task.slot, now);
    }
    finish_if_done(space, task.slot, now, report);
}

/// A task that is running, or whose lease ran out, ends by its worker's word.
fn end(space: &mut Space, task: TaskRef, now: Millis, state: TaskState) {
    space.at_time(now);
    let mut at = space.open(task);
    let run = at.run();
    if at.state() == TaskState::Running {
        at.end_lease(&run);
    } else {
        at.leave_ready(&run);
    }
    let started = run.started.expect("a task that was handed out has started");
    let finished = at.within(now).max(started);
    at.set_run(Run { finished: Some(finished), ..resumed(run) });
    at.move_to(state);
    at.workflow.close_one();
    at.entry.runs.record(finished.since(started));
    match state {
        TaskState::Completed => at.entry.completed += 1,
        _ => at.entry.failed += 1,
    }
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
        if open == 0 && live {
            ready.push(child);
        }
    }
    for index in ready {
        space.open(TaskRef { slot: parent.slot, index }).make_ready(now, report);
    }
}

/// The workflow fails: what has not started is cancelled, what runs runs down.
fn fail_workflow(space: &mut Space, slot: Slot, now: Millis) {
    let shape_len = space.workflow(slot).1.shape.len() as u32;
    for index in (0..shape_len).map(TaskIndex) {
        let mut at = space.open(TaskRef { slot, index });
        match at.state() {
            TaskState::Ready => {
                let run = at.run();
                at.leave_ready(&run);
                at.cancel(now);
            }
            TaskState::Waiting | TaskState::Delayed => at.cancel(now),
            TaskState::Running => {}
            TaskState::Completed | TaskState::Failed | TaskState::Skipped | TaskState::Cancelled => {}
        }
    }
    space.reword(slot, |workflow| {
        workflow.set_state(WorkflowState::Failed);
        workflow.set_paused(false);
    });
}

/// The workflow reaches its final state when nothing of it is left.
pub(super) fn finish_if_done(space: &mut Space, slot: Slot, now: Millis, report: &mut Report) {
    let workflow = space.workflows.at(slot);
    if workflow.open() > 0 {
        return;
    }
    if workflow.state() == WorkflowState::Running {
        report.events.add(Event::WorkflowCompleted);
        space.reword(slot, |workflow| {
            workflow.set_state(WorkflowState::Completed);
            workflow.set_paused(false);
        });
    } else {
        report.events.add(Event::WorkflowFailed);
    }
    let shape = &space.blueprints.get(space.workflows.at(slot).blueprint()).shape;
    space.workflows.change(slot, |workflow| workflow.finish(shape, now));
}
