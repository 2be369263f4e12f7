//! Whether an effect fits a space. Planning makes only effects that fit; what comes from a stream
//! or a file is asked here first, so that a stream that belongs to another past is an error in the
//! log and never a broken index.

use super::effect::{Add, Content, Define, Effect, Grant, Push, Target, Terms};
use super::ids::Id;
use super::limits::{
    MAX_BLUEPRINT_ID, MAX_DURATION_MS, MAX_ID_BYTES, MAX_INTEGER_ID, MAX_NAME_BYTES, MAX_PAYLOADS_BYTES,
    MAX_PRIORITY, MAX_SEQUENCE, MAX_TYPES,
};
use super::plan::has_room_for_worker;
use super::restore::Impossible;
use super::shape::{Checked, Shape};
use super::space::Space;
use super::state::{TaskState, WorkflowState};
use super::units::{BlueprintId, Millis, TaskIndex, TaskRef, TypeId};
use super::verdict::is_wanted;
use super::workflow::MARK_VOID;

/// Whether `apply` may carry the effect out.
pub fn fits(space: &Space, effect: &Effect<'_>) -> Result<(), Impossible> {
    let state = |task: TaskRef| match task_exists(space, task) {
        true => Ok(space.state_of(task)),
        false => Err(Impossible("a task that is not there")),
    };
    let need = |truth: bool, what| if truth { Ok(()) } else { Err(Impossible(what)) };
    match *effect {
        Effect::Push(Push { ref terms, ref content }) => {
            content_fits(space, content)?;
            terms_fit(space, terms)
        }
        Effect::Start { definition, ref terms } => {
            need(space.definitions.get(definition).is_some(), "a definition that is not there")?;
            terms_fit(space, terms)
        }
        Effect::Define(ref define) => define_fits(space, define),
        Effect::Undefine { definition } => {
            need(space.definitions.get(definition).is_some(), "a definition that is not there")
        }
        Effect::Add(ref add) => {
            state(add.task)?;
            need(held(space, add.task), "an acknowledgement of a task that nobody has")?;
            need(is_wanted(space, add.task), "tasks added to a workflow that ended")?;
            add_fits(space, add)
        }
        Effect::Claim(lease) => {
            need(has_room_for_worker(space, lease.worker), "one worker more than there is room for")?;
            need(!lease.grants.is_empty(), "a claim of nothing")?;
            distinct(lease.grants)?;
            lease.grants.iter().try_for_each(|grant| {
                need(state(grant.task)? == TaskState::Ready, "a claim of a task that is not ready")?;
                need(!is_signal(space, grant.task), "a claim of a task that waits for a signal")
            })
        }
        Effect::Resume(lease) => {
            need(has_room_for_worker(space, lease.worker), "one worker more than there is room for")?;
            need(!lease.grants.is_empty(), "a resumption of nothing")?;
            distinct(lease.grants)?;
            lease.grants.iter().try_for_each(|grant| {
                need(state(grant.task)? == TaskState::Running, "a resumption of a task that is not running")
            })
        }
        Effect::Signal { task, .. } => need(
            state(task)? == TaskState::Ready && is_signal(space, task),
            "a signal that nothing waits for",
        ),
        Effect::Retry { task, .. } => {
            state(task)?;
            need(is_wanted(space, task), "another try in a workflow that ended")?;
            need(held(space, task), "an acknowledgement of a task that nobody has")
        }
        Effect::Complete { task, skipped, .. } => {
            state(task)?;
            need(held(space, task), "an acknowledgement of a task that nobody has")?;
            let shape = &space.workflow(task.slot).1.shape;
            let known = |&child: &TaskIndex| child.at() < shape.len() && shape.is_child(task.index, child);
            let in_order = skipped.is_sorted_by(|one, next| one < next);
            need(in_order && skipped.iter().all(known), "a choice of something that is no child")
        }
        Effect::Fail { task, .. } | Effect::Extend { task, .. } => {
            state(task)?;
            need(held(space, task), "an acknowledgement of a task that nobody has")
        }
        Effect::Due { task, .. } => {
            need(state(task)? == TaskState::Delayed, "an end of a delay that is not there")?;
            need(space.workflows.at(task.slot).is_live(), "an end of a delay in a workflow that is paused")
        }
        Effect::TimeOut { slot, .. } => {
            let workflow = space.workflows.get(slot).ok_or(Impossible("a workflow that is not there"))?;
            let waiting = workflow.state() == WorkflowState::Running && space.extra(slot).timeout.is_some();
            need(waiting, "a deadline of a workflow that has none")
        }
        Effect::Cancel { slot, .. } => {
            let workflow = space.workflows.get(slot).ok_or(Impossible("a workflow that is not there"))?;
            need(workflow.state() == WorkflowState::Running, "an end of a workflow that has ended")
        }
        Effect::Rerun { slot, task, .. } => {
            let workflow = space.workflows.get(slot).ok_or(Impossible("a workflow that is not there"))?;
            need(workflow.state() == WorkflowState::Failed, "a rerun of a workflow that has not failed")?;
            let failed = |index| Ok(state(TaskRef { slot, index })? == TaskState::Failed);
            need(task.map_or(Ok(true), failed)?, "a rerun of a task that has not failed")
        }
        Effect::Shift { from, by } => {
            need(from <= Millis::MAX && by <= Millis::MAX.0, "a step of the clock out of range")
        }
        Effect::Configure { setting, value } => {
            let fits = value.is_none_or(|value| (setting.min..=setting.max).contains(&value));
            need(fits && setting.per_space, "a setting out of range")
        }
        Effect::Stream { key } => {
            let fits = key.is_none_or(|key| (1..=MAX_NAME_BYTES).contains(&key.len()));
            need(fits, "the key of a stream that is empty or too long")
        }
        Effect::Expire { task, .. } | Effect::Recover { task, .. } => {
            need(state(task)? == TaskState::Running, "an end of a lease that is not there")
        }
        Effect::Pause { target: Target::Workflow(slot) } => {
            let workflow = space.workflows.get(slot).ok_or(Impossible("a workflow that is not there"))?;
            need(
                workflow.state() == WorkflowState::Running && !workflow.paused(),
                "a pause that changes nothing",
            )
        }
        Effect::Release { target: Target::Workflow(slot), .. } => {
            let workflow = space.workflows.get(slot).ok_or(Impossible("a workflow that is not there"))?;
            need(workflow.paused(), "a release that changes nothing")
        }
        Effect::Pause { target: Target::Type(name) } | Effect::Release { target: Target::Type(name), .. } => {
            need(
                space.types.find(name).is_some() || space.types.len() < MAX_TYPES,
                "one type more than there is room for",
            )
        }
        Effect::Pause { target: Target::All } | Effect::Release { target: Target::All, .. } => Ok(()),
        Effect::Delete { slot } => need(space.workflows.get(slot).is_some(), "a workflow that is not there"),
    }
}

