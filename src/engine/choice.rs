//! What a worker chose when it completed a task: children that are not to run because of it. The edges
//! to them do not hold, whatever their conditions say.
//!
//! A choice is a note on the task that completed, the indexes of these children in order, four bytes
//! each: whether one of them is named is asked when that child's parents have ended, and a fan of
//! thousands asks thousands of times.

use super::notes::NoteKind;
use super::space::Space;
use super::units::{TaskIndex, TaskRef};
use super::workflow::MARK_CHOICE;

const WIDTH: usize = size_of::<u32>();

/// The note of a choice.
pub fn note(skipped: &[TaskIndex]) -> Vec<u8> {
    skipped.iter().flat_map(|child| child.0.to_le_bytes()).collect()
}

fn child(bytes: &[u8; WIDTH]) -> TaskIndex {
    TaskIndex(u32::from_le_bytes(*bytes))
}

impl Space {
    /// The children that a task which completed chose to skip, in order.
    pub fn skipped_by(&self, task: TaskRef) -> impl Iterator<Item = TaskIndex> {
        self.choice(task).iter().map(child)
    }

    /// Whether a task that completed chose to skip this child of it.
    pub fn skips(&self, parent: TaskIndex, task: TaskRef) -> bool {
        self.choice(TaskRef { index: parent, ..task }).binary_search_by_key(&task.index, child).is_ok()
    }

    fn choice(&self, task: TaskRef) -> &[[u8; WIDTH]] {
        match self.workflows.at(task.slot).marks(task.index) & MARK_CHOICE {
            0 => &[],
            _ => self.notes.get(task, NoteKind::Choice).unwrap_or_default().as_chunks().0,
        }
    }

    /// Whether the edge between a task and a parent of it, which has ended, holds.
    pub fn edge_holds(&self, parent: TaskIndex, task: TaskRef) -> bool {
        let (workflow, blueprint) = self.workflow(task.slot);
        blueprint.shape.condition(parent, task.index).holds(workflow.task_state(parent))
            && !self.skips(parent, task)
    }

    /// The children of a task that have these names, in order; the place of a name that none has is the
    /// error. O((names + children) x log names).
    pub fn children_named(&self, task: TaskRef, names: &[&[u8]]) -> Result<Vec<TaskIndex>, usize> {
        let shape = &self.workflow(task.slot).1.shape;
        let mut sorted: Vec<(&[u8], bool)> = names.iter().map(|&name| (name, false)).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut found = Vec::with_capacity(sorted.len());
        for child in shape.children(task.index) {
            if let Ok(place) = sorted.binary_search_by_key(&shape.name(child), |&(name, _)| name) {
                sorted[place].1 = true;
                found.push(child);
            }
        }
        let unknown = |&name: &&[u8]| sorted.binary_search(&(name, false)).is_ok();
        match names.iter().position(unknown) {
            None => Ok(found),
            Some(place) => Err(place),
        }
    }
}
