//! What falls due in a space, each in its order of time: delayed tasks, leases, deadlines of
//! workflows. Keys are [`super::keys::lease`].

use super::keys;
use super::ordered::OrderedSet;
use super::units::{Millis, Slot, TaskIndex, TaskRef};

/// The agenda; see the module's prose.
#[derive(Clone, Debug, Default)]
pub struct Agenda {
    /// Delayed tasks of workflows that are not paused, by when they are due, and such as wait for a
    /// signal, by when they have waited long enough.
    pub delayed: OrderedSet,
    /// Running tasks by deadline.
    pub leases: OrderedSet,
    /// Running workflows that have a deadline.
    pub deadlines: OrderedSet,
}

/// The key of a workflow among the deadlines.
pub fn deadline_key(deadline: Millis, slot: Slot) -> u128 {
    keys::lease(deadline, TaskRef { slot, index: TaskIndex(0) })
}

impl Agenda {
    /// When the first of it is due, when leases and deadlines of workflows wait until `expire_from`.
    pub fn next_due(&self, expire_from: Millis) -> Option<Millis> {
        let first = |set: &OrderedSet| set.first().map(keys::deadline_of);
        let held = [first(&self.leases), first(&self.deadlines)].into_iter().flatten().min();
        let held = held.map(|due| due.max(expire_from));
        [first(&self.delayed), held].into_iter().flatten().min()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.delayed.heap_bytes() + self.leases.heap_bytes() + self.deadlines.heap_bytes()
    }
}
