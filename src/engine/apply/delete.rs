//! A workflow goes with all it has.

use crate::engine::notes::NoteKind;
use crate::engine::report::{Event, Report};
use crate::engine::space::Space;
use crate::engine::state::TaskState;
use crate::engine::tries::Tried;
use crate::engine::units::{Slot, TaskIndex, TaskRef};

pub(super) fn delete(space: &mut Space, slot: Slot, report: &mut Report) {
    if let Some(finished) = space.finished(slot) {
        space.archive.remove(&finished);
    }
    let count = space.workflow(slot).1.shape.len() as u32;
    for index in (0..count).map(TaskIndex) {
        let task = TaskRef { slot, index };
        let mut at = space.open(task);
        let state = at.state();
        let run = at.run();
        match state {
            TaskState::Running => at.end_lease(&run),
            TaskState::Ready => at.leave_ready(&run),
            TaskState::Delayed => at.leave_delayed(&run),
            TaskState::Failed => at.bury(&run),
            TaskState::Waiting => {}
            TaskState::Completed | TaskState::Skipped | TaskState::Cancelled => {}
        }
        at.set_tried(Tried::default());
        at.entry.tasks[state as usize] -= 1;
        if run.attempt > 0 {
            at.workers.forget(run.worker);
        }
        space.totals.tasks[state as usize] -= 1;
        let marks = space.workflows.at(slot).marks(index);
        for kind in NoteKind::ALL.into_iter().filter(|kind| marks & kind.mark() != 0) {
            space.notes.remove(task, kind);
        }
    }
    space.retire_extra(slot);
    report.end(|| space.id_of(slot));
    space.ids.remove(slot, &space.workflows);
    let workflow = space.workflows.remove(slot);
    space.totals.workflows[workflow.word()] -= 1;
    space.blueprints.release(workflow.blueprint());
    report.events.add(Event::WorkflowDeleted);
}
