//! One task and the tables it appears in, looked up once.
//!
//! An effect on a task touches its workflow, its type, the leases and a worker. Looking each of
//! them up where it is needed cost a third of a claim and its completion; here it is done when the
//! task is opened, and what happens to the task is said in terms of it.

use crate::engine::agenda::Agenda;
use crate::engine::keys;
use crate::engine::ordered::OrderedSet;
use crate::engine::report::Report;
use crate::engine::runs::Run;
use crate::engine::shape::Shape;
use crate::engine::space::{Space, Totals};
use crate::engine::state::TaskState;
use crate::engine::tries::{Tried, Tries};
use crate::engine::types::Type;
use crate::engine::units::{Millis, TaskRef, TypeId};
use crate::engine::workers::Workers;
use crate::engine::workflow::{MARK_TRIED, Workflow};

/// The open task; see the module's prose.
pub(super) struct At<'s> {
    task: TaskRef,
    type_id: TypeId,
    pub(super) shape: &'s Shape,
    pub(super) workflow: &'s mut Workflow,
    pub(super) entry: &'s mut Type,
    pub(super) workers: &'s mut Workers,
    agenda: &'s mut Agenda,
    tries: &'s mut Tries,
    dead: &'s mut OrderedSet,
    totals: &'s mut Totals,
    heap_bytes: &'s mut usize,
}

impl Space {
    /// Opens a task, which must be there.
    pub(super) fn open(&mut self, task: TaskRef) -> At<'_> {
        let (workflow, heap_bytes) = self.workflows.at_mut_with_bytes(task.slot);
        let blueprint = self.blueprints.get(workflow.blueprint());
        let type_id = blueprint.type_id(task.index);
        At {
            task,
            type_id,
            shape: &blueprint.shape,
            workflow,
            entry: self.types.at_mut(type_id),
            workers: &mut self.workers,
            agenda: &mut self.agenda,
            tries: &mut self.tries,
            dead: &mut self.dead,
            totals: &mut self.totals,
            heap_bytes,
        }
    }
}

