//! What must be true of every space, checked the slow way: everything that is kept up to date is
//! worked out anew from the tasks' states and compared.
//!
//! Decoding calls it on whatever comes from outside, the simulator after every operation.

use super::agenda::deadline_key;
use super::apply::open_parents;
use super::archive::Archive;
use super::blueprints::{Blueprint, hash_of};
use super::extras::Extra;
use super::fresh::{Fresh, LastFresh};
use super::keys;
use super::limits::{MAX_DEFINITIONS, MAX_INTEGER_ID, MAX_PRIORITY, MAX_SEQUENCE};
use super::notes::NoteKind;
use super::space::{Space, Totals};
use super::state::{TaskState, WorkflowState};
use super::tries::Tried;
use super::units::{BlueprintId, Millis, Slot, TaskIndex, TaskRef, TypeId, WorkerId};
use super::workflow::{MARK_CHOICE, MARK_NOTES, MARK_TRIED, MARK_VOID, Workflow};
use hashbrown::HashMap;

macro_rules! ensure {
    ($truth:expr, $($what:tt)*) => {
        if !$truth {
            return Err(format!($($what)*));
        }
    };
}

/// Says what is broken, if anything is. O(everything).
pub fn check(space: &Space) -> Result<(), String> {
    let mut expected = Expected::new(space);
    let mut sequences = Vec::with_capacity(space.workflows.len());
    let mut fresh = LastFresh::default();
    for (slot, workflow) in space.workflows.iter() {
        if !space.blueprints.contains(workflow.blueprint()) {
            return Err(format!("{slot:?} has no blueprint"));
        }
        let blueprint = space.blueprints.get(workflow.blueprint());
        check_record(space, slot, workflow)?;
        sequences.push(workflow.sequence());
        let fresh = fresh.of(workflow.blueprint(), blueprint, workflow.paused());
        // What looks like a fresh one needs no look at its tasks.
        if workflow.is_fresh(fresh) {
            expected.add_fresh(space, slot, workflow, blueprint, fresh);
        } else {
            check_tasks(space, slot, workflow, blueprint)?;
            expected.add(space, slot, workflow, blueprint);
        }
    }
    sequences.sort_unstable();
    ensure!(sequences.is_sorted_by(|one, next| one < next), "two workflows are of one age");
    expected.compare(space)
}

fn check_record(space: &Space, slot: Slot, workflow: &Workflow) -> Result<(), String> {
    let id = space.id_of(slot);
    ensure!(space.find(id) == Some(slot), "{id:?} is not found under its id");
    // A release build has just made the index of what it loads.
    let indexed = !cfg!(debug_assertions) || space.ids.is_indexed(slot, &space.workflows);
    ensure!(indexed, "{id:?} is not in the index");
    if let super::ids::Id::Integer(number) = id {
        ensure!(number < space.next_id && number <= MAX_INTEGER_ID, "{id:?} is not below the next id");
    }
    let sequence = workflow.sequence();
    ensure!(sequence < space.next_sequence, "{id:?} is younger than the youngest");
    ensure!(sequence.0 < MAX_SEQUENCE, "{id:?} has an age out of range");
    ensure!(workflow.priority() <= MAX_PRIORITY, "{id:?} has a priority out of range");
    ensure!(workflow.created() <= Millis::MAX, "{id:?} was pushed too late");
    let running = workflow.state() == WorkflowState::Running;
    ensure!(running || !workflow.paused(), "{id:?} is paused and not running");
    ensure!(
        workflow.sealed() == (workflow.state() == WorkflowState::Completed),
        "{id:?} is sealed or not against its state"
    );
    let finished = workflow.finished(&space.workflow(slot).1.shape);
    ensure!(
        finished.is_some() == (workflow.open() == 0),
        "{id:?} has open tasks or a time it finished, not both"
    );
    ensure!(
        !space.extra(slot).timeout.is_some_and(|timeout| timeout.passed) || !running,
        "{id:?} runs after its deadline"
    );
    ensure!(
        workflow.has_extra() == (*space.extras.get(slot) != Extra::NONE),
        "{id:?} has extras or is marked, not both"
    );
    ensure!(!running || workflow.open() > 0, "{id:?} is running with nothing open");
    Ok(())
}