/// Whether somebody has the task and can speak of it: it runs, or its lease ran out.
fn held(space: &Space, task: TaskRef) -> bool {
    let (workflow, blueprint) = space.workflow(task.slot);
    match workflow.task_state(task.index) {
        TaskState::Running => true,
        TaskState::Ready => {
            let run = workflow.run(&blueprint.shape, task.index);
            run.attempt > 0 && run.started.is_some() && workflow.marks(task.index) & MARK_VOID == 0
        }
        _ => false,
    }
}

fn is_signal(space: &Space, task: TaskRef) -> bool {
    space.workflow(task.slot).1.shape.is_signal(task.index)
}

fn task_exists(space: &Space, task: TaskRef) -> bool {
    space.workflows.get(task.slot).is_some() && task.index.at() < space.workflow(task.slot).1.shape.len()
}

fn distinct(grants: &[Grant]) -> Result<(), Impossible> {
    let mut tasks: Vec<TaskRef> = grants.iter().map(|grant| grant.task).collect();
    tasks.sort_unstable();
    tasks.dedup();
    if tasks.len() == grants.len() { Ok(()) } else { Err(Impossible("a task twice in one claim")) }
}

fn content_fits(space: &Space, content: &Content<'_>) -> Result<(), Impossible> {
    let count = blueprint_fits(space, content.blueprint, content.new)?.len();
    if content.payloads.len() != count {
        return Err(Impossible("another number of payloads than tasks"));
    }
    if content.name.len() > MAX_NAME_BYTES {
        return Err(Impossible("a name that is too long"));
    }
    Ok(())
}

