//! What an end means for those behind it, in a workflow where tasks may end in different ways: a task
//! runs when all its parents have ended and all its edges hold, and is skipped otherwise, which is
//! an end that its own children see.

use crate::engine::report::Report;
use crate::engine::space::Space;
use crate::engine::state::TaskState;
use crate::engine::units::{Millis, Slot, TaskIndex, TaskRef};

/// Counts ended tasks off at their children, and goes on as far as that ends other tasks. Linear in
/// the edges of what ended.
pub(super) fn ended(
    space: &mut Space,
    slot: Slot,
    mut ended: Vec<TaskIndex>,
    now: Millis,
    report: &mut Report,
) {
    while let Some(parent) = ended.pop() {
        let workflow = space.workflows.at_mut(slot);
        let shape = &space.blueprints.get(workflow.blueprint()).shape;
        let mut decided: Vec<TaskIndex> = Vec::new();
        for child in shape.children(parent) {
            let open = match shape.join_of(child) {
                None => 0,
                Some(join) => {
                    let open = workflow.counter(shape, join) - 1;
                    workflow.set_counter(shape, join, open);
                    open
                }
            };
            if open == 0 && workflow.task_state(child) == TaskState::Waiting {
                decided.push(child);
            }
        }
        for child in decided {
            if !decide(space, TaskRef { slot, index: child }, now, report) {
                ended.push(child);
            }
        }
    }
}

/// The parents of a waiting task have all ended: its gate opens, unless the workflow is paused, or it
/// is skipped. False when that was its end.
pub(super) fn decide(space: &mut Space, task: TaskRef, now: Millis, report: &mut Report) -> bool {
    let mut parents = space.workflow(task.slot).1.shape.parents(task.index);
    let holds = parents.all(|parent| space.edge_holds(parent, task));
    drop(parents);
    let mut at = space.open(task);
    if !holds {
        at.end_unstarted(now, TaskState::Skipped);
        return false;
    }
    if at.workflow.is_live() {
        at.open_gate(now, report);
    }
    true
}
