//! What stands between a task and its end, read-only: which parents are open, which pauses hold it,
//! what is ahead of it in its queue.

use super::space::Space;
use super::state::{TaskState, WorkflowState};
use super::units::{Millis, Slot, TaskIndex, TaskRef, TypeId};
use smallvec::SmallVec;

/// Why a task is not running, or that it is or has ended. In the order in which obstacles are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is in this state, and nothing else matters: it runs or has ended.
    Settled(TaskState),
    /// Parents of it have not ended.
    Waiting,
    /// It is due later.
    Delayed,
    /// A pause holds it.
    Paused,
    /// Nobody has claimed it yet.
    Ready,
    /// The signal that ends it has not come yet.
    Signal,
}

impl Reason {
    /// The word users see.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Settled(state) => state.name(),
            Reason::Waiting => TaskState::Waiting.name(),
            Reason::Delayed => TaskState::Delayed.name(),
            Reason::Paused => "paused",
            Reason::Ready => TaskState::Ready.name(),
            Reason::Signal => "signal",
        }
    }
}

/// Which pauses hold a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// That of its workflow.
    pub workflow: bool,
    /// That of its type.
    pub kind: bool,
    /// That of everything.
    pub space: bool,
}

impl Pauses {
    /// Those that are in force, by the words users see.
    pub fn names(self) -> impl Iterator<Item = &'static str> + Clone {
        let all = [(self.workflow, "workflow"), (self.kind, "type"), (self.space, "space")];
        all.into_iter().filter(|(holds, _)| *holds).map(|(_, name)| name)
    }
}

impl Space {
    /// Why a task is not running: at least one reason.
    pub fn reasons(&self, task: TaskRef) -> SmallVec<[Reason; 3]> {
        let state = self.state_of(task);
        let own = match state {
            TaskState::Waiting => self.open_parents_of(task).next().map(|_| Reason::Waiting),
            TaskState::Delayed => Some(Reason::Delayed),
            // What is ready waits for a release first, and then for a worker.
            TaskState::Ready => None,
            _ => Some(Reason::Settled(state)),
        };
        let mut reasons: SmallVec<[Reason; 3]> = own.into_iter().collect();
        if self.pauses(task).names().next().is_some() {
            reasons.push(Reason::Paused);
        }
        if state == TaskState::Ready {
            reasons.push(if self.is_signal(task) { Reason::Signal } else { Reason::Ready });
        }
        reasons
    }

    /// Whether a signal ends a task.
    pub fn is_signal(&self, task: TaskRef) -> bool {
        self.workflow(task.slot).1.shape.is_signal(task.index)
    }

    /// The pauses that hold a task. None holds one that runs, waits for its signal, or has ended; and
    /// nothing but the pause of its workflow holds one that nobody claims.
    pub fn pauses(&self, task: TaskRef) -> Pauses {
        let (workflow, blueprint) = self.workflow(task.slot);
        let claimed = !blueprint.shape.is_signal(task.index);
        match workflow.task_state(task.index) {
            TaskState::Ready if !claimed => Pauses::default(),
            TaskState::Waiting | TaskState::Delayed | TaskState::Ready => Pauses {
                workflow: workflow.paused(),
                kind: claimed && self.types.at(blueprint.type_id(task.index)).paused,
                space: claimed && self.paused,
            },
            _ => Pauses::default(),
        }
    }

    /// The pauses that hold a workflow as a whole.
    pub fn pauses_of(&self, slot: Slot) -> Pauses {
        let workflow = self.workflows.at(slot);
        let runs = workflow.state() == WorkflowState::Running;
        Pauses { workflow: workflow.paused(), kind: false, space: runs && self.paused }
    }

    /// The parents of a task that have not ended.
    pub fn open_parents_of(&self, task: TaskRef) -> impl Iterator<Item = TaskIndex> {
        let (workflow, blueprint) = self.workflow(task.slot);
        blueprint.shape.parents(task.index).filter(|&parent| !workflow.task_state(parent).is_final())
    }

    /// The tasks that hold a workflow up: they have not ended, and have no open parent. In push order.
    pub fn front(&self, slot: Slot) -> impl Iterator<Item = TaskRef> {
        let open = |task: &TaskRef| match self.state_of(*task) {
            TaskState::Waiting => self.open_parents_of(*task).next().is_none(),
            state => !state.is_final(),
        };
        self.tasks_of(slot).filter(open)
    }

    /// How many ready tasks of its type are claimed before this one, at most `limit`.
    pub fn ahead_of(&self, task: TaskRef, limit: usize) -> usize {
        let key = self.ready_key(task);
        let type_id = self.workflow(task.slot).1.type_id(task.index);
        self.types.at(type_id).queue.iter().take_while(|&other| other < key).take(limit).count()
    }

    /// A worker asks for tasks of a type, or with `None` of any. No change, so no effect: replicas and
    /// files do not know of it, and it costs a claim one store.
    pub fn note_asked(&mut self, type_id: Option<TypeId>, now: Millis) {
        match type_id {
            Some(id) => self.types.at_mut(id).asked = now,
            None => self.asked = now,
        }
    }

    /// When a worker last asked for tasks of a type, as far as this copy of the space knows.
    pub fn asked(&self, type_id: TypeId) -> Option<Millis> {
        Some(self.types.at(type_id).asked.max(self.asked)).filter(|&asked| asked > Millis(0))
    }
}
