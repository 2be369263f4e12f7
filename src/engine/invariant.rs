//! What must be true of every space, checked the slow way: everything that is kept up to date is
//! worked out anew from the tasks' states and compared.
//!
//! Decoding calls it on whatever comes from outside, the simulator after every operation.

use super::apply::open_parents;
use super::blueprints::Blueprint;
use super::keys;
use super::limits::{MAX_INTEGER_ID, MAX_PRIORITY, MAX_SEQUENCE};
use super::notes::NoteKind;
use super::space::{Space, Totals};
use super::state::{TaskState, WorkflowState};
use super::units::{Millis, Slot, TaskRef, TypeId, WorkerId};
use super::workflow::{MARK_ERROR, MARK_RESULT, MARK_VOID, Workflow};
use hashbrown::{HashMap, HashSet};

/// Says what is broken, if anything is. O(everything).
pub fn check(space: &Space) -> Result<(), String> {
    let mut expected = Expected::new(space);
    let mut sequences = HashSet::new();
    for (slot, workflow) in space.workflows.iter() {
        if !space.blueprints.contains(workflow.blueprint()) {
            return Err(format!("{slot:?} has no blueprint"));
        }
        let blueprint = space.blueprints.get(workflow.blueprint());
        check_record(space, slot, workflow, &mut sequences)?;
        check_tasks(space, slot, workflow, blueprint)?;
        expected.add(space, slot, workflow, blueprint);
    }
    expected.compare(space)
}

macro_rules! ensure {
    ($truth:expr, $($what:tt)*) => {
        if !$truth {
            return Err(format!($($what)*));
        }
    };
}

fn check_record(
    space: &Space,
    slot: Slot,
    workflow: &Workflow,
    sequences: &mut HashSet<u64>,
) -> Result<(), String> {
    let id = space.id_of(slot);
    ensure!(space.find(id) == Some(slot), "{id:?} is not found under its id");
    if let super::ids::Id::Integer(number) = id {
        ensure!(number < space.next_id && number <= MAX_INTEGER_ID, "{id:?} is not below the next id");
    }
    let sequence = workflow.sequence();
    ensure!(sequence < space.next_sequence, "{id:?} is younger than the youngest");
    ensure!(sequence.0 < MAX_SEQUENCE && sequences.insert(sequence.0), "{id:?} has another's age");
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
    ensure!(!running || workflow.open() > 0, "{id:?} is running with nothing open");
    Ok(())
}

