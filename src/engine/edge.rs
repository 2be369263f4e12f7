//! Edges with conditions: when a child runs, depending on how its parent ended.

use super::state::TaskState;

/// The condition of an edge; the numbers are stored in files and never change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum On {
    /// The parent completed.
    #[default]
    Success = 0,
    /// The parent failed for good.
    Failure = 1,
    /// The parent ended, however.
    Always = 2,
}

impl On {
    /// All conditions in the order of their numbers.
    pub const ALL: [On; 3] = [On::Success, On::Failure, On::Always];

    /// The word in documents.
    pub fn name(self) -> &'static str {
        match self {
            On::Success => "success",
            On::Failure => "failure",
            On::Always => "always",
        }
    }

    /// Whether the edge holds, when the parent has ended so.
    pub fn holds(self, parent: TaskState) -> bool {
        match self {
            On::Success => parent == TaskState::Completed,
            On::Failure => parent == TaskState::Failed,
            On::Always => parent.is_final(),
        }
    }
}