fn check_tasks(space: &Space, slot: Slot, workflow: &Workflow, blueprint: &Blueprint) -> Result<(), String> {
    let id = space.id_of(slot);
    let shape = &blueprint.shape;
    let mut open = 0;
    let timed_out = space.extra(slot).timeout.is_some_and(|timeout| timeout.passed);
    let (mut failed, mut fatal, mut cancelled, mut chose) = (false, false, false, false);
    let running = workflow.state() == WorkflowState::Running;
    let survivors = if running { Vec::new() } else { shape.survivors() };
    for index in shape.indexes() {
        let task = TaskRef { slot, index };
        let state = workflow.task_state(index);
        let incomplete =
            shape.parents(index).filter(|&parent| !shape.is_done(workflow.task_state(parent))).count();
        if !workflow.sealed() {
            ensure!(
                open_parents(workflow, shape, index) as usize == incomplete,
                "{id:?} {index:?} counts its open parents wrongly"
            );
        }
        let holds = || shape.parents(index).all(|parent| space.edge_holds(parent, task));
        let run = workflow.run(shape, index);
        let marks = workflow.marks(index);
        let tried = space.tried(task);
        ensure!(
            (marks & MARK_TRIED != 0) == (tried != Tried::default()),
            "{id:?} {index:?} was tried or is marked, not both"
        );
        let handed_out = run.attempt > 0;
        let signal = shape.is_signal(index);
        ensure!(!signal || !handed_out, "{id:?} {index:?} waits for a signal and was handed out");
        let may_start = running || survivors.get(index.at()).is_some_and(|&left| left);
        // A rerun takes back parents of what they had let run.
        // Without a choice, none of these was skipped.
        let in_order = shape.is_flow() || (incomplete == 0 && (!workflow.has_choice() || holds()));
        match state {
            TaskState::Waiting => {
                ensure!(may_start, "{id:?} {index:?} waits in a workflow that ended");
                ensure!(incomplete > 0 || workflow.paused(), "{id:?} {index:?} waits for nothing");
                ensure!(incomplete > 0 || holds(), "{id:?} {index:?} waits and is to be skipped");
                ensure!(!handed_out, "{id:?} {index:?} waits and was handed out");
            }
            TaskState::Ready => {
                ensure!(may_start, "{id:?} {index:?} is ready in a workflow that ended");
                ensure!(in_order, "{id:?} {index:?} is ready before its parents");
                ensure!(run.ready.is_some(), "{id:?} {index:?} is ready since never");
                ensure!(
                    !handed_out || run.started.is_some() || tried.failures > 0,
                    "{id:?} {index:?} was handed out and never started"
                );
            }
            TaskState::Running => {
                ensure!(in_order, "{id:?} {index:?} runs before its parents");
                ensure!(
                    handed_out && run.started.is_some() && run.finished.is_some(),
                    "{id:?} {index:?} runs without a lease"
                );
                ensure!(marks & MARK_VOID == 0, "{id:?} {index:?} runs under a void token");
            }
            TaskState::Completed | TaskState::Failed => {
                ensure!(in_order, "{id:?} {index:?} ended before its parents");
                let begun = if signal { run.ready } else { run.started };
                ensure!(
                    handed_out != signal && run.ready <= begun && begun <= run.finished && begun.is_some(),
                    "{id:?} {index:?} ended before it began"
                );
            }
            TaskState::Cancelled => {
                cancelled = true;
            }
            TaskState::Delayed => {
                ensure!(may_start, "{id:?} {index:?} is delayed in a workflow that ended");
                ensure!(in_order, "{id:?} {index:?} is delayed before its parents");
                ensure!(
                    run.finished.is_some() && run.started.is_none(),
                    "{id:?} {index:?} is delayed and not due, or runs"
                );
            }
            TaskState::Skipped => {
                ensure!(
                    shape.is_flow() || (workflow.has_choice() && incomplete == 0 && !holds()),
                    "{id:?} {index:?} is skipped and all its edges hold"
                );
                ensure!(!handed_out, "{id:?} {index:?} is skipped and was handed out");
            }
        }
        if handed_out {
            ensure!(space.workers.get(run.worker).is_some(), "{id:?} {index:?} names no worker");
        }
        ensure!(
            run.ready.is_none_or(|ready| ready >= workflow.created()),
            "{id:?} {index:?} is older than its workflow"
        );
        for kind in NoteKind::ALL {
            let owner = match kind {
                NoteKind::Result | NoteKind::Choice => TaskState::Completed,
                NoteKind::Error => TaskState::Failed,
            };
            // Whether there are notes without a mark shows in their number.
            if marks & kind.mark() != 0 {
                ensure!(space.notes.get(task, kind).is_some(), "{id:?} {index:?} has a mark and no note");
                let earlier = kind == NoteKind::Error && tried.failures > 0 && state != TaskState::Completed;
                ensure!(state == owner || earlier, "{id:?} {index:?} has a {kind:?} and is {state:?}");
            }
        }
        if marks & MARK_CHOICE != 0 {
            chose = true;
            let skipped: Vec<TaskIndex> = space.skipped_by(task).collect();
            let children = skipped.iter().all(|&child| shape.is_child(index, child));
            let text = space.notes.get(task, NoteKind::Choice).map_or(0, <[u8]>::len);
            ensure!(
                children
                    && skipped.is_sorted_by(|one, next| one < next)
                    && text > 0
                    && text.is_multiple_of(4),
                "{id:?} {index:?} skipped what it cannot"
            );
        }
        let too_late = signal && state == TaskState::Failed;
        ensure!(
            marks & MARK_VOID == 0 || handed_out || too_late,
            "{id:?} {index:?} has a void token and no token"
        );
        failed |= state == TaskState::Failed;
        fatal |= state == TaskState::Failed && shape.is_fatal(index);
        open += u32::from(!state.is_final());
    }
    ensure!(open == workflow.open(), "{id:?} has {open} open tasks and counts {}", workflow.open());
    ensure!(chose == workflow.has_choice(), "{id:?} has a choice or says so, not both");
    // After a rerun of one of several, the others have failed in a workflow that runs. A failure that
    // stopped a workflow may be handled since, by a task that was added.
    let called_off = workflow.state() == WorkflowState::Cancelled;
    ensure!(failed || timed_out || called_off || !cancelled, "{id:?} cancelled a task for no reason");
    ensure!(failed || timed_out || workflow.state() != WorkflowState::Failed, "{id:?} failed for no reason");
    ensure!(!fatal || workflow.state() != WorkflowState::Completed, "{id:?} completed with a failed task");
    ensure!(
        space.extra(slot).reason.is_none() || workflow.state() == WorkflowState::Cancelled,
        "{id:?} has a reason for being cancelled and is not"
    );
    Ok(())
}

