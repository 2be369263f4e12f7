//! What a key of our type points to: a space and what it contributes to the figures in INFO.
//!
//! A value knows neither its name nor its database: RENAME, MOVE and SWAPDB change both without
//! telling. It may be dropped on the server's lazy-free thread, so what `Drop` touches is atomic.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::engine::space::{Space, Totals};

/// A space in a key.
pub struct SpaceValue {
    /// The space.
    pub space: Space,
    /// The last step of the clock that its leases were moved along with: see [`super::clock`].
    pub moved: u64,
    reported: Reported,
    /// Changes since memory was measured.
    unmeasured: usize,
}

/// What all spaces hold together.
pub struct Gauges {
    /// Spaces.
    pub spaces: AtomicU64,
    /// Those that lack something.
    pub incomplete: AtomicU64,
    /// Workflows by state.
    pub workflows: [AtomicU64; 5],
    /// Tasks by state.
    pub tasks: [AtomicU64; 8],
    /// Definitions.
    pub definitions: AtomicU64,
    /// Bytes.
    pub memory: AtomicU64,
}

/// The figures of INFO.
pub static GAUGES: Gauges = Gauges {
    spaces: AtomicU64::new(0),
    incomplete: AtomicU64::new(0),
    workflows: [const { AtomicU64::new(0) }; 5],
    tasks: [const { AtomicU64::new(0) }; 8],
    definitions: AtomicU64::new(0),
    memory: AtomicU64::new(0),
};

/// What of the gauges is due to one space.
#[derive(Clone, Copy)]
struct Reported {
    incomplete: u64,
    workflows: [u64; 5],
    tasks: [u64; 8],
    definitions: u64,
    memory: u64,
}

const NOTHING: Reported =
    Reported { incomplete: 0, workflows: [0; 5], tasks: [0; 8], definitions: 0, memory: 0 };

impl SpaceValue {
    /// A value for a space that is about to get a key.
    pub fn new(space: Space) -> Box<SpaceValue> {
        GAUGES.spaces.fetch_add(1, Relaxed);
        let mut value =
            Box::new(SpaceValue { space, moved: 0, reported: NOTHING, unmeasured: usize::MAX - 1 });
        value.report(1);
        value
    }

    /// Bytes of all that hangs on the key.
    pub fn memory(&self) -> usize {
        size_of::<SpaceValue>() - size_of::<Space>() + self.space.memory()
    }

    /// Brings the gauges up to date after so many changes. Memory is measured only once in as
    /// many changes as measuring has steps, so that its share of a change is one step.
    pub fn report(&mut self, changes: u64) {
        let Totals { workflows, tasks, .. } = self.space.totals();
        self.unmeasured = self.unmeasured.saturating_add(changes as usize);
        let memory = if self.unmeasured > self.space.measuring_cost() {
            self.unmeasured = 0;
            self.memory() as u64
        } else {
            self.reported.memory
        };
        let definitions = self.space.definitions().len() as u64;
        let incomplete = u64::from(self.space.incomplete());
        self.become_reported(Reported { incomplete, workflows, tasks, definitions, memory });
    }

    fn become_reported(&mut self, now: Reported) {
        let before = std::mem::replace(&mut self.reported, now);
        for (place, gauge) in GAUGES.workflows.iter().enumerate() {
            shift(gauge, before.workflows[place], now.workflows[place]);
        }
        for (place, gauge) in GAUGES.tasks.iter().enumerate() {
            shift(gauge, before.tasks[place], now.tasks[place]);
        }
        shift(&GAUGES.incomplete, before.incomplete, now.incomplete);
        shift(&GAUGES.definitions, before.definitions, now.definitions);
        shift(&GAUGES.memory, before.memory, now.memory);
    }
}

impl Drop for SpaceValue {
    fn drop(&mut self) {
        self.become_reported(NOTHING);
        GAUGES.spaces.fetch_sub(1, Relaxed);
    }
}

fn shift(gauge: &AtomicU64, before: u64, now: u64) {
    if now != before {
        gauge.fetch_add(now.wrapping_sub(before), Relaxed);
    }
}