fn define_fits(space: &Space, define: &Define<'_>) -> Result<(), Impossible> {
    let Define { name, version, now, priority, timeout_ms, ref content } = *define;
    content_fits(space, content)?;
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(Impossible("a name that is too short or too long"));
    }
    if !space.definitions.has_room_for(name) || version != space.definitions.next_version(name) {
        return Err(Impossible("one definition too many, or another version than the next"));
    }
    if priority.is_some_and(|priority| priority > MAX_PRIORITY)
        || timeout_ms.is_some_and(|timeout| !(1..=MAX_DURATION_MS).contains(&timeout))
        || now > Millis::MAX
    {
        return Err(Impossible("a definition out of range"));
    }
    Ok(())
}

fn terms_fit(space: &Space, terms: &Terms<'_>) -> Result<(), Impossible> {
    let possible = match terms.id {
        Id::Integer(id) => id <= MAX_INTEGER_ID,
        Id::Text(text) => !text.is_empty() && text.len() <= MAX_ID_BYTES,
    };
    if !possible {
        return Err(Impossible("an id that no workflow has"));
    }
    if space.find(terms.id).is_some() {
        return Err(Impossible("a push under a taken id"));
    }
    if terms.timeout.is_some_and(|timeout| timeout.passed || timeout.after_ms > MAX_DURATION_MS)
        || terms.retain_ms.is_some_and(|retain| retain > MAX_DURATION_MS)
    {
        return Err(Impossible("a duration out of range"));
    }
    if terms.priority > MAX_PRIORITY || terms.now > Millis::MAX || space.next_sequence.0 >= MAX_SEQUENCE {
        return Err(Impossible("a push out of range"));
    }
    Ok(())
}

/// The shape of a blueprint that is there, or under whose id there is none.
fn blueprint_fits<'a>(
    space: &'a Space,
    id: BlueprintId,
    new: Option<&'a Checked>,
) -> Result<&'a Shape, Impossible> {
    let Some(new) = new else {
        let known = space.blueprints.contains(id).then(|| &space.blueprints.get(id).shape);
        return known.ok_or(Impossible("a blueprint that is not there"));
    };
    if space.blueprints.contains(id) || id.0 > MAX_BLUEPRINT_ID {
        return Err(Impossible("a blueprint under a taken id"));
    }
    let known: Vec<TypeId> = new.types.iter().filter_map(|name| space.types.find(name)).collect();
    let added = new.types.len() - known.len();
    if space.types.len() + added > MAX_TYPES {
        return Err(Impossible("more types than there is room for"));
    }
    if added == 0 && space.blueprints.find(new, &known).is_some() {
        return Err(Impossible("a shape that is there already"));
    }
    Ok(&new.shape)
}

fn add_fits(space: &Space, add: &Add<'_>) -> Result<(), Impossible> {
    let shape = blueprint_fits(space, add.blueprint, add.new)?;
    let slot = add.task.slot;
    let (workflow, blueprint) = space.workflow(slot);
    let before = &blueprint.shape;
    if shape.len() != before.len() + add.payloads.len() || !shape.has_grown_from(before) {
        return Err(Impossible("an addition to another workflow"));
    }
    let type_name = |task| match add.new {
        Some(new) => &*new.types[shape.type_of(task)],
        None => space.type_name(space.blueprints.get(add.blueprint).type_id(task)),
    };
    if before.indexes().any(|task| *type_name(task) != *space.type_name(blueprint.type_id(task))) {
        return Err(Impossible("an addition that changes a type"));
    }
    let begun = |&task: &TaskIndex| workflow.task_state(task) != TaskState::Waiting;
    if before.indexes().filter(begun).any(|task| shape.parents(task).len() > before.parents(task).len()) {
        return Err(Impossible("a parent added to a task that has begun"));
    }
    let own = workflow.payloads(before).chain(add.payloads.iter().copied());
    if own.map(<[u8]>::len).sum::<usize>() > MAX_PAYLOADS_BYTES || add.now > Millis::MAX {
        return Err(Impossible("an addition out of range"));
    }
    Ok(())
}
