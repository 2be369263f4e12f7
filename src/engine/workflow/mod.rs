//! One workflow: a record of 56 bytes, one block of bytes, and runs once a task was claimed.
//!
//! The block, while the workflow is not completed:
//!
//! ```text
//! state     1 byte a task: TaskState in the low 3 bits, then the MARK_ bits
//! counters  open parents of each join, little endian, as wide as the blueprint needs
//! list      packed: the payloads, then INPUT if there is one, then the name if it is its own
//! ```
//!
//! When the last task completed, payloads, INPUT and counters are not needed any more and the
//! block is built anew as `state` and a packed list: the sealed runs, the time it finished, the
//! name if it is its own.

mod grow;
mod history;
mod make;

pub use grow::Growth;
pub use make::{Parts, Payloads};

use super::packed;
use super::runs::{self, PackedRun};
use super::shape::Shape;
use super::state::{TaskState, WorkflowState};
use super::units::{BlueprintId, Millis, Sequence, TaskIndex};

/// The task has a result in the notes.
pub const MARK_RESULT: u8 = 1 << 3;
/// The task has an error in the notes.
pub const MARK_ERROR: u8 = 1 << 4;
/// The task's newest token was taken back. A signal task has no token: its time was over.
pub const MARK_VOID: u8 = 1 << 5;
/// The task has counts in the tries.
pub const MARK_TRIED: u8 = 1 << 6;
/// The task has a choice in the notes.
pub const MARK_CHOICE: u8 = 1 << 7;
/// The marks of what is in the notes.
pub const MARK_NOTES: u8 = MARK_RESULT | MARK_ERROR | MARK_CHOICE;
/// Bits of a state byte that have a meaning.
pub const MARKS: u8 = MARK_NOTES | MARK_VOID | MARK_TRIED;

const STATE_BITS: u32 = 0b11;
const PAUSED: u32 = 1 << 2;
const OWN_NAME: u32 = 1 << 3;
const INPUT: u32 = 1 << 4;
const SEALED: u32 = 1 << 5;
const EXTRA: u32 = 1 << 6;
const CHOICE: u32 = 1 << 7;

/// The id of a workflow as it is stored: an integer, or the place of a text in the side table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredId {
    /// The id is this integer.
    Integer(u64),
    /// The id is this text of the side table.
    Text(u32),
}

/// The record; see the module's prose. `sequence` and `open` share a word, as do `priority` and
/// the flags: a record more than this is 1 MB for each million of tasks in chains of ten.
#[derive(Clone, Debug)]
pub struct Workflow {
    id: u64,
    sequence_open: u64,
    created: Millis,
    blueprint: BlueprintId,
    priority_flags: u32,
    body: Box<[u8]>,
    history: Option<Box<History>>,
}

/// What a workflow has that was worked on and is not sealed.
#[derive(Clone, Debug)]
struct History {
    finished: Option<Millis>,
    runs: Box<[PackedRun]>,
}

const _: () = assert!(size_of::<Workflow>() == 56);
const _: () = assert!(size_of::<Option<Workflow>>() == 56);

const TEXT_ID: u64 = 1 << 63;

impl Workflow {
    /// Its id as stored.
    pub fn id(&self) -> StoredId {
        if self.id & TEXT_ID == 0 { StoredId::Integer(self.id) } else { StoredId::Text(self.id as u32) }
    }

    /// Its age.
    pub fn sequence(&self) -> Sequence {
        Sequence(self.sequence_open >> 20)
    }

    /// Tasks that have not ended.
    pub fn open(&self) -> u32 {
        self.sequence_open as u32 & 0xf_ffff
    }

    /// One task less has not ended.
    pub fn close_one(&mut self) {
        debug_assert!(self.open() > 0);
        self.sequence_open -= 1;
    }

    /// Tasks that had ended begin anew.
    pub fn reopen(&mut self, tasks: u32) {
        self.sequence_open += u64::from(tasks);
        if let Some(history) = &mut self.history {
            history.finished = None;
        }
    }

    /// Whether it has an entry among the extras.
    pub fn has_extra(&self) -> bool {
        self.priority_flags & EXTRA != 0
    }

    /// Says whether it has an entry among the extras.
    pub fn set_extra(&mut self, extra: bool) {
        self.priority_flags = self.priority_flags & !EXTRA | if extra { EXTRA } else { 0 };
    }

    /// Whether a task of it has a choice in the notes. Then tasks of it can be skipped, whatever its
    /// shape says.
    pub fn has_choice(&self) -> bool {
        self.priority_flags & CHOICE != 0
    }

    /// Says whether a task of it has a choice in the notes.
    pub fn set_choice(&mut self, choice: bool) {
        self.priority_flags = self.priority_flags & !CHOICE | if choice { CHOICE } else { 0 };
    }

    /// When it was pushed.
    pub fn created(&self) -> Millis {
        self.created
    }

    /// A time as the workflow can hold it: not before it was pushed, whatever clocks do.
    pub fn within(&self, time: Millis) -> Millis {
        time.max(self.created).min(runs::latest(self.created))
    }

    /// Its interned shape.
    pub fn blueprint(&self) -> BlueprintId {
        self.blueprint
    }

    /// The priority of its tasks that have none of their own.
    pub fn priority(&self) -> u32 {
        self.priority_flags >> 8
    }

    /// Its state.
    pub fn state(&self) -> WorkflowState {
        WorkflowState::ALL[(self.priority_flags & STATE_BITS) as usize]
    }

