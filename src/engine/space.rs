//! A space: all workflows under one key, and the tables and indexes over them.
//!
//! Fields are open to the engine only. Outside, a space is read through the methods here,
//! [`super::plan`] and [`super::view`], and changed through [`super::apply::apply`].

use super::agenda::Agenda;
use super::archive::{Archive, Finished};
use super::blueprints::{Blueprint, Blueprints};
use super::definitions::Definitions;
use super::extras::{Extra, Extras};
use super::forms::Form;
use super::ids::{Id, Ids};
use super::keys;
use super::limits::Settings;
use super::notes::{NOTE_BYTES, NoteKind, Notes};
use super::ordered::OrderedSet;
use super::overrides::Overrides;
use super::restore::Restoring;
use super::state::TaskState;
use super::tries::{Tried, Tries};
use super::types::Types;
use super::units::{Millis, Sequence, Slot, TaskRef, TypeId};
use super::workers::Workers;
use super::workflow::{MARK_NOTES, MARK_TRIED, Workflow};
use super::workflows::Workflows;
use std::borrow::Cow;

/// The space; see the module's prose.
#[derive(Clone, Debug)]
pub struct Space {
    pub(super) workflows: Workflows,
    pub(super) ids: Ids,
    pub(super) blueprints: Blueprints,
    pub(super) definitions: Definitions,
    pub(super) types: Types,
    pub(super) workers: Workers,
    pub(super) notes: Notes,
    pub(super) tries: Tries,
    pub(super) extras: Extras,
    pub(super) agenda: Agenda,
    pub(super) archive: Archive,
    /// Failed tasks by when they failed: [`keys::lease`].
    pub(super) dead: OrderedSet,
    pub(super) overrides: Overrides,
    pub(super) lifetime: Lifetime,
    /// One more than the largest integer ever used as an id.
    pub(super) next_id: u64,
    /// One more than the age of the youngest workflow.
    pub(super) next_sequence: Sequence,
    /// The pause of everything.
    pub(super) paused: bool,
    pub(super) totals: Totals,
    /// The latest time any effect carried. Gives a time to what happens without a clock (COPY).
    pub(super) latest: Millis,
    /// When a worker last asked for tasks of any type, as [`super::types::Type::asked`].
    pub(super) asked: Millis,
    /// Entries that its stream of events did not take since it was loaded. No part of its state: it is
    /// neither saved nor replicated.
    pub(super) events_lost: u64,
    /// Being put together from a file: see [`super::restore`].
    pub(super) restoring: Option<Box<Restoring>>,
    /// Was put together from a file.
    pub(super) restored: bool,
}

/// How much of what there is; kept up to date, so reading it costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Workflows by [`super::state::WORKFLOW_WORDS`].
    pub workflows: [u64; 5],
    /// Tasks by [`TaskState`].
    pub tasks: [u64; 8],
    /// Delayed tasks of which an attempt failed.
    pub retrying: u64,
}

/// What happened in the life of the space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// Leases that ran out.
    pub lease_expiries: u64,
    /// Attempts that failed and were to be tried again.
    pub attempts_retried: u64,
    /// Attempts that took too long.
    pub tasks_timed_out: u64,
    /// Tasks that failed because too many deliveries were lost.
    pub tasks_poisoned: u64,
    /// Workflows that took too long.
    pub workflows_timed_out: u64,
}

impl Default for Space {
    fn default() -> Space {
        Space::new()
    }
}

impl Space {
    /// An empty space.
    pub fn new() -> Space {
        Space {
            workflows: Workflows::default(),
            ids: Ids::default(),
            blueprints: Blueprints::default(),
            definitions: Definitions::default(),
            types: Types::default(),
            workers: Workers::default(),
            notes: Notes::default(),
            tries: Tries::default(),
            extras: Extras::default(),
            agenda: Agenda::default(),
            archive: Archive::default(),
            dead: OrderedSet::default(),
            overrides: Overrides::default(),
            lifetime: Lifetime::default(),
            next_id: 1,
            next_sequence: Sequence(0),
            paused: false,
            totals: Totals::default(),
            latest: Millis(0),
            asked: Millis(0),
            events_lost: 0,
            restoring: None,
            restored: false,
        }
    }

