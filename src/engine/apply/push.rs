//! A workflow comes in.

use crate::engine::agenda::deadline_key;
use crate::engine::effect::Push;
use crate::engine::extras::Extra;
use crate::engine::ids::Id;
use crate::engine::report::{Event, Report};
use crate::engine::space::Space;
use crate::engine::state::TaskState;
use crate::engine::units::{Sequence, TaskRef, TypeId};
use crate::engine::workflow::{Parts, Payloads, Workflow};

pub(super) fn push(space: &mut Space, push: &Push<'_>, report: &mut Report) {
    space.at_time(push.now);
    if let Some(new) = push.new {
        let types: Box<[TypeId]> = new.types.iter().map(|name| space.types.intern(name)).collect();
        space.blueprints.insert(push.blueprint, new.shape.clone(), types, push.name, &space.types);
    }
    space.blueprints.retain(push.blueprint);
    if let Id::Integer(id) = push.id {
        space.next_id = space.next_id.max(id + 1);
    }
    let blueprint = space.blueprints.get(push.blueprint);
    let parts = Parts {
        id: space.ids.store(push.id),
        sequence: space.next_sequence,
        created: push.now,
        blueprint: push.blueprint,
        priority: push.priority,
        own_name: (*blueprint.name != *push.name).then_some(push.name),
        input: push.input,
        payloads: Payloads::Each(push.payloads),
    };
    let mut workflow = Workflow::new(&parts, &blueprint.shape);
    workflow.set_paused(push.paused);
    let extra = Extra { timeout: push.timeout, retain_ms: push.retain_ms, reason: None };
    workflow.set_extra(extra != Extra::default());
    let word = workflow.word();
    let slot = space.workflows.insert(workflow);
    space.ids.insert(slot, &space.workflows);
    space.next_sequence = Sequence(space.next_sequence.0 + 1);
    space.totals.workflows[word] += 1;
    let count = blueprint.shape.len() as u32;
    space.totals.tasks[TaskState::Waiting as usize] += u64::from(count);
    for index in blueprint.shape.indexes() {
        let type_id = blueprint.type_id(index);
        space.types.at_mut(type_id).tasks[TaskState::Waiting as usize] += 1;
    }
    if extra != Extra::default() {
        space.extras.set(slot, extra);
    }
    if let Some(timeout) = push.timeout {
        space.agenda.deadlines.insert(deadline_key(timeout.deadline, slot));
    }
    // Roots that are to wait for a time do so while the workflow is paused, too.
    let later = push.delayed_until.filter(|&due| due > push.now);
    if !push.paused || later.is_some() {
        let from = later.unwrap_or(push.now);
        let blueprint = space.blueprints.get(push.blueprint);
        let roots = blueprint.shape.indexes().filter(|&index| blueprint.shape.parents(index).len() == 0);
        let roots: smallvec::SmallVec<[_; 16]> = roots.collect();
        for index in roots {
            let mut at = space.open(TaskRef { slot, index });
            let delay = at.shape.options(index).delay_ms.unwrap_or(0);
            at.ready_at(from.plus(delay), push.now, report);
        }
    }
    report.events.add(Event::WorkflowPushed);
}
