//! Putting a space together from a file, piece by piece. Whatever a file says is checked for what
//! the layout needs here, and for what the rules need by [`crate::engine::invariant`] at the end.
//!
//! Only what cannot be worked out is in a file. Queues, leases, counters of open parents and all
//! counts are made anew.

mod rare;

use crate::engine::archive::Finished;
use crate::engine::blueprints::hash_of;
use crate::engine::fresh::LastFresh;
use crate::engine::histogram::Histogram;
use crate::engine::ids::Id;
use crate::engine::keys;
use crate::engine::limits::{
    MAX_BLUEPRINT_ID, MAX_COUNTED, MAX_ID_BYTES, MAX_INTEGER_ID, MAX_NAME_BYTES, MAX_PRIORITY, MAX_SEQUENCE,
    MAX_TYPES, MAX_WORKERS,
};
use crate::engine::packed::Row;
use crate::engine::runs::{PackedRun, Run};
use crate::engine::shape::Shape;
use crate::engine::space::Space;
use crate::engine::state::{TaskState, WorkflowState};
use crate::engine::units::{BlueprintId, Millis, Sequence, Slot, TaskIndex, TaskRef, TypeId};
use crate::engine::workers::Deeds;
use crate::engine::workflow::{MARK_VOID, Parts, Payloads, Workflow};

/// Something a file says cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Impossible(pub &'static str);

/// What is known only until the end.
#[derive(Clone, Debug, Default)]
pub struct Restoring {
    /// Since when each ready task has been ready.
    ready: Vec<(Millis, TypeId)>,
    fresh: LastFresh,
    /// The space was not whole when it was saved, so it will not be whole at the end either.
    partial: bool,
}

/// A type as a file has it.
pub struct TypeParts<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its own pause flag.
    pub paused: bool,
    /// Tasks completed.
    pub completed: u64,
    /// Tasks failed.
    pub failed: u64,
    /// Queue waits.
    pub waits: Histogram,
    /// Run times.
    pub runs: Histogram,
}

/// A workflow as a file has it.
pub struct WorkflowParts<'a> {
    /// Its id.
    pub id: Id<'a>,
    /// Its age.
    pub sequence: Sequence,
    /// When it was pushed.
    pub created: Millis,
    /// When nothing of it was left.
    pub finished: Option<Millis>,
    /// Its blueprint, which was restored before.
    pub blueprint: BlueprintId,
    /// The priority of tasks without their own.
    pub priority: u32,
    /// Its state.
    pub state: WorkflowState,
    /// Its own pause flag.
    pub paused: bool,
    /// Its name when it is not the blueprint's; empty: none.
    pub own_name: Option<&'a [u8]>,
    /// INPUT.
    pub input: Option<&'a [u8]>,
    /// Payloads; none for a completed workflow.
    pub payloads: Row<'a>,
    /// State of each task and whether its token is void; `None`: as pushed.
    pub tasks: Option<&'a [(TaskState, bool)]>,
    /// Runs of the tasks, if any was ever handed out or released.
    pub runs: Option<&'a [Run]>,
}

impl Space {
    /// True while the space is being put together, when nobody but `restore` may touch it, and for good
    /// when something of it is missing.
    pub fn incomplete(&self) -> bool {
        self.restoring.is_some()
    }

    /// True when something is missing for good: the file that it came from was about a space that was not
    /// whole, or it was given up.
    pub fn partial(&self) -> bool {
        self.restored && self.incomplete()
    }

    /// A change is missing, so nothing that comes after it means what it meant: the space stays as it is,
    /// incomplete for good, through every file. One that was being put together has no state that could
    /// be saved, and becomes empty.
    pub fn give_up(&mut self) {
        if self.incomplete() && !self.restored {
            *self = Space::new();
        }
        self.restored = true;
        self.restoring = Some(Box::new(Restoring { partial: true, ..Restoring::default() }));
    }

    /// True when anything was ever put into the space.
    pub fn begun(&self) -> bool {
        self.incomplete() || self.restored || self.next_sequence.0 > 0 || !self.types.is_empty()
    }

