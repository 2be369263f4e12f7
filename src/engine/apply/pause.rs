//! Handing out stops and goes on: by workflow, by type, altogether.
//!
//! The three flags are independent. A type's and the space's are looked at when a task is
//! claimed; a workflow's tasks leave their queues, so that a claim need not step over them.

use crate::engine::effect::Target;
use crate::engine::report::{Event, Report};
use crate::engine::shape::Shape;
use crate::engine::space::Space;
use crate::engine::state::TaskState;
use crate::engine::units::{Millis, Slot, TaskIndex, TaskRef};
use crate::engine::workflow::Workflow;

pub(super) fn pause(space: &mut Space, target: Target<'_>, report: &mut Report) {
    report.events.add(Event::WorkflowPaused);
    match target {
        Target::All => space.paused = true,
        Target::Type(name) => {
            let type_id = space.types.intern(name);
            space.types.at_mut(type_id).paused = true;
        }
        Target::Workflow(slot) => {
            for task in in_state(space, slot, TaskState::Ready) {
                space.open(task).dequeue();
            }
            for task in in_state(space, slot, TaskState::Delayed) {
                let mut at = space.open(task);
                let due = at.run().finished.expect("a delayed task is due at some time");
                at.unschedule(due);
            }
            space.reword(slot, |workflow| workflow.set_paused(true));
        }
    }
}

pub(super) fn release(space: &mut Space, target: Target<'_>, now: Millis, report: &mut Report) {
    space.at_time(now);
    report.events.add(Event::WorkflowReleased);
    match target {
        Target::All => {
            space.paused = false;
            report.readied_all = true;
        }
        Target::Type(name) => {
            let type_id = space.types.intern(name);
            space.types.at_mut(type_id).paused = false;
            report.ready(type_id);
        }
        Target::Workflow(slot) => release_workflow(space, slot, now, report),
    }
}

/// A paused workflow goes on.
pub(super) fn release_workflow(space: &mut Space, slot: Slot, now: Millis, report: &mut Report) {
    space.reword(slot, |workflow| workflow.set_paused(false));
    for task in in_state(space, slot, TaskState::Ready) {
        space.open(task).enqueue(report);
    }
    for task in in_state(space, slot, TaskState::Delayed) {
        let mut at = space.open(task);
        let due = at.run().finished.expect("a delayed task is due at some time");
        at.schedule(due);
    }
    for task in tasks_in(space, slot, |workflow, shape, index| {
        workflow.task_state(index) == TaskState::Waiting && open_parents(workflow, shape, index) == 0
    }) {
        space.open(task).open_gate(now, report);
    }
}

/// How many parents of a task it still waits for.
pub fn open_parents(workflow: &Workflow, shape: &Shape, task: TaskIndex) -> u32 {
    match shape.join_of(task) {
        Some(join) => workflow.counter(shape, join),
        None => {
            shape.parents(task).filter(|&parent| !shape.is_done(workflow.task_state(parent))).count() as u32
        }
    }
}

fn in_state(space: &Space, slot: Slot, state: TaskState) -> Vec<TaskRef> {
    tasks_in(space, slot, |workflow, _, index| workflow.task_state(index) == state)
}

fn tasks_in(
    space: &Space,
    slot: Slot,
    wanted: impl Fn(&Workflow, &Shape, TaskIndex) -> bool,
) -> Vec<TaskRef> {
    let (workflow, blueprint) = space.workflow(slot);
    let shape = &blueprint.shape;
    let wanted = shape.indexes().filter(|&index| wanted(workflow, shape, index));
    wanted.map(|index| TaskRef { slot, index }).collect()
}