/// What the indexes and counters should be.
struct Expected {
    totals: Totals,
    tasks: Vec<[u64; 8]>,
    queues: Vec<Vec<u128>>,
    signals: Vec<u64>,
    delayed: Vec<u128>,
    deadlines: Vec<u128>,
    dead: Vec<u128>,
    archive: Archive,
    tries: usize,
    extras: usize,
    leases: Vec<u128>,
    held: HashMap<WorkerId, Vec<u128>>,
    mentions: HashMap<WorkerId, u32>,
    uses: HashMap<u32, u32>,
    /// A blueprint and how many in a row use it, not among `uses` yet.
    row: (u32, u32),
    notes: usize,
    heap_bytes: usize,
}

impl Expected {
    fn new(space: &Space) -> Expected {
        Expected {
            totals: Totals::default(),
            tasks: vec![[0; 8]; space.types.len()],
            queues: vec![Vec::new(); space.types.len()],
            signals: vec![0; space.types.len()],
            delayed: Vec::new(),
            deadlines: Vec::new(),
            dead: Vec::new(),
            archive: Archive::default(),
            tries: 0,
            extras: 0,
            leases: Vec::new(),
            held: HashMap::new(),
            mentions: HashMap::new(),
            uses: HashMap::new(),
            row: (0, 0),
            notes: 0,
            heap_bytes: 0,
        }
    }