    /// The beginning: what is not of any part.
    pub fn restore_header(
        &mut self,
        next_id: u64,
        next_sequence: u64,
        latest: u64,
        paused: bool,
        partial: bool,
    ) -> Result<(), Impossible> {
        if next_id > MAX_INTEGER_ID + 1 || next_sequence > MAX_SEQUENCE {
            return Err(Impossible("a counter out of range"));
        }
        self.next_id = next_id;
        self.next_sequence = Sequence(next_sequence);
        self.latest = Millis(latest.min(Millis::MAX.0));
        self.paused = paused;
        self.restoring = Some(Box::new(Restoring { partial, ..Restoring::default() }));
        Ok(())
    }

    /// The end: everything is there. Says which rule it breaks, if it does, and then the space stays
    /// incomplete.
    pub fn restore_end(&mut self) -> Result<(), String> {
        if let Some(restoring) = &mut self.restoring {
            // In order of time, which is how ages are told apart best.
            let mut ready = std::mem::take(&mut restoring.ready);
            ready.sort_unstable();
            for (since, type_id) in ready {
                self.types.at_mut(type_id).ages.add(since);
            }
        }
        self.blueprints.find_vacant();
        self.restore_archive();
        self.ids.insert_all(&self.workflows);
        super::invariant::check(self)?;
        self.restored = true;
        self.restoring = self.restoring.take().filter(|restoring| restoring.partial);
        Ok(())
    }

    /// A type; the order of calls is the order of ids.
    pub fn restore_type(&mut self, parts: TypeParts<'_>) -> Result<(), Impossible> {
        if parts.name.len() > MAX_NAME_BYTES
            || self.types.len() >= MAX_TYPES
            || self.types.find(parts.name).is_some()
        {
            return Err(Impossible("a type too many"));
        }
        countable([parts.completed, parts.failed, parts.waits.count(), parts.runs.count()])?;
        let id = self.types.intern(parts.name);
        let entry = self.types.at_mut(id);
        entry.paused = parts.paused;
        entry.completed = parts.completed;
        entry.failed = parts.failed;
        entry.waits = parts.waits;
        entry.runs = parts.runs;
        Ok(())
    }

    /// A worker's name and what it did; the order of calls is the order of ids.
    pub fn restore_worker(&mut self, name: &[u8], deeds: Deeds) -> Result<(), Impossible> {
        if name.len() > MAX_NAME_BYTES
            || self.workers.len() >= MAX_WORKERS
            || self.workers.find(name).is_some()
        {
            return Err(Impossible("a worker too many"));
        }
        if deeds.seen > self.latest {
            return Err(Impossible("a worker seen in the future"));
        }
        countable([deeds.claims, deeds.completions, deeds.failures, deeds.lost])?;
        let id = self.workers.intern(name);
        *self.workers.deeds(id) = deeds;
        Ok(())
    }

    /// A blueprint under the id it had. `types` are those that the shape counts, each once.
    pub fn restore_blueprint(
        &mut self,
        id: BlueprintId,
        shape: Shape,
        types: &[TypeId],
        name: &[u8],
    ) -> Result<(), Impossible> {
        if self.blueprints.contains(id) || id.0 > MAX_BLUEPRINT_ID {
            return Err(Impossible("a blueprint under a taken id"));
        }
        if types.iter().any(|id| id.0 as usize >= self.types.len()) {
            return Err(Impossible("a blueprint of an unknown type"));
        }
        if name.len() > MAX_NAME_BYTES {
            return Err(Impossible("a name that is too long"));
        }
        let hash = hash_of(&shape, |place| &self.types.at(types[place]).name);
        self.blueprints.insert(id, shape, types.into(), name, hash);
        Ok(())
    }

