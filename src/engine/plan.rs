//! Decisions, read-only: what may be pushed, and what is claimed.
//!
//! What a token is worth and what becomes of a failed attempt is in [`super::verdict`], what is due
//! in [`super::due`].

use super::draft::{Draft, Invalid};
use super::ids::Id;
use super::keys;
use super::limits::{MAX_PAYLOADS_BYTES, MAX_SEQUENCE, MAX_WORKERS, Settings};
use super::shape::{Checked, Shape};
use super::space::Space;
use super::state::TaskState;
use super::units::{BlueprintId, Slot, TaskRef, TypeId};
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Why a workflow is not taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not a workflow.
    Invalid(Invalid),
    /// There is a workflow of that id.
    Exists,
    /// The space has as many types as it may.
    TooManyTypes {
        /// How many it may have.
        max: u64,
    },
    /// The space has as many different shapes as it can.
    NoBlueprintLeft,
    /// The space has as many definitions as it can.
    NoDefinitionLeft,
    /// No integer id is left.
    NoIdLeft,
    /// The space has seen as many workflows as it can.
    NoSequenceLeft,
}

/// What a push comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission<'a> {
    /// The id: the one asked for, or the next integer.
    pub id: Id<'a>,
    /// Its blueprint.
    pub blueprint: BlueprintId,
    /// The blueprint's content when the space does not have it.
    pub new: Option<Checked>,
}

/// Whether a draft may come in, and as what.
pub fn admit<'a>(
    space: &Space,
    draft: &Draft<'_>,
    id: Option<Id<'a>>,
    settings: &Settings,
) -> Result<Admission<'a>, Refusal> {
    let id = admit_id(space, id)?;
    let (blueprint, new) = admit_shape(space, draft, settings)?;
    Ok(Admission { id, blueprint, new })
}

/// Whether a draft that was checked may come in, and as what.
pub fn admit_checked<'a>(
    space: &Space,
    checked: Result<Checked, Invalid>,
    id: Option<Id<'a>>,
    settings: &Settings,
) -> Result<Admission<'a>, Refusal> {
    let id = admit_id(space, id)?;
    let (blueprint, new) = house(space, checked.map_err(Refusal::Invalid)?, settings)?;
    Ok(Admission { id, blueprint, new })
}

/// Whether a draft may become a definition of that name, and as what.
pub fn admit_definition(
    space: &Space,
    name: &[u8],
    draft: &Draft<'_>,
    settings: &Settings,
) -> Result<(BlueprintId, Option<Checked>), Refusal> {
    let admitted = admit_shape(space, draft, settings)?;
    if space.definitions.has_room_for(name) { Ok(admitted) } else { Err(Refusal::NoDefinitionLeft) }
}

/// The same of a draft that was checked.
pub fn admit_checked_definition(
    space: &Space,
    name: &[u8],
    checked: Result<Checked, Invalid>,
    settings: &Settings,
) -> Result<(BlueprintId, Option<Checked>), Refusal> {
    let admitted = house(space, checked.map_err(Refusal::Invalid)?, settings)?;
    if space.definitions.has_room_for(name) { Ok(admitted) } else { Err(Refusal::NoDefinitionLeft) }
}

/// The blueprint that a draft gets, and its content when the space does not have it.
fn admit_shape(
    space: &Space,
    draft: &Draft<'_>,
    settings: &Settings,
) -> Result<(BlueprintId, Option<Checked>), Refusal> {
    let known = space.blueprints.recognise(draft, &space.types);
    if let Some(blueprint) = known
        && space.blueprints.get(blueprint).shape.edges() as u64 <= settings.max_edges
    {
        Shape::check_sizes(draft, settings).map_err(Refusal::Invalid)?;
        return Ok((blueprint, None));
    }
    let checked = Shape::check(draft, settings).map_err(Refusal::Invalid)?;
    house(space, checked, settings)
}

/// The blueprint of a shape, and its content when the space does not have it.
fn house(
    space: &Space,
    checked: Checked,
    settings: &Settings,
) -> Result<(BlueprintId, Option<Checked>), Refusal> {
    let types: Option<Vec<TypeId>> = checked.types.iter().map(|name| space.type_id(name)).collect();
    if let Some(types) = &types
        && let Some(blueprint) = space.blueprints.find(&checked, types)
    {
        return Ok((blueprint, None));
    }
    let added = checked.types.iter().filter(|name| space.type_id(name).is_none()).count();
    if added > 0 && (space.types.len() + added) as u64 > settings.max_types {
        return Err(Refusal::TooManyTypes { max: settings.max_types });
    }
    let blueprint = space.blueprints.vacant().ok_or(Refusal::NoBlueprintLeft)?;
    Ok((blueprint, Some(checked)))
}

