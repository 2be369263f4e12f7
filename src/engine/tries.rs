//! How often a task failed, and how often a delivery of it was lost. Nearly all tasks know neither,
//! so the counts lie in a table of their own; a mark in the task's state byte says whether to look.

use super::split_table::SplitTable;
use super::units::TaskRef;
use hashbrown::DefaultHashBuilder;
use std::hash::BuildHasher;

/// The counts of one task. At the most that fits they stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Attempts that failed: by WF.FAIL, or because they took too long.
    pub failures: u16,
    /// Deliveries that ended without an acknowledgement.
    pub lost: u16,
}

impl Tried {
    /// One failure more.
    pub fn failed(self) -> Tried {
        Tried { failures: self.failures.saturating_add(1), ..self }
    }

    /// One lost delivery more.
    pub fn lost(self) -> Tried {
        Tried { lost: self.lost.saturating_add(1), ..self }
    }
}

/// The table; see the module's prose.
#[derive(Clone, Debug, Default)]
pub struct Tries {
    table: SplitTable<(TaskRef, Tried)>,
    hasher: DefaultHashBuilder,
}

impl Tries {
    /// The counts of a task; zero when it has none.
    pub fn get(&self, task: TaskRef) -> Tried {
        let found = self.table.find(self.hasher.hash_one(task), |entry| entry.0 == task);
        found.map_or_else(Tried::default, |entry| entry.1)
    }

    /// Writes the counts of a task, in place of those before.
    pub fn set(&mut self, task: TaskRef, tried: Tried) {
        self.remove(task);
        let Tries { table, hasher } = self;
        table.insert(hasher.hash_one(task), (task, tried), |entry| hasher.hash_one(entry.0));
    }

    /// Drops the counts of a task if there are any.
    pub fn remove(&mut self, task: TaskRef) {
        self.table.remove(self.hasher.hash_one(task), |entry| entry.0 == task);
    }

    /// Number of tasks with counts.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True when no task has any.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.table.heap_bytes()
    }
}