fn check_tasks(space: &Space, slot: Slot, workflow: &Workflow, blueprint: &Blueprint) -> Result<(), String> {
    let id = space.id_of(slot);
    let shape = &blueprint.shape;
    let mut open = 0;
    let mut failed = false;
    for index in shape.indexes() {
        let task = TaskRef { slot, index };
        let state = workflow.task_state(index);
        let incomplete = shape
            .parents(index)
            .filter(|&parent| workflow.task_state(parent) != TaskState::Completed)
            .count();
        if !workflow.sealed() {
            ensure!(
                open_parents(workflow, shape, index) as usize == incomplete,
                "{id:?} {index:?} counts its open parents wrongly"
            );
        }
        let run = workflow.run(shape, index);
        let marks = workflow.marks(index);
        let handed_out = run.attempt > 0;
        let running = workflow.state() == WorkflowState::Running;
        match state {
            TaskState::Waiting => {
                ensure!(running, "{id:?} {index:?} waits in a workflow that ended");
                ensure!(incomplete > 0 || workflow.paused(), "{id:?} {index:?} waits for nothing");
                ensure!(!handed_out, "{id:?} {index:?} waits and was handed out");
            }
            TaskState::Ready => {
                ensure!(running, "{id:?} {index:?} is ready in a workflow that ended");
                ensure!(incomplete == 0, "{id:?} {index:?} is ready before its parents");
                ensure!(run.ready.is_some(), "{id:?} {index:?} is ready since never");
                ensure!(
                    !handed_out || run.started.is_some(),
                    "{id:?} {index:?} was handed out and never started"
                );
            }
            TaskState::Running => {
                ensure!(incomplete == 0, "{id:?} {index:?} runs before its parents");
                ensure!(
                    handed_out && run.started.is_some() && run.finished.is_some(),
                    "{id:?} {index:?} runs without a lease"
                );
                ensure!(marks & MARK_VOID == 0, "{id:?} {index:?} runs under a void token");
            }
            TaskState::Completed | TaskState::Failed => {
                ensure!(incomplete == 0, "{id:?} {index:?} ended before its parents");
                ensure!(
                    handed_out && run.ready <= run.started && run.started <= run.finished,
                    "{id:?} {index:?} ended before it began"
                );
                ensure!(state == TaskState::Completed || !running, "{id:?} runs on with a failed task");
            }
            TaskState::Cancelled => {
                ensure!(
                    workflow.state() == WorkflowState::Failed,
                    "{id:?} {index:?} is cancelled for no reason"
                );
            }
            TaskState::Delayed | TaskState::Skipped => return Err(format!("{id:?} {index:?} is {state:?}")),
        }
        if handed_out {
            ensure!(space.workers.get(run.worker).is_some(), "{id:?} {index:?} names no worker");
        }
        ensure!(
            run.ready.is_none_or(|ready| ready >= workflow.created()),
            "{id:?} {index:?} is older than its workflow"
        );
        for (mark, kind, owner) in [
            (MARK_RESULT, NoteKind::Result, TaskState::Completed),
            (MARK_ERROR, NoteKind::Error, TaskState::Failed),
        ] {
            let marked = marks & mark != 0;
            ensure!(
                space.notes.get(task, kind).is_some() == marked,
                "{id:?} {index:?} has a note or a mark, not both"
            );
            ensure!(!marked || state == owner, "{id:?} {index:?} has a {kind:?} and is {state:?}");
        }
        ensure!(marks & MARK_VOID == 0 || handed_out, "{id:?} {index:?} has a void token and no token");
        failed |= state == TaskState::Failed;
        open += u32::from(!state.is_final());
    }
    ensure!(open == workflow.open(), "{id:?} has {open} open tasks and counts {}", workflow.open());
    ensure!(
        failed == (workflow.state() == WorkflowState::Failed),
        "{id:?} failed and no task did, or the reverse"
    );
    ensure!(workflow.state() != WorkflowState::Cancelled, "{id:?} is cancelled");
    Ok(())
}

/// What the indexes and counters should be.
struct Expected {
    totals: Totals,
    tasks: Vec<[u64; 8]>,
    queues: Vec<Vec<u128>>,
    leases: Vec<u128>,
    held: HashMap<WorkerId, Vec<u128>>,
    mentions: HashMap<WorkerId, u32>,
    uses: HashMap<u32, u32>,
    notes: usize,
    heap_bytes: usize,
}

impl Expected {
    fn new(space: &Space) -> Expected {
        Expected {
            totals: Totals::default(),
            tasks: vec![[0; 8]; space.types.len()],
            queues: vec![Vec::new(); space.types.len()],
            leases: Vec::new(),
            held: HashMap::new(),
            mentions: HashMap::new(),
            uses: HashMap::new(),
            notes: 0,
            heap_bytes: 0,
        }
    }

    fn add(&mut self, space: &Space, slot: Slot, workflow: &Workflow, blueprint: &Blueprint) {
        self.totals.workflows[workflow.word()] += 1;
        self.heap_bytes += workflow.heap_bytes();
        *self.uses.entry(workflow.blueprint().0).or_default() += 1;
        for index in blueprint.shape.indexes() {
            let task = TaskRef { slot, index };
            let state = workflow.task_state(index);
            let TypeId(type_id) = blueprint.type_id(index);
            let run = workflow.run(&blueprint.shape, index);
            self.totals.tasks[state as usize] += 1;
            self.tasks[type_id as usize][state as usize] += 1;
            self.notes += (workflow.marks(index) & (MARK_RESULT | MARK_ERROR)).count_ones() as usize;
            if run.attempt > 0 {
                *self.mentions.entry(run.worker).or_default() += 1;
            }
            match state {
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
                entry.ages.count() == entry.tasks[TaskState::Ready as usize],
                "type {id} has ages of {} tasks",
                entry.ages.count()
            );
        }
        self.leases.sort_unstable();
        ensure!(space.leases.iter().eq(self.leases), "leases are not the running tasks");
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
        }
        for (id, blueprint) in space.blueprints.iter() {
            ensure!(
                self.uses.remove(&id.0) == Some(blueprint.uses()),
                "{id:?} is not used {} times",
                blueprint.uses()
            );
            ensure!(
                space.blueprints.find(&blueprint.shape, &blueprint.types, &space.types) == Some(id),
                "{id:?} is there twice"
            );
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
