//! Finished workflows in the order in which retention removes them.
//!
//! Each is ordered by when it finished, completed ones apart from failed ones, so that a setting which
//! changes counts for all of them at once; an entry costs 16 bytes. Those with a retention of their
//! own are apart from both, and ordered by when it ends as well.

use super::keys;
use super::limits::Settings;
use super::ordered::OrderedSet;
use super::state::WorkflowState;
use super::units::{Millis, Slot, TaskIndex, TaskRef};

/// The archive; see the module's prose.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    completed: OrderedSet,
    failed: OrderedSet,
    retained: OrderedSet,
    /// The same workflows as in `retained`, by when that ends.
    ending: OrderedSet,
    bytes: u64,
}

/// What the archive knows of one finished workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which.
    pub slot: Slot,
    /// How it ended.
    pub state: WorkflowState,
    /// When.
    pub finished: Millis,
    /// Its own retention, in milliseconds.
    pub retain_ms: Option<u64>,
    /// What it costs.
    pub bytes: u64,
}

fn key(time: Millis, slot: Slot) -> u128 {
    keys::lease(time, TaskRef { slot, index: TaskIndex(0) })
}

impl Finished {
    /// When it has been kept long enough.
    pub fn expires(&self, settings: &Settings) -> Millis {
        let retain = self.retain_ms.unwrap_or(match self.state {
            WorkflowState::Completed => settings.retain_completed_ms,
            WorkflowState::Running | WorkflowState::Failed | WorkflowState::Cancelled => {
                settings.retain_failed_ms
            }
        });
        self.finished.plus(retain)
    }
}

impl Archive {
    fn set_of(&mut self, one: &Finished) -> &mut OrderedSet {
        match (one.retain_ms, one.state) {
            (Some(_), _) => &mut self.retained,
            (None, WorkflowState::Completed) => &mut self.completed,
            (None, _) => &mut self.failed,
        }
    }

    /// A workflow finished.
    pub fn insert(&mut self, one: &Finished) {
        self.bytes += one.bytes;
        let added = self.set_of(one).insert(key(one.finished, one.slot));
        debug_assert!(added, "a workflow finishes once");
        if let Some(retain) = one.retain_ms {
            self.ending.insert(key(one.finished.plus(retain), one.slot));
        }
    }

    /// A finished workflow goes, or runs again.
    pub fn remove(&mut self, one: &Finished) {
        debug_assert!(self.bytes >= one.bytes, "what was added is there");
        self.bytes = self.bytes.saturating_sub(one.bytes);
        let removed = self.set_of(one).remove(key(one.finished, one.slot));
        debug_assert!(removed, "a finished workflow is in the archive");
        if let Some(retain) = one.retain_ms {
            self.ending.remove(key(one.finished.plus(retain), one.slot));
        }
    }

    /// Number of finished workflows.
    pub fn len(&self) -> usize {
        self.completed.len() + self.failed.len() + self.retained.len()
    }

    /// True when no workflow is finished.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// When the next removal is due by age; the past when there are too many of them.
    pub fn next_due(&self, settings: &Settings) -> Option<Millis> {
        if self.is_empty() {
            return None;
        }
        if self.len() as u64 > settings.retain_count || self.bytes > settings.retain_bytes {
            return Some(Millis(0));
        }
        self.heads(settings).map(|(expires, _)| expires).min()
    }

    /// Whose turn it is to go: by age at `now`, or the oldest when there are too many.
    pub fn first_to_go(&self, settings: &Settings, now: Millis) -> Option<Slot> {
        let (expires, slot) = self.heads(settings).min_by_key(|&(expires, slot)| (expires, slot.0))?;
        if expires <= now {
            return Some(slot);
        }
        if self.len() as u64 <= settings.retain_count && self.bytes <= settings.retain_bytes {
            return None;
        }
        let sets = [&self.completed, &self.failed, &self.retained];
        sets.into_iter().filter_map(OrderedSet::first).min().map(|key| keys::task_of_lease(key).slot)
    }

    /// The first of each order, with the time it expires.
    fn heads(&self, settings: &Settings) -> impl Iterator<Item = (Millis, Slot)> {
        let sets = [
            (&self.completed, settings.retain_completed_ms),
            (&self.failed, settings.retain_failed_ms),
            (&self.ending, 0),
        ];
        sets.into_iter().filter_map(|(set, retain)| {
            let key = set.first()?;
            Some((keys::deadline_of(key).plus(retain), keys::task_of_lease(key).slot))
        })
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        [&self.completed, &self.failed, &self.retained, &self.ending].map(OrderedSet::heap_bytes).iter().sum()
    }

    /// All keys of each order, for the invariant.
    pub fn keys(&self) -> [Vec<u128>; 4] {
        [&self.completed, &self.failed, &self.retained, &self.ending].map(|set| set.iter().collect())
    }
}
