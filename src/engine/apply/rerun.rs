//! A failed workflow runs again: what failed, and what was cancelled behind it.

use super::finish::{annotate, finish_if_done};
use crate::engine::agenda::deadline_key;
use crate::engine::extras::{Extra, Timeout};
use crate::engine::notes::NoteKind;
use crate::engine::report::{Event, Report};
use crate::engine::runs::Run;
use crate::engine::space::Space;
use crate::engine::state::{TaskState, WorkflowState};
use crate::engine::tries::Tried;
use crate::engine::units::{Millis, Slot, TaskIndex, TaskRef};
use crate::engine::workflow::MARK_VOID;

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
    for &index in &again {
        let task = TaskRef { slot, index };
        annotate(space, task, NoteKind::Error, None);
        let mut at = space.open(task);
        let run = at.run();
        if at.state() == TaskState::Failed {
            at.bury(&run);
        }
        if run.attempt > 0 {
            at.workers.forget(run.worker);
        }
        at.set_tried(Tried::default());
        at.mark(MARK_VOID, false);
        at.set_run(Run::NONE);
        at.move_to(TaskState::Waiting);
    }
    space.workflows.at_mut(slot).reopen(again.len() as u32);
    space.reword(slot, |workflow| workflow.set_state(WorkflowState::Running));
    let extra = space.extra(slot).clone();
    if let Some(timeout) = extra.timeout {
        let deadline = now.plus(timeout.after_ms);
        let timeout = Timeout { deadline, after_ms: timeout.after_ms, passed: false };
        space.extras.set(slot, Extra { timeout: Some(timeout), ..extra });
        space.agenda.deadlines.insert(deadline_key(deadline, slot));
    }
    for index in again {
        let (workflow, blueprint) = space.workflow(slot);
        if open_parents(workflow, &blueprint.shape, index) == 0 {
            space.open(TaskRef { slot, index }).open_gate(now, report);
        }
    }
    report.events.add(Event::WorkflowRetried);
    // A workflow that failed of its deadline may have completed all its tasks since.
    finish_if_done(space, slot, now, report);
}

/// The tasks that run again: the failed ones, or the only one, and those cancelled ones that do not
/// lie behind a failed task which stays as it is.
fn again(space: &Space, slot: Slot, only: Option<TaskIndex>) -> Vec<TaskIndex> {
    let (workflow, blueprint) = space.workflow(slot);
    let shape = &blueprint.shape;
    let stays = |index: TaskIndex| {
        workflow.task_state(index) == TaskState::Failed && only.is_some_and(|only| only != index)
    };
    let mut barred = vec![false; shape.len()];
    let mut front: Vec<TaskIndex> = shape.indexes().filter(|&index| stays(index)).collect();
    front.iter().for_each(|index| barred[index.at()] = true);
    while let Some(index) = front.pop() {
        for child in shape.children(index) {
            if !std::mem::replace(&mut barred[child.at()], true) {
                front.push(child);
            }
        }
    }
    let ended =
        |index: &TaskIndex| matches!(workflow.task_state(*index), TaskState::Failed | TaskState::Cancelled);
    shape.indexes().filter(ended).filter(|index| !barred[index.at()]).collect()
}
