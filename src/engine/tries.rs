//! How often a task failed, and how often a delivery of it was lost. Nearly all tasks know neither,
//! so the counts lie in a table of their own; a mark in the task's state byte says whether to look.

use super::side_table::SideTable;
use super::units::TaskRef;

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

/// The counts of all tasks that have any.
pub type Tries = SideTable<TaskRef, Tried>;
