//! A workflow and its tasks as people see them.

use super::notes::NoteKind;
use super::space::Space;
use super::state::TaskState;
use super::tries::Tried;
use super::units::{Millis, Nonce, Slot, TaskIndex, TaskRef};
use super::workflow::{MARK_ERROR, MARK_RESULT};

/// A task as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskView<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its type.
    pub type_name: &'a [u8],
    /// Its state.
    pub state: TaskState,
    /// How often it was handed out.
    pub attempts: u32,
    /// How often it failed, and how often a delivery of it was lost.
    pub tried: Tried,
    /// Who has it or had it last.
    pub worker: Option<&'a [u8]>,
    /// The random part of its newest token; `None` when it was never handed out.
    pub nonce: Option<Nonce>,
    /// When it became ready the last time.
    pub ready: Option<Millis>,
    /// When the attempt that runs or ended it began.
    pub started: Option<Millis>,
    /// When it ended.
    pub finished: Option<Millis>,
    /// Until when it is leased, or waits for a signal.
    pub deadline: Option<Millis>,
    /// Until when it is delayed.
    pub due: Option<Millis>,
    /// Why it failed, or its last attempt.
    pub error: Option<&'a [u8]>,
    /// What it gave.
    pub result: Option<&'a [u8]>,
    /// The [`super::workflow`] marks.
    pub marks: u8,
}

impl TaskView<'_> {
    /// Since when it is what it is: when it ended, began to run, or became ready.
    pub fn since(&self) -> Option<Millis> {
        match self.state {
            TaskState::Waiting | TaskState::Delayed => None,
            TaskState::Ready => self.ready,
            TaskState::Running => self.started,
            _ => self.finished,
        }
    }
}

impl Space {
    /// A task as people see it.
    pub fn task(&self, task: TaskRef) -> TaskView<'_> {
        let (workflow, blueprint) = self.workflow(task.slot);
        let run = workflow.run(&blueprint.shape, task.index);
        let state = workflow.task_state(task.index);
        let marks = workflow.marks(task.index);
        let handed_out = run.attempt > 0;
        let signal = blueprint.shape.is_signal(task.index);
        // A task that was skipped neither was ready nor began, whatever a sealed run says.
        let begun = state == TaskState::Running || (state.is_final() && handed_out);
        TaskView {
            name: blueprint.shape.name(task.index),
            type_name: self.type_name(blueprint.type_id(task.index)),
            state,
            attempts: run.attempt,
            tried: self.tried(task),
            worker: handed_out.then(|| &*self.workers().at(run.worker).name),
            nonce: handed_out.then_some(run.nonce),
            ready: run.ready.filter(|_| state != TaskState::Skipped),
            started: run.started.filter(|_| begun),
            finished: run.finished.filter(|_| state.is_final()),
            due: run.finished.filter(|_| state == TaskState::Delayed),
            deadline: match state {
                TaskState::Running => run.finished,
                TaskState::Ready if signal => workflow.signal_due(&blueprint.shape, task.index),
                _ => None,
            },
            error: (marks & MARK_ERROR != 0).then(|| self.note(task, NoteKind::Error)),
            result: (marks & MARK_RESULT != 0).then(|| self.note(task, NoteKind::Result)),
            marks,
        }
    }

    /// The result of a task, if it gave one.
    pub fn result_of(&self, task: TaskRef) -> Option<&[u8]> {
        let marked = self.workflow(task.slot).0.marks(task.index) & MARK_RESULT != 0;
        marked.then(|| self.note(task, NoteKind::Result))
    }

    fn note(&self, task: TaskRef, kind: NoteKind) -> &[u8] {
        self.notes().get(task, kind).expect("a marked task has its note")
    }

    /// All tasks of a workflow, in push order.
    pub fn tasks_of(&self, slot: Slot) -> impl Iterator<Item = TaskRef> + use<> {
        let count = self.workflow(slot).1.shape.len() as u32;
        (0..count).map(move |index| TaskRef { slot, index: TaskIndex(index) })
    }

    /// How many tasks of a workflow are in each state. O(tasks).
    pub fn counts_of(&self, slot: Slot) -> [u64; 8] {
        let mut counts = [0; 8];
        for task in self.tasks_of(slot) {
            counts[self.state_of(task) as usize] += 1;
        }
        counts
    }
}
