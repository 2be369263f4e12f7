//! What few workflows have: a deadline, a retention of their own, a reason why they were cancelled. A flag in the workflow's record
//! says whether to look.

use super::split_table::SplitTable;
use super::units::{Millis, Slot};
use hashbrown::DefaultHashBuilder;
use std::hash::BuildHasher;

/// The extras of one workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// When it times out, and what it times out after.
    pub timeout: Option<Timeout>,
    /// How long it is kept once it is finished, in milliseconds.
    pub retain_ms: Option<u64>,
    /// Why it was cancelled.
    pub reason: Option<Box<[u8]>>,
}

/// The deadline of a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// When.
    pub deadline: Millis,
    /// How long after it could begin, in milliseconds.
    pub after_ms: u64,
    /// It has passed, and the workflow failed of it.
    pub passed: bool,
}

/// The table; see the module's prose.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    table: SplitTable<(Slot, Extra)>,
    hasher: DefaultHashBuilder,
}

impl Extras {
    /// The extras of a workflow; all empty when it has none.
    pub fn get(&self, slot: Slot) -> Extra {
        let found = self.table.find(self.hasher.hash_one(slot), |entry| entry.0 == slot);
        found.map_or_else(Extra::default, |entry| entry.1.clone())
    }

    /// Writes the extras of a workflow, in place of those before.
    pub fn set(&mut self, slot: Slot, extra: Extra) {
        self.remove(slot);
        let Extras { table, hasher } = self;
        table.insert(hasher.hash_one(slot), (slot, extra), |entry| hasher.hash_one(entry.0));
    }

    /// Drops the extras of a workflow if there are any.
    pub fn remove(&mut self, slot: Slot) {
        self.table.remove(self.hasher.hash_one(slot), |entry| entry.0 == slot);
    }

    /// Number of workflows with extras.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True when no workflow has any.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.table.heap_bytes()
    }
}
