//! Results are freed when nobody can want them any more, unless their tasks keep them.
//!
//! A result is there for the children of its task. Where children wait for completions, what completed
//! never starts over, and the last child that completes frees it. Where tasks can be skipped, WF.RETRY
//! may let children that completed run again, so results stay until the workflow has completed. Those
//! of tasks without children are the results of the workflow and stay with it.

use super::finish::annotate;
use crate::engine::notes::NoteKind;
use crate::engine::shape::Shape;
use crate::engine::space::Space;
use crate::engine::state::TaskState;
use crate::engine::units::{Slot, TaskIndex, TaskRef};
use crate::engine::workflow::{MARK_RESULT, Workflow};
use smallvec::SmallVec;

/// A task has completed: results of parents of which it was the last child to do so are freed. For a
/// parent of n children all these looks together take O(n log n) steps, in whatever order they complete.
pub(super) fn free_of_parents(space: &mut Space, task: TaskRef) {
    if space.notes.is_empty() {
        return;
    }
    let (workflow, blueprint) = space.workflow(task.slot);
    let shape = &blueprint.shape;
    let completed = |child| workflow.task_state(child) == TaskState::Completed;
    let free = |&parent: &TaskIndex| {
        has_passing_result(workflow, shape, parent) && shape.all_children(parent, task.index, completed)
    };
    let parents: SmallVec<[TaskIndex; 8]> = shape.parents(task.index).filter(free).collect();
    for index in parents {
        annotate(space, TaskRef { index, ..task }, NoteKind::Result, None);
    }
}

/// The workflow has completed: what is left for children is freed. O(tasks) where there are results.
pub(super) fn free_all(space: &mut Space, slot: Slot) {
    if space.notes.is_empty() {
        return;
    }
    let (workflow, blueprint) = space.workflow(slot);
    let shape = &blueprint.shape;
    let free = |&index: &TaskIndex| {
        has_passing_result(workflow, shape, index) && shape.children(index).next().is_some()
    };
    let tasks: Vec<TaskIndex> = shape.indexes().filter(free).collect();
    for index in tasks {
        annotate(space, TaskRef { slot, index }, NoteKind::Result, None);
    }
}

/// Whether a task has a result that it does not keep.
fn has_passing_result(workflow: &Workflow, shape: &Shape, task: TaskIndex) -> bool {
    workflow.marks(task) & MARK_RESULT != 0 && shape.options(task).keep_result.is_none()
}