impl At<'_> {
    pub(super) fn state(&self) -> TaskState {
        self.workflow.task_state(self.task.index)
    }

    pub(super) fn run(&self) -> Run {
        self.workflow.run(self.shape, self.task.index)
    }

    pub(super) fn set_run(&mut self, run: Run) {
        *self.heap_bytes += self.workflow.set_run(self.task.index, self.shape.len(), run);
    }

    /// Changes when the task, which has a run, became ready and when it ended.
    pub(super) fn set_times(&mut self, ready: Option<Millis>, finished: Option<Millis>) {
        self.workflow.set_times(self.task.index, ready, finished);
    }

    pub(super) fn mark(&mut self, marks: u8, on: bool) {
        self.workflow.set_marks(self.task.index, marks, on);
    }

    /// A time as the workflow can hold it.
    pub(super) fn within(&self, time: Millis) -> Millis {
        self.workflow.within(time)
    }

    /// Whether a signal ends the task.
    #[inline]
    pub(super) fn is_signal(&self) -> bool {
        self.shape.is_signal(self.task.index)
    }

    /// Moves the task to another state and counts it there.
    pub(super) fn move_to(&mut self, to: TaskState) {
        let from = self.state();
        self.workflow.set_task_state(self.task.index, to);
        self.entry.count_move(from, to);
        self.totals.tasks[from as usize] -= 1;
        self.totals.tasks[to as usize] += 1;
    }

    fn held_key(&self) -> u128 {
        keys::held(self.workflow.sequence(), self.task)
    }

    fn ready_key(&self) -> u128 {
        let own = self.shape.options(self.task.index).priority;
        keys::ready(own.unwrap_or(self.workflow.priority()), self.workflow.sequence(), self.task)
    }

    /// How often the task failed and was lost.
    pub(super) fn tried(&self) -> Tried {
        match self.workflow.marks(self.task.index) & MARK_TRIED {
            0 => Tried::default(),
            _ => self.tries.get(self.task).copied().unwrap_or_default(),
        }
    }

    /// Writes down how often the task failed and was lost.
    pub(super) fn set_tried(&mut self, tried: Tried) {
        let any = tried != Tried::default();
        if any {
            self.tries.set(self.task, tried);
        } else if self.workflow.marks(self.task.index) & MARK_TRIED != 0 {
            self.tries.remove(self.task);
        }
        self.mark(MARK_TRIED, any);
    }

    /// Nothing stands before the task any more: it becomes ready, or waits for as long as it asks.
    pub(super) fn open_gate(&mut self, now: Millis, report: &mut Report) {
        let delay = self.shape.options(self.task.index).delay_ms.unwrap_or(0);
        self.ready_at(now.plus(delay), now, report);
    }

    /// The task becomes ready when `due` has come, which may be now.
    pub(super) fn ready_at(&mut self, due: Millis, now: Millis, report: &mut Report) {
        if due <= now {
            return self.make_ready(now, report);
        }
        let due = self.within(due);
        self.set_run(Run { ready: None, started: None, finished: Some(due), ..self.run() });
        self.move_to(TaskState::Delayed);
        if self.tried().failures > 0 {
            self.totals.retrying += 1;
        }
        self.schedule(due);
    }

    /// The task, which is delayed, is on the agenda unless its workflow is paused.
    pub(super) fn schedule(&mut self, due: Millis) {
        if self.workflow.is_live() {
            self.agenda.delayed.insert(keys::lease(due, self.task));
        }
    }

    /// The task, which is delayed, leaves the agenda and stays delayed.
    pub(super) fn unschedule(&mut self, due: Millis) {
        self.agenda.delayed.remove(keys::lease(due, self.task));
    }

    /// The task is about to leave that it is delayed. `run` is its run.
    pub(super) fn leave_delayed(&mut self, run: &Run) {
        if self.workflow.is_live() {
            self.unschedule(run.finished.expect("a delayed task is due at some time"));
        }
        if self.tried().failures > 0 {
            self.totals.retrying -= 1;
        }
    }

    /// The task becomes ready, and queues unless its workflow is paused.
    pub(super) fn make_ready(&mut self, now: Millis, report: &mut Report) {
        let since = self.within(now);
        // A root that is ready from the push on needs no run to say so.
        if self.workflow.has_history() {
            self.set_times(Some(since), None);
        } else if since > self.workflow.created() {
            self.set_run(Run { ready: Some(since), finished: None, ..self.run() });
        }
        self.move_to(TaskState::Ready);
        if self.is_signal() {
            return self.enqueue(report);
        }
        self.entry.ages.add(since);
        if self.workflow.is_live() {
            self.join_queue(report);
        }
    }

    /// The task, which is ready, queues unless its workflow is paused. One that waits for a signal is in
    /// no queue, and on the agenda when it does not wait for ever.
    pub(super) fn enqueue(&mut self, report: &mut Report) {
        if self.workflow.is_live() {
            if self.is_signal() {
                return self.time_signal(true);
            }
            self.join_queue(report);
        }
    }

    #[inline]
    fn join_queue(&mut self, report: &mut Report) {
        let key = self.ready_key();
        self.entry.queue.insert(key);
        report.ready(self.type_id);
    }

    /// The task, which is ready, leaves its queue and stays ready.
    pub(super) fn dequeue(&mut self) {
        if self.is_signal() {
            return self.time_signal(false);
        }
        let key = self.ready_key();
        self.entry.queue.remove(key);
    }

    /// The task, which waits for a signal, goes on the agenda or leaves it, unless it waits for ever.
    #[cold]
    fn time_signal(&mut self, on: bool) {
        match self.workflow.signal_due(self.shape, self.task.index) {
            Some(due) if on => {
                self.agenda.delayed.insert(keys::lease(due, self.task));
            }
            Some(due) => self.unschedule(due),
            None => {}
        }
    }

    /// The task is about to leave that it is ready. `run` is its run.
    pub(super) fn leave_ready(&mut self, run: &Run) {
        if !self.is_signal() {
            self.entry.ages.remove(run.ready.unwrap_or(self.workflow.created()));
        }
        if self.workflow.is_live() {
            self.dequeue();
        }
    }

    /// Writes the run of a task that is leased from now on, and enters the lease.
    pub(super) fn begin_lease(&mut self, run: Run, deadline: Millis) {
        let deadline = self.within(deadline);
        self.set_run(Run { finished: Some(deadline), ..run });
        self.agenda.leases.insert(keys::lease(deadline, self.task));
        let held = self.held_key();
        self.workers.at_mut(run.worker).held.insert(held);
    }

    /// Takes the task, which is running, out of the leases and from its worker. `run` is its run.
    pub(super) fn end_lease(&mut self, run: &Run) {
        let deadline = run.finished.expect("a running task has a deadline");
        let held = self.held_key();
        self.agenda.leases.remove(keys::lease(deadline, self.task));
        self.workers.at_mut(run.worker).held.remove(held);
    }

    /// The task, which has failed, is a dead letter. `run` is its run.
    pub(super) fn mourn(&mut self, run: &Run) {
        self.dead.insert(keys::lease(run.finished.expect("a task that ended has an end"), self.task));
    }

    /// The task, which has failed, is no dead letter any more. `run` is its run.
    pub(super) fn bury(&mut self, run: &Run) {
        self.dead.remove(keys::lease(run.finished.expect("a task that ended has an end"), self.task));
    }

    /// The task, which is in no index, ends as cancelled or skipped.
    pub(super) fn end_unstarted(&mut self, now: Millis, state: TaskState) {
        let run = self.run();
        let finished = self.within(now).max(run.started.unwrap_or(Millis(0)));
        self.set_run(Run { finished: Some(finished), ..run });
        self.move_to(state);
        self.workflow.close_one();
    }
}