/// What a workflow with the tasks of a draft added comes to: its blueprint, and that one's content when
/// the space does not have it.
pub fn grow(
    space: &Space,
    slot: Slot,
    draft: &Draft<'_>,
    settings: &Settings,
) -> Result<(BlueprintId, Option<Checked>), Refusal> {
    let (workflow, blueprint) = space.workflow(slot);
    let shape = &blueprint.shape;
    let waits = |task| workflow.task_state(task) == TaskState::Waiting;
    let checked = shape.grow(&space.types_of(slot), draft, settings, waits);
    let added = draft.tasks.iter().map(|task| task.payload.len());
    admit_grown(space, slot, checked, added, settings)
}

/// The same when the workflow was looked at before: what the tasks came to, and the bytes of each payload.
pub fn admit_grown(
    space: &Space,
    slot: Slot,
    checked: Result<Checked, Invalid>,
    added: impl Iterator<Item = usize>,
    settings: &Settings,
) -> Result<(BlueprintId, Option<Checked>), Refusal> {
    let checked = checked.map_err(Refusal::Invalid)?;
    let (workflow, blueprint) = space.workflow(slot);
    let payloads: usize = workflow.payloads(&blueprint.shape).map(<[u8]>::len).chain(added).sum();
    if payloads > MAX_PAYLOADS_BYTES {
        return Err(Refusal::Invalid(Invalid::PayloadsTooLong));
    }
    house(space, checked, settings)
}

/// The id of a push: the one asked for, or the next integer.
pub fn admit_id<'a>(space: &Space, id: Option<Id<'a>>) -> Result<Id<'a>, Refusal> {
    if id.is_some_and(|id| space.find(id).is_some()) {
        return Err(Refusal::Exists);
    }
    if space.next_sequence.0 >= MAX_SEQUENCE {
        return Err(Refusal::NoSequenceLeft);
    }
    Ok(match id {
        Some(id) => id,
        None => Id::Integer(space.next_id().ok_or(Refusal::NoIdLeft)?),
    })
}

/// Whose work a claim takes.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// Tasks of any type.
    Any,
    /// Tasks of these types, each once.
    Types(&'a [TypeId]),
}

/// The first `count` tasks in claim order whose priority is at most `max_priority`. O(types wanted
/// + count x log types).
pub fn claimable(space: &Space, wanted: Wanted<'_>, count: usize, max_priority: u32) -> Vec<TaskRef> {
    let mut picked = Vec::new();
    let takes = |key: u128| keys::priority_of(key) <= max_priority;
    let open = |id: TypeId| space.head(id).is_some_and(takes);
    let queue = |id: TypeId| space.types.at(id).queue.iter().take_while(move |&key| takes(key));
    let ids: SmallVec<[TypeId; 8]> = match wanted {
        Wanted::Any => space.claimable_types().filter(|&id| open(id)).collect(),
        Wanted::Types(ids) => ids.iter().copied().filter(|&id| open(id)).collect(),
    };
    // Mostly there are tasks of one type, and nothing to merge.
    if let [id] = ids[..] {
        picked.extend(queue(id).take(count).map(keys::task_of_ready));
        return picked;
    }
    let mut queues: Vec<_> = ids.into_iter().map(queue).collect();
    let mut heads: BinaryHeap<Reverse<(u128, usize)>> = queues
        .iter_mut()
        .enumerate()
        .filter_map(|(place, queue)| Some(Reverse((queue.next()?, place))))
        .collect();
    while picked.len() < count
        && let Some(Reverse((key, place))) = heads.pop()
    {
        picked.push(keys::task_of_ready(key));
        heads.extend(queues[place].next().map(|key| Reverse((key, place))));
    }
    picked
}

/// Whether a worker of this name can be taken in.
pub fn has_room_for_worker(space: &Space, name: &[u8]) -> bool {
    space.workers.len() < MAX_WORKERS || space.workers.find(name).is_some()
}

/// Whether a workflow has neither ended nor been stopped.
pub fn still_wanted(space: &Space, slot: Slot) -> bool {
    space.workflows.at(slot).state() == super::state::WorkflowState::Running
}

/// The running tasks of a worker, oldest workflow first, at most `limit`.
pub fn held(space: &Space, worker: &[u8], limit: usize) -> Vec<TaskRef> {
    let worker = space.workers.find(worker).map(|id| space.workers.at(id));
    worker.map_or_else(Vec::new, |worker| worker.held.iter().take(limit).map(keys::task_of_ready).collect())
}
