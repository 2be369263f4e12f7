//! Definitions come and go, and workflows are started from them.

use super::push::{open, take_in, use_blueprint};
use crate::engine::definitions::{Definition, Parts as DefinitionParts, row};
use crate::engine::effect::{Define, Terms};
use crate::engine::report::{Event, Report};
use crate::engine::space::Space;
use crate::engine::units::{TaskIndex, TaskRef};
use crate::engine::workflow::{Parts, Payloads, Workflow};
use smallvec::SmallVec;

pub(super) fn define(space: &mut Space, define: &Define<'_>) {
    let &Define { name, version, now, priority, timeout_ms, ref content } = define;
    space.at_time(now);
    use_blueprint(space, content.blueprint, content.new, content.name);
    let blueprint = space.blueprints.get(content.blueprint);
    let payloads = row(content.payloads);
    let parts = DefinitionParts {
        name,
        version,
        workflow: content.name,
        priority,
        timeout_ms,
        defined: now,
        payloads,
    };
    let before = space.definitions.insert(Definition::new(parts, content.blueprint, blueprint));
    if let Some(before) = before {
        space.blueprints.release(before.blueprint);
    }
}

pub(super) fn undefine(space: &mut Space, name: &[u8]) {
    let gone = space.definitions.remove(name).expect("a definition that goes exists");
    space.blueprints.release(gone.blueprint);
}

pub(super) fn start(space: &mut Space, name: &[u8], terms: &Terms<'_>, report: &mut Report) {
    space.at_time(terms.now);
    let (workflow, ready) = make(space, name, terms);
    let slot = take_in(space, workflow, terms);
    match ready {
        Some(ready) => {
            for index in ready {
                let mut at = space.open(TaskRef { slot, index });
                at.entry.ages.add(terms.now);
                at.enqueue(report);
            }
        }
        None => open(space, slot, terms, report),
    }
    report.events.add(Event::WorkflowPushed);
}

/// A workflow of a definition, and which of its tasks are ready, if it begins at once: then they are
/// counted, all at a time.
fn make(space: &mut Space, name: &[u8], terms: &Terms<'_>) -> (Workflow, Option<SmallVec<[TaskIndex; 8]>>) {
    let Space { definitions, blueprints, ids, types, totals, next_sequence, .. } = space;
    let definition = definitions.start(name, terms.now);
    let id = definition.blueprint;
    blueprints.retain(id);
    let blueprint = blueprints.get(id);
    let shape = &blueprint.shape;
    let parts = Parts {
        id: ids.store(terms.id),
        sequence: *next_sequence,
        created: terms.now,
        blueprint: id,
        priority: terms.priority,
        own_name: (blueprint.name != definition.workflow).then_some(&*definition.workflow),
        input: terms.input,
        payloads: Payloads::Row(definition.payloads(shape.len())),
    };
    let at_once = !terms.paused && terms.delayed_until.is_none_or(|due| due <= terms.now);
    let Some(fresh) = definition.fresh().filter(|_| at_once) else {
        return (Workflow::new(&parts, shape), None);
    };
    for &(type_id, state, count) in &fresh.counts {
        totals.tasks[state as usize] += count;
        types.at_mut(type_id).tasks[state as usize] += count;
    }
    (Workflow::fresh(&parts, shape, fresh), Some(SmallVec::from_slice(&fresh.ready)))
}
