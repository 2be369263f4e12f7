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
#[inline(never)]
pub(super) fn free_of_parents(space: &mut Space, task: TaskRef) {
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

/// The workflow has completed: where tasks can be skipped, what is left for children is freed. O(tasks)
/// where there are results.
#[inline(never)]
pub(super) fn free_all(space: &mut Space, slot: Slot) {
    let (workflow, blueprint) = space.workflow(slot);
    let shape = &blueprint.shape;
    if !(shape.is_flow() || workflow.has_choice()) {
        return;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::draft::{Draft, DraftTask};
    use crate::engine::limits::Settings;
    use std::cell::{Cell, RefCell};

    #[test]
    fn in_whatever_order_children_complete_few_of_them_are_asked() {
        const CHILDREN: usize = 1 << 12;
        let child = |place: usize| DraftTask {
            name: format!("c{place}").into(),
            parents: vec!["root".into()],
            ..DraftTask::default()
        };
        let root = DraftTask { name: "root".into(), ..DraftTask::default() };
        let tasks = std::iter::once(root).chain((0..CHILDREN).map(child)).collect();
        let shape = Shape::check(&Draft { tasks, ..Draft::default() }, &Settings::default()).unwrap().shape;
        type Order = fn(usize) -> usize;
        let orders: [(&str, Order); 6] = [
            ("forwards", |place| place),
            ("backwards", |place| CHILDREN - place),
            ("the last first", |place| (place + 1) % CHILDREN),
            ("from the ends inwards", |place| place.min(CHILDREN - 1 - place)),
            ("from the middle outwards", |place| place.abs_diff(CHILDREN / 2)),
            // By place in bits read backwards: every gap is halved, then halved again.
            ("between others", |place| (place as u16).reverse_bits() as usize),
        ];
        for (name, key) in orders {
            let mut order: Vec<usize> = (0..CHILDREN).collect();
            order.sort_by_key(|&place| key(place));
            let (done, asked) = (RefCell::new(vec![false; CHILDREN]), Cell::new(0));
            let so = |child: TaskIndex| {
                asked.set(asked.get() + 1);
                done.borrow()[child.at() - 1]
            };
            for (nth, &place) in order.iter().enumerate() {
                done.borrow_mut()[place] = true;
                let known = TaskIndex(place as u32 + 1);
                assert_eq!(shape.all_children(TaskIndex(0), known, so), nth + 1 == CHILDREN, "{name}");
            }
            assert!(asked.get() < 14 * CHILDREN, "{name}: {} asked", asked.get());
        }
    }
}
