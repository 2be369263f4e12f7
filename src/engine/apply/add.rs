//! A workflow gets more tasks while it runs.

use super::flow;
use super::pause::open_parents;
use super::push::use_blueprint;
use super::rerun::behind;
use crate::engine::effect::Add;
use crate::engine::report::Report;
use crate::engine::space::Space;
use crate::engine::state::{TaskState, WorkflowState};
use crate::engine::units::{Slot, TaskIndex, TaskRef};
use crate::engine::workflow::Growth;

pub(super) fn add(space: &mut Space, add: &Add<'_>, report: &mut Report) {
    space.at_time(add.now);
    let slot = add.task.slot;
    let name = space.name_of(slot).to_vec();
    use_blueprint(space, add.blueprint, add.new, &name);
    let before = space.workflows.at(slot).blueprint();
    let (old, grown) = (space.blueprints.get(before), space.blueprints.get(add.blueprint));
    let first = old.shape.len();
    let growth = Growth {
        blueprint: add.blueprint,
        own_name: (*grown.name != *name).then_some(&name[..]),
        payloads: add.payloads,
    };
    space.workflows.change(slot, |workflow| workflow.grow(&old.shape, &grown.shape, &growth));
    space.totals.tasks[TaskState::Waiting as usize] += add.payloads.len() as u64;
    for index in grown.shape.indexes().skip(first) {
        space.types.at_mut(grown.type_id(index)).tasks[TaskState::Waiting as usize] += 1;
    }
    let (count, is_flow) = (grown.shape.len() as u32, grown.shape.is_flow());
    space.blueprints.release(before);
    let hopeless = hopeless(space, slot, first);
    for &index in &hopeless {
        space.open(TaskRef { slot, index }).end_unstarted(add.now, TaskState::Cancelled);
    }
    if is_flow {
        flow::ended(space, slot, hopeless, add.now, report);
    }
    for index in (0..count).map(TaskIndex) {
        let (workflow, blueprint) = space.workflow(slot);
        let waits = workflow.task_state(index) == TaskState::Waiting;
        if waits && open_parents(workflow, &blueprint.shape, index) == 0 {
            let task = TaskRef { slot, index };
            if !flow::decide(space, task, add.now, report) {
                flow::ended(space, slot, vec![index], add.now, report);
            }
        }
    }
}

/// The tasks that are cancelled at once: in a workflow that was stopped those added that would not have
/// survived it, and where failures are not borne what is behind one that a rerun left out.
fn hopeless(space: &Space, slot: Slot, first: usize) -> Vec<TaskIndex> {
    let (workflow, blueprint) = space.workflow(slot);
    let shape = &blueprint.shape;
    if workflow.state() != WorkflowState::Running {
        let survivors = shape.survivors();
        let lost = |index: &TaskIndex| !survivors.get(index.at()).is_some_and(|&left| left);
        return shape.indexes().skip(first).filter(lost).collect();
    }
    if shape.is_flow() {
        return Vec::new();
    }
    let gone = |index| matches!(workflow.task_state(index), TaskState::Failed | TaskState::Cancelled);
    let behind = behind(shape, gone);
    let waits = |index: &TaskIndex| workflow.task_state(*index) == TaskState::Waiting;
    shape.indexes().filter(|index| behind[index.at()]).filter(waits).collect()
}
