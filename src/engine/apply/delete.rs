//! A workflow goes with all it has.

use super::lease::end_lease;
use crate::engine::notes::NoteKind;
use crate::engine::report::{Event, Report};
use crate::engine::space::Space;
use crate::engine::state::TaskState;
use crate::engine::units::{Slot, TaskIndex, TaskRef};
use crate::engine::workflow::{MARK_ERROR, MARK_RESULT};

pub(super) fn delete(space: &mut Space, slot: Slot, report: &mut Report) {
    let (workflow, blueprint) = space.workflow(slot);
    let count = blueprint.shape.len() as u32;
    let used = workflow.has_history();
    for index in (0..count).map(TaskIndex) {
        let task = TaskRef { slot, index };
        let state = space.state_of(task);
        match state {
            TaskState::Running => end_lease(space, task),
            TaskState::Ready => space.leave_ready(task),
            TaskState::Waiting | TaskState::Delayed => {}
            TaskState::Completed | TaskState::Failed | TaskState::Skipped | TaskState::Cancelled => {}
        }
        let type_id = space.type_of(task);
        space.types.at_mut(type_id).tasks[state as usize] -= 1;
        space.totals.tasks[state as usize] -= 1;
        if used {
            let run = space.run_of(task);
            if run.attempt > 0 {
                space.workers.forget(run.worker);
            }
        }
        let marks = space.workflows.at(slot).marks(index);
        if marks & MARK_RESULT != 0 {
            space.notes.remove(task, NoteKind::Result);
        }
        if marks & MARK_ERROR != 0 {
            space.notes.remove(task, NoteKind::Error);
        }
    }
    space.ids.remove(slot, &space.workflows);
    let workflow = space.workflows.remove(slot);
    space.totals.workflows[workflow.word()] -= 1;
    space.blueprints.release(workflow.blueprint());
    report.events.add(Event::WorkflowDeleted);
}
