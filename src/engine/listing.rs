//! Paging through what there is, read-only. A page looks at a bounded number of things and says
//! where to go on; what comes or goes meanwhile does not make it lose its place.

use super::keys;
use super::space::Space;
use super::units::{Millis, Sequence, Slot, TaskIndex, TaskRef};
use super::workflow::Workflow;

/// What is to be listed.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    /// A place in [`super::state::WORKFLOW_WORDS`]; `None`: any.
    pub word: Option<usize>,
    /// A type; `None`: any.
    pub type_name: Option<&'a [u8]>,
    /// How the name of the workflow begins.
    pub prefix: &'a [u8],
    /// Pushed, or failed, then or later.
    pub from: Millis,
    /// Pushed, or failed, then or earlier.
    pub to: Millis,
}

/// The workflows that match among the next `count` from `from` on, and where to go on, if anywhere.
/// Their order is that of their slots.
pub fn workflows(space: &Space, filter: &Filter<'_>, from: Slot, count: usize) -> (Vec<Slot>, Option<Slot>) {
    let mut found = Vec::new();
    for (looked, (slot, workflow)) in space.workflows.iter_from(from).enumerate() {
        if looked == count {
            return (found, Some(slot));
        }
        if matches(space, filter, slot, workflow) {
            found.push(slot);
        }
    }
    (found, None)
}

fn matches(space: &Space, filter: &Filter<'_>, slot: Slot, workflow: &Workflow) -> bool {
    let has_type = |name: &[u8]| {
        let blueprint = space.blueprints.get(workflow.blueprint());
        space.type_id(name).is_some_and(|id| blueprint.types.contains(&id))
    };
    filter.word.is_none_or(|word| workflow.word() == word)
        && (filter.from..=filter.to).contains(&workflow.created())
        && space.name_of(slot).starts_with(filter.prefix)
        && filter.type_name.is_none_or(has_type)
}

/// The place of a failed task in the order of dead letters. It names the workflow by its age, so it
/// means the same on every copy of the space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Letter {
    /// When it failed.
    pub failed: Millis,
    /// The age of its workflow.
    pub sequence: Sequence,
    /// Its place there.
    pub index: TaskIndex,
}

/// The failed tasks that match among the next `count`, newest first, from behind `before` on, and the
/// last that was looked at if there may be more. Tasks that failed in one millisecond are looked at
/// together.
pub fn letters(
    space: &Space,
    filter: &Filter<'_>,
    before: Option<Letter>,
    count: usize,
) -> (Vec<TaskRef>, Option<Letter>) {
    let letter = |key: u128| {
        let task = keys::task_of_lease(key);
        let sequence = space.workflows.at(task.slot).sequence();
        (Letter { failed: keys::deadline_of(key), sequence, index: task.index }, task)
    };
    let newest = before.map_or(filter.to, |before| before.failed.min(filter.to));
    let mut keys = space.dead.iter_down(keys::last_of(newest)).peekable();
    let (mut looked, mut found, mut last) = (0, Vec::new(), None);
    while let Some(&first) = keys.peek() {
        let failed = keys::deadline_of(first);
        if failed < filter.from {
            return (found, None);
        }
        let mut together = Vec::new();
        while let Some(key) = keys.next_if(|&key| keys::deadline_of(key) == failed) {
            together.push(letter(key));
        }
        together.sort_unstable_by(|one, other| other.cmp(one));
        for (letter, task) in together {
            if before.is_some_and(|before| letter >= before) {
                continue;
            }
            if looked == count {
                return (found, last);
            }
            looked += 1;
            last = Some(letter);
            let (workflow, blueprint) = space.workflow(task.slot);
            let type_name = space.type_name(blueprint.type_id(task.index));
            let wanted = filter.type_name.is_none_or(|name| name == type_name);
            let name = workflow.own_name(&blueprint.shape).unwrap_or(&blueprint.name);
            if wanted && name.starts_with(filter.prefix) {
                found.push(task);
            }
        }
    }
    (found, None)
}
