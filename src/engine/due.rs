//! What is due, read-only.

use super::keys;
use super::ordered::OrderedSet;
use super::space::Space;
use super::units::{Millis, Slot, TaskRef};

fn first(set: &OrderedSet, now: Millis, limit: usize) -> impl Iterator<Item = TaskRef> {
    let due = set.iter().take_while(move |&key| keys::deadline_of(key) <= now);
    due.take(limit).map(keys::task_of_lease)
}

/// Delayed tasks whose time has come, and such as waited long enough for a signal, the longest due
/// first, at most `limit`.
pub fn delayed(space: &Space, now: Millis, limit: usize) -> Vec<TaskRef> {
    first(&space.agenda.delayed, now, limit).collect()
}

/// Running tasks whose deadline has passed, the oldest first, at most `limit`.
pub fn leases(space: &Space, now: Millis, limit: usize) -> Vec<TaskRef> {
    first(&space.agenda.leases, now, limit).collect()
}

/// Workflows whose deadline has passed, the oldest first, at most `limit`.
pub fn deadlines(space: &Space, now: Millis, limit: usize) -> Vec<Slot> {
    first(&space.agenda.deadlines, now, limit).map(|task| task.slot).collect()
}