    /// Sets its state.
    pub fn set_state(&mut self, state: WorkflowState) {
        self.priority_flags = self.priority_flags & !STATE_BITS | state as u32;
    }

    /// Whether it is paused itself.
    pub fn paused(&self) -> bool {
        self.priority_flags & PAUSED != 0
    }

    /// Pauses or releases it.
    pub fn set_paused(&mut self, paused: bool) {
        self.priority_flags = self.priority_flags & !PAUSED | if paused { PAUSED } else { 0 };
    }

    /// Whether tasks of it may become ready, as far as it is concerned. In one that was stopped that
    /// is what a failure or a cancellation leaves; all else has ended.
    pub fn is_live(&self) -> bool {
        !self.paused()
    }

    /// The word users see for its state, as a place in [`super::state::WORKFLOW_WORDS`].
    pub fn word(&self) -> usize {
        match self.state() {
            WorkflowState::Running => usize::from(self.paused()),
            state => state as usize + 1,
        }
    }

    /// The state byte of a task without its marks.
    pub fn task_state(&self, task: TaskIndex) -> TaskState {
        TaskState::ALL[(self.body[task.at()] & 0b111) as usize]
    }

    /// Moves a task to another state; its marks stay.
    pub fn set_task_state(&mut self, task: TaskIndex, state: TaskState) {
        let byte = &mut self.body[task.at()];
        debug_assert!(TaskState::ALL[(*byte & 0b111) as usize].may_become(state), "{byte} to {state:?}");
        *byte = *byte & !0b111 | state as u8;
    }

    /// The marks of a task.
    pub fn marks(&self, task: TaskIndex) -> u8 {
        self.body[task.at()] & MARKS
    }

    /// Sets or clears marks of a task.
    pub fn set_marks(&mut self, task: TaskIndex, marks: u8, on: bool) {
        debug_assert_eq!(marks & !MARKS, 0);
        let byte = &mut self.body[task.at()];
        *byte = if on { *byte | marks } else { *byte & !marks };
    }

    /// Restores a state byte from a file; legality is the invariant's business.
    pub fn restore_task(&mut self, task: TaskIndex, state: TaskState, marks: u8) {
        self.body[task.at()] = state as u8 | marks;
    }

    /// Open parents of a join.
    pub fn counter(&self, shape: &Shape, join: usize) -> u32 {
        let width = shape.counter_width();
        let at = shape.len() + join * width;
        let mut bytes = [0; 4];
        bytes[..width].copy_from_slice(&self.body[at..at + width]);
        u32::from_le_bytes(bytes)
    }

    /// Sets the open parents of a join.
    pub fn set_counter(&mut self, shape: &Shape, join: usize, open: u32) {
        let width = shape.counter_width();
        let at = shape.len() + join * width;
        self.body[at..at + width].copy_from_slice(&open.to_le_bytes()[..width]);
    }

    /// Counts the open parents of all joins anew.
    pub fn count_parents(&mut self, shape: &Shape) {
        for task in shape.indexes().filter(|_| shape.joins() > 0) {
            if let Some(join) = shape.join_of(task) {
                let open = shape.parents(task).filter(|&parent| !shape.is_done(self.task_state(parent)));
                let open = open.count() as u32;
                self.set_counter(shape, join, open);
            }
        }
    }

    /// Whether it is sealed: completed, and without payloads.
    pub fn sealed(&self) -> bool {
        self.priority_flags & SEALED != 0
    }

    fn list<'a>(&'a self, shape: &Shape) -> &'a [u8] {
        let counters = if self.sealed() { 0 } else { shape.joins() * shape.counter_width() };
        &self.body[shape.len() + counters..]
    }

    fn list_len(&self, shape: &Shape) -> usize {
        let flag = |flag: u32| usize::from(self.priority_flags & flag != 0);
        shape.len() + flag(OWN_NAME) + if self.sealed() { 1 } else { flag(INPUT) }
    }

    /// The payload of a task; empty once the workflow completed.
    pub fn payload<'a>(&'a self, shape: &Shape, task: TaskIndex) -> &'a [u8] {
        if self.sealed() {
            return &[];
        }
        packed::get(self.list(shape), self.list_len(shape), task.at())
    }

    /// The payloads of all tasks; empty once the workflow completed.
    pub fn payloads<'a>(&'a self, shape: &Shape) -> impl Iterator<Item = &'a [u8]> {
        let count = if self.sealed() { 0 } else { shape.len() };
        packed::iter(self.list(shape), self.list_len(shape)).take(count)
    }

    /// INPUT, if there was one and the workflow has not completed.
    pub fn input<'a>(&'a self, shape: &Shape) -> Option<&'a [u8]> {
        if self.sealed() || self.priority_flags & INPUT == 0 {
            return None;
        }
        Some(packed::get(self.list(shape), self.list_len(shape), shape.len()))
    }

    /// A name other than the blueprint's; empty: none.
    pub fn own_name<'a>(&'a self, shape: &Shape) -> Option<&'a [u8]> {
        if self.priority_flags & OWN_NAME == 0 {
            return None;
        }
        let count = self.list_len(shape);
        Some(packed::get(self.list(shape), count, count - 1))
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let runs = self
            .history
            .as_ref()
            .map_or(0, |history| size_of::<History>() + history.runs.len() * size_of::<PackedRun>());
        self.body.len() + runs
    }
}
