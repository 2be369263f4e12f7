//! States and the legal moves between them.
//!
//! ```text
//!              parents done           claim            complete
//!   waiting ───────┬───────▶ ready ──────────▶ running ──────────▶ completed
//!      │           ▼         ▲ ▲ │               │ │ │
//!      │        delayed ─────┘ │ └── late ack ──▶│ │ └─ fail ─────▶ failed
//!      │         │  ▲   due    ├─ lease ran out ─┤ │
//!      │         │  │          │  or recovered   │ │
//!      │         │  └──────────┴───── retry ─────┼─┘
//!      └─────────┴─ the workflow failed, ────────┴───────────────▶ cancelled
//!                   or was cancelled
//! ```
//!
//! A task that waits for a signal goes from `ready` to its end; nobody claims it.
//!
//! A waiting task whose parents have ended and one of whose edges does not hold is `skipped`. WF.RETRY
//! takes what failed or was cancelled, and what lies behind it, back to `waiting`.

/// The state of a task; the numbers are stored in files and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TaskState {
    /// Some parent has not completed, or the workflow is paused.
    Waiting = 0,
    /// Due later.
    Delayed = 1,
    /// May be claimed, unless something is paused; or waits for its signal.
    Ready = 2,
    /// Leased to a worker.
    Running = 3,
    /// Done.
    Completed = 4,
    /// Failed for good.
    Failed = 5,
    /// Not needed.
    Skipped = 6,
    /// Will not run because the workflow ended otherwise.
    Cancelled = 7,
}

impl TaskState {
    /// All states in the order of their numbers.
    pub const ALL: [TaskState; 8] = [
        TaskState::Waiting,
        TaskState::Delayed,
        TaskState::Ready,
        TaskState::Running,
        TaskState::Completed,
        TaskState::Failed,
        TaskState::Skipped,
        TaskState::Cancelled,
    ];

    /// The word users see.
    pub fn name(self) -> &'static str {
        match self {
            TaskState::Waiting => "waiting",
            TaskState::Delayed => "delayed",
            TaskState::Ready => "ready",
            TaskState::Running => "running",
            TaskState::Completed => "completed",
            TaskState::Failed => "failed",
            TaskState::Skipped => "skipped",
            TaskState::Cancelled => "cancelled",
        }
    }

    /// True when the task has ended: only a rerun changes it again.
    pub fn is_final(self) -> bool {
        match self {
            TaskState::Waiting | TaskState::Delayed | TaskState::Ready | TaskState::Running => false,
            TaskState::Completed | TaskState::Failed | TaskState::Skipped | TaskState::Cancelled => true,
        }
    }

    /// Whether a task may go from `self` to `next`; `apply` asserts it in debug builds.
    pub fn may_become(self, next: TaskState) -> bool {
        use TaskState::*;
        match (self, next) {
            (Waiting, Delayed | Ready | Skipped | Cancelled) => true,
            (Delayed, Ready | Cancelled) => true,
            // A late acknowledgement by the newest token ends a task whose lease ran out, or has it
            // tried again; a late heartbeat takes the lease up again.
            (Ready, Delayed | Ready | Running | Completed | Failed | Cancelled) => true,
            (Running, Delayed | Ready | Completed | Failed | Cancelled) => true,
            // A rerun, of a task or of one before it.
            (Delayed | Ready | Completed | Failed | Skipped | Cancelled, Waiting) => true,
            (Waiting | Delayed | Ready | Running, _) => false,
            (Completed | Failed | Skipped | Cancelled, _) => false,
        }
    }
}

/// The state of a workflow; the numbers are stored in files and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum WorkflowState {
    /// Something is left to do and nothing has failed.
    Running = 0,
    /// Every task completed.
    Completed = 1,
    /// A task failed for good. Running tasks may still run down.
    Failed = 2,
    /// Somebody cancelled it.
    Cancelled = 3,
}

impl WorkflowState {
    /// All states in the order of their numbers.
    pub const ALL: [WorkflowState; 4] =
        [WorkflowState::Running, WorkflowState::Completed, WorkflowState::Failed, WorkflowState::Cancelled];
}

/// The words for workflows that users see: the states, and a running one that is paused.
pub const WORKFLOW_WORDS: [&str; 5] = ["running", "paused", "completed", "failed", "cancelled"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_places_in_all() {
        for (number, state) in TaskState::ALL.iter().enumerate() {
            assert_eq!(*state as usize, number);
        }
        for (number, state) in WorkflowState::ALL.iter().enumerate() {
            assert_eq!(*state as usize, number);
        }
    }

    #[test]
    fn nothing_leaves_a_final_state_but_by_a_rerun() {
        for from in TaskState::ALL {
            for to in TaskState::ALL {
                let rerun = to == TaskState::Waiting;
                assert!(rerun || !(from.is_final() && from.may_become(to)), "{from:?} -> {to:?}");
            }
        }
    }
}