    /// A workflow with all its tasks, oldest first. Its notes come later.
    pub fn restore_workflow(&mut self, parts: &WorkflowParts<'_>) -> Result<(), Impossible> {
        if !self.blueprints.contains(parts.blueprint) {
            return Err(Impossible("a workflow without a blueprint"));
        }
        if self.youngest().is_some_and(|youngest| youngest >= parts.sequence) {
            return Err(Impossible("workflows out of order"));
        }
        let bad_id = match parts.id {
            Id::Text(text) => text.is_empty() || text.len() > MAX_ID_BYTES,
            Id::Integer(id) => id >= self.next_id,
        };
        if bad_id || parts.own_name.is_some_and(|name| name.len() > MAX_NAME_BYTES) {
            return Err(Impossible("an id or a name that no workflow has"));
        }
        if parts.priority > MAX_PRIORITY
            || parts.created > Millis::MAX
            || parts.sequence >= self.next_sequence
        {
            return Err(Impossible("a workflow out of range"));
        }
        let blueprint = self.blueprints.get(parts.blueprint);
        let shape = &blueprint.shape;
        let count = shape.len();
        let completed = parts.state == WorkflowState::Completed;
        let empty = vec![&[][..]; if completed { count } else { 0 }];
        let payloads = if completed { Payloads::Each(&empty) } else { Payloads::Row(parts.payloads) };
        let wrong = |len: Option<usize>| len.is_some_and(|len| len != count);
        if wrong((!completed).then_some(parts.payloads.len()))
            || wrong(parts.tasks.map(<[_]>::len))
            || wrong(parts.runs.map(<[_]>::len))
        {
            return Err(Impossible("a workflow with another number of tasks than its blueprint"));
        }
        let all_completed = parts.tasks.is_some_and(|tasks| tasks.iter().all(|task| shape.is_done(task.0)));
        if completed && (parts.runs.is_none() || !all_completed) {
            return Err(Impossible("a completed workflow with work left"));
        }
        let record = Parts {
            id: self.ids.store(parts.id),
            sequence: parts.sequence,
            created: parts.created,
            blueprint: parts.blueprint,
            priority: parts.priority,
            own_name: parts.own_name.filter(|name| **name != *blueprint.name),
            input: parts.input.filter(|_| !completed),
            payloads,
        };
        let restoring = self.restoring.get_or_insert_default();
        let fresh = restoring.fresh.of(parts.blueprint, blueprint, parts.paused);
        let mut workflow = Workflow::fresh(&record, shape, fresh);
        if parts.tasks.is_none() && parts.runs.is_none() && parts.state == WorkflowState::Running {
            workflow.set_paused(parts.paused);
            self.add_fresh(workflow);
            return Ok(());
        }
        for (task, &(state, void)) in shape.indexes().zip(parts.tasks.unwrap_or_default()) {
            workflow.restore_task(task, state, if void { MARK_VOID } else { 0 });
            if state.is_final() {
                workflow.close_one();
            }
        }
        workflow.count_parents(shape);
        for (task, &run) in shape.indexes().zip(parts.runs.unwrap_or_default()) {
            if run.attempt > 0 {
                if self.workers.get(run.worker).is_none() {
                    return Err(Impossible("a run by nobody"));
                }
                self.workers.mention(run.worker);
            }
            workflow.set_run(task, count, PackedRun::pack(run, parts.created).unpack(parts.created));
        }
        workflow.set_state(parts.state);
        workflow.set_paused(parts.paused);
        if let Some(finished) = parts.finished {
            workflow.finish(shape, finished);
        }
        if completed != workflow.sealed() {
            return Err(Impossible("a completed workflow that did not finish"));
        }
        let slot = self.workflows.insert(workflow);
        self.blueprints.retain(parts.blueprint);
        self.index(slot)
    }

    /// Adds a workflow to which nothing has happened yet.
    fn add_fresh(&mut self, workflow: Workflow) {
        let Space { restoring, blueprints, workflows, types, totals, agenda, .. } = self;
        let restoring = restoring.get_or_insert_default();
        let (id, sequence, created) = (workflow.blueprint(), workflow.sequence(), workflow.created());
        let blueprint = blueprints.get(id);
        let fresh = restoring.fresh.of(id, blueprint, workflow.paused());
        for &(type_id, state, count) in &fresh.counts {
            totals.tasks[state as usize] += count;
            types.at_mut(type_id).tasks[state as usize] += count;
        }
        totals.workflows[workflow.word()] += 1;
        let priority = workflow.priority();
        let due = |&index: &TaskIndex| Some((index, workflow.signal_due(&blueprint.shape, index)?));
        let timed: Vec<_> = fresh.signals.iter().filter_map(due).collect();
        let slot = workflows.insert(workflow);
        for (index, due) in timed {
            agenda.delayed.insert(keys::lease(due, TaskRef { slot, index }));
        }
        for &index in &fresh.ready {
            let type_id = blueprint.type_id(index);
            let priority = blueprint.shape.options(index).priority.unwrap_or(priority);
            types.at_mut(type_id).queue.insert(keys::ready(priority, sequence, TaskRef { slot, index }));
            restoring.ready.push((created, type_id));
        }
        blueprints.retain(id);
    }

