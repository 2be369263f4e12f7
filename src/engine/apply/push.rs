//! A workflow comes in.

use crate::engine::agenda::deadline_key;
use crate::engine::effect::{Push, Terms};
use crate::engine::extras::Extra;
use crate::engine::ids::Id;
use crate::engine::report::{Event, Report};
use crate::engine::shape::Checked;
use crate::engine::space::Space;
use crate::engine::state::TaskState;
use crate::engine::units::{BlueprintId, Sequence, Slot, TaskRef, TypeId};
use crate::engine::workflow::{Parts, Payloads, Workflow};

/// A workflow or a definition uses a blueprint, which is made under this name when it is new.
pub(super) fn use_blueprint(space: &mut Space, id: BlueprintId, new: Option<&Checked>, name: &[u8]) {
    if let Some(new) = new {
        let types: Box<[TypeId]> = new.types.iter().map(|name| space.types.intern(name)).collect();
        space.blueprints.insert(id, new.shape.clone(), types, name, new.hash);
    }
    space.blueprints.retain(id);
}

pub(super) fn push(space: &mut Space, push: &Push<'_>, report: &mut Report) {
    let Push { terms, content } = push;
    space.at_time(terms.now);
    use_blueprint(space, content.blueprint, content.new, content.name);
    let blueprint = space.blueprints.get(content.blueprint);
    let parts = Parts {
        id: space.ids.store(terms.id),
        sequence: space.next_sequence,
        created: terms.now,
        blueprint: content.blueprint,
        priority: terms.priority,
        own_name: (*blueprint.name != *content.name).then_some(content.name),
        input: terms.input,
        payloads: Payloads::Each(content.payloads),
    };
    let workflow = Workflow::new(&parts, &blueprint.shape);
    let slot = take_in(space, workflow, terms);
    open(space, slot, terms, report);
    report.events.add(Event::WorkflowPushed);
}

/// Enters a new workflow, whose tasks are not counted yet.
pub(super) fn take_in(space: &mut Space, mut workflow: Workflow, terms: &Terms<'_>) -> Slot {
    if let Id::Integer(id) = terms.id {
        space.next_id = space.next_id.max(id + 1);
    }
    workflow.set_paused(terms.paused);
    let extra = Extra { timeout: terms.timeout, retain_ms: terms.retain_ms, reason: None };
    workflow.set_extra(extra != Extra::default());
    let word = workflow.word();
    let slot = space.workflows.insert(workflow);
    space.ids.insert(slot, &space.workflows);
    space.next_sequence = Sequence(space.next_sequence.0 + 1);
    space.totals.workflows[word] += 1;
    if extra != Extra::default() {
        space.extras.set(slot, extra);
    }
    if let Some(timeout) = terms.timeout {
        space.agenda.deadlines.insert(deadline_key(timeout.deadline, slot));
    }
    slot
}

/// Counts the tasks of a new workflow, which all wait, and opens those without parents.
pub(super) fn open(space: &mut Space, slot: Slot, terms: &Terms<'_>, report: &mut Report) {
    let blueprint = space.blueprints.get(space.workflows.at(slot).blueprint());
    space.totals.tasks[TaskState::Waiting as usize] += blueprint.shape.len() as u64;
    for index in blueprint.shape.indexes() {
        let type_id = blueprint.type_id(index);
        space.types.at_mut(type_id).tasks[TaskState::Waiting as usize] += 1;
    }
    // Roots that are to wait for a time do so while the workflow is paused, too.
    let later = terms.delayed_until.filter(|&due| due > terms.now);
    if terms.paused && later.is_none() {
        return;
    }
    let from = later.unwrap_or(terms.now);
    let roots = blueprint.shape.indexes().filter(|&index| blueprint.shape.parents(index).len() == 0);
    let roots: smallvec::SmallVec<[_; 16]> = roots.collect();
    for index in roots {
        let mut at = space.open(TaskRef { slot, index });
        let delay = at.shape.options(index).delay_ms.unwrap_or(0);
        at.ready_at(from.plus(delay), terms.now, report);
    }
}