    fn add(&mut self, space: &Space, slot: Slot, workflow: &Workflow, blueprint: &Blueprint) {
        self.totals.workflows[workflow.word()] += 1;
        self.heap_bytes += workflow.heap_bytes();
        self.use_once(workflow.blueprint());
        self.add_extra(space, slot, workflow);
        if let Some(finished) = space.finished(slot) {
            self.archive.insert(&finished);
        }
        for index in blueprint.shape.indexes() {
            let task = TaskRef { slot, index };
            let state = workflow.task_state(index);
            let TypeId(type_id) = blueprint.type_id(index);
            let run = workflow.run(&blueprint.shape, index);
            self.totals.tasks[state as usize] += 1;
            self.tasks[type_id as usize][state as usize] += 1;
            self.notes += (workflow.marks(index) & MARK_NOTES).count_ones() as usize;
            if run.attempt > 0 {
                *self.mentions.entry(run.worker).or_default() += 1;
            }
            self.tries += usize::from(workflow.marks(index) & MARK_TRIED != 0);
            if state == TaskState::Delayed && space.tried(task).failures > 0 {
                self.totals.retrying += 1;
            }
            match state {
                TaskState::Delayed if workflow.is_live() => {
                    self.delayed.push(keys::lease(run.finished.unwrap_or_default(), task));
                }
                TaskState::Failed => self.dead.push(keys::lease(run.finished.unwrap_or_default(), task)),
                TaskState::Ready if blueprint.shape.is_signal(index) => {
                    self.signals[type_id as usize] += 1;
                    let due = workflow.signal_due(&blueprint.shape, index).filter(|_| workflow.is_live());
                    self.delayed.extend(due.map(|due| keys::lease(due, task)));
                }
                TaskState::Ready if workflow.is_live() => {
                    self.queues[type_id as usize].push(space.ready_key(task));
                }
                TaskState::Running => {
                    self.leases.push(keys::lease(run.finished.unwrap_or_default(), task));
                    self.held.entry(run.worker).or_default().push(space.held_key(task));
                }
                _ => {}
            }
        }
    }

    fn add_extra(&mut self, space: &Space, slot: Slot, workflow: &Workflow) {
        self.extras += usize::from(workflow.has_extra());
        if let Some(timeout) = space.extra(slot).timeout
            && workflow.state() == WorkflowState::Running
        {
            self.deadlines.push(deadline_key(timeout.deadline, slot));
        }
    }

    fn add_fresh(
        &mut self,
        space: &Space,
        slot: Slot,
        workflow: &Workflow,
        blueprint: &Blueprint,
        fresh: &Fresh,
    ) {
        self.add_extra(space, slot, workflow);
        self.totals.workflows[workflow.word()] += 1;
        self.heap_bytes += workflow.heap_bytes();
        self.use_once(workflow.blueprint());
        for &(TypeId(type_id), state, count) in &fresh.counts {
            self.totals.tasks[state as usize] += count;
            self.tasks[type_id as usize][state as usize] += count;
        }
        for &index in &fresh.signals {
            let TypeId(type_id) = blueprint.type_id(index);
            self.signals[type_id as usize] += 1;
            let due = workflow.signal_due(&blueprint.shape, index);
            self.delayed.extend(due.map(|due| keys::lease(due, TaskRef { slot, index })));
        }
        for &index in fresh.ready.iter().filter(|_| workflow.is_live()) {
            let own = blueprint.shape.options(index).priority;
            let TypeId(type_id) = blueprint.type_id(index);
            let priority = own.unwrap_or(workflow.priority());
            let key = keys::ready(priority, workflow.sequence(), TaskRef { slot, index });
            self.queues[type_id as usize].push(key);
        }
    }

    /// One workflow more uses a blueprint, mostly the one that the last did.
    fn use_once(&mut self, BlueprintId(id): BlueprintId) {
        if self.row.0 != id {
            let (before, times) = std::mem::replace(&mut self.row, (id, 0));
            *self.uses.entry(before).or_default() += times;
        }
        self.row.1 += 1;
    }