    /// When there is something to sweep, when leases and deadlines wait until `expire_from`.
    pub fn next_due(&self, settings: &Settings, expire_from: Millis) -> Option<Millis> {
        let removal = match self.archive.is_empty() {
            true => None,
            false => self.archive.next_due(&self.overrides.over(settings)),
        };
        [self.agenda.next_due(expire_from), removal].into_iter().flatten().min()
    }

    /// What falls due, and when.
    pub fn agenda(&self) -> &Agenda {
        &self.agenda
    }

    /// Finished workflows.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Failed tasks by when they failed, as [`keys::lease`].
    pub fn dead(&self) -> &OrderedSet {
        &self.dead
    }

    /// What happened in the life of the space.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Entries that its stream of events did not take since it was loaded.
    pub fn events_lost(&self) -> u64 {
        self.events_lost
    }

    /// So many entries more were not taken: no change, so no effect.
    pub fn lose_events(&mut self, count: u64) {
        self.events_lost += count;
    }

    /// The settings that the space has of its own.
    pub fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// The settings in force.
    pub fn settings<'s>(&self, settings: &'s Settings) -> Cow<'s, Settings> {
        self.overrides.over(settings)
    }

    /// How often a task failed and was lost.
    pub fn tried(&self, task: TaskRef) -> Tried {
        match self.workflows.at(task.slot).marks(task.index) & MARK_TRIED {
            0 => Tried::default(),
            _ => self.tries.get(task).copied().unwrap_or_default(),
        }
    }

    /// The tries.
    pub fn tries(&self) -> &Tries {
        &self.tries
    }

    /// What a workflow has that few have.
    pub fn extra(&self, slot: Slot) -> &Extra {
        if self.workflows.at(slot).has_extra() { self.extras.get(slot) } else { &Extra::NONE }
    }

    /// The extras.
    pub fn extras(&self) -> &Extras {
        &self.extras
    }

    /// What the archive knows of a workflow; `None` while it is not finished. O(tasks).
    pub fn finished(&self, slot: Slot) -> Option<Finished> {
        let (workflow, blueprint) = self.workflow(slot);
        let finished = workflow.finished(&blueprint.shape)?;
        let notes = blueprint.shape.indexes().map(|index| match workflow.marks(index) {
            marks if marks & MARK_NOTES == 0 => 0,
            marks => self.note_bytes(TaskRef { slot, index }, marks),
        });
        let extra = self.extra(slot);
        let reason = extra.reason.as_ref().map_or(0, |reason| reason.len() + NOTE_BYTES);
        let bytes = size_of::<Workflow>() + workflow.heap_bytes() + notes.sum::<usize>() + reason;
        Some(Finished {
            slot,
            state: workflow.state(),
            finished,
            retain_ms: extra.retain_ms,
            bytes: bytes as u64,
        })
    }

    fn note_bytes(&self, task: TaskRef, marks: u8) -> usize {
        let kinds = NoteKind::ALL.into_iter().filter(|kind| marks & kind.mark() != 0);
        kinds.map(|kind| self.notes.get(task, kind).map_or(0, <[u8]>::len) + NOTE_BYTES).sum()
    }

    /// The priority of the task that a claim of this type would get.
    pub fn head_priority(&self, type_id: TypeId) -> Option<u32> {
        self.head(type_id).map(keys::priority_of)
    }

    /// The key of the task that a claim of this type would get.
    pub(super) fn head(&self, type_id: TypeId) -> Option<u128> {
        let entry = self.types.at(type_id);
        if self.paused || entry.paused { None } else { entry.queue.first() }
    }

    /// The type of that name, if any task was ever of it or it was paused.
    pub fn type_id(&self, name: &[u8]) -> Option<TypeId> {
        self.types.find(name)
    }

    /// The name of a type.
    pub fn type_name(&self, type_id: TypeId) -> &[u8] {
        &self.types.at(type_id).name
    }

    /// Types of which a task can be claimed now.
    pub fn claimable_types(&self) -> impl Iterator<Item = TypeId> {
        self.types.iter().map(|(id, _)| id).filter(|&id| self.head(id).is_some())
    }

    /// The types and their statistics.
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// The workers.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// The blueprints.
    pub fn blueprints(&self) -> &Blueprints {
        &self.blueprints
    }

    /// The definitions.
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// Keeps a form of a blueprint that exists: no change, so no effect.
    pub fn keep_form(&mut self, form: Form) {
        self.blueprints.keep_form(form);
    }

    /// The workflows.
    pub fn workflows(&self) -> &Workflows {
        &self.workflows
    }

    /// Results, errors and choices.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// How much of what there is.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether everything is paused.
    pub fn paused(&self) -> bool {
        self.paused
    }

    /// The integer id that the next push gets; `None` when they are used up.
    pub fn next_id(&self) -> Option<u64> {
        (self.next_id <= super::limits::MAX_INTEGER_ID).then_some(self.next_id)
    }

    /// What the next id will be, and the age of the next workflow, for files and digests.
    pub fn counters(&self) -> (u64, Sequence, Millis) {
        (self.next_id, self.next_sequence, self.latest)
    }

    /// Where the workflow with this id is.
    pub fn find(&self, id: Id<'_>) -> Option<Slot> {
        self.ids.find(id, &self.workflows)
    }

    /// The workflow with its blueprint; it must be there.
    pub fn workflow(&self, slot: Slot) -> (&Workflow, &Blueprint) {
        let workflow = self.workflows.at(slot);
        (workflow, self.blueprints.get(workflow.blueprint()))
    }

    /// The names of the types of a workflow's tasks, as its shape counts them.
    pub fn types_of(&self, slot: Slot) -> Vec<&[u8]> {
        self.workflow(slot).1.types.iter().map(|&type_id| self.type_name(type_id)).collect()
    }

    /// The id of a workflow.
    pub fn id_of(&self, slot: Slot) -> Id<'_> {
        self.ids.id(self.workflows.at(slot).id())
    }

    /// The name of a workflow; empty: none.
    pub fn name_of(&self, slot: Slot) -> &[u8] {
        let (workflow, blueprint) = self.workflow(slot);
        workflow.own_name(&blueprint.shape).unwrap_or(&blueprint.name)
    }

    /// The priority by which a task is claimed.
    pub fn priority_of(&self, task: TaskRef) -> u32 {
        let (workflow, blueprint) = self.workflow(task.slot);
        blueprint.shape.options(task.index).priority.unwrap_or(workflow.priority())
    }

    /// The state of a task.
    pub fn state_of(&self, task: TaskRef) -> TaskState {
        self.workflows.at(task.slot).task_state(task.index)
    }

    /// The key under which a task queues when it is ready.
    pub(super) fn ready_key(&self, task: TaskRef) -> u128 {
        keys::ready(self.priority_of(task), self.workflows.at(task.slot).sequence(), task)
    }

    /// The key under which a task's worker holds it.
    pub(super) fn held_key(&self, task: TaskRef) -> u128 {
        keys::held(self.workflows.at(task.slot).sequence(), task)
    }

    /// Bytes of memory, estimated from what is allocated.
    pub fn memory(&self) -> usize {
        size_of::<Space>()
            + self.workflows.heap_bytes()
            + self.ids.heap_bytes()
            + self.blueprints.heap_bytes()
            + self.definitions.heap_bytes()
            + self.types.heap_bytes()
            + self.workers.heap_bytes()
            + self.notes.heap_bytes()
            + self.tries.heap_bytes()
            + self.extras.heap_bytes()
            + self.agenda.heap_bytes()
            + self.archive.heap_bytes()
            + self.dead.heap_bytes()
            + self.overrides.heap_bytes()
    }

    /// What [`Space::memory`] costs, in steps: it looks at each type, worker and page.
    pub fn measuring_cost(&self) -> usize {
        self.types.len() + self.workers.len() + self.workflows.pages() + self.blueprints.parts()
    }

    /// How many pieces freeing it has to free, roughly; large ones are freed in the background.
    pub fn effort(&self) -> usize {
        let named = self.workers.len() + self.types.len() + self.definitions.len();
        1 + self.workflows.len() + self.notes.len() + named
    }
}
