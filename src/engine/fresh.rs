//! What a workflow looks like to which nothing has happened since it was pushed.
//!
//! Of such a workflow a file says nothing but that. What it looks like depends on its blueprint and
//! on whether it is paused, and in a row of workflows both are mostly those of the one before: so
//! it is worked out once, and a workflow is made or compared as a few bytes. Loading a million
//! pending tasks in chains of ten took 110 ms without this.

use super::blueprints::Blueprint;
use super::state::TaskState;
use super::units::{BlueprintId, TaskIndex, TypeId};

/// The look; see the module's prose.
#[derive(Clone, Debug)]
pub struct Fresh {
    blueprint: BlueprintId,
    paused: bool,
    /// State bytes and counters, as the workflow's block begins.
    pub states: Vec<u8>,
    /// Tasks that are ready to be claimed.
    pub ready: Vec<TaskIndex>,
    /// Tasks that wait for a signal.
    pub signals: Vec<TaskIndex>,
    /// How many tasks of which type are in which state.
    pub counts: Vec<(TypeId, TaskState, u64)>,
}

impl Fresh {
    /// The look of a workflow of this blueprint.
    pub fn of(id: BlueprintId, blueprint: &Blueprint, paused: bool) -> Fresh {
        let shape = &blueprint.shape;
        let state = |task| match shape.parents(task).len() == 0 && !paused {
            true => TaskState::Ready,
            false => TaskState::Waiting,
        };
        let mut states: Vec<u8> = shape.indexes().map(|task| state(task) as u8).collect();
        for task in shape.indexes().filter(|&task| shape.join_of(task).is_some()) {
            let parents = shape.parents(task).len() as u32;
            states.extend_from_slice(&parents.to_le_bytes()[..shape.counter_width()]);
        }
        let mut all: Vec<_> = shape.indexes().map(|task| (blueprint.type_id(task), state(task))).collect();
        all.sort_unstable_by_key(|&(type_id, state)| (type_id, state as u8));
        let alike = all.chunk_by(|one, next| one == next);
        let ready = shape.indexes().filter(|&task| state(task) == TaskState::Ready);
        let (signals, ready) = ready.partition(|&task| shape.is_signal(task));
        Fresh {
            blueprint: id,
            paused,
            states,
            ready,
            signals,
            counts: alike.map(|tasks| (tasks[0].0, tasks[0].1, tasks.len() as u64)).collect(),
        }
    }

    /// The same without room to spare, to be kept.
    pub fn kept(mut self) -> Fresh {
        self.states.shrink_to_fit();
        self.ready.shrink_to_fit();
        self.signals.shrink_to_fit();
        self.counts.shrink_to_fit();
        self
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.states.capacity()
            + (self.ready.capacity() + self.signals.capacity()) * size_of::<TaskIndex>()
            + self.counts.capacity() * size_of::<(TypeId, TaskState, u64)>()
    }

    /// Whether this is the look of such a workflow.
    pub fn is_of(&self, blueprint: BlueprintId, paused: bool) -> bool {
        self.blueprint == blueprint && self.paused == paused
    }
}

/// The look that was needed last.
#[derive(Clone, Debug, Default)]
pub struct LastFresh(Option<Fresh>);

impl LastFresh {
    /// The look of a workflow of this blueprint.
    pub fn of(&mut self, id: BlueprintId, blueprint: &Blueprint, paused: bool) -> &Fresh {
        if !self.0.as_ref().is_some_and(|last| last.is_of(id, paused)) {
            self.0 = Some(Fresh::of(id, blueprint, paused));
        }
        self.0.as_ref().expect("made if it was not there")
    }
}
