//! A failed workflow runs again: what failed, and what was cancelled behind it.

use super::finish::{annotate, finish_if_done};
use super::flow;
use crate::engine::agenda::deadline_key;
use crate::engine::extras::{Extra, Timeout};
use crate::engine::notes::NoteKind;
use crate::engine::report::{Event, Report};
use crate::engine::runs::Run;
use crate::engine::shape::Shape;
use crate::engine::space::Space;
use crate::engine::state::{TaskState, WorkflowState};
use crate::engine::tries::Tried;
use crate::engine::units::{Millis, Slot, TaskIndex, TaskRef};
use crate::engine::workflow::{MARK_CHOICE, MARK_VOID};

use super::pause::open_parents;

pub(super) fn rerun(
    space: &mut Space,
    slot: Slot,
    only: Option<TaskIndex>,
    now: Millis,
    report: &mut Report,
) {
    space.at_time(now);
    if let Some(finished) = space.finished(slot) {
        space.archive.remove(&finished);
    }
    let again = again(space, slot, only);
    let mut reopened = 0;
    for &index in &again {
        reopened += u32::from(start_over(space, TaskRef { slot, index }));
    }
    space.workflows.at_mut(slot).reopen(reopened);
    // A choice of a task that starts over is forgotten, those of others stay.
    let (workflow, blueprint) = space.workflow(slot);
    let chose = blueprint.shape.indexes().any(|index| workflow.marks(index) & MARK_CHOICE != 0);
    space.workflows.at_mut(slot).set_choice(chose);
    space.reword(slot, |workflow| workflow.set_state(WorkflowState::Running));
    let extra = space.extra(slot).clone();
    if let Some(timeout) = extra.timeout {
        let deadline = now.plus(timeout.after_ms);
        let timeout = Timeout { deadline, after_ms: timeout.after_ms, passed: false };
        space.extras.set(slot, Extra { timeout: Some(timeout), ..extra });
        space.agenda.deadlines.insert(deadline_key(deadline, slot));
    }
    count_parents(space, slot);
    for index in again {
        let (workflow, blueprint) = space.workflow(slot);
        let waits = workflow.task_state(index) == TaskState::Waiting;
        if waits && open_parents(workflow, &blueprint.shape, index) == 0 {
            let task = TaskRef { slot, index };
            if !flow::decide(space, task, now, report) {
                flow::ended(space, slot, vec![index], now, report);
            }
        }
    }
    report.events.add(Event::WorkflowRetried);
    // A workflow that failed of its deadline may have completed all its tasks since.
    finish_if_done(space, slot, now, report);
}

/// A task is as if it had never been handed out. Says whether it had ended.
fn start_over(space: &mut Space, task: TaskRef) -> bool {
    NoteKind::ALL.into_iter().for_each(|kind| annotate(space, task, kind, None));
    let mut at = space.open(task);
    let run = at.run();
    let before = at.state();
    match before {
        TaskState::Waiting => return false,
        TaskState::Ready => at.leave_ready(&run),
        TaskState::Delayed => at.leave_delayed(&run),
        TaskState::Failed => at.bury(&run),
        TaskState::Running | TaskState::Completed | TaskState::Skipped | TaskState::Cancelled => {}
    }
    if run.attempt > 0 {
        at.workers.forget(run.worker);
    }
    at.set_tried(Tried::default());
    at.mark(MARK_VOID, false);
    at.set_run(Run::NONE);
    at.move_to(TaskState::Waiting);
    before.is_final()
}

/// Where children wait for ends rather than completions, what had ended is waited for again.
fn count_parents(space: &mut Space, slot: Slot) {
    let workflow = space.workflows.at_mut(slot);
    let shape = &space.blueprints.get(workflow.blueprint()).shape;
    if shape.is_flow() {
        workflow.count_parents(shape);
    }
}

/// The tasks that start over: the failures that failed the workflow, or the only one; what was
/// cancelled; and all that lies behind these, but for what is running. What lies behind a failure
/// that stays, and is not one that the workflow bears, stays too.
fn again(space: &Space, slot: Slot, only: Option<TaskIndex>) -> Vec<TaskIndex> {
    let (workflow, blueprint) = space.workflow(slot);
    let shape = &blueprint.shape;
    let fatal = |index: TaskIndex| workflow.task_state(index) == TaskState::Failed && shape.is_fatal(index);
    let barred = behind(shape, |index| only.is_some_and(|only| only != index) && fatal(index));
    let begins = |index: TaskIndex| match workflow.task_state(index) {
        TaskState::Failed => only.map_or_else(|| fatal(index), |only| only == index),
        TaskState::Cancelled => true,
        _ => false,
    };
    let again = behind(shape, |index| begins(index) && !barred[index.at()]);
    let starts_over = |index: &TaskIndex| {
        again[index.at()] && !barred[index.at()] && workflow.task_state(*index) != TaskState::Running
    };
    shape.indexes().filter(starts_over).collect()
}

/// These tasks and all that come after them.
pub(super) fn behind(shape: &Shape, these: impl Fn(TaskIndex) -> bool) -> Vec<bool> {
    let mut front: Vec<TaskIndex> = shape.indexes().filter(|&index| these(index)).collect();
    let mut found = vec![false; shape.len()];
    front.iter().for_each(|index| found[index.at()] = true);
    while let Some(index) = front.pop() {
        for child in shape.children(index) {
            if !std::mem::replace(&mut found[child.at()], true) {
                front.push(child);
            }
        }
    }
    found
}