    fn compare(mut self, space: &Space) -> Result<(), String> {
        ensure!(self.totals == space.totals, "totals are {:?}, should be {:?}", space.totals, self.totals);
        for (TypeId(id), entry) in space.types.iter() {
            let place = id as usize;
            self.queues[place].sort_unstable();
            ensure!(
                entry.tasks == self.tasks[place],
                "type {id} counts {:?}, should be {:?}",
                entry.tasks,
                self.tasks[place]
            );
            ensure!(
                entry.queue.iter().eq(self.queues[place].iter().copied()),
                "the queue of type {id} is not its ready tasks"
            );
            ensure!(entry.queue.len() == self.queues[place].len(), "the queue of type {id} miscounts itself");
            ensure!(
                entry.ages.count() + self.signals[place] == entry.tasks[TaskState::Ready as usize],
                "type {id} has ages of {} tasks",
                entry.ages.count()
            );
        }
        for list in [&mut self.delayed, &mut self.deadlines, &mut self.dead] {
            list.sort_unstable();
        }
        ensure!(space.agenda.delayed.iter().eq(self.delayed), "the agenda is not the delayed tasks");
        ensure!(space.agenda.deadlines.iter().eq(self.deadlines), "the agenda is not the deadlines");
        ensure!(space.dead.iter().eq(self.dead), "dead letters are not the failed tasks");
        ensure!(
            space.archive.keys() == self.archive.keys() && space.archive.bytes() == self.archive.bytes(),
            "the archive is not the finished workflows"
        );
        ensure!(space.tries.len() == self.tries, "tries are there that nothing marks");
        ensure!(space.extras.len() == self.extras, "extras are there that nothing marks");
        self.leases.sort_unstable();
        ensure!(space.agenda.leases.iter().eq(self.leases), "leases are not the running tasks");
        ensure!(space.workers.len() == self.mentions.len(), "a worker is there that nothing names");
        for (id, worker) in space.workers.iter() {
            let mut held = self.held.remove(&id).unwrap_or_default();
            held.sort_unstable();
            ensure!(worker.held.iter().eq(held), "{id:?} does not hold what runs under its name");
            ensure!(
                self.mentions.get(&id) == Some(&worker.mentions),
                "{id:?} is not mentioned {} times",
                worker.mentions
            );
            ensure!(space.workers.find(&worker.name) == Some(id), "{id:?} is not found under its name");
            ensure!(worker.deeds.seen <= space.latest, "{id:?} was seen in the future");
        }
        *self.uses.entry(self.row.0).or_default() += self.row.1;
        let definitions = space.definitions.sorted();
        ensure!(definitions.len() <= MAX_DEFINITIONS, "there are {} definitions", definitions.len());
        for definition in definitions {
            let id = definition.blueprint;
            ensure!(space.blueprints.contains(id), "a definition has no blueprint");
            definition.check(space.blueprints.get(id), space.latest)?;
            *self.uses.entry(id.0).or_default() += 1;
        }
        for (id, blueprint) in space.blueprints.iter() {
            ensure!(blueprint.uses() > 0, "{id:?} is used by nothing");
            ensure!(
                self.uses.remove(&id.0) == Some(blueprint.uses()),
                "{id:?} is not used {} times",
                blueprint.uses()
            );
            let (shape, types) = (&blueprint.shape, &blueprint.types);
            let hash = hash_of(shape, |place| &space.types.at(types[place]).name);
            ensure!(space.blueprints.find_hashed(hash, shape, types) == Some(id), "{id:?} is there twice");
        }
        ensure!(space.ids.len() == space.workflows.len(), "ids are not the workflows");
        ensure!(space.notes.len() == self.notes, "a note is there that nothing marks");
        ensure!(
            space.workflows.heap_bytes() >= self.heap_bytes,
            "workflows need {} bytes and count {}",
            self.heap_bytes,
            space.workflows.heap_bytes()
        );
        Ok(())
    }
}