    /// The age of the workflow restored last. Slots of a new space are taken in order.
    fn youngest(&self) -> Option<Sequence> {
        let last = self.workflows.len().checked_sub(1)?;
        self.workflows.get(Slot(last as u32)).map(Workflow::sequence)
    }

    /// The restored workflow of that age.
    fn slot_of_age(&self, sequence: Sequence) -> Option<Slot> {
        let (mut low, mut high) = (0, self.workflows.len() as u32);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.workflows.get(Slot(middle))?.sequence().cmp(&sequence) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(Slot(middle)),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Enters a restored workflow into all counts and indexes.
    fn index(&mut self, slot: Slot) -> Result<(), Impossible> {
        let count = self.workflow(slot).1.shape.len() as u32;
        self.totals.workflows[self.workflows.at(slot).word()] += 1;
        for task in (0..count).map(|index| TaskRef { slot, index: TaskIndex(index) }) {
            let (workflow, blueprint) = self.workflow(slot);
            let state = workflow.task_state(task.index);
            let type_id = blueprint.type_id(task.index);
            let live = workflow.is_live();
            let created = workflow.created();
            let run = workflow.run(&blueprint.shape, task.index);
            let waits = state == TaskState::Ready && blueprint.shape.is_signal(task.index);
            let due = if waits && live { workflow.signal_due(&blueprint.shape, task.index) } else { None };
            self.totals.tasks[state as usize] += 1;
            self.types.at_mut(type_id).tasks[state as usize] += 1;
            match state {
                TaskState::Ready if waits => {
                    if let Some(due) = due {
                        self.agenda.delayed.insert(keys::lease(due, task));
                    }
                }
                TaskState::Ready => {
                    let key = self.ready_key(task);
                    if let Some(restoring) = &mut self.restoring {
                        restoring.ready.push((run.ready.unwrap_or(created), type_id));
                    }
                    if live {
                        self.types.at_mut(type_id).queue.insert(key);
                    }
                }
                TaskState::Delayed => {
                    let due = run.finished.ok_or(Impossible("a delayed task that is never due"))?;
                    if live {
                        self.agenda.delayed.insert(keys::lease(due, task));
                    }
                }
                TaskState::Failed => {
                    let failed = run.finished.ok_or(Impossible("a failed task without an end"))?;
                    self.dead.insert(keys::lease(failed, task));
                }
                TaskState::Running => {
                    let deadline = run.finished.ok_or(Impossible("a running task without a lease"))?;
                    if run.attempt == 0 {
                        return Err(Impossible("a running task that was never handed out"));
                    }
                    let held = self.held_key(task);
                    self.agenda.leases.insert(keys::lease(deadline, task));
                    self.workers.at_mut(run.worker).held.insert(held);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Enters all finished workflows into the archive: what they cost is known only now.
    fn restore_archive(&mut self) {
        let slots = self.workflows.iter().map(|(slot, _)| slot);
        let mut finished: Vec<Finished> = slots.filter_map(|slot| self.finished(slot)).collect();
        finished.sort_unstable_by_key(|one| (one.finished, one.slot));
        finished.iter().for_each(|one| self.archive.insert(one));
    }
}

/// Whether so much can have been counted.
fn countable<const N: usize>(counts: [u64; N]) -> Result<(), Impossible> {
    match counts.iter().all(|&count| count <= MAX_COUNTED) {
        true => Ok(()),
        false => Err(Impossible("a count out of range")),
    }
}
